//! HTTP dates (RFC 9110 section 5.6.7).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::HeaderValue;
use chrono::{DateTime, Utc};

/// Whole seconds since 1970; HTTP knows nothing finer, and nothing before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct HttpTime(u64);

/// The last second that a four-digit year can say; the formatter refuses anything later.
const LAST: u64 = 253_402_300_799;

impl HttpTime {
    pub(super) fn of(time: DateTime<Utc>) -> Self {
        Self(u64::try_from(time.timestamp()).unwrap_or(0).min(LAST))
    }

    /// Reads any of the three forms; `None` for anything else.
    pub(super) fn parse(value: &HeaderValue) -> Option<Self> {
        let time = httpdate::parse_http_date(value.to_str().ok()?).ok()?;
        time.duration_since(UNIX_EPOCH).ok().map(|since| Self(since.as_secs()))
    }

    pub(super) fn header(self) -> Option<HeaderValue> {
        let time: SystemTime = UNIX_EPOCH + Duration::from_secs(self.0);
        HeaderValue::from_str(&httpdate::fmt_http_date(time)).ok()
    }
}
