//! What the cluster takes, as `/info` says.

use backup_core::{JobContext, Result};
use backup_remote::Call;
use backup_remote::http::{Http, http};
use bytes::Bytes;
use serde::Deserialize;

const ANSWER: u64 = 1 << 20;

/// What the cluster takes. The defaults are Swift's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Bytes of one object that is not made of segments.
    pub(super) object: u64,
    pub(super) name: usize,
    /// Entries of a page.
    pub(super) page: usize,
    pub(super) large: Option<Large>,
    /// Names of one bulk delete.
    pub(super) deletes: Option<usize>,
}

/// Static large objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Large {
    /// Entries of a manifest.
    pub(super) segments: usize,
    /// Bytes of a manifest.
    pub(super) manifest: usize,
    /// Bytes of a segment that is not the last.
    pub(super) smallest: u64,
}

impl Default for Large {
    fn default() -> Self {
        Self { segments: 1000, manifest: 8 << 20, smallest: 1 }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { object: 5 << 30, name: 1024, page: 10_000, large: Some(Large::default()), deletes: None }
    }
}

#[derive(Deserialize)]
struct Info {
    swift: Swift,
    slo: Option<Slo>,
    bulk_delete: Option<BulkDelete>,
}

#[derive(Deserialize)]
struct Swift {
    max_file_size: Option<u64>,
    max_object_name_length: Option<usize>,
    container_listing_limit: Option<usize>,
}

#[derive(Deserialize)]
struct Slo {
    max_manifest_segments: Option<usize>,
    max_manifest_size: Option<usize>,
    min_segment_size: Option<u64>,
}

#[derive(Deserialize)]
struct BulkDelete {
    max_deletes_per_request: Option<usize>,
}

impl Limits {
    /// Asks the cluster; Swift's defaults where it does not tell.
    pub(super) async fn of(http: &Http, cx: &JobContext, account: &str) -> Result<Self> {
        // The account's address is `<cluster>/v1/AUTH_<project>`.
        let Some((cluster, _)) = account.rsplit_once("/v1/") else { return Ok(Self::default()) };
        let Ok(request) = http::Request::builder().uri(format!("{cluster}/info")).body(Vec::<Bytes>::new()) else {
            return Ok(Self::default());
        };
        let answer = http.fetch(cx, &Call::reading("GetInfo"), &request, ANSWER).await?;
        if !answer.status().is_success() {
            tracing::debug!(status = %answer.status(), "the cluster does not tell its limits");
            return Ok(Self::default());
        }
        Ok(Self::read(answer.body()).unwrap_or_default())
    }

    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let info: Info = serde_json::from_slice(body).ok()?;
        let default = Self::default();
        let large = info.slo.map(|slo| {
            let default = Large::default();
            Large {
                // Two at least, or nesting leads nowhere.
                segments: slo.max_manifest_segments.unwrap_or(default.segments).max(2),
                manifest: slo.max_manifest_size.unwrap_or(default.manifest),
                smallest: slo.min_segment_size.unwrap_or(default.smallest),
            }
        });
        Some(Self {
            object: info.swift.max_file_size.unwrap_or(default.object),
            name: info.swift.max_object_name_length.unwrap_or(default.name),
            page: info.swift.container_listing_limit.unwrap_or(default.page).max(1),
            large,
            deletes: info.bulk_delete.and_then(|bulk| bulk.max_deletes_per_request).filter(|count| *count > 1),
        })
    }
}
