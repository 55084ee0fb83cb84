//! Every documented route, by everybody who may ask, against the server's own document.

use std::collections::BTreeSet;

use axum::http::{Method, StatusCode};
use backup_http::testkit::Contract;
use serde_json::{Value, json};

use crate::http::Answer;
use crate::nova::Nova;
use crate::openstack::OpenStack;
use crate::proxied::Region;
use crate::server::{Place, User, until};

const SERVER: &str = "5e11e000-0000-4000-8000-000000000005";
const NOBODY: &str = "00000000-0000-4000-8000-00000000dead";
const NOTHING: Value = Value::Null;

/// What was asked, and what did not hold.
struct Table {
    contract: Contract,
    asked: BTreeSet<(String, String)>,
    wrong: Vec<String>,
}

impl Table {
    /// A row: who asks what, and the status. `pattern` is the path as the document has it.
    fn ask(
        &mut self,
        (who, user): (&str, &User),
        method: &str,
        pattern: &str,
        ids: &[&str],
        body: &Value,
        status: u16,
    ) -> Answer {
        let mut path = pattern.to_owned();
        for id in ids {
            let (begin, end) = (path.find('{').unwrap(), path.find('}').unwrap());
            path.replace_range(begin..=end, id);
        }
        let answer = user.ask(method, &path, &if body.is_null() { String::new() } else { body.to_string() });
        self.saw(who, method, (pattern, &path), body, &answer, status);
        answer
    }

    /// Deletes what somebody may still restore.
    async fn deleted(&mut self, (who, user): (&str, &User), pattern: &str, id: &str) {
        let path = pattern.replace("{id}", id);
        let mut last = None;
        until("it is not being restored", async || {
            let answer = user.ask("DELETE", &path, "");
            let taken = answer.status != 409;
            last = Some(answer);
            taken
        })
        .await;
        self.saw(who, "DELETE", (pattern, &path), &NOTHING, &last.unwrap(), 201);
        user.gone(&path).await;
    }

    fn saw(&mut self, who: &str, method: &str, (pattern, path): (&str, &str), body: &Value, answer: &Answer, status: u16) {
        if answer.status != status {
            self.wrong.push(format!("{who}: {method} {path} {body} is not {status}: {answer:?}"));
        }
        let (document, found) = (Method::from_bytes(method.as_bytes()).unwrap(), StatusCode::from_u16(answer.status).unwrap());
        let media_type = Some(answer.header("content-type")).filter(|text| !text.is_empty());
        self.contract.saw(&document, &format!("/v1{path}"), found, media_type, &answer.body);
        if found.is_success() {
            self.asked.insert((method.to_lowercase(), format!("/v1{pattern}")));
        }
    }
}

