//! Optional authentication: Basic, Bearer, client certificate.

mod check;
mod config;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request, Response, StatusCode};
use axum::response::IntoResponse;
use backup_core::Result;
use futures::future::Either;
use tower::{Layer, Service};

pub use config::{AuthConfig, BasicUser, BearerToken, CertificateRule};

use crate::Peer;
use check::Checker;

/// Who a request comes from; in the extensions of a request that was let in by [`Auth`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Principal {
    /// A user with a password.
    User(String),
    /// The holder of a token, by the name that the configuration gives.
    Token(String),
    /// A client certificate, by the name that let it in.
    Certificate(String),
}

impl Principal {
    fn user(name: &str) -> Self {
        Self::User(name.to_owned())
    }

    fn token(name: &str) -> Self {
        Self::Token(name.to_owned())
    }

    fn certificate(name: &str) -> Self {
        Self::Certificate(name.to_owned())
    }
}

type Render = dyn Fn(&Parts) -> Response<Body> + Send + Sync;

/// A layer that lets only authenticated requests through.
///
/// # Behavior
/// Anything else is answered with 401 and a `WWW-Authenticate` for each configured scheme, or with 403 when only
/// certificates are configured (there is nothing that the client could send again). Unknown paths are hidden behind it,
/// too. The request's body is not read. No credential is logged or kept: entries are compared as digests, each of them,
/// in constant time, so an unknown user costs what a wrong password costs.
///
/// Put it inside of [`AccessLog`](crate::access::AccessLog) and outside of everything else. On a part of a router use
/// `Router::route_layer`: `Router::layer` covers the part's fallback, too, which a merge hands on to the whole.
#[derive(Clone)]
pub struct Auth(Arc<Inner>);

struct Inner {
    checker: Checker,
    exempt: Vec<String>,
    challenges: Vec<HeaderValue>,
    render: Box<Render>,
}

impl Auth {
    /// # Errors
    /// `http.config_invalid` for a configuration that lets nobody in or cannot mean what it says.
    pub fn new(config: &AuthConfig) -> Result<Self> {
        Self::rendering(config, |_| "unauthorized\n".into_response())
    }

    /// As [`Auth::new`], with refusals in a dialect's own form; status and challenges are set afterwards.
    ///
    /// # Errors
    /// As [`Auth::new`].
    pub fn rendering(config: &AuthConfig, render: impl Fn(&Parts) -> Response<Body> + Send + Sync + 'static) -> Result<Self> {
        config.check()?;
        let schemes = [(!config.basic.is_empty(), "Basic", ", charset=\"UTF-8\""), (!config.bearer.is_empty(), "Bearer", "")];
        let challenges = schemes
            .iter()
            .filter(|(on, ..)| *on)
            .filter_map(|(_, scheme, more)| HeaderValue::from_str(&format!("{scheme} realm=\"{}\"{more}", config.realm)).ok())
            .collect();
        let checker = Checker::new(config);
        Ok(Self(Arc::new(Inner { checker, exempt: config.exempt.clone(), challenges, render: Box::new(render) })))
    }
}

impl Inner {
    fn refuse(&self, request: Request<Body>) -> Response<Body> {
        let (parts, _) = request.into_parts();
        let mut answer = (self.render)(&parts);
        *answer.status_mut() = if self.challenges.is_empty() { StatusCode::FORBIDDEN } else { StatusCode::UNAUTHORIZED };
        for challenge in &self.challenges {
            answer.headers_mut().append(WWW_AUTHENTICATE, challenge.clone());
        }
        answer
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").field("exempt", &self.0.exempt).field("challenges", &self.0.challenges).finish_non_exhaustive()
    }
}

impl<S> Layer<S> for Auth {
    type Service = Authenticated<S>;

    fn layer(&self, inner: S) -> Authenticated<S> {
        Authenticated { inner, auth: self.clone() }
    }
}

/// The service that [`Auth`] makes.
#[derive(Debug, Clone)]
pub struct Authenticated<S> {
    inner: S,
    auth: Auth,
}

impl<S> Service<Request<Body>> for Authenticated<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<Ready<Result<Response<Body>, S::Error>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let auth = &self.auth.0;
        match auth.checker.principal(request.headers(), request.extensions().get::<Peer>()) {
            Some(principal) => {
                request.extensions_mut().insert(principal);
            }
            None if auth.exempt.iter().any(|path| path == request.uri().path()) => {}
            None => return Either::Left(ready(Ok(auth.refuse(request)))),
        }
        Either::Right(self.inner.call(request))
    }
}
