//! What the metadata of our things at Cinder say.

use std::collections::BTreeMap;
use std::fmt;

use backup_core::{Error, JobContext, Result};

use super::super::codes;

/// The member of the metadata that has the job's id.
pub const JOB: &str = "backup:job";
/// The member that says what it is for.
pub const ROLE: &str = "backup:role";
/// The member that says whose it is.
pub const OWNER: &str = "backup:owner";
/// The member of a volume that says why it is not whole.
pub const FAILED: &str = "backup:failed";
/// The member by which what was asked for is known again, when the answer was lost.
pub(super) const KEY: &str = "backup:key";

/// Every member that is ours while a job runs.
pub(in super::super) const OURS: [&str; 4] = [JOB, KEY, ROLE, OWNER];

/// What a thing of ours is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// It is gone when its job has ended.
    Temporary,
    /// A snapshot that an incremental backup will build on.
    Base,
    /// A new volume that a backup is being restored into: no use to anybody unless that ends well.
    Restoring,
    /// A volume of somebody's that a backup is being restored into, or that is being set back to a snapshot.
    Overwriting,
    /// A volume that a backup was restored into, whole, and that is about to be given back.
    Restored,
    /// It belongs to a user.
    Kept,
}

impl Role {
    const ALL: [Self; 6] = [Self::Temporary, Self::Base, Self::Restoring, Self::Overwriting, Self::Restored, Self::Kept];

    /// The text of the metadata.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Temporary => "temporary",
            Self::Base => "base",
            Self::Restoring => "restoring",
            Self::Overwriting => "overwriting",
            Self::Restored => "restored",
            Self::Kept => "kept",
        }
    }

    /// The role of a text of the metadata.
    pub fn of(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Marks one thing that is made at Cinder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    owner: String,
    job: String,
    role: Role,
    key: String,
}

impl Mark {
    /// A mark for one thing that this job makes. `owner` is a text of the program, the same after a restart, and of no other program at
    /// that Cinder.
    ///
    /// # Errors
    /// `cinder.config` for an owner that is no plain text of 1 to 100 letters.
    pub fn new(cx: &JobContext, owner: &str, role: Role) -> Result<Self> {
        Self::of_job(cx, owner, cx.job().as_str(), role)
    }

    /// The same, for a job that is called otherwise.
    ///
    /// # Errors
    /// As [`Mark::new`], for the job too.
    pub fn of_job(cx: &JobContext, owner: &str, job: &str, role: Role) -> Result<Self> {
        check_owner(owner)?;
        check_owner(job)?;
        let key = format!("{:016x}", cx.environment().random.next_u64());
        Ok(Self { owner: owner.to_owned(), job: job.to_owned(), role, key })
    }

    /// What it is for.
    pub fn role(&self) -> Role {
        self.role
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// As metadata.
    pub fn metadata(&self) -> BTreeMap<String, String> {
        let members = [(JOB, &*self.job), (ROLE, self.role.as_str()), (OWNER, &*self.owner), (KEY, &*self.key)];
        members.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }
}

/// An owner goes into queries and metadata.
pub(in super::super) fn check_owner(owner: &str) -> Result<&str> {
    let legal = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\');
    if (1..=100).contains(&owner.len()) && owner.bytes().all(legal) {
        return Ok(owner);
    }
    let text = format!("the owner or job {owner:?} has to be 1 to 100 visible letters of ASCII, without quotes and backslashes");
    Err(Error::new(&codes::CONFIG, text))
}
