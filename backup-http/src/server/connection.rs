//! One connection, from its first byte to its end.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use axum::http::{HeaderValue, Request, Response, StatusCode, Version};
use axum::response::IntoResponse;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::watch::{Verdict, Watch};
use crate::Peer;
use crate::limits::Limits;

/// Streams of one HTTP/2 connection at once.
const STREAMS: u32 = 64;

/// hyper under the limits; both protocols, told apart by the first bytes.
pub(super) fn builder(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_read_timeout)
        .max_buf_size(limits.header_bytes)
        .keep_alive(true);
    // hyper keeps 100 of them on the stack; any other number costs an allocation a request.
    if limits.header_count != 100 {
        builder.http1().max_headers(limits.header_count);
    }
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .max_send_buf_size(128 * 1024);
    builder
}

/// Serves a connection until it ends, is idle or stalled for too long, or is cut.
pub(super) async fn serve(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    builder: Arc<Builder<TokioExecutor>>,
    router: Router,
    peer: Peer,
    watch: Arc<Watch>,
    shutdown: CancellationToken,
) {
    let service = service_fn({
        let (watch, peer) = (Arc::clone(&watch), peer.clone());
        move |request: Request<Incoming>| answer(router.clone(), request, peer.clone(), Arc::clone(&watch))
    });
    let connection = builder.serve_connection(TokioIo::new(io), service);
    tokio::pin!(connection);
    let mut look = tokio::time::interval(watch.period());
    let mut leaving = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(remote = %peer.address, error = %error, "a connection ended");
                }
                return;
            }
            () = shutdown.cancelled(), if !leaving => {
                leaving = true;
                connection.as_mut().graceful_shutdown();
            }
            _ = look.tick() => match watch.verdict() {
                Verdict::Keep => {}
                // HTTP/2 says goodbye first; whoever does not take that is cut at the next look.
                Verdict::Idle if !leaving => {
                    leaving = true;
                    connection.as_mut().graceful_shutdown();
                }
                Verdict::Idle => return,
                Verdict::Stalled => {
                    tracing::info!(remote = %peer.address, "cut a connection whose client takes nothing");
                    return;
                }
            }
        }
    }
}

async fn answer(
    router: Router,
    mut request: Request<Incoming>,
    peer: Peer,
    watch: Arc<Watch>,
) -> Result<Response<Body>, Infallible> {
    let guard = watch.begin();
    let http1 = request.version() <= Version::HTTP_11;
    // RFC 9112 section 3.2: without exactly one, nobody knows which server a proxy before us had in mind.
    if request.version() == Version::HTTP_11 && request.headers().get_all(HOST).iter().count() != 1 {
        return Ok(StatusCode::BAD_REQUEST.into_response());
    }
    // Section 6.1: when a length came beside it (hyper has dropped that), a proxy may see another end of this request than we
    // do, so what follows it is never taken for a request.
    let last = http1 && request.headers().contains_key(TRANSFER_ENCODING);
    request.extensions_mut().insert(peer);
    let mut answer = router.oneshot(request).await?;
    if last {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(answer.map(|body| Body::new(guard.answered(body))))
}
