//! The record of a running job: what has to be known when this program dies while the job runs.
//!
//! A directory `<state>/<id>/` with a file `record`, JSON lines that are only ever appended to and synced one by one, and the logs of
//! the stages. The process that runs the job holds a lock on the file, which dies with it: a record that can be locked belongs to an
//! interrupted job. It holds what cleanup and unlock need, arguments and environment included, and no other secret.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use backup_core::{Error, Result, Secret};
use chrono::{DateTime, Utc};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::codes;
use super::plan::Plan;
use super::program::Program;
use super::stage::{Operation, Stage};
use super::watch::StageOutcome;
use crate::process::{GroupId, LogLimits};

const FILE: &str = "record";
const VERSION: u32 = 1;

/// The first line: what the undoing stages need.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Head {
    version: u32,
    id: String,
    operation: Operation,
    undo: BTreeMap<Stage, StoredProgram>,
    locks: bool,
    environment: BTreeMap<String, Stored>,
    working_directory: Option<PathBuf>,
    cleanup_limit: Duration,
    grace: Duration,
    log: LogLimits,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct StoredProgram {
    scripts: Option<PathBuf>,
    arguments: Vec<Stored>,
}

/// A value that is written down, and whether logs may show it.
#[derive(Serialize, Deserialize)]
pub(super) struct Stored {
    value: String,
    secret: bool,
}

impl Stored {
    pub(super) fn into_secret(self) -> Secret {
        Secret::new(self.value)
    }
}

impl std::fmt::Debug for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// A later line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub(super) enum Entry {
    /// A program is about to be started; it does not begin before its group is noted.
    Starting { stage: Stage, at: DateTime<Utc> },
    /// The program begins.
    Started { stage: Stage, group: Option<GroupId> },
    /// What the work of the main stage has to find again.
    Note { note: Stored },
    /// It ended.
    Ended { stage: Stage, at: DateTime<Utc>, outcome: StageOutcome },
}

/// The record of a job, locked.
#[derive(Debug)]
pub(super) struct Record {
    directory: PathBuf,
    file: Arc<File>,
}

/// Where the work of a job notes what has to be found again after a crash; [`Interrupted::notes`](super::Interrupted::notes) gives it back.
/// Notes are gone with the record, when the job has ended. A clone is the same notebook.
#[derive(Debug, Clone)]
pub struct Notebook(Option<Pages>);

#[derive(Debug, Clone)]
struct Pages {
    directory: PathBuf,
    file: Arc<File>,
}

impl Notebook {
    pub(super) fn of(record: Option<&Record>) -> Self {
        Self(record.map(|record| Pages { directory: record.directory.clone(), file: Arc::clone(&record.file) }))
    }

    /// Keeps a note, durably. Without a state directory there is nothing that could be found again, and nothing is kept.
    ///
    /// # Errors
    /// `script.record`.
    pub async fn note(&self, note: &Secret) -> Result<()> {
        let Some(Pages { directory, file }) = &self.0 else { return Ok(()) };
        append(directory, file, &Entry::Note { note: Stored { value: note.expose().to_owned(), secret: true } }).await
    }
}

/// What is left of an interrupted job.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) record: Record,
    /// `None` when its process was killed before it was written, or when it cannot be understood.
    pub(super) head: Option<Head>,
    pub(super) entries: Vec<Entry>,
}

impl Taken {
    /// Whether it says all that has to be known.
    pub(super) fn understood(&self) -> bool {
        self.head.as_ref().map_or(self.entries.is_empty(), |head| head.version == VERSION)
    }
}

