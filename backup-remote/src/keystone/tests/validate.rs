//! Tests of asking about tokens.

use std::time::Duration;

use backup_core::testkit::note_secret;
use backup_core::{ErrorKind, Secret};
use serde_json::json;

use super::stand_in::StandIn;
use crate::keystone::Validator;

const THEIRS: &str = "a-token-of-theirs";

fn theirs() -> Secret {
    note_secret(THEIRS);
    Secret::from(THEIRS)
}

#[tokio::test]
async fn a_good_token_tells_whose_it_is_and_is_asked_about_once_a_minute() {
    let site = StandIn::start().await;
    site.token(THEIRS, 3600);
    let validator = Validator::new(site.keystone.clone());
    let said = validator.validate(&site.cx, &theirs()).await.unwrap().unwrap();
    assert_eq!((said.user.name.as_str(), said.project.as_ref().unwrap().id.as_str()), ("demo", "p1"));
    assert_eq!(said.roles().collect::<Vec<_>>(), ["member", "reader"]);
    assert!(said.has_role("reader") && !said.has_role("read") && !said.has_role("admin"));
    assert_eq!((said.catalogue().service_id("cms-backup"), said.catalogue().service_id("nova")), (Some("s1"), None));

    site.clock.advance(Duration::from_secs(59));
    validator.validate(&site.cx, &theirs()).await.unwrap().unwrap();
    assert_eq!(site.validations(), 1);
    // Revoked.
    site.answer("/v3/auth/tokens a-token-of-theirs", 404, json!({ "error": {} }));
    site.clock.advance(Duration::from_secs(1));
    assert!(validator.validate(&site.cx, &theirs()).await.unwrap().is_none());
    assert_eq!(site.validations(), 2);
}

#[tokio::test]
async fn an_answer_is_not_remembered_beyond_the_end_of_the_token() {
    let site = StandIn::start().await;
    site.token(THEIRS, 10);
    let validator = Validator::new(site.keystone.clone());
    validator.validate(&site.cx, &theirs()).await.unwrap().unwrap();
    site.clock.advance(Duration::from_secs(10));
    site.answer("/v3/auth/tokens a-token-of-theirs", 404, json!({ "error": {} }));
    assert!(validator.validate(&site.cx, &theirs()).await.unwrap().is_none());
}

#[tokio::test]
async fn an_invalid_token_is_asked_about_again_and_one_that_cannot_be_sent_is_not() {
    let site = StandIn::start().await;
    let validator = Validator::new(site.keystone.clone());
    assert!(validator.validate(&site.cx, &theirs()).await.unwrap().is_none());
    site.token(THEIRS, 60);
    assert!(validator.validate(&site.cx, &theirs()).await.unwrap().is_some());
    assert_eq!(site.validations(), 2);
    for token in ["", "a\nb", "a\u{0}"] {
        assert!(validator.validate(&site.cx, &Secret::from(token)).await.unwrap().is_none());
    }
    assert_eq!(site.validations(), 2);
}

#[tokio::test]
async fn a_token_for_no_project_is_told_apart_from_an_invalid_one() {
    let site = StandIn::start().await;
    let domain = json!({ "token": {
        "user": { "id": "u1", "name": "demo" }, "domain": { "id": "default", "name": "Default" },
        "expires_at": "2026-11-21T19:00:00.000000Z", "issued_at": "2026-11-21T09:00:00.000000Z",
    } });
    site.answer("/v3/auth/tokens a-token-of-theirs", 200, domain);
    let said = Validator::new(site.keystone.clone()).validate(&site.cx, &theirs()).await.unwrap().unwrap();
    assert!(said.project.is_none() && said.roles().next().is_none());
}

#[tokio::test]
async fn our_own_token_is_renewed_once_when_it_is_refused() {
    let site = StandIn::start().await;
    site.token(THEIRS, 3600);
    let validator = Validator::new(site.keystone.clone());
    site.refuse_tokens_up_to(1);
    assert!(validator.validate(&site.cx, &theirs()).await.unwrap().is_some());
    assert_eq!(site.logins(), 2);
    site.refuse_tokens_up_to(100);
    site.clock.advance(Duration::from_secs(60));
    let error = validator.validate(&site.cx, &theirs()).await.unwrap_err();
    assert_eq!((error.code().name, site.logins()), ("keystone.refused", 3));
}

#[tokio::test]
async fn what_is_no_answer_about_the_token_does_not_make_it_invalid() {
    let site = StandIn::start().await;
    let validator = Validator::new(site.keystone.clone());
    for (status, body, code) in [
        (403, "{\"error\":{}}", "keystone.refused"),
        (503, "", "remote.overloaded"),
        (400, "", "keystone.address"),
        (300, "{}", "keystone.address"),
        // Another server at a wrong address.
        (404, "<html>not found</html>", "keystone.address"),
        (200, "{\"token\":{}}", "remote.answer"),
        (200, "hello", "remote.answer"),
    ] {
        site.answer_text("/v3/auth/tokens a-token-of-theirs", status, body);
        let error = validator.validate(&site.cx, &theirs()).await.unwrap_err();
        assert_eq!(error.code().name, code, "{status} {body}: {error:?}");
        assert!(!format!("{error:?} {validator:?}").contains(THEIRS), "{error:?}");
    }
    let error = validator.validate(&site.cx, &theirs()).await.unwrap_err();
    assert_ne!(error.kind(), ErrorKind::NotFound);
    site.token(THEIRS, 3600);
    assert!(validator.validate(&site.cx, &theirs()).await.unwrap().is_some(), "an error is not remembered");
}

#[tokio::test]
async fn many_callers_with_one_token_ask_once_and_another_token_does_not_wait_for_them() {
    let site = StandIn::start().await;
    site.token(THEIRS, 3600);
    site.token("another-token", 3600);
    let validator = Validator::new(site.keystone.clone());
    site.keystone.token(&site.cx).await.unwrap();
    let gate = site.hold();
    let (cx, token) = (&site.cx, theirs());
    let many = async {
        let all = (0..20).map(|_| validator.validate(cx, &token));
        futures::future::try_join_all(all).await.unwrap()
    };
    let another = async {
        while site.validations() < 1 {
            tokio::task::yield_now().await;
        }
        let other = Secret::from("another-token");
        let asked = async { validator.validate(cx, &other).await.unwrap().unwrap() };
        let opened = async {
            // Both are under way at the same time.
            while site.validations() < 2 {
                tokio::task::yield_now().await;
            }
            gate.add_permits(2);
        };
        tokio::join!(asked, opened);
    };
    let (many, ()) = tokio::join!(many, another);
    assert!(many.iter().all(Option::is_some));
    assert_eq!(site.validations(), 2);
}

#[tokio::test]
async fn what_is_remembered_is_bounded_and_forgotten() {
    let site = StandIn::start().await;
    let validator = Validator::new(site.keystone.clone());
    for number in 0..1100 {
        let token = format!("token-{number}");
        site.token(&token, 3600);
        assert!(validator.validate(&site.cx, &Secret::from(token)).await.unwrap().is_some());
    }
    assert!(format!("{validator:?}").contains("remembered: 1024"), "{validator:?}");
    site.clock.advance(Duration::from_secs(61));
    validator.validate(&site.cx, &Secret::from("token-0")).await.unwrap().unwrap();
    assert!(validator.validate(&site.cx, &theirs()).await.unwrap().is_none());
    assert!(format!("{validator:?}").contains("remembered: 2 "), "{validator:?}");
}
