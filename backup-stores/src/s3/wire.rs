//! Signed requests: the one way to the server, for what opendal makes and for our own.

use std::fmt;
use std::time::Duration;

use backup_core::error::codes as core_codes;
use backup_core::{Bytes, Effect, Error, JobContext, Result};
use backup_remote::http::{Body, Http, made_again, unsettled};
use backup_remote::{Call, Calls, Repeat};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, header};
use percent_encoding::utf8_percent_encode;
use reqsign_aws_v4::Credential;
use reqsign_core::Signer;

use super::codes;
use super::error::Refusal;
use super::names::{PATH, QUERY};

/// The longest answer that is read whole: a page of a listing with the longest keys.
const ANSWER: u64 = 16 << 20;
/// A signature this old may be the reason why a server finds the clocks apart: repetitions carry the time of the first attempt.
const OLD_SIGNATURE: Duration = Duration::from_secs(240);
/// How often a request is made anew with a new signature.
const SIGNATURES: u32 = 3;

/// A request, before it is signed.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    operation: &'static str,
    method: Method,
    /// The name of an object, empty for the bucket.
    name: String,
    query: Vec<(&'static str, String)>,
    headers: HeaderMap,
    body: Vec<Bytes>,
    patience: Patience,
}

/// How much longer than others a request may take.
#[derive(Debug, Clone, Copy, Default)]
struct Patience(Duration);

impl Ask {
    pub(super) fn new(operation: &'static str, method: Method, name: impl Into<String>) -> Self {
        let (query, headers, body) = (Vec::new(), HeaderMap::new(), Vec::new());
        Self { operation, method, name: name.into(), query, headers, body, patience: Patience::default() }
    }

    pub(super) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: HeaderValue) -> Self {
        self.headers.insert(HeaderName::from_static(name), value);
        self
    }

    pub(super) fn headers(mut self, headers: HeaderMap) -> Self {
        self.headers.extend(headers);
        self
    }

    /// Sets how much longer than others it may take.
    pub(super) fn patience(mut self, more: Duration) -> Self {
        self.patience = Patience(more);
        self
    }

    /// Sets a body without a checksum.
    pub(super) fn plain_body(mut self, pieces: Vec<Bytes>) -> Self {
        self.body = pieces;
        self
    }

    /// Sets the body, and the checksum that the server compares it with.
    pub(super) fn body(mut self, pieces: Vec<Bytes>, checksum: HeaderValue) -> Self {
        self.body = pieces;
        self.header(CHECKSUM, checksum)
    }
}

/// The header of the checksum that every body is sent with.
pub(super) const CHECKSUM: &str = "x-amz-checksum-crc32";

/// The value of [`CHECKSUM`] for a body.
pub(super) fn checksum(pieces: &[Bytes]) -> HeaderValue {
    let mut hasher = crc32fast::Hasher::new();
    for piece in pieces {
        hasher.update(piece);
    }
    checksum_value(hasher.finalize())
}

