//! What the store's machine holds.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};

use super::trace::{CrashMode, Op};
use crate::error::{Error, Result, codes};
use crate::key::{KeyPrefix, ObjectKey};
use crate::name::JobId;
use crate::store::ObjectMeta;
use crate::testkit::{FaultPlan, SeededRandom};

/// An effect that is still on its way to the store.
type LateEffect = Box<dyn FnOnce(&mut State) + Send>;

pub(super) struct State {
    pub(super) objects: BTreeMap<ObjectKey, Entry>,
    pub(super) unfinished: BTreeMap<u64, Unfinished>,
    pub(super) processes: Vec<Process>,
    pub(super) trace: Vec<Op>,
    pub(super) faults: FaultPlan,
    pub(super) late: Vec<(Duration, LateEffect)>,
    /// Deleted objects that lagging listings still show, until so many listings were begun.
    pub(super) ghosts: BTreeMap<ObjectKey, (ObjectMeta, u64)>,
    pub(super) listings: u64,
    pub(super) jitter: Option<SeededRandom>,
    pub(super) durable_at_once: bool,
    pub(super) decides_races: bool,
    pub(super) list_page: usize,
    pub(super) read_piece: usize,
    pub(super) external: Option<String>,
    last_number: u64,
}

#[derive(Default)]
pub(super) struct Process {
    pub(super) ops: u64,
    pub(super) crash_at: Option<(u64, CrashMode)>,
    pub(super) dead: bool,
}

#[derive(Clone)]
pub(super) struct Entry {
    pub(super) bytes: Bytes,
    pub(super) modified: DateTime<Utc>,
    pub(super) version: u64,
    pub(super) durable: bool,
    pub(super) retain_until: Option<DateTime<Utc>>,
    /// Listings up to this one do not show the object.
    pub(super) hidden_until: u64,
}

impl Entry {
    pub(super) fn meta(&self, key: &ObjectKey) -> ObjectMeta {
        ObjectMeta::new(key.clone(), self.bytes.len() as u64)
            .modified(Some(self.modified))
            .etag(Some(format!("\"{}\"", self.version)))
    }
}

/// What a writer has written so far.
pub(super) struct Unfinished {
    pub(super) key: ObjectKey,
    pub(super) owner: JobId,
    pub(super) changed: DateTime<Utc>,
    pub(super) data: BytesMut,
}

/// What a new object is made of.
pub(super) struct NewObject {
    pub(super) key: ObjectKey,
    pub(super) bytes: Bytes,
    pub(super) if_absent: bool,
    pub(super) retain_until: Option<DateTime<Utc>>,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            objects: BTreeMap::new(),
            unfinished: BTreeMap::new(),
            processes: vec![Process::default()],
            trace: Vec::new(),
            faults: FaultPlan::default(),
            late: Vec::new(),
            ghosts: BTreeMap::new(),
            listings: 0,
            jitter: None,
            durable_at_once: true,
            decides_races: true,
            list_page: 1000,
            read_piece: 256 << 10,
            external: None,
            last_number: 0,
        }
    }

    /// A number that was never given before.
    pub(super) fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    pub(super) fn start_process(&mut self) -> usize {
        self.processes.push(Process::default());
        self.processes.len() - 1
    }

    pub(super) fn crash(&mut self) {
        self.objects.retain(|_, entry| entry.durable);
        self.late.clear();
        for process in &mut self.processes {
            process.dead = true;
        }
    }

    /// Lets late effects that are due take place, in the order of their times.
    pub(super) fn arrive(&mut self, now: Duration) {
        while let Some(first) = self.late.iter().enumerate().min_by_key(|(_, (at, _))| *at).map(|(index, _)| index) {
            if self.late[first].0 > now {
                break;
            }
            let (_, effect) = self.late.remove(first);
            effect(self);
        }
    }

    /// Creates or replaces an object, in one step.
    pub(super) fn create(&mut self, new: NewObject, now: DateTime<Utc>) -> Result<ObjectMeta> {
        let key = new.key;
        if new.if_absent {
            self.refuse_if_taken(&key)?;
        }
        if let Some(existing) = self.objects.get(&key) {
            existing.refuse_if_locked(&key, now)?;
        }
        let entry = Entry {
            bytes: new.bytes,
            modified: now,
            version: self.number(),
            durable: self.durable_at_once,
            retain_until: new.retain_until,
            hidden_until: 0,
        };
        let meta = entry.meta(&key);
        self.ghosts.remove(&key);
        self.objects.insert(key, entry);
        Ok(meta)
    }

    pub(super) fn refuse_if_taken(&self, key: &ObjectKey) -> Result<()> {
        match self.objects.contains_key(key) {
            true => Err(Error::new(&codes::STORE_EXISTS, format!("{key} exists"))),
            false => Ok(()),
        }
    }

    /// Removes an object; false when it is not there.
    pub(super) fn remove(&mut self, key: &ObjectKey, now: DateTime<Utc>) -> Result<bool> {
        match self.objects.get(key) {
            None => Ok(false),
            Some(entry) => {
                entry.refuse_if_locked(key, now)?;
                self.objects.remove(key);
                Ok(true)
            }
        }
    }

    /// The object as it is now, to be compared or put back.
    pub(super) fn entry(&self, key: &str) -> Option<(ObjectKey, Entry)> {
        let key = ObjectKey::new(key).ok()?;
        self.objects.get(&key).map(|entry| (key.clone(), entry.clone()))
    }

    /// Undoes what was done to `key`.
    pub(super) fn put_back(&mut self, key: &str, before: Option<(ObjectKey, Entry)>) {
        self.objects.retain(|existing, _| existing.as_str() != key);
        self.objects.extend(before);
    }

    /// Hides what was done to `key` from the next so many listings.
    pub(super) fn lag(&mut self, key: &str, before: Option<(ObjectKey, Entry)>, listings: u64) {
        let until = self.listings + listings;
        match (before, self.objects.iter_mut().find(|(existing, _)| existing.as_str() == key)) {
            (Some((key, entry)), None) => {
                let meta = entry.meta(&key);
                self.ghosts.insert(key, (meta, until));
            }
            (None, Some((_, entry))) => entry.hidden_until = until,
            _ => {}
        }
    }

    /// The next page of a listing, which is the `listing`-th.
    pub(super) fn page(&self, prefix: &KeyPrefix, after: Option<&ObjectKey>, listing: u64) -> Vec<ObjectMeta> {
        let wanted = |key: &ObjectKey| key.strip_prefix(prefix).is_some() && after.is_none_or(|after| key > after);
        let shown = self.objects.iter().filter(|(key, entry)| wanted(key) && listing > entry.hidden_until);
        let mut page: Vec<_> = shown.take(self.list_page).map(|(key, entry)| entry.meta(key)).collect();
        let lagging = self.ghosts.iter().filter(|(key, (_, until))| wanted(key) && listing <= *until);
        page.extend(lagging.map(|(_, (meta, _))| meta.clone()));
        page.sort_by(|a, b| a.key.cmp(&b.key));
        page.truncate(self.list_page);
        page
    }

    pub(super) fn get(&self, key: &ObjectKey) -> Result<&Entry> {
        self.objects.get(key).ok_or_else(|| Error::new(&codes::STORE_NOT_FOUND, format!("{key} is not there")))
    }
}

impl Entry {
    fn refuse_if_locked(&self, key: &ObjectKey, now: DateTime<Utc>) -> Result<()> {
        match self.retain_until {
            Some(until) if until > now => Err(Error::new(&codes::STORE_DENIED, format!("{key} is locked until {until}"))),
            _ => Ok(()),
        }
    }
}
