//! An HTTP client on [`Calls`]: every driver that speaks HTTP sends through it.

mod body;
mod pieces;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use backup_core::{Error, JobContext, Result};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};

pub use body::Body;
pub use http;
use pieces::Pieces;

use crate::{Attempt, Call, Calls, Failure, codes};

/// How much of an error's body goes into its message.
const EXCERPT: usize = 300;

/// How connections are made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpOptions {
    /// Certificates of authorities to trust besides the system's, as PEM.
    pub ca_file: Option<PathBuf>,
}

impl HttpOptions {
    /// Sets [`HttpOptions::ca_file`].
    #[must_use]
    pub fn ca_file(mut self, file: Option<PathBuf>) -> Self {
        self.ca_file = file;
        self
    }
}

/// The client. Cheap to clone; clones share connections and limits.
///
/// Follows no redirects and takes no proxy from the environment.
#[derive(Clone)]
pub struct Http {
    client: reqwest::Client,
    calls: Calls,
}

impl Http {
    /// A client that makes `calls`.
    ///
    /// # Errors
    /// `remote.config` when the file of authorities cannot be used.
    pub fn new(calls: Calls, options: &HttpOptions) -> Result<Self> {
        let refused = |what: &str, error: &dyn fmt::Display| Error::new(&codes::CONFIG, format!("{what}: {error}"));
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("backup/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(calls.limits().stall())
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .tcp_nodelay(true)
            .pool_idle_timeout(Duration::from_secs(20));
        if let Some(file) = &options.ca_file {
            let named = format!("the file of authorities {}", file.display());
            let pem = std::fs::read(file).map_err(|error| refused(&named, &error))?;
            let authorities = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| refused(&named, &error))?;
            if authorities.is_empty() {
                return Err(refused(&named, &"it holds no certificate"));
            }
            for authority in authorities {
                builder = builder.add_root_certificate(authority);
            }
        }
        let client = builder.build().map_err(|error| refused("the HTTP client", &error))?;
        Ok(Self { client, calls })
    }

    /// The calls that it makes.
    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Sends a request whose body is these pieces, and answers as soon as the head of the answer is there; its body is read by the
    /// caller, outside of the call's attempts.
    ///
    /// # Errors
    /// `remote.unreachable`, `remote.timeout`; `remote.overloaded` for 429, 500, 502, 503 and 504, which are attempted again and waited
    /// for as `Retry-After` asks. Every other status is an answer.
    ///
    /// # Cancel safety
    /// A dropped call that changes something has an unknown effect.
    pub async fn open(&self, cx: &JobContext, call: &Call, request: &Request<Vec<Bytes>>) -> Result<Response<Body>> {
        self.calls.run(cx, call, |_| self.attempt(cx, request)).await
    }

    /// Sends a request and reads its whole answer of at most `limit` bytes within the attempt, so that an answer that breaks off is
    /// asked for again.
    ///
    /// # Errors
    /// As [`Http::open`], and `remote.answer` for a longer or broken answer.
    pub async fn fetch(
        &self,
        cx: &JobContext,
        call: &Call,
        request: &Request<Vec<Bytes>>,
        limit: u64,
    ) -> Result<Response<Bytes>> {
        let attempt = |_| async {
            let (parts, body) = match self.attempt(cx, request).await {
                Attempt::Ended(Ok(response)) => response.into_parts(),
                Attempt::Ended(Err(error)) => return Attempt::Ended(Err(error)),
                Attempt::Failed(failure) => return Attempt::Failed(failure),
            };
            match body.whole(limit).await {
                Ok(bytes) => Attempt::Ended(Ok(Response::from_parts(parts, bytes))),
                Err(error) => Attempt::Failed(Failure::sent(error)),
            }
        };
        self.calls.run(cx, call, attempt).await
    }

    async fn attempt(&self, cx: &JobContext, request: &Request<Vec<Bytes>>) -> Attempt<Response<Body>> {
        let url = match reqwest::Url::parse(&request.uri().to_string()) {
            Ok(url) => url,
            Err(error) => return Attempt::Ended(Err(Error::new(&codes::CONFIG, format!("no URL can be made: {error}")))),
        };
        let outgoing = self
            .client
            .request(request.method().clone(), url)
            .headers(request.headers().clone())
            .body(reqwest::Body::wrap(Pieces::new(request.body())));
        let answer = match outgoing.send().await {
            Ok(answer) => answer,
            Err(error) => return Attempt::Failed(failed(error)),
        };
        let status = answer.status();
        let response = Response::from(answer).map(|body| Body::new(body, cx.clone(), self.calls.clone()));
        if !passing(status) {
            return Attempt::Ended(Ok(response));
        }
        let after = retry_after(response.headers(), cx.clock().now().into());
        let said = response.into_body().excerpt(EXCERPT).await;
        Attempt::Failed(Failure::sent(Error::new(&codes::OVERLOADED, format!("{status}{said}"))).after(after))
    }
}

/// A status that another attempt may turn into a better one.
fn passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 500 | 502 | 503 | 504)
}

/// What `Retry-After` asks for, in either of its forms.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    match value.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => httpdate::parse_http_date(value).ok().map(|until| until.duration_since(now).unwrap_or_default()),
    }
}

fn failed(error: reqwest::Error) -> Failure {
    // The URL may hold a signature.
    let error = error.without_url();
    let unsent = error.is_connect();
    let described = Error::new(&codes::UNREACHABLE, described(&error));
    if unsent { Failure::unsent(described) } else { Failure::sent(described) }
}

/// An error with its causes, which reqwest's own text leaves out.
fn described(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("calls", &self.calls).finish_non_exhaustive()
    }
}
