//! How connections are made.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use backup_core::{Error, Result};

use crate::{CallLimits, codes};

/// How connections are made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpOptions {
    /// Certificates of authorities to trust besides the system's, as PEM.
    pub ca_file: Option<PathBuf>,
    /// Our certificate and its private key, as PEM, for services that ask who calls.
    pub identity_files: Option<(PathBuf, PathBuf)>,
}

impl HttpOptions {
    /// Sets [`HttpOptions::ca_file`].
    #[must_use]
    pub fn ca_file(mut self, file: Option<PathBuf>) -> Self {
        self.ca_file = file;
        self
    }

    /// Sets [`HttpOptions::identity_files`].
    #[must_use]
    pub fn identity_files(mut self, files: Option<(PathBuf, PathBuf)>) -> Self {
        self.identity_files = files;
        self
    }

    pub(super) fn client(&self, limits: &CallLimits) -> Result<reqwest::Client> {
        // What another crate of the build switches on in reqwest is switched off here where it would change what is sent or read.
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("backup/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(limits.stall())
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            // One connection for each parallel call, and none whose end ends them all.
            .http1_only()
            .tcp_nodelay(true)
            .tcp_keepalive(Duration::from_secs(15))
            .pool_max_idle_per_host(limits.parallel.max(1))
            // Shorter than what servers and balancers grant, so that a call seldom meets a connection that is just being closed.
            .pool_idle_timeout(Duration::from_secs(20));
        #[cfg(target_os = "linux")]
        {
            // A peer that is gone is noticed in the middle of a long upload too.
            builder = builder.tcp_user_timeout(limits.stall());
        }
        let authorities = self.authorities()?;
        if !authorities.is_empty() {
            builder = builder.tls_certs_merge(authorities);
        }
        if let Some(identity) = self.identity()? {
            builder = builder.identity(identity);
        }
        builder.build().map_err(|error| {
            let cause = super::failure::described(&error);
            // Certificates are looked into only here.
            let identity =
                || self.identity_files.as_ref().map(|(certificate, _)| format!("the certificate {}", certificate.display()));
            let files: Vec<String> = self.ca_file.as_deref().map(named).into_iter().chain(identity()).collect();
            refused(&if files.is_empty() { "the HTTP client".to_owned() } else { files.join(", ") }, &cause)
        })
    }

    fn identity(&self) -> Result<Option<reqwest::Identity>> {
        let Some((certificate, key)) = &self.identity_files else { return Ok(None) };
        let mut pem = Vec::new();
        for file in [certificate, key] {
            let read = std::fs::read(file).map_err(|error| refused(&format!("the file {}", file.display()), &error))?;
            pem.extend_from_slice(&read);
            pem.push(b'\n');
        }
        let identity = reqwest::Identity::from_pem(&pem).map_err(|error| {
            let files = format!("the certificate {} with the key {}", certificate.display(), key.display());
            refused(&files, &super::failure::described(&error))
        })?;
        Ok(Some(identity))
    }

    fn authorities(&self) -> Result<Vec<reqwest::Certificate>> {
        let Some(file) = &self.ca_file else { return Ok(Vec::new()) };
        let named = named(file);
        let pem = std::fs::read(file).map_err(|error| refused(&named, &error))?;
        let authorities = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| refused(&named, &error))?;
        if authorities.is_empty() { Err(refused(&named, &"it holds no certificate")) } else { Ok(authorities) }
    }
}

fn named(file: &Path) -> String {
    format!("the file of authorities {}", file.display())
}

fn refused(what: &str, why: &dyn fmt::Display) -> Error {
    Error::new(&codes::CONFIG, format!("{what}: {why}"))
}
