//! A token that is known here.

use std::fmt;
use std::time::Duration;

use http::HeaderValue;

use super::catalogue::Catalogue;

/// A token is renewed so long before its end, or in the last fifth of its life when that is shorter.
const AHEAD: Duration = Duration::from_secs(300);

/// A token with what came along. `Debug` does not show the token itself.
pub struct Token {
    pub(super) header: HeaderValue,
    /// On the monotonic clock.
    pub(super) received_at: Duration,
    pub(super) lifetime: Duration,
    pub(super) project_id: Option<String>,
    pub(super) catalogue: Catalogue,
}

impl Token {
    /// The value of the header `X-Auth-Token` (or `X-Service-Token`), marked as sensitive.
    pub fn header(&self) -> &HeaderValue {
        &self.header
    }

    /// The project that it is for.
    pub fn project_id(&self) -> Option<&str> {
        self.project_id.as_deref()
    }

    /// The services of the cloud.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// It should be renewed now, though it still holds.
    pub(super) fn ageing(&self, now: Duration) -> bool {
        now >= self.received_at + self.lifetime.saturating_sub(AHEAD.min(self.lifetime / 5))
    }

    /// It holds no longer.
    pub(super) fn over(&self, now: Duration) -> bool {
        now >= self.received_at + self.lifetime
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("project_id", &self.project_id).field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}
