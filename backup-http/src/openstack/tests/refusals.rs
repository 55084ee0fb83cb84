use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::world::{DEMO, EXPIRED, World, request};

const ROUTES: [(&str, &str); 23] = [
    ("POST", "/volume"),
    ("POST", "/volume/{id}/action"),
    ("GET", "/volume/backup"),
    ("POST", "/volume/backup"),
    ("GET", "/volume/backup/{id}"),
    ("PUT", "/volume/backup/{id}"),
    ("DELETE", "/volume/backup/{id}"),
    ("POST", "/volume/backup/{id}/action"),
    ("GET", "/volume/backup/{id}/snapshot"),
    ("POST", "/volume/backup/{id}/snapshot"),
    ("DELETE", "/volume/backup/{id}/snapshot/{id}"),
    ("POST", "/instance/{id}/action"),
    ("GET", "/instance/snapshot"),
    ("POST", "/instance/snapshot"),
    ("GET", "/instance/snapshot/{id}"),
    ("DELETE", "/instance/snapshot/{id}"),
    ("GET", "/instance/backup"),
    ("POST", "/instance/backup"),
    ("GET", "/instance/backup/{id}"),
    ("PUT", "/instance/backup/{id}"),
    ("DELETE", "/instance/backup/{id}"),
    ("POST", "/instance/backup/{id}/action"),
    ("POST", "/volume/{id}/action"),
];

const ID: &str = "aaaaaaaa-0000-4000-8000-000000000001";

#[tokio::test]
async fn the_token_comes_first_whatever_the_body() {
    let world = World::new().await;
    for (method, path) in ROUTES {
        let path = path.replace("{id}", ID);
        let missing = world.ask(request(method, &path, "", "no json")).await;
        assert_eq!(missing.refused(), (401, "Auth token is missing!".to_owned()), "{method} {path}");
        for token in ["unknown", EXPIRED, "two words"] {
            let rejected = world.ask(request(method, &path, token, "no json")).await;
            assert_eq!(rejected.refused(), (401, "Token validation failed!".to_owned()), "{method} {path}");
        }
    }
    let twice =
        Request::get("/v1/volume/backup").header("x-auth-token", DEMO).header("x-auth-token", "x").body(Body::empty()).unwrap();
    assert_eq!(world.ask(twice).await.refused().0, 401);
    world.hand.unreachable.store(true, Ordering::SeqCst);
    assert_eq!(world.get("/volume/backup").await.refused().0, 503);
}

