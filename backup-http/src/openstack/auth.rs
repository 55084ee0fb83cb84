//! Who asks.

use axum::http::{HeaderMap, HeaderName};
use backup_core::Secret;

use super::errors::Failure;
use super::id::is_project;
use super::{Caller, Inner};

const TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

/// Bytes of a token at most: Keystone's are below a thousand, and a JWS one below a few.
const LONGEST: usize = 16 * 1024;

impl Inner {
    /// # Errors
    /// 401 without a token that counts for a project; 503 while Keystone cannot be asked.
    pub(super) async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Failure> {
        let rejected = || Failure::unauthorized("Token validation failed!");
        let mut given = headers.get_all(TOKEN).iter();
        let token = match (given.next(), given.next()) {
            (Some(token), None) => token.to_str().map_err(|_| rejected())?,
            (None, _) => "",
            (Some(_), Some(_)) => return Err(rejected()),
        };
        if token.is_empty() {
            return Err(Failure::unauthorized("Auth token is missing!"));
        }
        if token.len() > LONGEST || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(rejected());
        }
        let (cx, token) = (self.looking(), Secret::new(token));
        let caller = cx.run(self.cloud.validate(&cx, &token)).await.map_err(|error| {
            tracing::warn!(%error, "a token could not be validated");
            Failure::new(axum::http::StatusCode::SERVICE_UNAVAILABLE, "The token cannot be validated now!")
        })?;
        caller.filter(|caller| is_project(&caller.project_id) && caller.expires > self.now()).ok_or_else(rejected)
    }
}
