//! Calls to a service with a token.

use std::fmt;

use backup_core::{JobContext, Result};
use bytes::Bytes;
use http::{HeaderName, Request, Response, StatusCode};

use super::Keystone;
use crate::Call;
use crate::http::{Body, Http, made_again, unsettled};

const X_AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

/// A service of the catalogue, called with a token. Cheap to clone.
///
/// # Behavior
/// A request that is answered with 401 is sent once more with a renewed token; a second 401 is an answer.
#[derive(Clone)]
pub struct Service {
    keystone: Keystone,
    http: Http,
    url: String,
}

impl Service {
    pub(super) fn new(keystone: Keystone, http: Http, url: String) -> Self {
        Self { keystone, http, url }
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
        request.headers_mut().insert(X_AUTH_TOKEN, token.header().clone());
        let answer = self.http.open(cx, call, &request).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let earlier = call.changes && unsettled(&answer);
        drop(answer);
        let again = async {
            request.headers_mut().insert(X_AUTH_TOKEN, self.keystone.renewed(cx, &token).await?.header().clone());
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
        request.headers_mut().insert(X_AUTH_TOKEN, token.header().clone());
        let answer = self.http.fetch(cx, call, &request, limit).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let earlier = call.changes && unsettled(&answer);
        let again = async {
            request.headers_mut().insert(X_AUTH_TOKEN, self.keystone.renewed(cx, &token).await?.header().clone());
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
