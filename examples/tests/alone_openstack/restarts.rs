//! Services that are ended in the middle of a backup, and tokens that end.

use std::time::{Duration, Instant};

use backup_core::{BackupRequest, Environment};
use backup_remote::http::http::{Method, Request, StatusCode};
use backup_remote::http::{Http, HttpOptions};
use backup_remote::{Call, CallLimits, Calls, Repeat};

use crate::openstack::OpenStack;
use crate::place::{Place, unique};
use crate::stages::{Server, Staged, When};

/// In the middle of the volume's bytes.
const MIDDLE: (Server, &str, &str, When) = (Server::Swift, "PUT", "backup-00003", When::Before);

/// A backup that is whole in spite of what happens in its middle.
async fn whole(staged: &Staged, source: &backup_sources::cinder::CinderSource, meanwhile: impl AsyncFnOnce()) {
    let (place, volume) = (&staged.place, &staged.settings.volume);
    let gate = staged.stop_at(MIDDLE);
    let repository = staged.settings.repository(&place.stack).await;
    let (cx, request) = (repository.context(), BackupRequest::new(staged.settings.set()));
    let disturbing = async {
        gate.reached().await;
        meanwhile().await;
        gate.open();
    };
    let (outcome, ()) = tokio::join!(repository.backup(&cx, source, &request), disturbing);
    let id = outcome.unwrap_or_else(|error| panic!("{error}")).backup().id.clone();
    let digest = place.stack.digest(&place.stack.image(volume)).await;
    assert_eq!(place.restored(source, &id).await, digest);
    place.nothing_left(volume).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_gets_over_the_restart_of_each_service() {
    let Some(stack) = OpenStack::alone().await else { return };
    let staged = Staged::new(&stack, "rbd1", &unique("restarted")).await;
    let source = staged.settings.source(&stack);
    for services in [["cinder-api", "swift-proxy"], ["keystone", "cinder-volume"]] {
        let restart = async || {
            for service in services {
                stack.restart(service).await;
            }
        };
        whole(&staged, &source, restart).await;
    }
    staged.place.remove(&[&staged.settings.volume]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_ends_well_without_the_callers_token() {
    let Some(stack) = OpenStack::alone().await else { return };
    let short = stack.short_tokens(8).await;
    let staged = Staged::new(&stack, "rbd1", &unique("expired")).await;
    let path = format!("/volumes/{}", staged.settings.volume);
    let ended = async || {
        until_refused(&staged.place, &path, staged.settings.token()).await;
    };
    whole(&staged, &staged.settings.source(&stack), ended).await;
    drop(short);
    staged.place.remove(&[&staged.settings.volume]).await;
}

/// Waits until Cinder takes a token no more.
async fn until_refused(place: &Place, path: &str, token: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while place.demo.status(path, &[("x-auth-token", token)]).await != StatusCode::UNAUTHORIZED {
        assert!(Instant::now() < deadline, "the token still holds");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_gets_over_a_token_of_ours_that_is_revoked() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let staged = Staged::new(&stack, "rbd1", &unique("revoked")).await;
    let place = &staged.place;
    let volume = &staged.settings.volume;
    let source = place.source(place.rbd()).volume(volume).unwrap();
    let revoked = async || {
        let token = place.cinder.keystone().token(&place.cx()).await.unwrap();
        let token = token.header().to_str().unwrap().to_owned();
        backup_core::testkit::note_secret(&token);
        let request = Request::builder().method(Method::DELETE).uri(format!("{}/auth/tokens", stack.auth_url()));
        let request = request.header("x-auth-token", &token).header("x-subject-token", &token).body(Vec::new()).unwrap();
        let http = Http::new(Calls::new("test", CallLimits::default()), &HttpOptions::default()).unwrap();
        let cx = backup_core::testkit::test_context(&Environment::default());
        let answer = http.fetch(&cx, &Call::changing("Revoke", Repeat::Always), &request, 1 << 20).await.unwrap();
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        until_refused(place, &format!("/volumes/{volume}"), &token).await;
    };
    whole(&staged, &source, revoked).await;
    place.remove(&[volume]).await;
}
