use std::fmt::Debug;
use std::sync::Mutex;

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::routing::get;
use futures::stream;
use http_body_util::BodyExt;
use tower::ServiceExt;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::escape::escaped;
use super::*;

const NAME: HeaderName = HeaderName::from_static("x-request-id");

/// Keeps the access lines.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<(Level, String)>>>);

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() != "duration_ms" {
            self.0.push_str(&format!("{}={value:?} ", field.name()));
        }
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "backup_http::access"
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().unwrap().push((*event.metadata().level(), text.0));
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn app() -> Router {
    let broken = || async {
        let pieces: [Result<&'static str, std::io::Error>; 2] = [Ok("half"), Err(std::io::Error::other("gone"))];
        Body::from_stream(stream::iter(pieces))
    };
    Router::new()
        .route("/id", get(|id: RequestId| async move { id.to_string() }))
        .route("/broken", get(broken))
        .route("/bad", get(|| async { StatusCode::INTERNAL_SERVER_ERROR }))
        .layer(AccessLog::new().id_header(NAME))
}

/// Asks, reads the answer as far as it goes, and gives its text and the lines written.
async fn ask(path: &str, ids: &[&str]) -> (String, Vec<(Level, String)>) {
    let lines = Lines::default();
    let guard = tracing::subscriber::set_default(lines.clone());
    let mut request = Request::get(path);
    for id in ids {
        request = request.header(NAME, HeaderValue::from_bytes(id.as_bytes()).unwrap());
    }
    let mut request = request.body(Body::empty()).unwrap();
    request.extensions_mut().insert(crate::Peer::new("192.0.2.7:4711".parse().unwrap()));
    let body = app().oneshot(request).await.unwrap().into_body();
    let text = body.collect().await.map(|body| String::from_utf8(body.to_bytes().to_vec()).unwrap()).unwrap_or_default();
    drop(guard);
    // Another thread may hold the subscriber for a moment, while it looks who listens.
    let written = std::mem::take(&mut *lines.0.lock().unwrap());
    (text, written)
}

#[tokio::test]
async fn a_sane_id_of_the_client_is_taken() {
    for id in ["abc-123", "!\"~", &"x".repeat(128)] {
        assert_eq!(ask("/id", &[id]).await.0, id);
    }
}

#[tokio::test]
async fn any_other_id_is_replaced_by_a_random_one() {
    let mut seen = Vec::new();
    let long = "x".repeat(129);
    for ids in [&[][..], &[""], &["a b"], &["\u{e9}"], &[long.as_str()], &["one", "two"]] {
        let (id, lines) = ask("/id", ids).await;
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{ids:?} became {id}");
        assert!(lines[0].1.contains(&format!("request_id={id} ")), "{lines:?}");
        seen.push(id);
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 6);
}

#[tokio::test]
async fn each_request_is_one_line_whose_level_follows_the_status() {
    let line = |text: &str| format!("message=request method=GET {text} request_id=q remote=192.0.2.7:4711 ");
    for (path, level, text) in [
        ("/id?secret=1", Level::INFO, line("path=/id status=200 bytes=1").as_str().to_owned() + "end=\"whole\" "),
        ("/none", Level::WARN, line("path=/none status=404 bytes=0") + "end=\"whole\" "),
        ("/bad", Level::ERROR, line("path=/bad status=500 bytes=0") + "end=\"whole\" "),
        ("/broken", Level::ERROR, line("path=/broken status=200 bytes=4") + "end=\"failed\" "),
    ] {
        let (_, lines) = ask(path, &["q"]).await;
        assert_eq!(lines, [(level, text)]);
    }
}

#[tokio::test]
async fn an_answer_that_nobody_took_is_logged_as_dropped() {
    let lines = Lines::default();
    let _guard = tracing::subscriber::set_default(lines.clone());
    let answer = app().oneshot(Request::get("/id").body(Body::empty()).unwrap()).await.unwrap();
    drop(answer);
    assert!(lines.0.lock().unwrap()[0].1.ends_with("end=\"dropped\" "));
}

#[test]
fn a_path_cannot_forge_a_line_or_flood_the_log() {
    assert_eq!(escaped("/a\nb\\\u{1b}[31m\u{e9}", 256), "/a\\x0ab\\x5c\\x1b[31m\\xc3\\xa9");
    assert_eq!(escaped(&"a".repeat(1000), 256).len(), 259);
    assert_eq!(escaped(&"\n".repeat(1000), 10), "\\x0a\\x0a...");
}

#[test]
fn an_id_is_never_taken_from_a_header_that_was_not_configured() {
    let mut headers = HeaderMap::new();
    headers.insert(NAME, HeaderValue::from_static("mine"));
    assert_ne!(RequestId::of(None, &headers, &SystemRandom).as_str(), "mine");
}
