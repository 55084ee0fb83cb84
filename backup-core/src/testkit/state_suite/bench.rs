//! What every check works with.

use std::sync::Arc;

use bytes::Bytes;

pub(super) use super::super::suite::promise;
use super::StateFactory;
use crate::error::Result;
use crate::lease::Lease;
use crate::state::{Entry, Expected, State};

pub(super) struct Bench<'a> {
    factory: &'a dyn StateFactory,
    pub(super) state: Arc<dyn State>,
}

impl<'a> Bench<'a> {
    pub(super) async fn new(factory: &'a dyn StateFactory) -> Self {
        Self { factory, state: factory.fresh().await }
    }

    /// The process ends in good order, and the next one begins.
    pub(super) async fn reopen(self) -> Self {
        drop(self.state);
        Self { factory: self.factory, state: self.factory.reopen().await }
    }

    pub(super) async fn get(&self, key: &str) -> Option<Entry> {
        must(&format!("get of {key:?}"), self.state.get(key).await)
    }

    pub(super) async fn change(&self, key: &str, expected: Expected, value: Option<&str>) -> bool {
        let value = value.map(|value| Bytes::copy_from_slice(value.as_bytes()));
        must(&format!("a change of {key:?}"), self.state.compare_and_set(key, expected, value).await)
    }

    /// Sets a value whatever was there, and gives its version.
    pub(super) async fn set(&self, key: &str, value: &str) -> u64 {
        promise!(self.change(key, Expected::Any, Some(value)).await, "a change of {key:?} that expects anything must happen");
        let entry = self.get(key).await.unwrap_or_else(|| panic!("{key:?} must be there after it was set"));
        promise!(entry.value == value.as_bytes(), "{key:?} must hold {value:?}, not {:?}", entry.value);
        entry.version
    }

    /// Keys and values of a range.
    pub(super) async fn range(&self, prefix: &str, after: Option<&str>, limit: usize) -> Vec<String> {
        let entries = must(&format!("a range of {prefix:?}"), self.state.range(prefix, after, limit).await);
        entries.into_iter().map(|(key, _)| key).collect()
    }

    pub(super) async fn lease(&self, name: &str) -> Box<dyn Lease> {
        self.try_lease(name).await.unwrap_or_else(|| panic!("the free lease {name:?} must be given"))
    }

    pub(super) async fn try_lease(&self, name: &str) -> Option<Box<dyn Lease>> {
        must(&format!("lease of {name:?}"), self.state.lease(name).await)
    }
}

pub(super) fn must<T>(what: &str, result: Result<T>) -> T {
    result.unwrap_or_else(|error| panic!("{what} must work: {error}"))
}
