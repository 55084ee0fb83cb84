//! The line of a request.

use axum::http::{Method, Request, StatusCode};
use tokio::time::Instant;

use super::RequestId;
use super::escape::escaped;
use crate::Peer;

/// Characters of a path that are logged.
const PATH: usize = 256;

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Whole,
    Failed,
    Dropped,
}

/// What is known of a request so far; written when it is dropped.
#[derive(Debug)]
pub(super) struct Line {
    method: Method,
    path: String,
    id: RequestId,
    remote: Option<Peer>,
    started: Instant,
    status: Option<StatusCode>,
    pub(super) bytes: u64,
    pub(super) end: End,
}

impl Line {
    pub(super) fn of<B>(request: &Request<B>, id: RequestId) -> Self {
        Self {
            method: request.method().clone(),
            path: escaped(request.uri().path(), PATH),
            id,
            remote: request.extensions().get().cloned(),
            started: Instant::now(),
            status: None,
            bytes: 0,
            end: End::Dropped,
        }
    }

    pub(super) fn answered(&mut self, status: StatusCode) {
        self.status = Some(status);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // 499 as nginx writes it: the client was gone before there was an answer.
        let status = self.status.map_or(499, |status| status.as_u16());
        let method = escaped(self.method.as_str(), 32);
        let remote = self.remote.as_ref().map(|peer| tracing::field::display(peer.address));
        let duration_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let end = match self.end {
            End::Whole => "whole",
            End::Failed => "failed",
            End::Dropped => "dropped",
        };
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "backup_http::access",
                    %method, path = %self.path, status, bytes = self.bytes, duration_ms, request_id = %self.id, remote, end,
                    "request"
                )
            };
        }
        if status >= 500 || self.end == End::Failed {
            line!(error);
        } else if status >= 400 {
            line!(warn);
        } else {
            line!(info);
        }
    }
}
