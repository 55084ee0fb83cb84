//! Verify: read back and check, and remember the outcome.

use chrono::TimeDelta;
use futures::{StreamExt, TryStreamExt};

use super::create::create;
use super::reader::StoredBackup;
use super::taken::keys_of;
use super::{Repository, artifacts, blocks};
use crate::context::JobContext;
use crate::error::{Error, ErrorKind, Result, ResultExt, codes};
use crate::event::{Event, Phase};
use crate::key::ObjectKey;
use crate::layout::{self, Place};
use crate::manifest::{Artifact, Compression};
use crate::name::{BackupId, SetName};
use crate::record::{self, Finding, Verified};
use crate::source::{BackupReader, Source};

/// How closely a verify looks. Each level includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[non_exhaustive]
pub enum VerifyLevel {
    /// The manifest is whole and every object it names is there with its size.
    Size,
    /// Every stored byte has its digest.
    #[default]
    Digest,
    /// What is compressed decodes to the very bytes that the source wrote, and the source finds nothing wrong.
    Restorable,
}

/// What a verify found.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct VerifyReport {
    /// The record that was kept of it.
    pub record: Verified,
    /// Stored bytes that were read.
    pub bytes: u64,
}

impl VerifyReport {
    /// True when nothing was found wrong.
    pub fn is_good(&self) -> bool {
        self.record.is_good()
    }
}

impl Repository {
    /// Checks one backup and puts the outcome beside it, where retention and "latest" see it. A file of another program gets its
    /// manifest here. `source` checks what only it can, at [`VerifyLevel::Restorable`].
    ///
    /// # Errors
    /// Only when the check could not be made; what is wrong with the backup stands in the report.
    pub async fn verify(
        &self,
        cx: &JobContext,
        set: &SetName,
        id: &BackupId,
        level: VerifyLevel,
        source: Option<&dyn Source>,
    ) -> Result<VerifyReport> {
        let doing = || format!("verifying backup {id} of {set}");
        cx.event(Event::Phase(Phase::Verifying));
        let verified_at = cx.clock().now();
        let mut record = Verified { set: set.clone(), id: id.clone(), verified_at, checks: Vec::new(), findings: Vec::new() };
        let before = cx.progress().done();
        match self.open(cx, set, id).await {
            Ok(backup) => self.check(cx, &backup, level, source, &mut record).await.context(doing)?,
            Err(error) if is_finding(&error) => record.findings.push(finding(&error)),
            Err(error) => return Err(error.context(doing())),
        }
        self.keep(cx, &mut record).await.context(doing)?;
        Ok(VerifyReport { record, bytes: cx.progress().done() - before })
    }

    async fn check(
        &self,
        cx: &JobContext,
        backup: &StoredBackup,
        level: VerifyLevel,
        source: Option<&dyn Source>,
        record: &mut Verified,
    ) -> Result<()> {
        record.checks.extend(["manifest".to_owned(), "exists".to_owned(), "size".to_owned()]);
        if level >= VerifyLevel::Digest {
            record.checks.push("digest".to_owned());
            cx.progress().expect(backup.packed().stored_size());
        }
        for artifact in backup.packed().iter() {
            let checked = self.check_artifact(cx, backup, &artifact, level).await;
            note_fault(checked, record)?;
        }
        if level == VerifyLevel::Restorable && record.is_good() {
            record.checks.push("restorable".to_owned());
            if let Some(source) = source {
                let inspected = source.inspect(cx, backup).await.map(|inspection| {
                    record.checks.extend(inspection.checks);
                    let faults = inspection.faults.into_iter();
                    record.findings.extend(faults.map(|text| Finding { code: codes::SOURCE_FAILED.name.to_owned(), text }));
                });
                note_fault(inspected, record)?;
            }
        }
        Ok(())
    }

    async fn check_artifact(
        &self,
        cx: &JobContext,
        backup: &StoredBackup,
        artifact: &Artifact,
        level: VerifyLevel,
    ) -> Result<()> {
        artifacts::check_one(self, cx, &artifact.key, artifact.stored.size).await?;
        if level == VerifyLevel::Restorable && artifact.compression != Compression::None {
            // Decoding reads every stored block, checked, too.
            let mut bytes = backup.open(cx, &artifact.name).await?;
            while bytes.try_next().await?.is_some() {}
            cx.progress().add(artifact.stored.size);
        } else if level >= VerifyLevel::Digest {
            self.check_blocks(cx, artifact).await?;
        }
        Ok(())
    }

