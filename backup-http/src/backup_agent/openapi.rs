//! The description of this dialect for programs.

use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::dto::{BackupJob, Failed, FileSize, Head, RestoreJob, Simple, Times};
use super::record::Status;
use super::routes;

#[derive(Debug, OpenApi)]
#[openapi(
    info(title = "backup agent", version = "1", description = "Backs up and restores databases by scripts, to S3 and Swift."),
    paths(
        routes::status,
        routes::backup,
        routes::delete_backup,
        routes::no_backup,
        routes::poll_backup,
        routes::restore,
        routes::delete_restore,
        routes::no_restore,
        routes::poll_restore,
    ),
    components(schemas(BackupJob, RestoreJob, Head, Times, FileSize, Status, Simple, Failed)),
    modifiers(&Basic)
)]
struct Document;

struct Basic;

impl Modify for Basic {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("basic", SecurityScheme::Http(Http::new(HttpAuthScheme::Basic)));
    }
}

/// The OpenAPI document of this dialect.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}
