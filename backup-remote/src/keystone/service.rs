//! Calls to a service with a token.

use std::fmt;

use backup_core::{JobContext, Result};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};

use super::{Keystone, Token};
use crate::Call;
use crate::http::{Body, Http, made_again, unsettled};

const X_AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
const X_SERVICE_TOKEN: HeaderName = HeaderName::from_static("x-service-token");

/// A service of the catalogue, called with a token. Cheap to clone.
///
/// # Behavior
/// A request that is answered with 401 is sent once more with a renewed token; a second 401 is an answer.
///
/// On behalf of somebody ([`Keystone::on_behalf`]) his token goes along as `X-Auth-Token` and ours as `X-Service-Token`, which is the one that
/// is renewed: a service takes his expired token then, for as long as Keystone's `allow_expired_window` says.
#[derive(Clone)]
pub struct Service {
    keystone: Keystone,
    http: Http,
    url: String,
    caller: Option<HeaderValue>,
}

impl Service {
    pub(super) fn new(keystone: Keystone, http: Http, url: String) -> Self {
        Self { keystone, http, url, caller: None }
    }

    pub(super) fn on_behalf(self, caller: HeaderValue) -> Self {
        Self { caller: Some(caller), ..self }
    }

    fn authorize(&self, headers: &mut HeaderMap, token: &Token) {
        match &self.caller {
            Some(caller) => {
                headers.insert(X_AUTH_TOKEN, caller.clone());
                headers.insert(X_SERVICE_TOKEN, token.header().clone());
            }
            None => {
                headers.insert(X_AUTH_TOKEN, token.header().clone());
            }
        }
    }

    /// Its address, without a final slash.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The client that it is called by.
    pub fn http(&self) -> &Http {
        &self.http
    }

    /// Keystone, for what else is needed of a token.
    pub fn keystone(&self) -> &Keystone {
        &self.keystone
    }

    /// As [`Http::open`], with a token.
    ///
    /// # Errors
    /// As [`Http::open`] and [`Keystone::token`]; those of Keystone have the effect none.
    ///
    /// # Cancel safety
    /// As [`Http::open`].
    pub async fn open(&self, cx: &JobContext, call: &Call, mut request: Request<Vec<Bytes>>) -> Result<Response<Body>> {
        let token = self.keystone.token(cx).await?;
        self.authorize(request.headers_mut(), &token);
        let answer = self.http.open(cx, call, &request).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let earlier = call.changes && unsettled(&answer);
        drop(answer);
        let again = async {
            let renewed = self.keystone.renewed(cx, &token).await?;
            self.authorize(request.headers_mut(), &renewed);
            self.http.open(cx, call, &request).await
        };
        made_again(earlier, again.await)
    }

    /// As [`Http::fetch`], with a token.
    ///
    /// # Errors
    /// As [`Http::fetch`] and [`Keystone::token`]; those of Keystone have the effect none.
    ///
    /// # Cancel safety
    /// As [`Http::fetch`].
    pub async fn fetch(
        &self,
        cx: &JobContext,
        call: &Call,
        mut request: Request<Vec<Bytes>>,
        limit: u64,
    ) -> Result<Response<Bytes>> {
        let token = self.keystone.token(cx).await?;
        self.authorize(request.headers_mut(), &token);
        let answer = self.http.fetch(cx, call, &request, limit).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let earlier = call.changes && unsettled(&answer);
        let again = async {
            let renewed = self.keystone.renewed(cx, &token).await?;
            self.authorize(request.headers_mut(), &renewed);
            self.http.fetch(cx, call, &request, limit).await
        };
        made_again(earlier, again.await)
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("url", &self.url).finish_non_exhaustive()
    }
}
