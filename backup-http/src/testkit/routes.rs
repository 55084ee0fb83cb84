//! Path patterns of routers and documents.

use axum::Router;

/// The patterns of a router. axum has no way to list them but its `Debug` output, so a caller checks that it found what it
/// knows to be there.
pub(super) fn of(router: &Router) -> Vec<String> {
    let shown = format!("{router:?}");
    // axum keeps its fallback in a second router of the same kind.
    let shown = shown.split("fallback_router: ").next().unwrap_or_default();
    let paths = shown.split("paths: {").skip(1).filter_map(|rest| rest.split_once('}').map(|_| rest));
    paths
        .flat_map(|rest| {
            rest.split("RouteId(")
                .skip(1)
                .map_while(|entry| entry.split_once("): \""))
                .filter_map(|(_, text)| text.split_once('"'))
        })
        .map(|(path, _)| path.replace("{*", "{"))
        .collect()
}

/// Whether a concrete path is one of a pattern's.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return true,
            (Some(part), Some(text)) if (part.starts_with('{') && !text.is_empty()) || part == text => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::{get, post};

    use super::*;

    #[test]
    fn the_patterns_of_merged_and_nested_routers_are_found() {
        let inner = Router::new().route("/x/{id}", get(|| async {}).post(|| async {}));
        let router = Router::new()
            .route("/a", get(|| async {}))
            .merge(inner.clone())
            .nest("/n", inner)
            .route("/z/{*rest}", post(|| async {}));
        let mut found = of(&router);
        found.sort();
        assert_eq!(found, ["/a", "/n/x/{id}", "/x/{id}", "/z/{rest}"]);
    }

    #[test]
    fn a_pattern_matches_its_paths_only() {
        assert!(matches("/x/{id}", "/x/1") && matches("/x", "/x"));
        assert!(!matches("/x/{id}", "/x/") && !matches("/x/{id}", "/x/1/2") && !matches("/x", "/y"));
    }
}
