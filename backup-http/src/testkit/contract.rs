//! Answers against a document.

use std::collections::BTreeSet;

use axum::Router;
use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::http::{Method, Request, StatusCode};
use serde_json::{Map, Value, json};
use tower::ServiceExt;

use super::routes;

/// Bytes of an answer that are read at most.
const LONGEST: usize = 64 * 1024 * 1024;

/// An OpenAPI 3.1 document, and what of it was seen to hold.
///
/// ```
/// use axum::body::Body;
/// use axum::http::Request;
/// use backup_http::observe::{Metrics, Observe, document};
/// use backup_http::testkit::Contract;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let router = Observe::new(Metrics::new("my-server", "1.0.0"), document()).router();
/// let mut contract = Contract::new(serde_json::to_value(document()).unwrap());
/// for path in ["/healthz", "/metrics", "/openapi.json"] {
///     contract.ask(&router, Request::get(path).body(Body::empty()).unwrap()).await;
/// }
/// contract.covers(&router).await;
/// assert!(contract.findings().is_empty(), "{:#?}", contract.findings());
/// # });
/// ```
#[derive(Debug)]
pub struct Contract {
    document: Value,
    /// Methods and patterns of which at least one answer was seen, with a path that stands for the pattern.
    seen: BTreeSet<(String, String)>,
    samples: Vec<(String, String)>,
    findings: Vec<String>,
}

impl Contract {
    /// A document that nothing was seen of yet.
    pub fn new(document: Value) -> Self {
        let mut contract = Self { document, seen: BTreeSet::new(), samples: Vec::new(), findings: Vec::new() };
        let version = contract.document.get("openapi").and_then(Value::as_str).unwrap_or_default();
        if !version.starts_with("3.1") {
            contract.findings.push(format!("the document is OpenAPI {version:?}, not 3.1"));
        }
        contract
    }

    /// What does not hold, in words.
    pub fn findings(&self) -> &[String] {
        &self.findings
    }

    /// Sends a request to the router and checks the answer; gives its status and content.
    pub async fn ask(&mut self, router: &Router, request: Request<Body>) -> (StatusCode, Vec<u8>) {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let Ok(answer) = router.clone().oneshot(request).await;
        let (parts, body) = answer.into_parts();
        let media_type = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let content = axum::body::to_bytes(body, LONGEST).await.map(|bytes| bytes.to_vec()).unwrap_or_default();
        self.saw(&method, &path, parts.status, media_type.as_deref(), &content);
        (parts.status, content)
    }

    /// Checks an answer that came from anywhere, for example from a server over the network.
    pub fn saw(&mut self, method: &Method, path: &str, status: StatusCode, media_type: Option<&str>, content: &[u8]) {
        let what = format!("{method} {path} -> {status}");
        if let Err(why) = self.check(method, path, status, media_type, content) {
            self.findings.push(format!("{what}: {why}"));
        }
    }

    fn check(
        &mut self,
        method: &Method,
        path: &str,
        status: StatusCode,
        media_type: Option<&str>,
        content: &[u8],
    ) -> Result<(), String> {
        // A literal pattern wins over one with parameters, as in the router.
        let mut patterns: Vec<&String> = self.paths().keys().filter(|pattern| routes::matches(pattern, path)).collect();
        patterns.sort_by_key(|pattern| pattern.matches('{').count());
        let pattern = (*patterns.first().ok_or("the path is not documented")?).clone();
        let operation = self.operation(&pattern, method).ok_or("the method is not documented")?;
        let responses = operation.get("responses").and_then(Value::as_object).ok_or("no responses are documented")?;
        let by_class = format!("{}XX", status.as_u16() / 100);
        let response = [status.as_str(), by_class.as_str(), "default"]
            .iter()
            .find_map(|key| responses.get(*key))
            .ok_or("the status is not documented")?;
        let response = self.resolved(response).ok_or("the response's $ref leads nowhere")?.clone();
        self.seen.insert((method.to_string(), pattern.clone()));
        self.samples.push((pattern, path.to_owned()));
        if *method == Method::HEAD {
            return if content.is_empty() { Ok(()) } else { Err("an answer to HEAD has content".into()) };
        }
        self.check_content(&response, media_type, content)
    }

