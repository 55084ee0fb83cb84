//! What cannot be done is said clearly, and leaves nothing.

use backup_remote::http::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::openstack::OpenStack;
use crate::place::{MIB, Place, cinder, fill, unique};
use crate::stages::{Server, Staged, When};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_volume_that_has_grown_a_full_backup_is_to_be_made() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let place = Place::swift(&stack, "grown").await;
    let volume = place.demo.volume("rbd1", 1).await;
    fill(&stack, &volume, &[(0, MIB, 1)]).await;
    let source = place.source(place.rbd()).volume(&volume).unwrap();
    let full = place.backup(&source.keep_snapshot(true), &[]).await.unwrap();
    place.demo.call(Method::POST, &format!("/volumes/{volume}/action"), Some(json!({ "os-extend": { "new_size": 2 } }))).await;
    place.demo.until(&format!("/volumes/{volume}"), "available").await;
    for base in [full.base.as_deref(), None] {
        let next = source.keep_snapshot(true).incremental(full.reader.clone(), base).unwrap();
        let error = place.backup(&next, &[&full]).await.err().unwrap();
        assert_eq!(error.code().name, "cinder.grown", "{error}");
    }
    let left = place.cinder.leftovers(&place.cx(), &place.owner).await.unwrap();
    assert_eq!(left.iter().map(|left| &left.id).collect::<Vec<_>>(), [full.base.as_ref().unwrap()]);
    let again = place.backup(&source, &[]).await.unwrap();
    assert_eq!(place.restored(&source, &again.id).await, stack.digest(&stack.image(&volume)).await);
    place.cinder.remove_leftover(&place.cx(), &left[0]).await.unwrap();
    place.nothing_left(&volume).await;
    place.remove(&[&volume]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_volume_that_is_being_backed_up_cannot_be_deleted() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let staged = Staged::new(&stack, "rbd1", "undeleted").await;
    let (place, volume) = (&staged.place, &staged.settings.volume);
    let gate = staged.stop_at((Server::Swift, "PUT", "backup-00003", When::Before));
    let (repository, source) = (staged.settings.repository(&stack).await, staged.settings.source(&stack));
    let (cx, request) = (repository.context(), backup_core::BackupRequest::new(staged.settings.set()));
    let backup = repository.backup(&cx, &source, &request);
    let deleting = async {
        gate.reached().await;
        let (status, said) = place.demo.call(Method::DELETE, &format!("/volumes/{volume}"), None).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{said}");
        gate.open();
    };
    let (outcome, ()) = tokio::join!(backup, deleting);
    let id = outcome.unwrap().backup().id.clone();
    assert_eq!(place.restored(&source, &id).await, stack.digest(&stack.image(volume)).await);
    place.nothing_left(volume).await;
    place.remove(&[volume]).await;
}

/// A project of its own, of which `demo` is a member, and whose quotas are nobody else's: its name and id.
async fn project(witness: &crate::swift::OpenStack) -> (String, String) {
    let name = unique("quota");
    let made = witness.administer(Method::POST, "/projects", Some(json!({ "project": { "name": name } }))).await.json();
    let users = witness.administer(Method::GET, "/users?name=demo", None).await.json();
    let roles = witness.administer(Method::GET, "/roles?name=member", None).await.json();
    let id = made["project"]["id"].as_str().unwrap().to_owned();
    let (user, role) = (users["users"][0]["id"].as_str().unwrap(), roles["roles"][0]["id"].as_str().unwrap());
    let given = witness.administer(Method::PUT, &format!("/projects/{id}/users/{user}/roles/{role}"), None).await;
    assert!(given.status.is_success(), "{given:?}");
    (name, id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_that_is_used_up_is_said_at_once() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let witness = crate::swift::OpenStack::wanted().await.unwrap();
    let (name, project) = project(&witness).await;
    let admin = stack.witness("admin", "admin").await;
    let mut place = Place::swift(&stack, "quota").await;
    place.cinder = cinder(&stack, "demo", &name);
    place.demo = stack.witness("demo", &name).await;
    let volume = place.demo.volume("rbd1", 1).await;
    let source = place.source(place.rbd()).volume(&volume).unwrap();
    let quota = async |quotas: Value| {
        let path = format!("/os-quota-sets/{project}");
        let (status, said) = admin.call(Method::PUT, &path, Some(json!({ "quota_set": quotas }))).await;
        assert!(status.is_success(), "{said}");
    };
    let whole = place.backup(&source, &[]).await.unwrap();
    for quotas in [json!({ "snapshots": 0 }), json!({ "snapshots": 10, "gigabytes": 1 })] {
        quota(quotas).await;
        let error = place.backup(&source, &[]).await.err().unwrap();
        assert_eq!(error.code().name, "cinder.quota", "{error}");
        assert!(error.to_string().contains("exceed"), "not what Cinder said: {error}");
        place.nothing_left(&volume).await;
    }
    quota(json!({ "gigabytes": 10, "volumes": 1 })).await;
    let error = place.restore(&source, &whole.id, json!({ "new": {} })).await.unwrap_err();
    assert_eq!(error.code().name, "cinder.quota", "{error}");
    place.nothing_left(&volume).await;
    let listed = place.repository.list(&place.cx(), &place.set).await.unwrap();
    assert_eq!(listed.len(), 1, "{listed:?}");
    place.remove(&[&volume]).await;
    witness.administer(Method::DELETE, &format!("/projects/{project}"), None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_ends_in_an_error_ends_the_backup() {
    let Some(stack) = OpenStack::wanted().await else { return };
    if !stack.has("nfs1") {
        return;
    }
    let place = Place::files(&stack, "unsnapped").await;
    let volume = place.demo.volume("nfs1", 1).await;
    // In use, as by an instance: the NFS driver asks Nova for the snapshot then, and there is none.
    let connector = json!({ "host": "test", "ip": "127.0.0.1", "initiator": "iqn.test" });
    let attachment = json!({ "volume_uuid": volume, "connector": connector });
    let attached = place.demo.post("/attachments", json!({ "attachment": attachment })).await;
    let attachment = attached["attachment"]["id"].as_str().unwrap().to_owned();
    place.demo.call(Method::POST, &format!("/attachments/{attachment}/action"), Some(json!({ "os-complete": {} }))).await;
    place.demo.until(&format!("/volumes/{volume}"), "in-use").await;
    let source = place.source(place.nfs()).volume(&volume).unwrap();
    let error = place.backup(&source, &[]).await.err().unwrap();
    assert_eq!(error.code().name, "cinder.error_state", "{error}");
    assert!(error.to_string().contains("`error`"), "{error}");
    place.nothing_published().await;
    place.demo.remove(&format!("/attachments/{attachment}")).await;
    place.demo.until(&format!("/volumes/{volume}"), "available").await;
    place.nothing_left(&volume).await;
    place.remove(&[&volume]).await;
}