/// The value of [`CHECKSUM`] for a CRC-32.
pub(super) fn checksum_value(crc: u32) -> HeaderValue {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(crc.to_be_bytes());
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

/// The connection to one bucket. Cheap to clone.
#[derive(Clone)]
pub(super) struct Wire {
    http: Http,
    signer: Signer<Credential>,
    /// The bucket's URL, without a final slash.
    bucket: String,
}

impl Wire {
    pub(super) fn new(http: Http, signer: Signer<Credential>, bucket: String) -> Self {
        Self { http, signer, bucket }
    }

    /// Sends a request and reads its whole answer.
    ///
    /// # Errors
    /// Those of [`Http::fetch`], and every status that is not 2xx, with effect none.
    pub(super) async fn ask(&self, cx: &JobContext, ask: Ask) -> Result<Response<Bytes>> {
        let mut url = format!("{}/{}", self.bucket, utf8_percent_encode(&ask.name, PATH));
        for (n, (name, value)) in ask.query.iter().enumerate() {
            url.push(if n == 0 { '?' } else { '&' });
            url.push_str(name);
            if !value.is_empty() {
                url.push('=');
                url.extend(utf8_percent_encode(value, QUERY));
            }
        }
        let mut request = Request::new(ask.body);
        *request.method_mut() = ask.method;
        *request.headers_mut() = ask.headers;
        request.extensions_mut().insert(ask.patience);
        *request.uri_mut() =
            url.parse().map_err(|error| Error::new(&core_codes::INTERNAL, "no URL can be made").with_source(error))?;
        let result = self.fetch(cx, ask.operation, request).await;
        result.map_err(|error| if ask.name.is_empty() { error } else { error.context(format!("`{}`", ask.name)) })
    }

    /// Signs and sends a finished request and reads its whole answer, as [`Wire::ask`].
    pub(super) async fn fetch(
        &self,
        cx: &JobContext,
        operation: &'static str,
        request: Request<Vec<Bytes>>,
    ) -> Result<Response<Bytes>> {
        let call = self.call(operation, &request);
        let (mut signatures, mut earlier) = (Signatures::default(), false);
        loop {
            let signed = self.signed(cx, &request, &mut signatures).await?;
            let answer = made_again(earlier, self.http.fetch(cx, &call, &signed, ANSWER).await)?;
            earlier = call.changes && unsettled(&answer);
            if answer.status().is_success() {
                return Ok(answer);
            }
            self.refused(cx, &call, &mut signatures, answer)?;
        }
    }

    /// Signs and sends a finished request, and answers when the head of the answer is there.
    pub(super) async fn open(
        &self,
        cx: &JobContext,
        operation: &'static str,
        request: Request<Vec<Bytes>>,
    ) -> Result<Response<Body>> {
        let call = self.call(operation, &request);
        let (mut signatures, mut earlier) = (Signatures::default(), false);
        loop {
            let signed = self.signed(cx, &request, &mut signatures).await?;
            let answer = made_again(earlier, self.http.open(cx, &call, &signed).await)?;
            earlier = call.changes && unsettled(&answer);
            if answer.status().is_success() {
                return Ok(answer);
            }
            let (parts, body) = answer.into_parts();
            let said = body.whole(ANSWER).await.unwrap_or_default();
            self.refused(cx, &call, &mut signatures, Response::from_parts(parts, said))?;
        }
    }

    /// `Ok` when the same request with a new signature may be taken.
    fn refused(&self, cx: &JobContext, call: &Call, signatures: &mut Signatures, answer: Response<Bytes>) -> Result<()> {
        let refusal = Refusal::of(answer.body());
        if signatures.worth_another(cx, &refusal) {
            tracing::debug!(operation = call.operation, code = refusal.code, "signing anew");
            return Ok(());
        }
        let error = refusal.error(answer.status(), answer.headers());
        // The answer may be about what an attempt before it did.
        let error = if call.changes && unsettled(&answer) { error.with_effect(Effect::Unknown) } else { error };
        Err(self.named(call.operation, error))
    }

    /// An error that says whom it comes from, as the errors of every call do.
    pub(super) fn named(&self, operation: &'static str, error: Error) -> Error {
        error.context(format!("{} {operation}", self.http.calls().service()))
    }

    pub(super) fn calls(&self) -> &Calls {
        self.http.calls()
    }

    fn call(&self, operation: &'static str, request: &Request<Vec<Bytes>>) -> Call {
        let bytes = request.body().iter().map(|piece| piece.len() as u64).sum();
        let Patience(patience) = request.extensions().get().copied().unwrap_or_default();
        match request.method().is_safe() {
            true => Call::reading(operation),
            // Who asks settles what a repetition did.
            false => Call::changing(operation, Repeat::Always),
        }
        .bytes(bytes)
        .patience(patience)
    }

    async fn signed(
        &self,
        cx: &JobContext,
        request: &Request<Vec<Bytes>>,
        signatures: &mut Signatures,
    ) -> Result<Request<Vec<Bytes>>> {
        // A fast server answers before a deadline that is over is noticed.
        cx.check()?;
        signatures.made += 1;
        signatures.last = cx.clock().monotonic();
        let (mut parts, body) = request.clone().into_parts();
        let signing = async {
            self.signer.sign(&mut parts, None).await.map_err(|error| {
                use reqsign_core::ErrorKind;
                let code = match error.kind() {
                    ErrorKind::CredentialInvalid | ErrorKind::PermissionDenied => &codes::S3_CREDENTIALS,
                    ErrorKind::ConfigInvalid => &codes::S3_CONFIG,
                    _ => &core_codes::STORE_UNAVAILABLE,
                };
                Error::new(code, "the request cannot be signed").with_source(error)
            })
        };
        cx.run(signing).await?;
        // The client sets its own.
        parts.headers.remove(header::HOST);
        Ok(Request::from_parts(parts, body))
    }
}

/// How often a request was signed, and when last. The repetitions of a call carry one signature.
#[derive(Default)]
struct Signatures {
    made: u32,
    last: Duration,
}

impl Signatures {
    fn worth_another(&self, cx: &JobContext, refusal: &Refusal) -> bool {
        let old = cx.clock().monotonic().saturating_sub(self.last) > OLD_SIGNATURE;
        let worth = match refusal.code.as_str() {
            "RequestTimeTooSkewed" | "RequestExpired" => old,
            "RequestTimeout" | "IncompleteBody" => true,
            _ => false,
        };
        worth && self.made < SIGNATURES
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("bucket", &self.bucket).finish_non_exhaustive()
    }
}
