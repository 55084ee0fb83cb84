//! What passed through the proxy.

use std::sync::atomic::{AtomicU64, Ordering};

use backup_core::digest::{Digest, Hasher};
use tokio::sync::watch;

use super::head::RequestHead;

/// A request as the proxy saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seen {
    /// Its method.
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    /// Whether the server got at least its head.
    pub passed_on: bool,
    /// Whether a rule was for it.
    pub chosen: bool,
    /// The length of its body, without the frames of a chunked one, when the whole of it came.
    pub bytes: Option<u64>,
    /// The digest of its body, when the whole of it came.
    pub digest: Option<Digest>,
    /// What was answered, by the server or the proxy; a lost answer counts.
    pub status: Option<u16>,
}

impl Seen {
    /// Whether it has this method and `target` in its own. An empty text matches all.
    pub fn matches(&self, method: &str, target: &str) -> bool {
        (method.is_empty() || self.method == method) && self.target.contains(target)
    }
}

#[derive(Debug, Default)]
pub(super) struct Log {
    seen: watch::Sender<Vec<Seen>>,
    accepted: AtomicU64,
}

/// A request's place in the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place(usize);

impl Log {
    pub(super) fn connected(&self) {
        self.accepted.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::SeqCst)
    }

    pub(super) fn add(&self, head: &RequestHead, chosen: bool) -> Place {
        let (method, target) = (head.method.clone(), head.target.clone());
        let seen = Seen { method, target, passed_on: false, chosen, bytes: None, digest: None, status: None };
        let mut place = Place(0);
        self.seen.send_modify(|all| {
            place = Place(all.len());
            all.push(seen);
        });
        place
    }

    pub(super) fn change(&self, place: Place, change: impl FnOnce(&mut Seen)) {
        self.seen.send_modify(|all| change(&mut all[place.0]));
    }

    pub(super) fn all(&self) -> Vec<Seen> {
        self.seen.borrow().clone()
    }

    pub(super) async fn wait_for(&self, mut enough: impl FnMut(&[Seen]) -> bool) {
        // The sender lives as long as `self`.
        let _ = self.seen.subscribe().wait_for(|all| enough(all)).await;
    }
}

/// Counts and digests a body on its way.
#[derive(Default)]
pub(super) struct Tally {
    bytes: u64,
    hasher: Hasher,
}

impl Tally {
    pub(super) fn add(&mut self, data: &[u8]) {
        self.bytes += data.len() as u64;
        self.hasher.update(data);
    }

    pub(super) fn finish(self) -> (u64, Digest) {
        (self.bytes, self.hasher.finish())
    }
}