    /// Reads every block, as many at a time as there are threads to hash them, in any order.
    async fn check_blocks(&self, cx: &JobContext, artifact: &Artifact) -> Result<()> {
        let stored = &artifact.stored;
        if stored.is_whole() {
            let memory = self.budget().reserve(cx, blocks::stream_memory(stored)).await?;
            let mut bytes = blocks::whole(self, cx, &artifact.key, stored, memory).await?;
            while let Some(piece) = bytes.try_next().await? {
                cx.progress().add(piece.len() as u64);
            }
            return Ok(());
        }
        let block = stored.block_size.min(stored.size.max(1));
        // No more than half of the budget, however many threads there are: others want to work, too.
        let fit = usize::try_from(self.budget().total() / 2 / block).unwrap_or(usize::MAX);
        let at_a_time = (self.cpu().threads() + 1).min(fit).max(1);
        let _memory = self.budget().reserve(cx, block.saturating_mul(at_a_time as u64)).await?;
        futures::stream::iter(0..stored.blocks.len())
            .map(|index| async move {
                let pieces = blocks::read_block(self, cx, &artifact.key, stored, index).await?;
                cx.progress().add(pieces.iter().map(|piece| piece.len() as u64).sum());
                Ok::<_, Error>(())
            })
            .buffer_unordered(at_a_time)
            .try_collect()
            .await
    }

    /// Puts the record, and removes the older ones of the same backup. It is the newest one whatever the clock did since the last.
    ///
    /// A look that saw less does not clear what a closer one found: then the closer one's record stays the newest.
    async fn keep(&self, cx: &JobContext, record: &mut Verified) -> Result<()> {
        let (set, id) = (record.set.clone(), record.id.clone());
        let older = keys_of(self, cx, Place::Verified, &set, &id).await?;
        if record.is_good() && self.found_by_closer_look(cx, &older, record).await? {
            return Ok(());
        }
        let newest = older.iter().filter_map(|key| layout::parse_verified(Place::Verified.parse(key)?.2)).map(|(at, _)| at).max();
        if let Some(after) = newest.and_then(|at| at.checked_add_signed(TimeDelta::milliseconds(1))) {
            record.verified_at = record.verified_at.max(after);
        }
        let key = layout::verified_key(&set, &id, record.verified_at, record.is_good())?;
        // Only another verify at the very same time can have put one there, of the same outcome.
        let _same = create(&**self.store(), cx, &key, &record::seal(record)?, None).await?;
        if !older.is_empty() {
            self.store().delete(cx, &older).await?.into_result()?;
        }
        Ok(())
    }

    /// True when the newest of the `older` records tells of damage found by a check that `record` did not make.
    async fn found_by_closer_look(&self, cx: &JobContext, older: &[ObjectKey], record: &Verified) -> Result<bool> {
        let outcome = |key: &ObjectKey| layout::parse_verified(Place::Verified.parse(key)?.2);
        let Some((key, _)) = older.iter().filter_map(|key| Some((key, outcome(key)?))).max_by_key(|(_, outcome)| *outcome) else {
            return Ok(false);
        };
        let Some(bytes) = self.record_bytes(cx, key).await? else { return Ok(false) };
        let newest: Verified = record::open(&bytes)?;
        Ok(!newest.is_good() && newest.checks.iter().any(|check| !record.checks.contains(check)))
    }
}

/// Turns a fault of the backup into a finding; `Err` is a check that could not be made.
fn note_fault(checked: Result<()>, record: &mut Verified) -> Result<()> {
    match checked {
        Err(error) if is_finding(&error) => {
            record.findings.push(finding(&error));
            Ok(())
        }
        other => other,
    }
}

fn is_finding(error: &Error) -> bool {
    error.kind() == ErrorKind::Corrupt
}

fn finding(error: &Error) -> Finding {
    Finding { code: error.code().name.to_owned(), text: error.to_string() }
}