#[tokio::test]
async fn what_is_not_there_is_404_without_asking_the_cloud() {
    let world = World::new().await;
    let bodies = |path: &str| match path {
        path if path.starts_with("/volume/{id}") || path.starts_with("/instance/{id}") => {
            json!({"rollback": {"snapshot_id": ID}})
        }
        path if path.ends_with("action") => json!({"update": {}}),
        path if path.ends_with("snapshot") => json!({"snapshot": {"id": ID}}),
        _ => json!({"backup": {}}),
    };
    for (method, path) in ROUTES.into_iter().filter(|(_, path)| path.contains("{id}")) {
        for id in ["none", "..%2f..%2fx", "%00", "%ff", "11111111-1111-1111-1111-11111111111%0d"] {
            world.hand.with(|things| things.asked.clear());
            let answer = world.by(DEMO, method, &path.replace("{id}", id), &bodies(path)).await;
            assert_eq!(answer.refused().0, 404, "{method} {path} {id}");
            assert_eq!(world.hand.with(|things| things.asked.clone()), ["validate"], "{method} {path} {id}");
        }
        let answer = world.by(DEMO, method, &path.replace("{id}", ID), &bodies(path)).await;
        assert_eq!(answer.refused().0, 404, "{method} {path}");
    }
    let body = json!({"backup": {"name": "b", "volume_id": "x/y"}});
    assert_eq!(world.post("/volume/backup", body).await.refused(), (404, "Volume x/y is not found!".to_owned()));
    for path in ["/nothing", "/volume/backup/", "/volume/backup/a/b/c/d", "//volume"] {
        assert_eq!(world.get(path).await.refused(), (404, "Not Found".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn another_method_is_405_with_those_that_there_are() {
    let world = World::new().await;
    for (path, allowed) in [
        ("/volume", "POST"),
        ("/volume/backup", "GET, POST"),
        ("/volume/backup/x", "GET, PUT, DELETE"),
        ("/instance/snapshot/x", "GET, DELETE"),
        ("/instance/backup/x/action", "POST"),
    ] {
        for method in ["PATCH", "HEAD", "OPTIONS"] {
            let answer = world.by(DEMO, method, path, &Value::Null).await;
            assert_eq!(answer.headers["allow"], allowed, "{method} {path}");
            assert_eq!(answer.code(), 405);
        }
        assert_eq!(world.by("", "PATCH", path, &Value::Null).await.refused(), (405, "Method Not Allowed".to_owned()));
    }
    let root = world.ask(Request::get("/").body(Body::empty()).unwrap()).await;
    assert_eq!((root.code(), root.json()), (200, json!({"message": "Active."})));
}

#[tokio::test]
async fn a_body_of_a_wrong_shape_is_422_with_each_place() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    let ask = async |body: &str| {
        let answer = world.ask(request("POST", "/volume/backup", DEMO, body)).await;
        assert_eq!(answer.code(), 422, "{body}: {answer:?}");
        let detail = answer.json()["detail"].as_array().unwrap().clone();
        detail.into_iter().map(|fault| (fault["type"].as_str().unwrap().to_owned(), fault["loc"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(ask("{").await[0].0, "json_invalid");
    assert_eq!(ask("").await, [("missing".to_owned(), json!(["body"]))]);
    assert_eq!(ask("[]").await, [("model_attributes_type".to_owned(), json!(["body"]))]);
    assert_eq!(ask("{\"bogus\":{}}").await, [("missing".to_owned(), json!(["body", "backup"]))]);
    let body =
        json!({"backup": {"name": null, "incremental": "maybe", "retention": "x", "plan_id": 5, "snapshots": {}}}).to_string();
    let mut faults = ask(&body).await;
    faults.sort_by_key(|(_, place)| place.to_string());
    let expected = [
        ("bool_parsing", "incremental"),
        ("string_type", "name"),
        ("string_type", "plan_id"),
        ("int_parsing", "retention"),
        ("list_type", "snapshots"),
        ("missing", "volume_id"),
    ];
    let expected: Vec<_> = expected.iter().map(|(kind, name)| ((*kind).to_owned(), json!(["body", "backup", name]))).collect();
    assert_eq!(faults, expected);
    // What the framework takes for a number or a truth value is taken.
    let lax = json!({"backup": {"name": "b", "volume_id": volume, "incremental": "yes", "retention": "3", "size": 4.0}});
    let id = world.post("/volume/backup", lax).await.id("backup");
    let backup = world.over(&id).await;
    assert_eq!((backup["incremental"].clone(), backup["retention"].clone()), (json!(true), json!(3)));
}

#[tokio::test]
async fn values_that_cannot_be_used_are_400() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    let ask = async |more: Value| {
        let mut backup = json!({"name": "b", "volume_id": volume});
        backup.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        world.post("/volume/backup", json!({ "backup": backup })).await.refused()
    };
    for name in ["", "-a", ".a", "a b", "a/b", "ä", "a\nb", &"x".repeat(49)] {
        assert_eq!(ask(json!({"name": name})).await, (400, "Argument name is invalid!".to_owned()), "{name:?}");
    }
    assert_eq!(ask(json!({"retention": -1})).await, (400, "Argument retention is invalid!".to_owned()));
    assert_eq!(ask(json!({"plan_id": "a\u{0}b"})).await, (400, "Argument plan_id is invalid!".to_owned()));
    assert_eq!(ask(json!({"property": "x".repeat(256)})).await, (400, "Argument property is invalid!".to_owned()));
    assert_eq!(
        ask(json!({"copy_zone": "z", "copy_project": "p"})).await,
        (400, "Copy to another zone is not supported!".to_owned())
    );
    let long = json!({"backup": {"name": "b", "volume_id": volume, "snapshots": ["x".repeat(300_000)]}}).to_string();
    assert_eq!(world.ask(request("POST", "/volume/backup", DEMO, &long)).await.refused().0, 413);
    assert_eq!(world.get("/volume/backup").await.json(), json!({"backups": []}));
}

#[tokio::test]
async fn errors_of_the_cloud_keep_their_class() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    let body = json!({"backup": {"name": "b", "volume_id": volume}});
    let asked = world.post("/volume/backup", body.clone());
    world.hand.with(|things| things.volumes.clear());
    assert_eq!(asked.await.refused(), (404, format!("Volume {volume} is not found!")));
    let foreign = world.hand.volume("other", "theirs", "x");
    let body = json!({"backup": {"name": "b", "volume_id": foreign}});
    assert_eq!(world.post("/volume/backup", body).await.refused(), (404, format!("Volume {foreign} is not found!")));
}
