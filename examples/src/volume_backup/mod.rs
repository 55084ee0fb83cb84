//! The program `volume-backup`: see `docs/volume-backup.md`.

mod cloud;
pub mod codes;
mod config;
mod convert;
mod nova;
mod quotas;
#[cfg(test)]
mod tests;

use std::process::ExitCode;
use std::sync::Arc;

use axum::http::HeaderName;
use backup_core::Result;
use backup_core::budget::MemoryBudget;
use backup_core::naming::DefaultNaming;
use backup_http::openstack::{self, Forwarder, OpenStack};
use futures::FutureExt;

pub use config::Config;
pub use quotas::Quotas;

use crate::config::ObjectiveConfig;
use crate::server::{self, Dialect, MeasuredCalls, Plan};

const PROGRAM: &str = "volume-backup";

/// By this OpenStack's clients say what their requests are called.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-openstack-request-id");

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    server::main(PROGRAM, "Backs up the volumes and instances of an OpenStack cloud", plan)
}

/// The server that a configuration describes.
///
/// # Errors
/// `input.invalid`, `keystone.config`, `cinder.config`, `cinder.access_config` and `http.tls_file` for what no single key says.
pub fn plan(config: Config) -> Result<Plan> {
    let metrics = server::metrics(PROGRAM);
    let (cloud, forward) =
        (Arc::new(config.cloud(MeasuredCalls::shared(&metrics))?), Arc::new(Forwarder::new(config.forward())?));
    let (success_codes, chain_limit, rollback_timeout) = (config.success_codes, config.chain_limit, config.rollback_timeout);
    let (gateway, limits, http) = (config.gateway, config.jobs(), config.http());
    Ok(Plan {
        program: PROGRAM,
        metrics,
        http,
        store: config.store,
        objective: ObjectiveConfig::default(),
        schedules: Vec::new(),
        state: config.state,
        naming: Arc::new(DefaultNaming),
        limits,
        memory: MemoryBudget::new(config.memory_budget),
        grace: config.shutdown_grace,
        // Each volume that is asked for is a set of its own.
        targets: Box::new(|_| Ok(Vec::new())),
        dialect: Box::new(move |parts| {
            async move {
                let builder = OpenStack::builder(parts.service, parts.repository, parts.state, cloud);
                let builder = builder.forward(forward).success_codes(success_codes);
                let dialect = builder.chain_limit(chain_limit).rollback_timeout(rollback_timeout).start().await?;
                let ending = dialect.clone();
                let router = match gateway {
                    true => openstack::router(dialect.clone()).merge(openstack::gateway(dialect)),
                    false => openstack::router(dialect),
                };
                Ok(Dialect {
                    router,
                    not_found: |_| openstack::not_found().boxed(),
                    openapi: openstack::openapi(),
                    request_id: Some(REQUEST_ID),
                    dress: Some(openstack::dress),
                    stop: Some(async move { ending.stop().await }.boxed()),
                })
            }
            .boxed()
        }),
    })
}
