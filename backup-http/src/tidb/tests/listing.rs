use std::time::Duration;

use serde_json::{Value, json};

use super::world::{ADMIN, World, request};

#[tokio::test]
async fn pages_are_cut_from_the_newest_on() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for number in 0..12 {
        ids.push(world.finished(if number % 3 == 0 { "c2" } else { "c1" }).await);
    }
    ids.reverse();
    let shown = |answer: &Value| -> Vec<String> {
        let records = answer["data"]["backupRecords"].as_array().unwrap();
        records.iter().map(|record| record["id"].as_str().unwrap().to_owned()).collect()
    };
    let answer = world.get("/backups/").await.json();
    assert_eq!(answer["page"], json!({"page": 1, "pageSize": 10, "total": 12}));
    assert_eq!(shown(&answer), ids[..10]);
    let answer = world.get("/backups?page=2&pageSize=5").await.json();
    assert_eq!((shown(&answer), &answer["page"]["total"]), (ids[5..10].to_vec(), &json!(12)));
    let answer = world.get("/backups?page=4&pageSize=5").await.json();
    assert_eq!((answer["data"]["backupRecords"].clone(), &answer["page"]["page"]), (json!([]), &json!(4)));
    let answer = world.get("/backups?clusterId=c2&pageSize=3").await.json();
    assert_eq!((shown(&answer).len(), &answer["page"]["total"]), (3, &json!(4)));
    assert_eq!(world.get("/backups?clusterId=none").await.json()["page"]["total"], 0);
    assert_eq!(world.get(&format!("/backups?backupId={}", ids[3])).await.json()["data"]["backupRecords"][0]["id"], ids[3]);
    assert_eq!(world.get("/backups?backupId=h6IhUQh-Q32MDOfcVieYgA").await.json()["page"]["total"], 0);

    // A page stays what it was while newer ones come and one of it goes.
    let first = shown(&world.get("/backups?page=1&pageSize=4").await.json());
    world.delete(&ids[11]).await.data();
    assert_eq!(shown(&world.get("/backups?page=1&pageSize=4").await.json()), first);
    assert_eq!(world.get("/backups").await.json()["page"]["total"], 11);
}

#[tokio::test]
async fn times_filter_by_the_second_at_both_ends() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(world.finished("c1").await);
        world.clock.advance(Duration::from_secs(9));
    }
    // They began and ended at :41, :51 and 01:01.
    let second: i64 = 1_651_132_841;
    let total = async |query: String| world.get(&format!("/backups?{query}")).await.json()["page"]["total"].clone();
    assert_eq!(total(format!("startTime={}", second)).await, 3);
    assert_eq!(total(format!("startTime={}", second + 1)).await, 2);
    assert_eq!(total(format!("endTime={}", second + 10)).await, 2);
    assert_eq!(total(format!("endTime={}", second + 9)).await, 1);
    assert_eq!(total(format!("startTime={}&endTime={}", second + 10, second + 10)).await, 1);
    assert_eq!(total("startTime=0&endTime=0".to_owned()).await, 3);
}

#[tokio::test]
async fn a_body_of_the_get_says_what_the_query_does_not() {
    let world = World::new().await;
    for cluster in ["c1", "c2", "c1"] {
        world.finished(cluster).await;
    }
    let ask = async |query: &str, body: Value| {
        world.ask(request("GET", &format!("/backups{query}"), ADMIN, &body.to_string())).await.json()["page"].clone()
    };
    assert_eq!(ask("", json!({"clusterId": "c1"})).await, json!({"page": 1, "pageSize": 10, "total": 2}));
    assert_eq!(
        ask("?clusterId=c2", json!({"clusterId": "c1", "pageSize": 7})).await,
        json!({"page": 1, "pageSize": 7, "total": 1})
    );
    assert_eq!(world.ask(request("GET", "/backups", ADMIN, "x")).await.code(), (400, 10004));
    for (query, code) in
        [("page=x", 10004), ("page=0", 10001), ("pageSize=1001", 10001), ("startTime=1.5", 10004), ("page=%ff", 10004)]
    {
        assert_eq!(world.get(&format!("/backups?{query}")).await.code(), (400, code), "{query}");
    }
}

#[tokio::test]
async fn another_replica_sees_what_this_one_makes_and_removes() {
    let world = World::new().await;
    let other = world.replica().await;
    let id = world.finished("c1").await;
    assert_eq!(other.records("").await.len(), 1);
    assert_eq!(other.get(&format!("/workflow/{id}")).await.data()["info"]["status"], "Finished");
    world.delete(&id).await.data();
    assert_eq!(other.get("/backups").await.json()["page"]["total"], 0);
}
