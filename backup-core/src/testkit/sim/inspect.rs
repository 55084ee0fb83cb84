//! What a test sees and changes behind the back of the code under test. Nothing here is an operation, nothing fails, and
//! dead handles can do it too.

use bytes::{Bytes, BytesMut};

use super::SimStore;
use super::state::NewObject;
use super::trace::{Op, OpKind};
use crate::key::ObjectKey;
use crate::name::JobId;
use crate::store::ObjectMeta;

impl SimStore {
    /// Every visible object, in key order.
    pub fn objects(&self) -> Vec<(ObjectMeta, Bytes)> {
        self.with(|state| state.objects.iter().map(|(key, entry)| (entry.meta(key), entry.bytes.clone())).collect())
    }

    /// Every visible key, in order.
    pub fn keys(&self) -> Vec<String> {
        self.with(|state| state.objects.keys().map(ToString::to_string).collect())
    }

    /// The bytes of an object.
    pub fn raw_get(&self, key: &str) -> Option<Bytes> {
        self.with(|state| state.entry(key).map(|(_, entry)| entry.bytes))
    }

    /// Puts an object there, or replaces it, locked or not: another program's doing.
    ///
    /// # Panics
    /// When `key` is no valid key.
    pub fn raw_put(&self, key: &str, bytes: impl Into<Bytes>) {
        let key = ObjectKey::new(key).expect("a valid key");
        let now = self.shared.clock.now();
        let new = NewObject { key: key.clone(), bytes: bytes.into(), if_absent: false, retain_until: None };
        self.with(|state| {
            state.objects.remove(&key);
            state.create(new, now).map(drop).expect("the key is free")
        });
    }

    /// Removes an object, locked or not; false when it was not there.
    pub fn raw_delete(&self, key: &str) -> bool {
        self.with(|state| {
            let there = state.entry(key).is_some();
            state.put_back(key, None);
            there
        })
    }

    /// Flips one bit of a stored object for good.
    ///
    /// # Panics
    /// When there is no such object or byte.
    pub fn flip_bit(&self, key: &str, byte: u64, bit: u8) {
        self.with(|state| {
            let (key, mut entry) = state.entry(key).unwrap_or_else(|| panic!("{key} is not in the store"));
            let mut bytes = BytesMut::from(&entry.bytes[..]);
            bytes[usize::try_from(byte).expect("an offset")] ^= 1 << (bit % 8);
            entry.bytes = bytes.freeze();
            state.objects.insert(key, entry);
        });
    }

    /// How many writers were neither finished nor aborted and not swept away yet, living ones included.
    pub fn unfinished(&self) -> usize {
        self.with(|state| state.unfinished.len())
    }

    /// The key, owner and bytes so far of each unfinished writer.
    pub fn unfinished_writers(&self) -> Vec<(ObjectKey, JobId, u64)> {
        let view = |left: &super::state::Unfinished| (left.key.clone(), left.owner.clone(), left.data.len() as u64);
        self.with(|state| state.unfinished.values().map(view).collect())
    }

    /// Every operation of every process since the store was made, or since [`SimStore::clear_trace`].
    pub fn trace(&self) -> Vec<Op> {
        self.with(|state| state.trace.clone())
    }

    /// Forgets the trace; [`SimStore::op_count`] goes on.
    pub fn clear_trace(&self) {
        self.with(|state| state.trace.clear());
    }

    /// How many operations of a kind the trace holds.
    pub fn count(&self, kind: OpKind) -> usize {
        self.with(|state| state.trace.iter().filter(|op| op.kind == kind).count())
    }

    /// Lets everything that lags or is on its way arrive: listings show what is there, late effects take place.
    pub fn settle(&self) {
        self.with(|state| {
            state.arrive(std::time::Duration::MAX);
            state.ghosts.clear();
            for entry in state.objects.values_mut() {
                entry.hidden_until = 0;
            }
        });
    }
}
