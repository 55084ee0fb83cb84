//! What failed, and whether another attempt may mend it.

use std::time::{Duration, SystemTime};

use backup_core::Error;
use http::{HeaderMap, StatusCode, header};

use crate::{Attempt, Failure, codes};

/// How much of an error's body goes into its message, in bytes.
pub(super) const EXCERPT: usize = 300;

/// A status that another attempt may turn into a better one.
pub(super) fn passes(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 500 | 502 | 503 | 504)
}

/// What `Retry-After` asks for, in either of its forms.
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    match value.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => httpdate::parse_http_date(value).ok().map(|until| until.duration_since(now).unwrap_or_default()),
    }
}

/// How an attempt ended that got no answer.
pub(super) fn of<T>(error: reqwest::Error) -> Attempt<T> {
    // The URL may hold a signature.
    let error = error.without_url();
    let unsent = error.is_connect();
    if let Some(refused) = certificate(&error) {
        return Attempt::Ended(Err(Error::new(&codes::CERTIFICATE, refused)));
    }
    let described = Error::new(&codes::UNREACHABLE, described(&error));
    Attempt::Failed(if unsent { Failure::unsent(described) } else { Failure::sent(described) })
}

/// What is wrong with the other side's certificate, when that is what failed.
fn certificate(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(refused @ rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
            return Some(refused.to_string());
        }
        // An I/O error leaves the error that it wraps out of its sources.
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = wrapped.map(|wrapped| wrapped as _).or_else(|| error.source());
    }
    None
}

/// An error with its causes, which reqwest's own text leaves out.
pub(super) fn described(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
