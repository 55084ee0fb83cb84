//! The records in the state: each under its project, so that a list reads what it shows.

use backup_core::error::codes;
use backup_core::state::Expected;
use backup_core::{Error, Result};

use super::errors::Failure;
use super::record::{Kept, key};
use super::{Caller, Inner};
use crate::kept;

/// How often a record is read and changed anew when another change came first.
const TRIES: u32 = 100;

impl Inner {
    /// All records of a project, or of all projects, the newest first.
    pub(super) async fn all<R: Kept>(&self, project: Option<&str>) -> Result<Vec<R>> {
        let prefix = project.map_or_else(|| R::PREFIX.to_owned(), |project| key::<R>(project, ""));
        let mut all: Vec<R> = Vec::new();
        kept::each(&*self.state, &prefix, None, |_, record| all.push(record)).await?;
        all.sort_by(|a, b| (b.created_at(), b.id()).cmp(&(a.created_at(), a.id())));
        Ok(all)
    }

    pub(super) async fn get<R: Kept>(&self, project: &str, id: &str) -> Result<Option<R>> {
        kept::get(&*self.state, &key::<R>(project, id)).await
    }

    /// A record that the caller may see: of its project, or of any for an administrator.
    ///
    /// # Errors
    /// 404 for what is not there or not to be seen.
    pub(super) async fn visible<R: Kept>(&self, caller: &Caller, id: &str) -> Result<R, Failure> {
        let none = || Failure::not_found(format!("{} {} is not found!", R::WHAT, super::errors::shown(id)));
        let id = super::id::uuid(id).ok_or_else(none)?;
        let own = self.get::<R>(&caller.project_id, &id).await.map_err(|error| Failure::internal(&error))?;
        if let Some(record) = own {
            return Ok(record);
        }
        if !caller.is_admin {
            return Err(none());
        }
        let all = self.all::<R>(None).await.map_err(|error| Failure::internal(&error))?;
        all.into_iter().find(|record| record.id() == id).ok_or_else(none)
    }

    /// Keeps a new record.
    pub(super) async fn create<R: Kept>(&self, record: &R) -> Result<()> {
        kept::set(&*self.state, &record.key(), Expected::Absent, record).await.map(drop)
    }

    pub(super) async fn forget<R: Kept>(&self, record: &R) -> Result<()> {
        kept::remove(&*self.state, &record.key()).await
    }

    /// Changes a record as it is by now; `None` when there is none any more. `change` may be called more than once, each time with a record
    /// that was just read; when it refuses, nothing is kept.
    pub(super) async fn amend<R: Kept>(
        &self,
        project: &str,
        id: &str,
        mut change: impl FnMut(&mut R) -> Result<(), Failure> + Send,
    ) -> Result<Option<R>, Failure> {
        let failed = |error| Failure::internal(&error);
        let key = key::<R>(project, id);
        for _ in 0..TRIES {
            let Some(entry) = self.state.get(&key).await.map_err(failed)? else { return Ok(None) };
            let mut record: R = kept::decode(&key, &entry.value).map_err(failed)?;
            change(&mut record)?;
            if kept::set(&*self.state, &key, Expected::Version(entry.version), &record).await.map_err(failed)? {
                return Ok(Some(record));
            }
        }
        Err(Failure::conflict(format!("{} {id} is being changed by others!", R::WHAT)))
    }

    /// Changes a record that was judged to be worked on by nobody, if it is that still: of the same owner, in the same state, and not
    /// claimed here as `live`. False when it is not, or gone.
    pub(super) async fn amend_judged<R: Kept>(
        &self,
        judged: &R,
        live: &str,
        mut change: impl FnMut(&mut R) + Send,
    ) -> Result<bool> {
        let mut is_other = false;
        let amended = self.amend::<R>(judged.project(), judged.id(), |record| {
            // In this order: work of ours that ends meanwhile changes the record that was read, before it is no longer live.
            is_other = record.owner() != judged.owner() || record.status() != judged.status() || self.is_live(live);
            if is_other {
                return Err(Failure::conflict("It is another by now!"));
            }
            change(record);
            Ok(())
        });
        match amended.await {
            Ok(amended) => Ok(amended.is_some()),
            Err(_) if is_other => Ok(false),
            Err(failure) => Err(Error::new(&codes::INTERNAL, format!("{} {}: {}", R::WHAT, judged.id(), failure.message()))),
        }
    }

    /// All records of all projects, for who must not overlook one.
    ///
    /// # Errors
    /// Also when one of them cannot be read.
    pub(super) async fn every<R: Kept>(&self) -> Result<Vec<R>> {
        kept::every(&*self.state, R::PREFIX).await
    }
}
