//! What a request is called.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use backup_core::environment::{Random, SystemRandom};

/// Characters of an id at most.
const LONGEST: usize = 128;

/// The id of a request, in its extensions and as an extractor: 1 to 128 visible ASCII characters, so it needs no escaping
/// in a log line, but does in JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn of(header: Option<&HeaderName>, headers: &HeaderMap, random: &dyn Random) -> Self {
        header.and_then(|name| Self::given(name, headers)).unwrap_or_else(|| Self::made(random))
    }

    fn given(name: &HeaderName, headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(name).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        let sane = (1..=LONGEST).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic);
        value.to_str().ok().filter(|_| sane).map(|text| Self(text.into()))
    }

    fn made(random: &dyn Random) -> Self {
        Self(format!("{:016x}{:016x}", random.next_u64(), random.next_u64()).into())
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Never fails: without the layer the id is a new random one.
impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or_else(|| Self::made(&SystemRandom)))
    }
}
