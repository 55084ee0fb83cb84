//! Sending.

use std::sync::atomic::{AtomicBool, Ordering};

use backup_core::error::codes as core_codes;
use backup_core::{Effect, Error, JobContext, Result, Retry};
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Method, Request, Response};

use super::Http;
use super::body::Body;
use super::failure;
use super::pieces::Pieces;
use super::streamed::Streamed;
use crate::{Attempt, Call, Failure, codes};

const MEBIBYTE: u64 = 1 << 20;

/// Marks an answer before which another attempt may have taken effect.
#[derive(Debug, Clone, Copy)]
struct Unsettled;

/// Whether an earlier attempt of the call may have taken effect already: then an answer that the thing is there, or is gone, may be about
/// that attempt's own work, and an error made of the answer has the effect `unknown`.
pub fn unsettled<T>(response: &Response<T>) -> bool {
    response.extensions().get::<Unsettled>().is_some()
}

/// The outcome of a call that was made again as a new one, after an answer before which an attempt may have taken effect (`earlier`).
///
/// # Errors
/// That of the outcome, with effect `unknown` then.
pub fn made_again<T>(earlier: bool, outcome: Result<Response<T>>) -> Result<Response<T>> {
    match outcome {
        Ok(mut response) if earlier => {
            response.extensions_mut().insert(Unsettled);
            Ok(response)
        }
        Err(error) if earlier && error.effect() == Effect::None => Err(error.with_effect(Effect::Unknown)),
        outcome => outcome,
    }
}

impl Http {
    /// Sends a request whose body is these pieces, and answers as soon as the head of the answer is there; its body is read by the
    /// caller, outside of the call's attempts. The bytes of the body are those of the call, whatever [`Call::bytes`] says. A
    /// [`Streamed`] in the request's extensions is sent instead of the pieces.
    ///
    /// # Errors
    /// `remote.unreachable`, `remote.timeout`; `remote.overloaded` for 429, 500, 502, 503 and 504, which are attempted again and waited
    /// for as `Retry-After` asks. Every other status is an answer. `remote.certificate`; those of the context. No error holds the URL or a
    /// header.
    ///
    /// # Cancel safety
    /// A dropped call that changes something has an unknown effect.
    pub async fn open(&self, cx: &JobContext, call: &Call, request: &Request<Vec<Bytes>>) -> Result<Response<Body>> {
        self.call(cx, call, request, |response| async { Attempt::Ended(Ok(response)) }).await
    }

    /// Sends a request and reads its whole answer of at most `limit` bytes within the attempt, so that an answer that breaks off is
    /// asked for again.
    ///
    /// # Errors
    /// As [`Http::open`], and `remote.answer` for a broken answer, or for a longer one, which is not asked for again; `job.stalled`.
    ///
    /// # Cancel safety
    /// As [`Http::open`].
    pub async fn fetch(
        &self,
        cx: &JobContext,
        call: &Call,
        request: &Request<Vec<Bytes>>,
        limit: u64,
    ) -> Result<Response<Bytes>> {
        let read = |response: Response<Body>| async move {
            let (parts, body) = response.into_parts();
            match body.unpaced(limit).await {
                Ok(bytes) => Attempt::Ended(Ok(Response::from_parts(parts, bytes))),
                // The answer is there, and would be no shorter another time.
                Err(error) if error.retry() == Retry::Never && call.changes => {
                    Attempt::Ended(Err(error.with_effect(Effect::Unknown)))
                }
                Err(error) if error.retry() == Retry::Never => Attempt::Ended(Err(error)),
                Err(error) => Attempt::Failed(Failure::sent(error)),
            }
        };
        let response = self.call(cx, call, request, read).await?;
        // Only now, for a wait would have counted as the service's time. Who is cancelled in it has the answer all the same.
        let _ = self.calls().paced(cx, response.body().len() as u64).await;
        Ok(response)
    }