fn id_of(answer: &Answer) -> String {
    let json = answer.json();
    let made = json.as_object().and_then(|made| made.values().next()).unwrap();
    made["id"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[allow(clippy::too_many_lines, reason = "a table")]
async fn every_route_answers_as_documented_whoever_asks() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let mut region = Region::new().await;
    let (_cinder, nova) = (region.proxy("volumev3").await, Nova::within(&stack, &mut region).await);
    let place = Place::new(&stack, "").region(&region.name);
    let server = place.start();
    let witness = stack.as_demo().await;
    let volume = witness.volume("rbd1", 1).await;
    stack.write(&volume, &[(0, b"first")]).await;
    let document = server.get("/openapi.json").json();
    let mut table = Table { contract: Contract::new(document.clone()), asked: BTreeSet::new(), wrong: Vec::new() };
    let user = async |name: &str| User::new(&stack, &server, name, name).await;
    let (demo, other, admin) = (user("demo").await, user("other").await, user("admin").await);
    let (demo, other, admin) = (("demo", &demo), ("other", &other), ("admin", &admin));
    let nobody = User { token: "nonsense".to_owned(), ..demo.1.clone() };
    nova.set(SERVER, &demo.1.project, "SHUTOFF", &[&volume]);
    let t = &mut table;

    // Without a token nothing is answered, whatever is asked.
    for (pattern, methods) in document["paths"].as_object().unwrap() {
        let Some(pattern) = pattern.strip_prefix("/v1") else { continue };
        for method in ["GET", "POST", "PUT", "DELETE"] {
            let documented = methods.get(method.to_lowercase()).is_some();
            let (ids, status) = (&[NOBODY, NOBODY][..pattern.matches('{').count()], if documented { 401 } else { 405 });
            if documented {
                t.ask(("nobody", &nobody), method, pattern, ids, &NOTHING, status);
            } else {
                let path = pattern.replace("{id}", NOBODY).replace("{snapshot}", NOBODY);
                assert_eq!(nobody.ask(method, &path, "").status, status, "{method} {path}");
            }
        }
    }

    // What is made. Others do not see the volume and the instance; the administrator sees both.
    let (backups, backup, action) = ("/volume/backup", "/volume/backup/{id}", "/volume/backup/{id}/action");
    let order = json!({ "backup": { "name": "full", "volume_id": volume } });
    t.ask(other, "POST", backups, &[], &order, 404);
    let full = id_of(&t.ask(demo, "POST", backups, &[], &order, 201));
    let order = json!({ "backup": { "name": "chain", "volume_id": volume, "incremental": true } });
    let chain = id_of(&t.ask(demo, "POST", backups, &[], &order, 201));
    let order = json!({ "backup": { "name": "theirs", "volume_id": volume, "source_zone": "z", "project_id": demo.1.project } });
    t.ask(demo, "POST", backups, &[], &order, 403);
    let theirs = id_of(&t.ask(admin, "POST", backups, &[], &order, 201));
    let order = json!({ "snapshot": { "name": "s", "instance_id": SERVER } });
    t.ask(other, "POST", "/instance/snapshot", &[], &order, 400);
    let snapshot = id_of(&t.ask(demo, "POST", "/instance/snapshot", &[], &order, 201));
    demo.1.active(&format!("/instance/snapshot/{snapshot}")).await;
    let order = json!({ "backup": { "name": "i", "instance_id": SERVER, "incremental": true } });
    t.ask(other, "POST", "/instance/backup", &[], &order, 400);
    let instance = id_of(&t.ask(demo, "POST", "/instance/backup", &[], &order, 201));
    for id in [&full, &chain] {
        demo.1.active(&format!("/volume/backup/{id}")).await;
    }
    let shown = demo.1.active(&format!("/instance/backup/{instance}")).await;
    let member = shown["volume_backups"][0]["id"].as_str().unwrap().to_owned();

    // What is seen.
    for (all, ids) in [(backups, &full), ("/instance/snapshot", &snapshot), ("/instance/backup", &instance)] {
        let one = format!("{all}/{{id}}");
        for (who, list, status) in [(demo, true, 200), (other, false, 404), (admin, false, 200)] {
            let listed = t.ask(who, "GET", all, &[], &NOTHING, 200);
            assert_eq!(listed.text().contains(ids.as_str()), list, "{}: {all}", who.0);
            t.ask(who, "GET", &one, &[ids], &NOTHING, status);
            t.ask(who, "GET", &one, &[NOBODY], &NOTHING, 404);
            t.ask(who, "GET", &one, &["no-uuid"], &NOTHING, 404);
        }
        let everything = admin.1.told(200, "GET", &format!("{all}?all_projects=true"), &NOTHING);
        assert!(everything.to_string().contains(ids.as_str()), "{everything}");
    }

    // What is changed.
    let put = |more: Value| json!({ "backup": more });
    for (one, id) in [(backup, &full), ("/instance/backup/{id}", &instance)] {
        let named = put(json!({ "name": "renamed", "retention": 0 }));
        t.ask(other, "PUT", one, &[id], &named, 404);
        t.ask(demo, "PUT", one, &[id], &named, 200);
        t.ask(admin, "PUT", one, &[id], &named, 200);
        for more in [
            json!({ "status": "active" }),
            json!({ "status": "error" }),
            json!({ "snapshot_id": NOBODY }),
            json!({ "project_id": other.1.project }),
            json!({ "source_zone": "z" }),
        ] {
            t.ask(demo, "PUT", one, &[id], &put(more.clone()), 403);
            t.ask(other, "PUT", one, &[id], &put(more), 404);
        }
        t.ask(admin, "PUT", one, &[id], &put(json!({ "status": "error" })), 200);
        t.ask(admin, "PUT", one, &[id], &put(json!({ "status": "active" })), 200);
        t.ask(admin, "PUT", one, &[id], &put(json!({ "status": "building" })), 400);
        t.ask(demo, "PUT", one, &[id], &put(json!({ "name": "a b" })), 400);
        t.ask(demo, "PUT", one, &[id], &json!({ "name": "x" }), 422);
        t.ask(admin, "PUT", one, &[NOBODY], &named, 404);
    }
    // Nothing makes active what is not whole; the base of a chain, and a member, stay what and where they are.
    t.ask(admin, "PUT", backup, &[&theirs], &put(json!({ "status": "active" })), 409);
    t.ask(admin, "PUT", backup, &[&chain], &put(json!({ "snapshot_id": NOBODY })), 409);
    t.ask(admin, "PUT", backup, &[&member], &put(json!({ "project_id": other.1.project })), 409);
    t.ask(admin, "PUT", "/instance/backup/{id}", &[&instance], &put(json!({ "project_id": other.1.project })), 409);
    // To another project and back.
    t.ask(admin, "PUT", backup, &[&full], &put(json!({ "project_id": other.1.project })), 200);
    t.ask(demo, "GET", backup, &[&full], &NOTHING, 404);
    t.ask(other, "GET", backup, &[&full], &NOTHING, 200);
    t.ask(admin, "PUT", backup, &[&full], &put(json!({ "project_id": demo.1.project })), 200);
    t.ask(demo, "GET", backup, &[&full], &NOTHING, 200);

    // The list of snapshots of a backup.
    let (rows, row) = ("/volume/backup/{id}/snapshot", "/volume/backup/{id}/snapshot/{snapshot}");
    let order = json!({ "snapshot": { "id": NOBODY, "name": "s", "timestamp": "2026-11-21T00:00:00" } });
    for who in [demo, admin] {
        t.ask(who, "POST", rows, &[&full], &order, 200);
        assert_eq!(t.ask(who, "GET", rows, &[&full], &NOTHING, 200).json()["snapshots"][0]["snapshot_id"], NOBODY);
        for (method, pattern, ids) in [("GET", rows, &[&*full][..]), ("DELETE", row, &[&full, NOBODY])] {
            t.ask(other, method, pattern, ids, &NOTHING, 404);
        }
        t.ask(other, "POST", rows, &[&full], &order, 404);
        t.ask(who, "DELETE", row, &[&full, NOBODY], &NOTHING, 200);
        t.ask(who, "DELETE", row, &[&full, NOBODY], &NOTHING, 404);
    }
    t.ask(demo, "POST", rows, &[&full], &json!({ "snapshot": { "id": "x" } }), 400);
    t.ask(demo, "POST", rows, &[&full], &json!({ "snapshot": {} }), 422);

    // What is moved on.
    let update = json!({ "update": {} });
    for (all, id) in [(action, &chain), ("/instance/backup/{id}/action", &instance)] {
        let shown = format!("{}/{id}", all.split("/{").next().unwrap());
        t.ask(other, "POST", all, &[id], &update, 404);
        t.ask(demo, "POST", all, &[NOBODY], &update, 404);
        t.ask(demo, "POST", all, &[id], &json!({ "no-such": {} }), 422);
        t.ask(demo, "POST", all, &[id], &update, 201);
        demo.1.active(&shown).await;
        t.ask(admin, "POST", all, &[id], &update, 201);
        demo.1.active(&shown).await;
    }
    t.ask(demo, "POST", action, &[&full], &update, 400);
    t.ask(demo, "POST", action, &[&theirs], &update, 400);

    // Volumes from backups.
    let restore = json!({ "volume": { "backup_id": full } });
    t.ask(other, "POST", "/volume", &[], &restore, 404);
    t.ask(demo, "POST", "/volume", &[], &json!({ "volume": { "backup_id": NOBODY } }), 404);
    t.ask(demo, "POST", "/volume", &[], &json!({ "volume": { "backup_id": full, "volume_type": "none" } }), 400);
    t.ask(demo, "POST", "/volume", &[], &json!({ "volume": { "backup_id": theirs } }), 409);
    t.ask(demo, "POST", "/volume", &[], &json!({ "volume": { "backup_id": 3 } }), 422);
    let mut made = vec![id_of(&t.ask(demo, "POST", "/volume", &[], &restore, 201))];
    let every = json!({ "restore": { "volume_backups": [] } });
    let one = json!({ "restore": { "volume_backups": [{ "id": member, "volume_name": "made" }] } });
    let act = "/instance/backup/{id}/action";
    t.ask(other, "POST", act, &[&instance], &every, 404);
    t.ask(demo, "POST", act, &[&instance], &json!({ "restore": { "volume_backups": [{ "id": full }] } }), 404);
    for body in [&every, &one] {
        let answer = t.ask(demo, "POST", act, &[&instance], body, 201).json();
        made.extend(answer["volumes"].as_array().unwrap().iter().map(|volume| volume["id"].as_str().unwrap().to_owned()));
    }
    let of_the_administrator = id_of(&t.ask(admin, "POST", "/volume", &[], &restore, 201));

    // Rollbacks.
    let shown = demo.1.shown(&format!("/instance/snapshot/{snapshot}"));
    let back = json!({ "rollback": { "snapshot_id": shown["volume_snapshots"][0]["id"] } });
    let (of_volume, of_instance) = ("/volume/{id}/action", "/instance/{id}/action");
    t.ask(other, "POST", of_volume, &[&volume], &back, 404);
    t.ask(demo, "POST", of_volume, &[NOBODY], &back, 404);
    t.ask(demo, "POST", of_volume, &[&volume], &json!({ "rollback": { "snapshot_id": NOBODY } }), 404);
    t.ask(demo, "POST", of_volume, &[&volume], &json!({ "rollback": [] }), 422);
    t.ask(demo, "POST", of_volume, &[&volume], &back, 201);
    t.ask(admin, "POST", of_volume, &[&volume], &back, 201);
    let back = json!({ "rollback": { "snapshot_id": snapshot } });
    t.ask(other, "POST", of_instance, &[SERVER], &back, 404);
    t.ask(demo, "POST", of_instance, &[NOBODY], &back, 404);
    t.ask(demo, "POST", of_instance, &[SERVER], &json!({ "rollback": { "snapshot_id": NOBODY } }), 404);
    t.ask(demo, "POST", of_instance, &[SERVER], &back, 201);
    t.ask(admin, "POST", of_instance, &[SERVER], &back, 201);
    t.ask(demo, "POST", of_instance, &[SERVER], &json!({ "os-start": null }), 202);
    nova.set(SERVER, &demo.1.project, "ACTIVE", &[&volume]);
    t.ask(demo, "POST", of_instance, &[SERVER], &back, 409);

    // What is deleted, when it is needed no more.
    for volume in made.iter().chain([&of_the_administrator]) {
        until("the volume is given back", async || {
            let shown = admin_shows(&stack, volume).await;
            shown["status"] == "available" && !shown.to_string().contains("backup:")
        })
        .await;
    }
    for (all, id) in [(backup, &chain), ("/instance/snapshot/{id}", &snapshot), ("/instance/backup/{id}", &instance)] {
        t.ask(other, "DELETE", all, &[id], &NOTHING, 404);
        t.deleted(demo, all, id).await;
        t.ask(demo, "DELETE", all, &[id], &NOTHING, 404);
    }
    for id in [&full, &theirs] {
        t.deleted(admin, backup, id).await;
    }

    let documented = document["paths"].as_object().unwrap().iter().filter(|(path, _)| path.starts_with("/v1/"));
    for (path, methods) in documented {
        for method in ["get", "post", "put", "delete"].into_iter().filter(|method| methods.get(method).is_some()) {
            assert!(table.asked.contains(&(method.to_owned(), path.clone())), "no success of {method} {path} was seen");
        }
    }
    assert!(table.wrong.is_empty(), "{:#?}", table.wrong);
    assert_eq!(table.contract.findings(), [] as [String; 0]);
    server.stop();
    let everywhere = stack.as_admin().await;
    for volume in made.iter().chain([&volume, &of_the_administrator]) {
        everywhere.remove(&format!("/volumes/{volume}?cascade=true")).await;
    }
    region.remove().await;
}

async fn admin_shows(stack: &OpenStack, volume: &str) -> Value {
    stack.as_admin().await.get(&format!("/volumes/{volume}")).await.unwrap()
}
