use axum::Router;
use axum::extract::Extension;
use axum::routing::get;
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::peer::PeerCertificate;

fn config(value: Value) -> AuthConfig {
    serde_json::from_value(value).unwrap()
}

fn both() -> AuthConfig {
    config(json!({
        "basic": [{"user": "ops", "password": "pa:ss w\u{f6}rd"}, {"user": "dev", "password": "other"}],
        "bearer": [{"name": "ci", "token": "t0k3n"}],
    }))
}

fn app(config: &AuthConfig) -> Router {
    Router::new()
        .route("/who", get(|Extension(who): Extension<Principal>| async move { format!("{who:?}") }))
        .route("/healthz", get(|| async { "ok" }))
        .layer(Auth::new(config).unwrap())
}

async fn ask(config: &AuthConfig, path: &str, authorization: &[&str], peer: Option<Peer>) -> Response<Body> {
    let mut request = Request::get(path);
    for value in authorization {
        request = request.header("authorization", *value);
    }
    let mut request = request.body(Body::empty()).unwrap();
    request.extensions_mut().extend(
        peer.map(|peer| {
            let mut extensions = axum::http::Extensions::new();
            extensions.insert(peer);
            extensions
        })
        .unwrap_or_default(),
    );
    app(config).oneshot(request).await.unwrap()
}

fn basic(text: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(text))
}

async fn text(answer: Response<Body>) -> String {
    let bytes = axum::body::to_bytes(answer.into_body(), 1000).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn each_right_credential_is_let_in_under_its_name() {
    let unpadded = format!("bAsIc  {}", BASE64_STANDARD_NO_PAD.encode("dev:other"));
    for (credential, who) in [
        (basic("ops:pa:ss w\u{f6}rd"), "User(\"ops\")"),
        (basic("dev:other"), "User(\"dev\")"),
        (unpadded, "User(\"dev\")"),
        ("Bearer t0k3n".into(), "Token(\"ci\")"),
        ("bearer t0k3n".into(), "Token(\"ci\")"),
    ] {
        let answer = ask(&both(), "/who", &[&credential], None).await;
        assert_eq!(answer.status(), StatusCode::OK, "{credential}");
        assert_eq!(text(answer).await, who);
    }
}

#[tokio::test]
async fn anything_else_is_401_with_a_challenge_for_each_scheme() {
    let right = basic("dev:other");
    let wrong = [
        basic("dev:Other"),
        basic("dev:other "),
        basic("dev:othe"),
        basic("dev:"),
        basic("dev"),
        basic(":"),
        basic("ops:other"),
        basic("nobody:other"),
        "Basic".into(),
        "Basic ".into(),
        "Basic !!!".into(),
        "Bearer t0k3".into(),
        "Bearer t0k3n2".into(),
        "Bearer dev:other".into(),
        "Bearer".into(),
        basic("x:t0k3n"),
        "Digest t0k3n".into(),
        String::new(),
    ];
    for credential in &wrong {
        let answer = ask(&both(), "/who", &[credential], None).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{credential}");
    }
    for credentials in [&[][..], &[right.as_str(), right.as_str()]] {
        let answer = ask(&both(), "/who", credentials, None).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        let challenges: Vec<_> = answer.headers().get_all("www-authenticate").iter().collect();
        assert_eq!(challenges, ["Basic realm=\"backup\", charset=\"UTF-8\"", "Bearer realm=\"backup\""]);
    }
}

#[tokio::test]
async fn only_the_exempt_path_itself_is_open() {
    for (path, status) in [
        ("/healthz", 200),
        ("/healthz?x=1", 200),
        ("/healthz/", 401),
        ("/healthz/../who", 401),
        ("/%68ealthz", 401),
        ("/none", 401),
    ] {
        assert_eq!(ask(&both(), path, &[], None).await.status().as_u16(), status, "{path}");
    }
    let mut closed = both();
    closed.exempt.clear();
    assert_eq!(ask(&closed, "/healthz", &[], None).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_certificate_counts_by_any_of_its_names_and_only_when_the_rule_allows_it() {
    let peer = || Peer::new("192.0.2.1:1".parse().unwrap());
    let certificate = PeerCertificate { common_names: vec!["operator".into()], alternative_names: vec!["op.example.org".into()] };
    let shown = || Some(peer().with_certificate(certificate.clone()));
    let rule = |rule: Value| config(json!({ "client-certificate": rule }));
    for (rule, status) in [
        (rule(json!("verified")), 200),
        (rule(json!({"names": ["operator"]})), 200),
        (rule(json!({"names": ["x", "op.example.org"]})), 200),
        (rule(json!({"names": ["Operator"]})), 403),
        (both(), 401),
    ] {
        assert_eq!(ask(&rule, "/who", &[], shown()).await.status().as_u16(), status, "{rule:?}");
        assert_ne!(ask(&rule, "/who", &[], Some(peer())).await.status().as_u16(), 200, "without a certificate");
        assert_ne!(ask(&rule, "/who", &[], None).await.status().as_u16(), 200, "without a peer");
    }
}

#[test]
fn a_configuration_that_cannot_be_meant_is_refused_without_showing_a_secret() {
    for bad in [
        json!({}),
        json!({"basic": [{"user": "", "password": "hunter2"}]}),
        json!({"basic": [{"user": "a:b", "password": "hunter2"}]}),
        json!({"basic": [{"user": "a", "password": ""}]}),
        json!({"basic": [{"user": "a", "password": "hunter2"}, {"user": "a", "password": "y"}]}),
        json!({"bearer": [{"name": "a", "token": ""}]}),
        json!({"bearer": [{"name": "a", "token": "hunter2 x"}]}),
        json!({"client-certificate": {"names": []}}),
        json!({"bearer": [{"name": "a", "token": "x"}], "exempt": ["healthz"]}),
        json!({"bearer": [{"name": "a", "token": "x"}], "realm": "a\"b"}),
    ] {
        let error = Auth::new(&config(bad.clone())).unwrap_err();
        assert_eq!(error.code().name, "http.config_invalid", "{bad}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
    assert!(serde_json::from_value::<AuthConfig>(json!({"token": "x"})).unwrap_err().to_string().contains("token"));
}

#[test]
fn debug_output_shows_no_secret() {
    let shown = format!("{:?} {:?}", both(), Auth::new(&both()).unwrap());
    assert!(!shown.contains("t0k3n") && !shown.contains("other"), "{shown}");
}
