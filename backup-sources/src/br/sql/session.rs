//! A connection to TiDB.

use std::future::Future;
use std::path::Path;

use backup_core::{Error, JobContext, Result};
use futures::future::BoxFuture;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Row, SslOpts};
use rustls::crypto::CryptoProvider;

use super::super::codes;
use super::super::config::SqlConfig;
use super::clean::Cleaner;
use super::failure::Fault;

/// After so long without a byte, the system asks whether the other side is still there: a backup is silent for hours.
const KEEPALIVE: std::time::Duration = std::time::Duration::from_secs(30);
/// What MySQL's protocol allows at most.
const PACKET: usize = 64 << 20;

/// A connection, with what is needed to make sense of its errors.
pub(super) struct Session<'a> {
    conn: Conn,
    config: &'a SqlConfig,
    cleaner: &'a Cleaner,
}

impl<'a> Session<'a> {
    /// Connects and logs in, within `timeout`.
    ///
    /// # Errors
    /// `br.unreachable`, `br.login`, `br.denied`, `br.config`, those of `cx`.
    pub(super) async fn open(cx: &JobContext, config: &'a SqlConfig, cleaner: &'a Cleaner) -> Result<Self> {
        let options = options(config).await?;
        let conn = short(cx, config, cleaner, Conn::new(options)).await?;
        Ok(Self { conn, config, cleaner })
    }

    /// The rows of a short statement, within `timeout`. A session whose call failed or was dropped is to be given up.
    pub(super) async fn rows(&mut self, cx: &JobContext, sql: &str) -> Result<Vec<Row>> {
        short(cx, self.config, self.cleaner, self.conn.query(sql.to_owned())).await
    }

    /// The rows of a statement that takes as long as it takes.
    pub(super) fn statement(&mut self, sql: String) -> BoxFuture<'_, Result<Vec<Row>, Fault>> {
        let (config, cleaner) = (self.config, self.cleaner);
        Box::pin(async move { self.conn.query(sql).await.map_err(|error| Fault::of(error, &config.address, cleaner)) })
    }
}

async fn short<T>(
    cx: &JobContext,
    config: &SqlConfig,
    cleaner: &Cleaner,
    work: impl Future<Output = mysql_async::Result<T>>,
) -> Result<T> {
    let limited = async {
        tokio::select! {
            result = work => result.map_err(|error| Fault::of(error, &config.address, cleaner).into_error()),
            () = cx.clock().sleep(config.timeout) => {
                Err(Error::new(&codes::UNREACHABLE, format!("TiDB at {}: no answer within {:?}", config.address, config.timeout)))
            }
        }
    };
    cx.run(limited).await
}

async fn options(config: &SqlConfig) -> Result<OptsBuilder> {
    let wrong = || Error::new(&codes::CONFIG, format!("`address` is not `host:port`: {}", config.address));
    let (host, port) = config.address.rsplit_once(':').ok_or_else(wrong)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port: u16 = port.parse().map_err(|_| wrong())?;
    if host.is_empty() {
        return Err(wrong());
    }
    let tls = match &config.ca_file {
        Some(file) => Some(trusting(file).await?),
        None => None,
    };
    Ok(OptsBuilder::default()
        .ip_or_hostname(host)
        .tcp_port(port)
        .user(Some(&config.user))
        .pass(Some(config.password.expose()))
        .ssl_opts(tls)
        .tcp_keepalive(Some(KEEPALIVE))
        .stmt_cache_size(0)
        // With these three it asks the server for nothing on its own.
        .prefer_socket(false)
        .max_allowed_packet(Some(PACKET))
        .wait_timeout(Some(28_800)))
}

/// TLS with the authorities of that file alone.
async fn trusting(file: &Path) -> Result<SslOpts> {
    let authorities = tokio::fs::read(file)
        .await
        .map_err(|error| Error::new(&codes::CONFIG, format!("`ca-file` {} cannot be read", file.display())).with_source(error))?;
    if CryptoProvider::get_default().is_none() {
        // Somebody else may be quicker; then there is one, too.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    }
    Ok(SslOpts::default().with_root_certs(vec![authorities.into()]).with_disable_built_in_roots(true))
}
