//! A client of exactly one member, and what its errors mean.

use std::error::Error as StdError;
use std::future::Future;
use std::path::Path;
use std::time::Duration;

use backup_core::error::codes as core_codes;
use backup_core::{Error, JobContext, Result};
use etcd_client::{Certificate, Client, ConnectOptions, Identity, TlsOptions};
use futures::future::BoxFuture;

use super::codes;
use super::config::{EtcdConfig, set};

/// Between two HTTP/2 pings. etcd refuses pings that come more often than every 5 s.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Connects to one member and logs in when a user is configured.
pub(super) async fn connect(cx: &JobContext, config: &EtcdConfig, endpoint: &str) -> Result<Client> {
    let options = options(config, endpoint).await?;
    if config.username.is_empty() {
        return call(cx, config, endpoint, "connecting to", dial(endpoint, options)).await;
    }
    let with_user = options.clone().with_user(&config.username, config.password.expose()).with_auto_token_refresh(true);
    match call(cx, config, endpoint, "logging in to", dial(endpoint, with_user)).await {
        // etcdctl, too, goes on without the user then.
        Err(error) if error.message().contains("authentication is not enabled") => {
            tracing::debug!(endpoint, "authentication is not enabled; the configured user is not used");
            call(cx, config, endpoint, "connecting to", dial(endpoint, options)).await
        }
        result => result,
    }
}

/// Boxed, and in a function of its own: the future is so large that the layers around it, each with copies of its own in an
/// unoptimised build, would fill a thread's stack.
fn dial(endpoint: &str, options: ConnectOptions) -> BoxFuture<'_, Result<Client, etcd_client::Error>> {
    Box::pin(Client::connect([endpoint], Some(options)))
}

/// One short call, bounded by `timeout`, with its error explained.
pub(super) async fn call<T>(
    cx: &JobContext,
    config: &EtcdConfig,
    endpoint: &str,
    doing: &str,
    work: impl Future<Output = Result<T, etcd_client::Error>>,
) -> Result<T> {
    let limit = config.timeout;
    let late = || Error::new(&codes::UNREACHABLE, format!("{doing} etcd at {endpoint} took longer than {limit:?}"));
    within(cx, limit, late, async { work.await.map_err(|error| explain(&error, endpoint, doing)) }).await
}

/// Waits for `work` at most `limit` by the job's clock.
pub(super) async fn within<T>(
    cx: &JobContext,
    limit: Duration,
    late: impl FnOnce() -> Error,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    cx.run(async {
        tokio::select! {
            biased;
            result = work => result,
            () = cx.clock().sleep(limit) => Err(late()),
        }
    })
    .await
}

async fn options(config: &EtcdConfig, endpoint: &str) -> Result<ConnectOptions> {
    let options = ConnectOptions::new().with_connect_timeout(config.timeout).with_keep_alive(KEEP_ALIVE, config.stall_timeout);
    if !endpoint.starts_with("https://") {
        return Ok(options);
    }
    let mut tls = TlsOptions::new();
    tls = match pem("tls-ca", &config.tls_ca_file, &config.tls_ca).await? {
        Some(ca) => tls.ca_certificate(Certificate::from_pem(ca)),
        None => tls.with_native_roots(),
    };
    // A pair of files wins over a pair of texts; that neither is half was checked at the start.
    let cert = pem("tls-cert", &config.tls_cert_file, &config.tls_cert).await?;
    if let Some(cert) = cert {
        let key_file: &Path = if set(&config.tls_cert_file) { &config.tls_key_file } else { Path::new("") };
        let key = pem("tls-key", key_file, config.tls_key.expose()).await?.unwrap_or_default();
        tls = tls.identity(Identity::from_pem(cert, key));
    }
    Ok(options.with_tls(tls))
}

/// The PEM of a file, read anew for each connection so that renewed certificates are used, or else the text.
async fn pem(key: &str, file: &Path, text: &str) -> Result<Option<Vec<u8>>> {
    let (pem, from) = if set(file) {
        let read = tokio::fs::read(file).await.map_err(|error| {
            Error::new(&core_codes::INPUT_INVALID, format!("{key}-file: {} cannot be read", file.display())).with_source(error)
        })?;
        (read, format!("{key}-file: {}", file.display()))
    } else if text.is_empty() {
        return Ok(None);
    } else {
        (text.as_bytes().to_vec(), key.to_owned())
    };
    let begins: &[u8] = b"-----BEGIN ";
    if !pem.windows(begins.len()).any(|window| window == begins) {
        return Err(Error::new(&core_codes::INPUT_INVALID, format!("{from} is not PEM")));
    }
    Ok(Some(pem))
}

/// gRPC status codes (grpc.github.io, "Status codes and their use in gRPC").
mod grpc {
    pub(super) const UNKNOWN: i32 = 2;
    pub(super) const DEADLINE_EXCEEDED: i32 = 4;
    pub(super) const PERMISSION_DENIED: i32 = 7;
    pub(super) const UNAVAILABLE: i32 = 14;
    pub(super) const UNAUTHENTICATED: i32 = 16;
}

/// What a client's error means, in words of the field. Neither user nor password is ever part of it.
pub(super) fn explain(error: &etcd_client::Error, endpoint: &str, doing: &str) -> Error {
    let (code, cause) = match error {
        etcd_client::Error::GRpcStatus(status) => {
            (i32::from(status.code()), with_causes(status.message().to_owned(), StdError::source(status)))
        }
        // The crate's own error names no source.
        etcd_client::Error::TransportError(error) => (grpc::UNAVAILABLE, with_causes(error.to_string(), error.source())),
        other => (grpc::UNAVAILABLE, other.to_string()),
    };
    let cause_lower = cause.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| cause_lower.contains(word));
    // What a member answered has a code of its own; only a broken connection can be about TLS.
    let answered = ![grpc::UNKNOWN, grpc::UNAVAILABLE].contains(&code);
    let code = if !answered && says(&["certificate", "native certs", "handshake", "tls", "fatal alert"]) {
        &codes::TLS
    } else if says(&["invalid user id or password", "user name is empty", "invalid auth token", "user name not found"]) {
        &codes::LOGIN
    } else if says(&["permission denied"]) {
        // 3.5 and later answer a snapshot without a status code of its own.
        &codes::DENIED
    } else {
        match code {
            grpc::UNAUTHENTICATED => &codes::LOGIN,
            grpc::PERMISSION_DENIED => &codes::DENIED,
            grpc::UNAVAILABLE | grpc::DEADLINE_EXCEEDED => &codes::UNREACHABLE,
            _ if says(&["connection", "broken pipe", "stream closed", "transport error"]) => &codes::UNREACHABLE,
            _ => &codes::FAILED,
        }
    };
    // TLS 1.3 lets a client finish its handshake before the server has judged its certificate; the verdict then sometimes
    // arrives as a mere end of the connection.
    let cut_off =
        says(&["connection closed", "connection reset", "broken pipe", "connection error"]) && !doing.starts_with("receiving");
    let hint = match endpoint.starts_with("https://") && code.name == codes::UNREACHABLE.name && cut_off {
        true => "; perhaps it wants another client certificate (tls-cert-file, tls-key-file)",
        false => "",
    };
    Error::new(code, format!("{doing} etcd at {endpoint} failed: {cause}{hint}"))
}

/// A text and those of its causes, each said once.
fn with_causes(mut text: String, mut cause: Option<&(dyn StdError + 'static)>) -> String {
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(if text.is_empty() { "" } else { ": " });
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}