    async fn call<T, F>(
        &self,
        cx: &JobContext,
        call: &Call,
        request: &Request<Vec<Bytes>>,
        read: impl Fn(Response<Body>) -> F,
    ) -> Result<Response<T>>
    where
        F: Future<Output = Attempt<Response<T>>>,
    {
        let streamed = request.extensions().get::<Streamed>();
        let mut call = call.clone().bytes(match streamed {
            Some(streamed) => streamed.size(),
            None => request.body().iter().map(|piece| piece.len() as u64).sum(),
        });
        call.streamed = streamed.is_some();
        let url = url(request)?;
        let may_be = AtomicBool::new(false);
        let attempt = |_| async {
            // An attempt that does not come to its end, because its time is over, stays one that may have taken effect.
            let before = may_be.swap(true, Ordering::Relaxed);
            let mut attempt = match self.attempt(cx, url.clone(), request).await {
                Attempt::Ended(Ok(response)) => read(response).await,
                Attempt::Ended(Err(error)) => Attempt::Ended(Err(error)),
                Attempt::Failed(failure) => Attempt::Failed(failure),
            };
            match &mut attempt {
                Attempt::Ended(Ok(response)) if before => {
                    response.extensions_mut().insert(Unsettled);
                }
                Attempt::Failed(failure) => may_be.store(before || failure.sent, Ordering::Relaxed),
                Attempt::Ended(_) => {}
            }
            attempt
        };
        self.calls().run(cx, &call, attempt).await
    }

    async fn attempt(&self, cx: &JobContext, url: reqwest::Url, request: &Request<Vec<Bytes>>) -> Attempt<Response<Body>> {
        let outgoing = self.client.request(request.method().clone(), url).headers(request.headers().clone());
        let answer = match request.extensions().get::<Streamed>() {
            Some(streamed) => self.stream(cx, outgoing, streamed).await,
            None => {
                let outgoing = outgoing.body(reqwest::Body::wrap(Pieces::new(request.body())));
                // Left out for an empty body by the client, and missed by servers where a body may be.
                let empty = request.body().iter().all(Bytes::is_empty) && !request.headers().contains_key(CONTENT_LENGTH);
                let expected = matches!(*request.method(), Method::PUT | Method::POST | Method::PATCH);
                let outgoing = if empty && expected { outgoing.header(CONTENT_LENGTH, 0) } else { outgoing };
                outgoing.send().await.map_err(failure::of)
            }
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(attempt) => return attempt,
        };
        let response = Response::from(answer).map(|body| Body::new(body, cx.clone(), self.calls().clone()));
        let status = response.status();
        if !failure::passes(status) {
            return Attempt::Ended(Ok(response));
        }
        let after = failure::retry_after(response.headers(), cx.clock().now().into());
        let said = response.into_body().excerpt(failure::EXCERPT).await;
        let error = Error::new(&codes::OVERLOADED, format!("{status}{said}"));
        // Who says that there were too many requests has not worked on this one; behind a 503 there may be a balancer that gave up waiting.
        let failed = if status == http::StatusCode::TOO_MANY_REQUESTS { Failure::unsent(error) } else { Failure::sent(error) };
        Attempt::Failed(failed.after(after))
    }
}

impl Http {
    /// Sends a body while it is read.
    async fn stream<T>(
        &self,
        cx: &JobContext,
        outgoing: reqwest::RequestBuilder,
        streamed: &Streamed,
    ) -> std::result::Result<reqwest::Response, Attempt<T>> {
        let (body, flow) = streamed.begin(cx, self.calls());
        let limit = self.calls().limits().attempt(MEBIBYTE);
        let sent = tokio::select! {
            biased;
            sent = outgoing.body(reqwest::Body::wrap(body)).send() => sent,
            () = flow.stalled(cx, limit) => {
                let what = format!("nothing moved for {} s", limit.as_secs());
                return Err(Attempt::Failed(Failure::sent(Error::new(&codes::TIMEOUT, what))));
            }
        };
        sent.map_err(|error| match flow.broken() {
            // The request was not complete, and the bytes will not be better another time.
            Some(broken) => Attempt::Ended(Err(broken)),
            None => failure::of(error),
        })
    }
}

/// The request's URL, exactly as it will be sent.
fn url(request: &Request<Vec<Bytes>>) -> Result<reqwest::Url> {
    let uri = request.uri();
    let no_url = |error| Error::new(&codes::CONFIG, format!("no URL can be made: {error}"));
    let url = reqwest::Url::parse(&uri.to_string()).map_err(no_url)?;
    // A URL resolves dots and escapes more than a URI does, and a signature is over what the driver wrote.
    if url.path() != uri.path() || url.query() != uri.query() {
        return Err(Error::new(&core_codes::INTERNAL, "the path of a request would be sent otherwise than it was given"));
    }
    Ok(url)
}
