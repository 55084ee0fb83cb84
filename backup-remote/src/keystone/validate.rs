//! Asking Keystone about somebody else's token. The source of the format: Identity API v3, "Authentication and token management".

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backup_core::{Digest, Error, JobContext, Result, Secret};
use http::{HeaderName, HeaderValue, Request, StatusCode};

use super::validated::Validated;
use super::{Keystone, codes};
use crate::Call;

const X_SUBJECT_TOKEN: HeaderName = HeaderName::from_static("x-subject-token");

/// An answer is good for so long: then a token that was revoked is found out.
const GOOD_FOR: Duration = Duration::from_secs(60);

/// So many tokens are remembered; more are asked about every time they come once all of these are in use.
const REMEMBERED: usize = 1024;

/// An answer with the catalogue of a big cloud has some 100 KiB.
const ANSWER: u64 = 4 << 20;

/// Tells whose tokens the callers of a service bring. Cheap to clone; clones share what they remember.
///
/// # Behavior
/// Keystone is asked with our own token, which is renewed once when it is refused. A good answer is remembered for a minute, and never
/// beyond the token's end; that a token is invalid is not remembered. Of callers with the same token one asks, and the others take its
/// answer. Tokens are remembered by their SHA-256 digest and are in no message, log or `Debug`.
#[derive(Clone)]
pub struct Validator {
    keystone: Keystone,
    remembered: Arc<Mutex<Remembered>>,
}

#[derive(Default)]
struct Remembered {
    tokens: HashMap<Digest, Arc<Known>>,
    /// When what is over was last forgotten, on the monotonic clock.
    swept: Duration,
}

/// What is known of one token. The lock is held while Keystone is asked about it.
#[derive(Default)]
struct Known(tokio::sync::Mutex<Option<Answered>>);

#[derive(Clone)]
struct Answered {
    /// On the monotonic clock.
    at: Duration,
    good_until: Duration,
    /// Nothing for an invalid token.
    said: Option<Arc<Validated>>,
}

impl Validator {
    /// Asks with the token that `keystone` has; its user needs a role that may validate tokens, as `admin` or `service`.
    pub fn new(keystone: Keystone) -> Self {
        Self { keystone, remembered: Arc::default() }
    }

    /// What a token is for; nothing when it is invalid: no token at all, expired, revoked, of another cloud. A token for no project is
    /// an answer too; see [`Validated::project`].
    ///
    /// # Errors
    /// That it is not known whether the token is good: `keystone.refused` when Keystone takes our own token not, or lets our user not
    /// ask; `keystone.address`, `remote.answer`; those of [`Keystone::token`] and [`Http::fetch`](crate::http::Http::fetch).
    ///
    /// # Cancel safety
    /// Cancel safe: another caller that waits asks then.
    pub async fn validate(&self, cx: &JobContext, token: &Secret) -> Result<Option<Arc<Validated>>> {
        let mut header = match HeaderValue::from_str(token.expose()) {
            Ok(header) if !header.is_empty() => header,
            _ => return Ok(None),
        };
        header.set_sensitive(true);
        let asked = cx.clock().monotonic();
        let known = self.known(asked, Digest::of(token.expose().as_bytes()));
        let mut known = cx.run(async { Ok(known.0.lock().await) }).await?;
        let now = cx.clock().monotonic();
        // What was answered while this one waited is an answer to it, too.
        if let Some(answered) = known.as_ref().filter(|answered| now < answered.good_until || asked < answered.at) {
            return Ok(answered.said.clone());
        }
        let said = self.ask(cx, header).await?.map(Arc::new);
        let left = said.as_ref().map(|said| (said.expires_at - cx.clock().now()).to_std().unwrap_or_default());
        // The age counts from before the question.
        let good_until = now + left.unwrap_or_default().min(GOOD_FOR);
        *known = Some(Answered { at: cx.clock().monotonic(), good_until, said: said.clone() });
        Ok(said)
    }

    async fn ask(&self, cx: &JobContext, subject: HeaderValue) -> Result<Option<Validated>> {
        let keystone = self.keystone.own();
        let request = Request::builder().uri(format!("{}/auth/tokens", keystone.url())).header(X_SUBJECT_TOKEN, subject);
        let request =
            request.body(Vec::new()).map_err(|error| Error::new(&codes::CONFIG, format!("`auth-url` is no URL: {error}")))?;
        let answer = keystone.fetch(cx, &Call::reading("ValidateToken"), request, ANSWER).await?;
        let address = || &self.keystone.config().auth_url;
        match answer.status() {
            StatusCode::OK => Validated::read(answer.body()).map(Some),
            StatusCode::NOT_FOUND if says_so(answer.body()) => Ok(None),
            StatusCode::UNAUTHORIZED => {
                Err(Error::new(&codes::REFUSED, format!("{} does not take the token that it just gave us", address())))
            }
            StatusCode::FORBIDDEN => Err(Error::new(
                &codes::REFUSED,
                format!("our user may not ask {} about other tokens; it needs the role `service` or `admin`", address()),
            )),
            status => Err(Error::new(
                &codes::ADDRESS,
                format!("{} answered {status} to a question about a token; a Keystone v3 is expected there", address()),
            )),
        }
    }

    /// The place of one token; one of its own when there are too many.
    fn known(&self, now: Duration, token: Digest) -> Arc<Known> {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = remembered.tokens.get(&token) {
            return Arc::clone(known);
        }
        // Tokens come with whole catalogues, which are not kept for longer than they are good.
        if remembered.tokens.len() >= REMEMBERED || now >= remembered.swept + GOOD_FOR {
            remembered.swept = now;
            remembered.tokens.retain(|_, known| match known.0.try_lock() {
                Ok(answered) => answered.as_ref().is_some_and(|answered| now < answered.good_until),
                // It is being asked about.
                Err(_) => true,
            });
        }
        let new = Arc::new(Known::default());
        if remembered.tokens.len() < REMEMBERED {
            remembered.tokens.insert(token, Arc::clone(&new));
        }
        new
    }
}

/// Whether a 404 is Keystone's own, which is JSON, and not that of another server at a wrong address: that would make every token invalid.
fn says_so(body: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Failure {
        #[serde(rename = "error")]
        _error: serde::de::IgnoredAny,
    }
    serde_json::from_slice::<Failure>(body).is_ok()
}

impl fmt::Debug for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner).tokens.len();
        f.debug_struct("Validator").field("keystone", &self.keystone).field("remembered", &remembered).finish()
    }
}
