//! Long lists.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::openstack::OpenStack;
use crate::server::{Place, User};

const MANY: usize = 1000;
const AT_ONCE: usize = 8;
const NOTHING: Value = Value::Null;

fn backups(user: &User, query: &str) -> Vec<Value> {
    user.told(200, "GET", &format!("/volume/backup{query}"), &NOTHING)["backups"].as_array().unwrap().clone()
}

/// Those of another zone need neither a volume nor data.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn a_thousand_backups_are_listed_and_paged() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let place = Place::new(&stack, "");
    let server = place.start();
    let demo = User::new(&stack, &server, "demo", "demo").await;
    let other = User::new(&stack, &server, "other", "other").await;
    let admin = User::new(&stack, &server, "admin", "admin").await;
    let announce = |number: usize, project: &str| {
        let volume = format!("00000000-0000-4000-8000-{number:012}");
        json!({ "backup": { "name": format!("b-{}", number % 10), "volume_id": volume, "source_zone": "z", "project_id": project } })
    };
    for begin in (0..MANY).step_by(AT_ONCE) {
        let asked = (begin..begin + AT_ONCE)
            .map(|number| admin.asking("POST", "/volume/backup".to_owned(), announce(number, &demo.project)));
        for answer in join_all(asked.collect::<Vec<_>>()).await {
            assert_eq!(answer.unwrap().unwrap().status, 201);
        }
    }
    let theirs = admin.told(201, "POST", "/volume/backup", &announce(MANY, &other.project));
    let theirs = theirs["backup"]["id"].as_str().unwrap();

    let whole = backups(&demo, "");
    assert_eq!(whole.len(), MANY);
    let times: Vec<&str> = whole.iter().map(|backup| backup["time_create"].as_str().unwrap()).collect();
    assert!(times.is_sorted_by(|a, b| a >= b), "the newest first");
    for limit in [1000, 333, 100] {
        let (mut paged, mut marker) = (Vec::new(), String::new());
        loop {
            let page = backups(&demo, &format!("?limit={limit}{marker}"));
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            marker = format!("&marker={}", last["id"].as_str().unwrap());
            paged.extend(page);
        }
        assert_eq!(paged, whole, "in pages of {limit}");
    }
    let named: Vec<Value> = whole.iter().filter(|backup| backup["name"] == "b-7").cloned().collect();
    assert_eq!((named.len(), backups(&demo, "?name=b-7")), (MANY / 10, named.clone()));
    let marker = named[49]["id"].as_str().unwrap();
    assert_eq!(backups(&demo, &format!("?name=b-7&limit=20&marker={marker}")), named[50..70]);

    // Those of others are in no list, and mark no place in it.
    assert_eq!((backups(&other, "").len(), backups(&other, "?all_projects=true").len()), (1, 1));
    assert_eq!((backups(&admin, "").len(), backups(&admin, "?all_projects=true").len()), (0, MANY + 1));
    demo.told(400, "GET", &format!("/volume/backup?marker={theirs}"), &NOTHING);
    for (query, status) in [("limit=0", 400), ("limit=1001", 400), ("limit=-1", 400), ("limit=x", 422), ("all_projects=x", 422)] {
        demo.told(status, "GET", &format!("/volume/backup?{query}"), &NOTHING);
    }
    server.stop();
}
