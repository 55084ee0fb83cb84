//! The description of this dialect for programs.

use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::routes;

#[derive(Debug, OpenApi)]
#[openapi(
    info(title = "Volume and instance backups", version = "1", description = "Backups of OpenStack volumes and instances."),
    paths(
        routes::active,
        routes::volumes::create,
        routes::volumes::act,
        routes::volume_backups::list,
        routes::volume_backups::create,
        routes::volume_backups::show,
        routes::volume_backups::change,
        routes::volume_backups::delete,
        routes::volume_backups::act,
        routes::volume_backups::list_snapshots,
        routes::volume_backups::add_snapshot,
        routes::volume_backups::remove_snapshot,
        routes::instance_snapshots::act_on_instance,
        routes::instance_snapshots::list,
        routes::instance_snapshots::create,
        routes::instance_snapshots::show,
        routes::instance_snapshots::delete,
        routes::instance_backups::list,
        routes::instance_backups::create,
        routes::instance_backups::show,
        routes::instance_backups::change,
        routes::instance_backups::delete,
        routes::instance_backups::act,
    ),
    modifiers(&Token)
)]
struct Document;

struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let header = ApiKey::Header(ApiKeyValue::new("X-Auth-Token"));
        components.add_security_scheme("token", SecurityScheme::ApiKey(header));
    }
}

/// The OpenAPI document of this dialect.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}
