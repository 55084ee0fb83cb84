//! The description of this dialect for programs.

use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::routes;

#[derive(Debug, OpenApi)]
#[openapi(
    info(title = "TiDB cluster backups", version = "1", description = "Backs up and restores TiDB clusters with BR, by hand and by strategies."),
    paths(
        routes::strategy,
        routes::put_strategy,
        routes::save_strategy,
        routes::back_up,
        routes::cancel,
        routes::list,
        routes::remove,
        routes::restore,
        routes::workflow,
    ),
    modifiers(&Bearer, &Slashes)
)]
struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    }
}

/// Each path once more with a slash at its end, as the original has it.
struct Slashes;

impl Modify for Slashes {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let paths = &mut document.paths.paths;
        let mut slashed = Vec::new();
        for (path, item) in paths.iter() {
            let mut item = item.clone();
            for operation in [&mut item.get, &mut item.put, &mut item.post, &mut item.delete].into_iter().flatten() {
                operation.operation_id = operation.operation_id.take().map(|id| format!("{id}_slash"));
            }
            slashed.push((format!("{path}/"), item));
        }
        paths.extend(slashed);
    }
}

/// The OpenAPI document of this dialect.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}
