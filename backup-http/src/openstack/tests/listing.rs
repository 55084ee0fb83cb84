use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::world::{ADMIN, DEMO, OTHER, World};

async fn ids(world: &World, token: &str, query: &str) -> Vec<String> {
    let list = world.by(token, "GET", &format!("/volume/backup{query}"), &Value::Null).await.json();
    list["backups"].as_array().unwrap().iter().map(|backup| backup["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_list_is_of_the_own_project_and_of_all_for_an_administrator_who_says_so() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    let (first, second) = (world.backed_up(&volume, json!({})).await, world.backed_up(&volume, json!({"name": "x"})).await);
    assert_eq!(ids(&world, DEMO, "").await, [second.clone(), first.clone()], "the newest first");
    assert_eq!(ids(&world, DEMO, "?name=x&unknown=1").await, std::slice::from_ref(&second));
    assert_eq!(ids(&world, OTHER, "?all_projects=true").await, [""; 0]);
    assert_eq!(ids(&world, ADMIN, "").await, [""; 0]);
    assert_eq!(ids(&world, ADMIN, "?all_projects=yes").await, [second.clone(), first.clone()]);
    assert_eq!(ids(&world, DEMO, "?limit=1").await, std::slice::from_ref(&second));
    assert_eq!(ids(&world, DEMO, &format!("?limit=1&marker={second}")).await, std::slice::from_ref(&first));
    assert_eq!(ids(&world, DEMO, &format!("?marker={first}")).await, [""; 0]);
    for (query, code) in [
        ("all_projects=maybe", 422),
        ("limit=x", 422),
        ("limit=0", 400),
        ("limit=1001", 400),
        ("limit=-1", 400),
        ("marker=none", 400),
    ] {
        let answer = world.get(&format!("/volume/backup?{query}")).await;
        assert_eq!(answer.code(), code, "{query}: {answer:?}");
        assert_eq!(answer.json().get("detail").is_some(), code == 422);
    }
}

#[tokio::test]
async fn a_thousand_objects_are_listed_whole_and_in_pages() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    let import = json!({"backup": {"name": "i", "volume_id": volume, "source_zone": "east", "project_id": "demo"}});
    let mut made = BTreeSet::new();
    for _ in 0..1001 {
        made.insert(world.by(ADMIN, "POST", "/volume/backup", &import).await.id("backup"));
        world.clock.advance(std::time::Duration::from_millis(300));
    }
    assert_eq!(ids(&world, DEMO, "").await.len(), 1001);
    let (mut paged, mut marker) = (Vec::new(), String::new());
    loop {
        let page = ids(&world, DEMO, &format!("?limit=100{marker}")).await;
        let Some(last) = page.last() else { break };
        marker = format!("&marker={last}");
        paged.extend(page);
    }
    assert_eq!(paged, ids(&world, DEMO, "").await);
    assert_eq!(paged.into_iter().collect::<BTreeSet<_>>(), made);
}
