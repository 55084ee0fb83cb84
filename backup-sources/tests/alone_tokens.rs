//! What a real Cinder makes of tokens that have run out. For that Keystone gives short ones: by itself, like every program called `alone…`.
#![cfg(feature = "cinder")]
#![allow(clippy::unwrap_used)]

#[path = "support/openstack.rs"]
mod openstack;

use std::time::Duration;

use backup_remote::http::http::StatusCode;
use openstack::OpenStack;

#[tokio::test]
async fn a_token_that_ran_out_is_taken_with_a_service_s_own() {
    let Some(stack) = OpenStack::alone().await else { return };
    let short = stack.short_tokens(5).await;
    let (demo, backup) = (stack.as_demo().await, stack.witness("backup", "service").await);
    let token = demo.token().await;
    while demo.status("/volumes", &[("x-auth-token", &token)]).await == StatusCode::OK {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let with = async |service: &str| demo.status("/volumes", &[("x-auth-token", &token), ("x-service-token", service)]).await;
    assert_eq!(with(&demo.token().await).await, StatusCode::UNAUTHORIZED);
    assert_eq!(with(&backup.token().await).await, StatusCode::OK);
    drop(short);
}
