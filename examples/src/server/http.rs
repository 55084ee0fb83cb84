//! The HTTP side of a server.

use axum::Router;
use backup_core::Result;
use backup_core::service::BackupService;
use backup_http::access::AccessLog;
use backup_http::auth::{Auth, AuthConfig};
use backup_http::fallback::catch_panics;
use backup_http::limits::{Limits, RequestLimits};
use backup_http::observe::{Metrics, Observe};
use backup_http::server::{Listen, Server, ServerConfig};
use backup_http::tls::TlsConfig;

use super::Dialect;

/// Where a server listens, and for whom.
#[derive(Debug, Clone, Default)]
pub struct HttpConfig {
    /// The key `listen`.
    pub listen: Listen,
    /// The block `tls`; plain HTTP without it.
    pub tls: Option<TlsConfig>,
    /// The block `auth`; everybody is let in without it.
    pub auth: Option<AuthConfig>,
    /// The block `limits`.
    pub limits: Limits,
}

impl HttpConfig {
    /// Listens. Nothing is served before the router is there; who connects meanwhile waits.
    pub(crate) async fn bind(&self) -> Result<Server> {
        let config = ServerConfig::new(self.listen.clone());
        Server::bind(config.limits(self.limits.clone()).tls(self.tls.clone())).await
    }

    /// All routes of the server, with all that stands before them.
    pub(crate) fn router(&self, dialect: Dialect, metrics: &Metrics, service: BackupService) -> Result<Router> {
        let Dialect { router, not_found, openapi, request_id, dress, .. } = dialect;
        let observe = Observe::new(metrics.clone(), openapi);
        observe.ready(service);
        let mut router = router
            .merge(observe.router())
            .fallback(not_found)
            .layer(catch_panics())
            .layer(metrics.http())
            .layer(RequestLimits::new(&self.limits));
        if let Some(auth) = &self.auth {
            router = router.layer(Auth::new(auth)?);
        }
        let router = router.layer(request_id.into_iter().fold(AccessLog::new(), AccessLog::id_header));
        Ok(dress.into_iter().fold(router, |router, dress| dress(router)))
    }
}