    fn check_content(&self, response: &Value, media_type: Option<&str>, content: &[u8]) -> Result<(), String> {
        let documented = response.get("content").and_then(Value::as_object).filter(|content| !content.is_empty());
        let Some(documented) = documented else {
            return if content.is_empty() { Ok(()) } else { Err("it has content, and none is documented".into()) };
        };
        let (media_type, content) = match media_type.and_then(|text| text.split(';').next()).map(str::trim) {
            Some(media_type) => (media_type, content),
            // What may be nothing at all has a schema that takes `null`.
            None if content.is_empty() => ("application/json", b"null".as_slice()),
            None => return Err("it has no content type".into()),
        };
        let described = documented.get(media_type).ok_or_else(|| format!("the content type {media_type} is not documented"))?;
        if !media_type.ends_with("json") {
            return Ok(());
        }
        let instance: Value = serde_json::from_slice(content).map_err(|error| format!("the content is no JSON: {error}"))?;
        let Some(schema) = described.get("schema") else { return Err("the content has no schema".into()) };
        // References begin at the root of the document, so its components come along.
        let components = self.document.get("components").cloned().unwrap_or_else(|| Value::Object(Map::new()));
        let schema = json!({"components": components, "allOf": [schema]});
        let validator = jsonschema::draft202012::new(&schema).map_err(|error| format!("the schema is invalid: {error}"))?;
        let wrong: Vec<String> =
            validator.iter_errors(&instance).map(|error| format!("{}: {error}", error.instance_path())).collect();
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
    }

    /// Checks that every documented operation was seen to answer, that the router has no route which is not documented, and that
    /// each path takes exactly the documented methods (`HEAD` comes with `GET`). Call it last.
    pub async fn covers(&mut self, router: &Router) {
        let documented: Vec<String> = self.paths().keys().cloned().collect();
        let routed = routes::of(router);
        for path in &routed {
            // Names of parameters may differ: they are not part of what a client sees.
            if !documented.iter().any(|pattern| nameless(pattern) == nameless(path)) {
                self.findings.push(format!("the route {path} is not documented"));
            }
        }
        for pattern in documented {
            if !routed.iter().any(|path| nameless(path) == nameless(&pattern)) {
                self.findings.push(format!("{pattern} is documented, and the router has no such route"));
            }
            let methods = self.methods(&pattern);
            for method in &methods {
                if !self.seen.contains(&(method.clone(), pattern.clone())) {
                    self.findings.push(format!("no answer to {method} {pattern} was seen"));
                }
            }
            if let Some((_, path)) = self.samples.iter().find(|(of, _)| *of == pattern) {
                let path = path.clone();
                self.check_allowed(router, &path, methods).await;
            }
        }
    }

    async fn check_allowed(&mut self, router: &Router, path: &str, documented: BTreeSet<String>) {
        let Ok(request) = Request::builder().method("PROBE").uri(path).body(Body::empty()) else { return };
        let Ok(answer) = router.clone().oneshot(request).await;
        let lists = answer.headers().get_all(ALLOW).iter().filter_map(|value| value.to_str().ok());
        let allowed: BTreeSet<String> = lists.flat_map(|list| list.split(',')).map(|method| method.trim().to_owned()).collect();
        let mut expected = documented;
        if expected.contains("GET") && allowed.contains("HEAD") {
            expected.insert("HEAD".into());
        }
        if answer.status() != StatusCode::METHOD_NOT_ALLOWED || allowed != expected {
            let status = answer.status();
            self.findings
                .push(format!("an unknown method on {path} is {status} with Allow {allowed:?}; documented are {expected:?}"));
        }
    }

    fn paths(&self) -> &Map<String, Value> {
        static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
        self.document.get("paths").and_then(Value::as_object).unwrap_or(&NONE)
    }

    fn operation(&self, pattern: &str, method: &Method) -> Option<&Value> {
        let item = self.paths().get(pattern)?;
        // What is documented of GET holds of HEAD, without the content.
        item.get(method.as_str().to_lowercase()).or_else(|| item.get("get").filter(|_| *method == Method::HEAD))
    }

    fn methods(&self, pattern: &str) -> BTreeSet<String> {
        const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
        let item = self.paths().get(pattern);
        METHODS.into_iter().filter(|method| item.is_some_and(|item| item.get(method).is_some())).map(str::to_uppercase).collect()
    }

    fn resolved<'a>(&'a self, value: &'a Value) -> Option<&'a Value> {
        match value.get("$ref").and_then(Value::as_str) {
            Some(reference) => self.document.pointer(reference.strip_prefix('#')?),
            None => Some(value),
        }
    }
}

fn nameless(pattern: &str) -> String {
    pattern.split('/').map(|part| if part.starts_with('{') { "{}" } else { part }).collect::<Vec<_>>().join("/")
}
