//! To a real Swift and back.

use serde_json::json;

use crate::agent::{Place, backup, restore};
use crate::openstack::OpenStack;
use crate::postgres::Postgres;

fn destination(openstack: &OpenStack, container: &str) -> serde_json::Value {
    let config = openstack.config(container);
    let secret = |secret: Option<backup_core::Secret>| secret.map(|secret| secret.expose().to_owned());
    json!({
        "type": "SWIFT", "authUrl": config.auth_url, "domain": config.user_domain.unwrap_or_else(|| "Default".to_owned()),
        "container_name": container, "project_name": config.project, "username": config.username, "password": secret(config.password),
        "filenamePrefix": "plan/",
    })
}

async fn make(openstack: &OpenStack, container: &str) {
    let made = openstack.raw(backup_remote::http::http::Method::PUT, &format!("/{container}"), &[], Vec::new()).await;
    assert!(made.status.is_success(), "{made:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_goes_to_swift_under_its_prefix_and_comes_back() {
    let Some(openstack) = OpenStack::wanted().await else { return };
    let container = openstack.container("agent");
    let destination = destination(&openstack, &container);
    let place = Place::new();
    let agent = place.start();
    // A container that is not there is not made.
    agent.post(backup("b0", &destination));
    assert!(agent.fails("/backup/b0").contains("Uploading to SWIFT failed due to"));
    make(&openstack, &container).await;
    agent.post(backup("b1", &destination));
    let job = agent.succeeds("/backup/b1");
    let file = job["filename"].as_str().unwrap();
    assert_eq!(openstack.names(&container, "").await, [format!("plan/{file}")]);
    agent.put(restore("r1", &destination, file));
    agent.succeeds("/restore/r1");
    assert_eq!(std::fs::read(place.path(&format!("restore/r1/{file}"))).unwrap(), b"the data");
    let mut wrong = destination.clone();
    wrong["password"] = json!("wrong");
    agent.post(backup("b2", &wrong));
    assert!(agent.fails("/backup/b2").contains("Uploading to SWIFT failed due to"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgresql_database_goes_to_swift_and_comes_back_as_it_was() {
    let (Some(openstack), Some(postgres)) = (OpenStack::wanted().await, Postgres::start().await) else { return };
    let container = openstack.container("agent-postgres");
    make(&openstack, &container).await;
    let destination = destination(&openstack, &container);
    tokio::task::spawn_blocking(move || crate::round_trip::postgres_round_trip(&postgres, &destination)).await.unwrap();
}
