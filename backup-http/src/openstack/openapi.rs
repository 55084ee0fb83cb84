//! The description of this dialect for programs.

use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::routes;

#[derive(Debug, OpenApi)]
#[openapi(
    info(title = "Volume and instance backups", version = "1", description = "Backups of OpenStack volumes and instances."),
    paths(
        routes::active,
        routes::create_volume,
        routes::act_on_volume,
        routes::list_volume_backups,
        routes::create_volume_backup,
        routes::show_volume_backup,
        routes::change_volume_backup,
        routes::delete_volume_backup,
        routes::act_on_volume_backup,
        routes::list_snapshots,
        routes::add_snapshot,
        routes::remove_snapshot,
        routes::act_on_instance,
        routes::list_instance_snapshots,
        routes::create_instance_snapshot,
        routes::show_instance_snapshot,
        routes::delete_instance_snapshot,
        routes::list_instance_backups,
        routes::create_instance_backup,
        routes::show_instance_backup,
        routes::change_instance_backup,
        routes::delete_instance_backup,
        routes::act_on_instance_backup,
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
