//! What answers when no handler does.

use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::http::{HeaderValue, Method, Response, StatusCode};
use axum::response::IntoResponse;
use axum::routing::MethodRouter;
use tower_http::catch_panic::{CatchPanicLayer, ResponseForPanic};

/// Makes a panic of a handler a 500, and logs it. The text of a panic is never shown to a client.
///
/// Put it on the router before the other layers, so that the access log and the metrics see the 500; `server` has one around
/// everything for routers without.
pub fn catch_panics() -> CatchPanicLayer<Panicked> {
    CatchPanicLayer::custom(Panicked)
}

/// The answer to a panic; see [`catch_panics`].
#[derive(Debug, Clone, Copy)]
pub struct Panicked;

impl ResponseForPanic for Panicked {
    type ResponseBody = Body;

    fn response_for_panic(&mut self, panic: Box<dyn std::any::Any + Send + 'static>) -> Response<Body> {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        tracing::error!(panic = text.unwrap_or("no text"), "a handler panicked");
        let mut answer = Response::new(Body::from("internal server error\n"));
        *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        answer
    }
}

/// A 405 with `Allow`, without content.
pub fn method_not_allowed(allowed: &[Method]) -> Response<Body> {
    let list = allowed.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    let mut answer = StatusCode::METHOD_NOT_ALLOWED.into_response();
    answer.headers_mut().extend(HeaderValue::from_str(&list).ok().map(|value| (ALLOW, value)));
    answer
}

/// Routes exactly `allowed` to the handlers of `routes`, and answers 405 with exactly these in `Allow` otherwise. axum by itself
/// runs the handler of `GET` for `HEAD`, with every effect that it has.
///
/// ```
/// use axum::http::Method;
/// use axum::routing::get;
/// use backup_http::fallback::exactly;
///
/// let routes = get(|| async { "made a backup" });
/// let router: axum::Router = axum::Router::new().route("/backupnow", exactly(&[Method::GET], routes));
/// ```
pub fn exactly<S>(allowed: &'static [Method], routes: MethodRouter<S>) -> MethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
{
    exactly_or(allowed, routes, method_not_allowed)
}

/// As [`exactly`], with the 405 in a dialect's own form; it has to carry `Allow`.
pub fn exactly_or<S>(
    allowed: &'static [Method],
    routes: MethodRouter<S>,
    refuse: fn(&[Method]) -> Response<Body>,
) -> MethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
{
    routes.layer(axum::middleware::from_fn(move |request: axum::extract::Request, next: axum::middleware::Next| async move {
        match allowed.contains(request.method()) {
            true => next.run(request).await,
            false => refuse(allowed),
        }
    }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::http::Request;
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;

    async fn ask(router: &Router, method: &str, path: &str) -> Response<Body> {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        router.clone().oneshot(request).await.unwrap()
    }

    #[tokio::test]
    async fn a_head_does_not_run_a_get_that_was_made_exact() {
        let runs = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&runs);
        let handler = get(move || async move { counter.fetch_add(1, Ordering::SeqCst).to_string() });
        let router = Router::new().route("/now", exactly(&[Method::GET], handler));
        for method in ["HEAD", "POST", "OPTIONS", "BREW"] {
            let answer = ask(&router, method, "/now").await;
            assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{method}");
            assert_eq!(answer.headers().get_all("allow").iter().collect::<Vec<_>>(), ["GET"], "{method}");
        }
        assert_eq!(runs.load(Ordering::SeqCst), 0);
        assert_eq!(ask(&router, "GET", "/now").await.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn a_panic_is_a_500_that_does_not_show_its_text() {
        async fn handler() -> &'static str {
            panic!("the password is hunter2")
        }
        let router = Router::new().route("/", get(handler)).layer(catch_panics());
        let answer = ask(&router, "GET", "/").await;
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = axum::body::to_bytes(answer.into_body(), 1000).await.unwrap();
        assert_eq!(body, "internal server error\n");
    }
}
