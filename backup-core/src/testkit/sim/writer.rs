//! [`ObjectWriter`] for [`SimStore`].

use async_trait::async_trait;
use bytes::Bytes;

use super::SimStore;
use super::state::{NewObject, State};
use super::trace::OpKind;
use crate::context::JobContext;
use crate::error::{Effect, Error, Result, codes};
use crate::key::ObjectKey;
use crate::store::{ObjectMeta, ObjectWriter, WriteOptions};

/// A writer; what it wrote so far lies in the store's machine and stays there when it is dropped.
#[derive(Debug)]
pub(super) struct SimWriter {
    store: SimStore,
    cx: JobContext,
    id: u64,
    key: ObjectKey,
    options: WriteOptions,
    failed: bool,
}

impl SimWriter {
    pub(super) fn new(store: SimStore, cx: JobContext, id: u64, key: ObjectKey, options: WriteOptions) -> Self {
        Self { store, cx, id, key, options, failed: false }
    }

    async fn append(&self, data: Bytes) -> Result<()> {
        self.cx.check()?;
        let (id, key, clock) = (self.id, self.key.clone(), self.store.shared.clock.clone());
        let append = move |state: &mut State| {
            let unfinished = state.unfinished.get_mut(&id).ok_or_else(|| swept(&key))?;
            unfinished.data.extend_from_slice(&data);
            unfinished.changed = clock.now();
            Ok(())
        };
        self.store.step(&self.cx, OpKind::Write, self.key.as_str(), append).await
    }

    async fn publish(&self) -> Result<ObjectMeta> {
        if self.failed {
            return Err(Error::new(&codes::STORE_WRITER_FAILED, format!("a write to {} failed before", self.key)));
        }
        self.cx.check()?;
        let (id, clock) = (self.id, self.store.shared.clock.clone());
        let if_absent = self.store.if_absent(&self.key, self.options.if_absent).await?;
        let (key, retain_until) = (self.key.clone(), self.options.retain_until);
        let finish = move |state: &mut State| {
            let unfinished = state.unfinished.remove(&id).ok_or_else(|| swept(&key))?;
            state.create(NewObject { key, bytes: unfinished.data.freeze(), if_absent, retain_until }, clock.now())
        };
        self.store.step(&self.cx, OpKind::Finish, self.key.as_str(), finish).await
    }

    /// Removes what was written, unless this writer's process is dead: a dead one cleans nothing up.
    fn discard(&self) {
        if !self.store.is_dead() {
            self.store.with(|state| state.unfinished.remove(&self.id));
        }
    }
}

#[async_trait]
impl ObjectWriter for SimWriter {
    async fn write(&mut self, data: Bytes) -> Result<()> {
        if self.failed {
            return Err(Error::new(&codes::STORE_WRITER_FAILED, format!("a write to {} failed before", self.key)));
        }
        // Stays set when the call fails or is dropped.
        self.failed = true;
        self.append(data).await?;
        self.failed = false;
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<ObjectMeta> {
        let answer = self.publish().await;
        if matches!(&answer, Err(error) if error.effect() == Effect::None) {
            self.discard();
        }
        answer
    }

    async fn abort(self: Box<Self>) -> Result<()> {
        let id = self.id;
        let remove = move |state: &mut State| {
            state.unfinished.remove(&id);
            Ok(())
        };
        self.store.step(&self.cx, OpKind::Abort, self.key.as_str(), remove).await
    }
}

fn swept(key: &ObjectKey) -> Error {
    Error::new(&codes::STORE_WRITER_FAILED, format!("the unfinished {key} was swept away"))
}
