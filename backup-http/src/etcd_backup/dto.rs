//! The bodies of this dialect, as JSON.

use serde::Serialize;
use utoipa::ToSchema;

/// A backup was made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Saved {
    /// Always `backup successfully`.
    #[schema(example = "backup successfully")]
    pub(super) message: &'static str,
    /// The name to download it by.
    #[schema(example = "snapshot-20181220_024105.tar.gz")]
    pub(super) filename: String,
    /// Bytes of the file.
    #[schema(example = 125_927)]
    pub(super) filesize: u64,
}

/// A request failed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Failure {
    /// What failed.
    #[schema(example = "failed to save an etcd backup")]
    pub(super) message: &'static str,
    /// Why.
    pub(super) error: String,
    /// The status of the answer.
    #[schema(example = 500)]
    pub(super) status: u16,
    /// `X-Cybozu-Request-ID` of the request, or else an id made for it. Stands in the server's log, too.
    #[schema(example = "5f1d7a84db00d2fce00b31a7fc73224f")]
    pub(super) request_id: String,
}
