//! OpenStack's Keystone: tokens, their renewal, and where the services are.

mod catalogue;
pub mod codes;
mod config;
mod limits;
mod login;
mod service;
#[cfg(test)]
mod tests;
mod token;
mod validate;
mod validated;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use backup_core::error::Code;
use backup_core::{Error, JobContext, Result, Secret};
use http::HeaderValue;
use tokio::sync::Mutex;

pub use catalogue::Catalogue;
pub use config::{Interface, KeystoneConfig};
pub use service::Service;
pub use token::Token;
pub use validate::Validator;
pub use validated::{Named, Validated};

use crate::http::Http;

/// Refused credentials are not tried again for so long: many refusals lock a user out.
const REFUSAL_HOLDS: Duration = Duration::from_secs(10);

/// A client of Keystone v3. Cheap to clone; clones share the token.
///
/// # Behavior
/// One login at a time, whoever asks: the others wait for it and get its token. A token is renewed five minutes before its end (or in
/// the last fifth of a short life); while Keystone is not there, the old one is used as long as it holds.
#[derive(Clone)]
pub struct Keystone {
    shared: Arc<Shared>,
}

struct Shared {
    http: Http,
    config: KeystoneConfig,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    token: Option<Arc<Token>>,
    refused: Option<Refused>,
}

struct Refused {
    at: Duration,
    code: &'static Code,
    message: String,
}

impl Keystone {
    /// A client that logs in over `http` when it first has to.
    ///
    /// # Errors
    /// `keystone.config` when the credentials are incomplete or contradict each other.
    pub fn new(http: Http, config: KeystoneConfig) -> Result<Self> {
        config.identity()?;
        Ok(Self { shared: Arc::new(Shared { http, config, known: Mutex::default() }) })
    }

    /// The configuration.
    pub fn config(&self) -> &KeystoneConfig {
        &self.shared.config
    }

    /// A token that holds, from a login or from before.
    ///
    /// # Errors
    /// `keystone.refused`, `keystone.no_project`, `keystone.address`; those of [`Http::fetch`].
    ///
    /// # Cancel safety
    /// Cancel safe: another caller that waits logs in then.
    pub async fn token(&self, cx: &JobContext) -> Result<Arc<Token>> {
        self.current(cx, None).await
    }

    /// Another token than `rejected`, which a service did not take: the one that came after it, or a new one.
    ///
    /// # Errors
    /// As [`Keystone::token`].
    ///
    /// # Cancel safety
    /// As [`Keystone::token`].
    pub async fn renewed(&self, cx: &JobContext, rejected: &Token) -> Result<Arc<Token>> {
        self.current(cx, Some(rejected)).await
    }

    /// The way to a service of the catalogue, by the first of the `types` that has an endpoint; `http` is how it is called.
    ///
    /// # Errors
    /// `keystone.no_endpoint`, with what there is; as [`Keystone::token`].
    pub async fn service(&self, cx: &JobContext, http: Http, types: &[&str]) -> Result<Service> {
        let token = self.token(cx).await?;
        let config = &self.shared.config;
        let (catalogue, region) = (token.catalogue(), config.region.as_deref());
        let url = match config.first_region {
            true => catalogue.first_endpoint(types, config.interface, region)?,
            false => catalogue.endpoint(types, config.interface, region)?,
        };
        Ok(Service::new(self.clone(), http, url.to_owned()))
    }

    /// The way to Keystone itself, with our token.
    fn own(&self) -> Service {
        Service::new(self.clone(), self.shared.http.clone(), self.shared.config.base())
    }

    /// The way to a service at `url`, on behalf of the one whose token this is: every request carries it, and our own token as
    /// `X-Service-Token`.
    ///
    /// # Errors
    /// `keystone.refused` for a text that is no token.
    pub fn on_behalf(&self, http: Http, url: &str, token: &Secret) -> Result<Service> {
        let header = HeaderValue::from_str(token.expose()).ok().filter(|header| !header.is_empty());
        let mut header = header.ok_or_else(|| Error::new(&codes::REFUSED, "the caller's token is none"))?;
        header.set_sensitive(true);
        Ok(Service::new(self.clone(), http, url.trim_end_matches('/').to_owned()).on_behalf(header))
    }

    async fn current(&self, cx: &JobContext, rejected: Option<&Token>) -> Result<Arc<Token>> {
        // Who is here first logs in, the others wait.
        let mut known = cx.run(async { Ok(self.shared.known.lock().await) }).await?;
        let now = cx.clock().monotonic();
        let usable = known.token.clone().filter(|token| rejected.is_none_or(|rejected| rejected.header != token.header));
        if let Some(token) = usable.as_ref().filter(|token| !token.ageing(now)) {
            return Ok(Arc::clone(token));
        }
        let error = match known.refused.as_ref().filter(|refused| now < refused.at + REFUSAL_HOLDS) {
            Some(refused) => Error::new(refused.code, refused.message.clone()),
            None => match login::login(&self.shared.http, cx, &self.shared.config).await {
                Ok(token) => {
                    let token = Arc::new(token);
                    *known = Known { token: Some(Arc::clone(&token)), refused: None };
                    return Ok(token);
                }
                Err(error) => {
                    if login::settled(&error) {
                        known.refused = Some(Refused { at: now, code: error.code(), message: error.message().to_owned() });
                    }
                    error
                }
            },
        };
        // What ends the job is not about the token.
        cx.check()?;
        let Some(token) = usable.filter(|token| !token.over(now)) else { return Err(error) };
        tracing::warn!(%error, "the token could not be renewed; the old one still holds");
        Ok(token)
    }
}

impl fmt::Debug for Keystone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keystone").field("config", &self.shared.config).finish_non_exhaustive()
    }
}