impl Record {
    /// Begins the record of a job.
    ///
    /// # Errors
    /// `script.running` when there is one already; `script.record`.
    pub(super) fn create(state: &Path, plan: &Plan) -> Result<Self> {
        let directory = state.join(&plan.id);
        let failed = |error| failed("making", &directory, error);
        DirBuilder::new().recursive(true).mode(0o700).create(state).map_err(failed)?;
        match DirBuilder::new().mode(0o700).create(&directory) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let what = format!("a job {:?} has a record in {} already", plan.id, state.display());
                return Err(Error::new(&codes::RUNNING, what));
            }
            made => made.map_err(failed)?,
        }
        let head = serde_json::to_vec(&Head::of(plan)).map_err(|error| failed(error.into()))?;
        let begin = || {
            let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(directory.join(FILE))?;
            flock(&file, FlockOperation::NonBlockingLockExclusive)?;
            (&file).write_all(&[&head[..], b"\n"].concat())?;
            file.sync_all()?;
            File::open(&directory)?.sync_all()?;
            File::open(state)?.sync_all()?;
            Ok(file)
        };
        match begin() {
            Ok(file) => Ok(Self { directory, file: Arc::new(file) }),
            Err(error) => {
                let _ = std::fs::remove_dir_all(&directory);
                Err(failed(error))
            }
        }
    }

    /// Takes over the record of an interrupted job; `None` when its process still lives.
    pub(super) fn take_over(directory: &Path) -> Result<Option<Taken>> {
        let read = || {
            let file = match OpenOptions::new().read(true).append(true).open(directory.join(FILE)) {
                // Killed between the directory and the file.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    OpenOptions::new().append(true).create(true).mode(0o600).open(directory.join(FILE))?
                }
                file => file?,
            };
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
                locked => locked?,
            }
            let text = std::fs::read_to_string(directory.join(FILE))?;
            // A last line that was cut by a power failure is followed by an empty one.
            (&file).write_all(b"\n")?;
            Ok(Some((file, text)))
        };
        let Some((file, text)) = read().map_err(|error| failed("reading", directory, error))? else { return Ok(None) };
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        let head: Option<Head> = lines.next().and_then(|line| serde_json::from_str(line).ok());
        let entries = lines.filter_map(|line| serde_json::from_str(line).ok()).collect();
        Ok(Some(Taken { record: Self { directory: directory.to_owned(), file: Arc::new(file) }, head, entries }))
    }

    /// Notes what happened, durably.
    pub(super) async fn note(&self, entry: &Entry) -> Result<()> {
        append(&self.directory, &self.file, entry).await
    }

    /// Where the log of a stage's stream is spooled.
    pub(super) fn log(&self, stage: Stage, attempt: usize, stream: &str) -> PathBuf {
        self.directory.join(format!("{stage}.{attempt}.{stream}"))
    }

    /// Removes it: the job has ended. The file goes first, and with it all that was secret.
    pub(super) fn remove(self) -> Result<()> {
        let failed = |error| failed("removing", &self.directory, error);
        std::fs::remove_file(self.directory.join(FILE)).map_err(failed)?;
        std::fs::remove_dir_all(&self.directory).map_err(failed)
    }
}

async fn append(directory: &Path, file: &Arc<File>, entry: &Entry) -> Result<()> {
    let failed = |error| failed("writing", directory, error);
    let mut line = serde_json::to_vec(entry).map_err(|error| failed(error.into()))?;
    line.push(b'\n');
    let file = Arc::clone(file);
    let written = tokio::task::spawn_blocking(move || {
        (&*file).write_all(&line)?;
        file.sync_data()
    });
    written.await.map_err(io::Error::other).flatten().map_err(failed)
}

fn failed(doing: &str, directory: &Path, error: io::Error) -> Error {
    Error::new(&codes::RECORD, format!("{doing} the record of a running job in {} failed", directory.display()))
        .with_source(error)
}

impl Head {
    fn of(plan: &Plan) -> Self {
        let hidden: BTreeSet<&str> = plan.secrets.iter().map(Secret::expose).collect();
        let stored = |value: &Secret| Stored { value: value.expose().to_owned(), secret: hidden.contains(value.expose()) };
        let program = |program: &Program| match program {
            Program::Command(argv) => StoredProgram { scripts: None, arguments: argv.iter().map(stored).collect() },
            Program::Script { directory, arguments } => {
                StoredProgram { scripts: Some(directory.clone()), arguments: arguments.iter().map(stored).collect() }
            }
        };
        let undo = plan.programs.iter().filter(|(stage, _)| stage.undoes());
        Self {
            version: VERSION,
            id: plan.id.clone(),
            operation: plan.operation,
            undo: undo.map(|(stage, what)| (*stage, program(what))).collect(),
            locks: plan.programs.keys().any(|stage| stage.locks()),
            environment: plan.environment.iter().map(|(name, value)| (name.clone(), stored(value))).collect(),
            working_directory: plan.working_directory.clone(),
            cleanup_limit: plan.cleanup_limit,
            grace: plan.grace,
            log: plan.log,
        }
    }

    /// Whether the job had a stage that locks.
    pub(super) fn locks(&self) -> bool {
        self.locks
    }

    /// The plan of what is left to do.
    pub(super) fn plan(self) -> Plan {
        let mut plan = Plan::new(self.id, self.operation);
        let mut secrets = Vec::new();
        let mut secret = |stored: Stored| {
            let secret = Secret::new(stored.value);
            if stored.secret {
                secrets.push(secret.clone());
            }
            secret
        };
        for (stage, StoredProgram { scripts, arguments }) in self.undo {
            let arguments = arguments.into_iter().map(&mut secret).collect();
            let program = match scripts {
                Some(directory) => Program::Script { directory, arguments },
                None => Program::Command(arguments),
            };
            plan.programs.insert(stage, program);
        }
        plan.environment = self.environment.into_iter().map(|(name, value)| (name, secret(value))).collect();
        plan.secrets = secrets;
        plan.working_directory = self.working_directory;
        plan.time_limit = Some(self.cleanup_limit);
        plan.cleanup_limit = self.cleanup_limit;
        plan.grace = self.grace;
        plan.log = self.log;
        plan
    }
}
