//! How a request is sent, and its answer read.

use std::time::Duration;

use backup_core::{Effect, Error, JobContext, Result};
use backup_remote::http::http::{HeaderName, Method, Request, Response, StatusCode, header};
use backup_remote::http::unsettled;
use backup_remote::keystone::Service;
use backup_remote::{Call, Repeat, codes as remote};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::super::codes;
use super::version::{self, Microversion};
use super::{Cinder, error};

/// The longest answer that is no list.
pub(super) const ANSWER: u64 = 1 << 20;
/// The longest page of a list.
pub(super) const PAGE: u64 = 16 << 20;

/// How often a limit of the rate is waited for, and for how long at most.
const RATE_LIMITED: u32 = 6;
const LONGEST_WAIT: Duration = Duration::from_secs(90);

const API_VERSION: HeaderName = HeaderName::from_static("openstack-api-version");

/// One request to Cinder.
#[derive(Debug)]
pub(super) struct Ask {
    call: Call,
    method: Method,
    /// Below everything of the project, with its slash.
    path: String,
    version: Microversion,
    body: Option<Value>,
    limit: u64,
    /// For messages: `showing the volume …`.
    doing: String,
}

impl Ask {
    pub(super) fn get(operation: &'static str, path: String, doing: String) -> Self {
        Self::new(Call::reading(operation), Method::GET, path, doing)
    }

    /// Makes something, once.
    pub(super) fn make(operation: &'static str, path: String, body: Value, doing: String) -> Self {
        Self::new(Call::changing(operation, Repeat::IfUnsent), Method::POST, path, doing).body(body)
    }

    /// Sets something, which may be done twice.
    pub(super) fn set(operation: &'static str, method: Method, path: String, body: Value, doing: String) -> Self {
        Self::new(Call::changing(operation, Repeat::Always), method, path, doing).body(body)
    }

    pub(super) fn delete(operation: &'static str, path: String, doing: String) -> Self {
        Self::new(Call::changing(operation, Repeat::Always), Method::DELETE, path, doing)
    }

    fn new(call: Call, method: Method, path: String, doing: String) -> Self {
        Self { call, method, path, version: Microversion::BASE, body: None, limit: ANSWER, doing }
    }

    fn body(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }

    pub(super) fn version(self, version: Microversion) -> Self {
        Self { version, ..self }
    }

    pub(super) fn limit(self, limit: u64) -> Self {
        Self { limit, ..self }
    }
}

impl Cinder {
    /// Sends a request, and gives its answer when it went well.
    pub(super) async fn ask(&self, cx: &JobContext, ask: Ask) -> Result<Response<Bytes>> {
        let ready = self.ready(cx).await?;
        if ready.newest < ask.version {
            let (wanted, has) = (ask.version, ready.newest);
            let text = format!("{}: the API has to have the version {wanted}, and Cinder has {has} at most", ask.doing);
            return Err(Error::new(&codes::VERSION, text));
        }
        let mut request = Request::builder()
            .method(ask.method)
            .uri(format!("{}{}", ready.base, ask.path))
            .header(API_VERSION, format!("volume {}", ask.version))
            .header(header::ACCEPT, "application/json");
        if ask.body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = ask.body.iter().map(|body| Bytes::from(body.to_string())).collect();
        let request = request.body(body).map_err(|error| no_request(&error))?;
        let mut waited = 0;
        let mut earlier = false;
        loop {
            let answer = ready.service.fetch(cx, &ask.call, request.clone(), ask.limit).await;
            let answer = answer.map_err(|error| failed(&ask.doing, error, earlier))?;
            if answer.status().is_success() {
                return Ok(answer);
            }
            earlier |= ask.call.changes && unsettled(&answer);
            match error::waits_for(&answer) {
                Some(wait) if waited < RATE_LIMITED && wait <= LONGEST_WAIT => {
                    waited += 1;
                    cx.sleep(wait).await?;
                }
                _ => {
                    let error = error::refused(&ask.doing, &answer, ask.call.changes);
                    return Err(if earlier { error.with_effect(Effect::Unknown) } else { error });
                }
            }
        }
    }

    /// As [`Cinder::ask`], and reads the answer.
    pub(super) async fn read<T: DeserializeOwned>(&self, cx: &JobContext, ask: Ask) -> Result<T> {
        let (doing, changes) = (ask.doing.clone(), ask.call.changes);
        let answer = self.ask(cx, ask).await?;
        serde_json::from_slice(answer.body()).map_err(|error| {
            let error = Error::new(&remote::ANSWER, format!("{doing}: Cinder's answer makes no sense: {error}"));
            if changes { error.with_effect(Effect::Unknown) } else { error }
        })
    }
}

/// Asks for the newest microversion.
pub(super) async fn newest(cx: &JobContext, service: &Service, root: &str) -> Result<Microversion> {
    let request = Request::builder().uri(root).header(header::ACCEPT, "application/json").body(Vec::new());
    let request = request.map_err(|error| no_request(&error))?;
    let doing = "asking for the versions of the API";
    let answer = service.fetch(cx, &Call::reading("ListVersions"), request, ANSWER).await;
    let answer = answer.map_err(|error| failed(doing, error, false))?;
    match answer.status() {
        StatusCode::OK | StatusCode::MULTIPLE_CHOICES => version::newest(answer.body()),
        StatusCode::NOT_FOUND => Err(Error::new(&codes::ADDRESS, "there is no API of the version 3 at the endpoint of Cinder")),
        _ => Err(error::refused(doing, &answer, false)),
    }
}

fn no_request(error: &dyn std::fmt::Display) -> Error {
    Error::new(&codes::ADDRESS, format!("no request can be made of the endpoint of Cinder: {error}"))
}

/// An error of the floor, in Cinder's words where it is Cinder that failed.
fn failed(doing: &str, error: Error, earlier: bool) -> Error {
    let error = match error.code() == &remote::OVERLOADED {
        true => {
            let (effect, retry) = (error.effect(), error.retry());
            Error::new(&codes::FAILED, format!("{doing}: {}", error.message())).with_effect(effect).with_retry(retry)
        }
        false => error.context(doing),
    };
    if earlier && error.effect() == Effect::None { error.with_effect(Effect::Unknown) } else { error }
}
