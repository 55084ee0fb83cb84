//! The description of this dialect for programs.

use utoipa::OpenApi;

use super::dto::{Failure, Saved};
use super::routes;

#[derive(Debug, OpenApi)]
#[openapi(
    info(title = "etcd-backup", version = "1", description = "Makes, lists and serves backups of an etcd cluster."),
    paths(routes::list, routes::list_slash, routes::save, routes::download),
    components(schemas(Saved, Failure))
)]
struct Document;

/// The OpenAPI document of this dialect.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}
