//! What clients send who want more than is theirs, over the network.

use serde_json::{Value, json};

use crate::http::{Answer, raw};
use crate::openstack::OpenStack;
use crate::proxied::Region;
use crate::server::{Place, User};

const NOBODY: &str = "00000000-0000-4000-8000-00000000dead";
const NOTHING: Value = Value::Null;

/// None of these is the id of anything.
const NO_IDS: [&str; 14] = [
    "x",
    "%20",
    "..%2f",
    "..%2F..%2Fvolumes",
    "%2e%2e",
    "%2e%2e%2fdetail",
    "..%5c..%5cvolumes",
    "00000000-0000-4000-8000-00000000dead%0a",
    "00000000-0000-4000-8000-00000000dead%00",
    "00000000-0000-4000-8000-00000000dead%3fall_tenants=1",
    "00000000-0000-4000-8000-00000000dead%2f..%2fdetail",
    "%ff%fe",
    "{id}",
    "\u{fc}",
];

/// A request with these headers besides.
fn with(user: &User, headers: &str, method: &str, path: &str, body: &str) -> Answer {
    let request = format!(
        "{method} /v1{path} HTTP/1.1\r\nhost: server\r\nconnection: close\r\n{headers}content-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = tokio::task::block_in_place(|| raw(user.port, request.as_bytes()));
    answer.unwrap_or_else(|| panic!("no whole answer to {method} {path} with {headers:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_but_ids_becomes_part_of_a_request_to_cinder() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let mut region = Region::new().await;
    let cinder = region.proxy("volumev3").await;
    let place = Place::new(&stack, "gateway: true\n").region(&region.name);
    let server = place.start();
    let demo = User::new(&stack, &server, "demo", "demo").await;
    let rollback = json!({ "rollback": { "snapshot_id": NOBODY } });
    let (update, long) = (json!({ "update": {} }), "x".repeat(5000));
    for id in NO_IDS.into_iter().chain([long.as_str()]) {
        for (method, path, body) in [
            ("GET", format!("/volume/backup/{id}"), &NOTHING),
            ("PUT", format!("/volume/backup/{id}"), &json!({ "backup": { "name": "x" } })),
            ("DELETE", format!("/volume/backup/{id}"), &NOTHING),
            ("POST", format!("/volume/backup/{id}/action"), &update),
            ("GET", format!("/volume/backup/{id}/snapshot"), &NOTHING),
            ("POST", format!("/volume/backup/{id}/snapshot"), &json!({ "snapshot": { "id": NOBODY } })),
            ("DELETE", format!("/volume/backup/{NOBODY}/snapshot/{id}"), &NOTHING),
            ("POST", format!("/volume/{id}/action"), &rollback),
            ("POST", format!("/volume/{id}/action"), &json!({ "os-reset_status": {} })),
            ("POST", format!("/instance/{id}/action"), &rollback),
            ("POST", format!("/instance/{id}/action"), &json!({ "os-stop": null })),
            ("GET", format!("/instance/snapshot/{id}"), &NOTHING),
            ("DELETE", format!("/instance/snapshot/{id}"), &NOTHING),
            ("GET", format!("/instance/backup/{id}"), &NOTHING),
            ("POST", format!("/instance/backup/{id}/action"), &update),
            ("GET", format!("/block/volume/{id}"), &NOTHING),
            ("DELETE", format!("/block/volume/{id}/metadata/x"), &NOTHING),
            ("DELETE", format!("/block/volume/{NOBODY}/metadata/{id}%2f"), &NOTHING),
            ("GET", format!("/block/snapshots/{id}"), &NOTHING),
        ] {
            assert!(demo.told(404, method, &path, body)["message"].is_string(), "{path}");
        }
        // In a body it is as little an id.
        for (path, body) in [
            ("/volume/backup", json!({ "backup": { "name": "x", "volume_id": id } })),
            ("/volume", json!({ "volume": { "backup_id": id } })),
            (&*format!("/volume/{NOBODY}/action"), json!({ "rollback": { "snapshot_id": id } })),
        ] {
            demo.told(404, "POST", path, &body);
        }
        for what in ["snapshot", "backup"] {
            demo.told(400, "POST", &format!("/instance/{what}"), &json!({ what: { "name": "x", "instance_id": id } }));
        }
    }
    let asked: Vec<String> = cinder.seen().into_iter().map(|seen| seen.target).collect();
    let odd = |target: &&String| !target.contains("/detail?") && !target.contains(NOBODY) && !target.ends_with("/v3/");
    let odd: Vec<_> = asked.iter().filter(odd).collect();
    assert!(odd.is_empty(), "Cinder was asked {odd:?}");
    server.stop();
    region.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_says_in_a_header_or_a_body_who_he_is() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let place = Place::new(&stack, "");
    let server = place.start();
    let demo = User::new(&stack, &server, "demo", "demo").await;
    let other = User::new(&stack, &server, "other", "other").await;
    let admin = User::new(&stack, &server, "admin", "admin").await;
    let theirs = json!({ "backup": { "name": "theirs", "volume_id": NOBODY, "source_zone": "z", "project_id": other.project } });
    let theirs = admin.told(201, "POST", "/volume/backup", &theirs)["backup"]["id"].as_str().unwrap().to_owned();
    let (token, project) = (format!("x-auth-token: {}\r\n", demo.token), &other.project);

    for more in [
        format!("x-project-id: {project}\r\nx-tenant-id: {project}\r\nx-tenant: {project}\r\n"),
        "x-roles: admin\r\nx-role: admin\r\nx-is-admin-project: true\r\n".to_owned(),
        "x-identity-status: Confirmed\r\nx-service-identity-status: Confirmed\r\nx-service-roles: service,admin\r\n".to_owned(),
        format!("x-service-token: {}\r\n", admin.token),
        format!("x-subject-token: {}\r\nauthorization: Bearer {}\r\n", admin.token, admin.token),
        "x_auth_token: none\r\nx-forwarded-for: 127.0.0.1\r\nx-http-method-override: DELETE\r\n".to_owned(),
    ] {
        let headers = format!("{token}{more}");
        assert_eq!(
            with(&demo, &headers, "GET", "/volume/backup?all_projects=true", "").json(),
            json!({ "backups": [] }),
            "{more}"
        );
        assert_eq!(with(&demo, &headers, "GET", &format!("/volume/backup/{theirs}"), "").status, 404, "{more}");
        let order = json!({ "backup": { "name": "x", "volume_id": NOBODY, "source_zone": "z" } });
        assert_eq!(with(&demo, &headers, "POST", "/volume/backup", &order.to_string()).status, 403, "{more}");
        // Alone they say nothing.
        assert_eq!(with(&demo, &more, "GET", "/volume/backup", "").status, 401, "{more}");
    }
    for tokens in [
        format!("{token}{token}"),
        format!("x-auth-token: {}\r\n{token}", admin.token),
        format!("x-auth-token: {}, {}\r\n", demo.token, admin.token),
        format!("x-auth-token: {} {}\r\n", demo.token, admin.token),
        format!("x-auth-token: {}\r\n", "a".repeat(20_000)),
        "x-auth-token: ../../v3/auth/tokens\r\n".to_owned(),
        "x-auth-token: \u{e9}\r\n".to_owned(),
    ] {
        let status = with(&demo, &tokens, "GET", "/volume/backup", "").status;
        assert!(status == 401 || status == 431, "{status} for {tokens:.100}");
    }

    // Projects that are none, and texts that would be more than a text.
    let put = |project: &str| json!({ "backup": { "project_id": project } });
    for bad in ["../x", "a/b", ".", "..", "x\u{0}y", "a b", "\u{fc}", &"a".repeat(65)] {
        admin.told(400, "PUT", &format!("/volume/backup/{theirs}"), &put(bad));
        let order = json!({ "backup": { "name": "x", "volume_id": NOBODY, "source_zone": "z", "project_id": bad } });
        admin.told(400, "POST", "/volume/backup", &order);
    }
    for bad in ["", "a b", "a\r\nx-injected: 1", "../x", "-x", ".x", "\u{fc}", &"a".repeat(49)] {
        let order = json!({ "backup": { "name": bad, "volume_id": NOBODY } });
        let refused = demo.ask("POST", "/volume/backup", &order.to_string());
        assert!(refused.status == 400 && refused.header("x-injected").is_empty(), "{bad:?}: {refused:?}");
    }
    for (field, bad) in [("plan_id", "a\nb"), ("property", "a\u{0}b"), ("copy_zone", "\u{1b}[2J"), ("plan_id", &*"a".repeat(300))]
    {
        demo.told(400, "POST", "/volume/backup", &json!({ "backup": { "name": "x", "volume_id": NOBODY, field: bad } }));
    }
    // Whose it is is said by the token alone.
    let order = json!({ "backup": { "name": "x", "volume_id": NOBODY, "project_id": other.project } });
    demo.told(404, "POST", "/volume/backup", &order);
    assert_eq!(other.told(200, "GET", "/volume/backup", &NOTHING)["backups"].as_array().unwrap().len(), 1);
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_body_of_a_wrong_shape_is_refused_and_nothing_else_happens() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let place = Place::new(&stack, "");
    let server = place.start();
    let demo = User::new(&stack, &server, "demo", "demo").await;
    let routes = [
        ("POST", "/volume/backup".to_owned(), "backup"),
        ("POST", "/instance/backup".to_owned(), "backup"),
        ("POST", "/instance/snapshot".to_owned(), "snapshot"),
        ("PUT", format!("/volume/backup/{NOBODY}"), "backup"),
        ("PUT", format!("/instance/backup/{NOBODY}"), "backup"),
        ("POST", format!("/volume/backup/{NOBODY}/snapshot"), "snapshot"),
        ("POST", format!("/volume/backup/{NOBODY}/action"), "update"),
        ("POST", format!("/instance/backup/{NOBODY}/action"), "update"),
    ];
    let deep = "[".repeat(100_000);
    for (method, path, root) in &routes {
        let bodies = ["", "{", "null", "[]", "3", "\"x\"", "{}", "{\"\\u0000\":{}}", "\u{feff}{}", &deep];
        let rooted = ["null", "[]", "3", "\"x\"", "true"].map(|value| format!("{{\"{root}\":{value}}}"));
        for body in bodies.into_iter().chain(rooted.iter().map(String::as_str)) {
            let refused = demo.ask(method, path, body);
            assert_eq!(refused.status, 422, "{method} {path} {body:.60}: {refused:?}");
            assert!(refused.json()["detail"].is_array(), "{refused:?}");
        }
        let long = format!("{{\"{root}\":{{\"name\":\"{}\"}}}}", "x".repeat(300 << 10));
        let refused = demo.ask(method, path, &long);
        assert_eq!((refused.status, refused.json()["message"].is_string()), (413, true), "{method} {path}: {refused:?}");
    }
    for fields in [
        json!({ "name": 3, "volume_id": NOBODY }),
        json!({ "name": "x", "volume_id": {} }),
        json!({ "name": "x", "volume_id": NOBODY, "incremental": "perhaps" }),
        json!({ "name": "x", "volume_id": NOBODY, "retention": "many" }),
        json!({ "name": "x", "volume_id": NOBODY, "plan_id": null }),
        json!({ "name": "x", "volume_id": NOBODY, "snapshots": "none" }),
    ] {
        demo.told(422, "POST", "/volume/backup", &json!({ "backup": fields }));
    }
    let restore = |more: Value| json!({ "volume": { "backup_id": NOBODY, "metadata": more } });
    demo.told(422, "POST", "/volume", &restore(json!([])));
    demo.told(400, "POST", "/volume", &restore(json!({ "a": 1 })));
    demo.told(400, "POST", "/volume", &restore(json!({ "backup:owner": "x" })));
    assert_eq!(demo.told(200, "GET", "/volume/backup", &NOTHING), json!({ "backups": [] }));
    server.stop();
}
