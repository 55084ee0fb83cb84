//! The second connection: it sees the tasks of the server, and ends them.

use std::time::Duration;

use backup_core::event::Event;
use backup_core::{Error, JobContext, Result};

use super::super::codes;
use super::super::config::SqlConfig;
use super::clean::Cleaner;
use super::place::Place;
use super::rows::Task;
use super::session::Session;
use super::statement::Kind;

/// How often a task that was told to end is looked for. TiDB itself looks every three seconds whether it was told.
const ENDING: Duration = Duration::from_secs(1);

/// A task of ours or of a process that is gone.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) kind: Kind,
    pub(super) place: Place,
    /// The connection whose statement it is; any when `None`.
    pub(super) connection: Option<u64>,
}

impl Wanted {
    fn is(&self, task: &Task) -> bool {
        task.place == self.place && (self.connection.is_none() || task.connection == self.connection)
    }
}

/// A connection that is made again when it breaks.
pub(super) struct Watch<'a> {
    config: &'a SqlConfig,
    cleaner: &'a Cleaner,
    session: Option<Session<'a>>,
    told: Option<Event>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(config: &'a SqlConfig, cleaner: &'a Cleaner) -> Self {
        Self { config, cleaner, session: None, told: None }
    }

    /// The wanted tasks that this server knows, ended ones too.
    ///
    /// # Cancel safety
    /// May be dropped: the next call connects anew.
    pub(super) async fn tasks(&mut self, cx: &JobContext, wanted: &Wanted) -> Result<Vec<Task>> {
        let rows = self.ask(cx, wanted.kind.show()).await?;
        Ok(rows.iter().map(Task::read).filter(|task| wanted.is(task)).collect())
    }

    /// Asks for something on the connection that stands, or on a new one.
    pub(super) async fn ask(&mut self, cx: &JobContext, sql: &str) -> Result<Vec<mysql_async::Row>> {
        // Taken out, so that one that is in the middle of something is never used again.
        let mut session = match self.session.take() {
            Some(session) => session,
            None => Session::open(cx, self.config, self.cleaner).await?,
        };
        let rows = session.rows(cx, sql).await?;
        self.session = Some(session);
        Ok(rows)
    }

    /// Tells the step of a task, when it is another than the last one.
    pub(super) fn tell(&mut self, cx: &JobContext, task: &Task) {
        // What TiDB shows for a cancelled task, 100 percent, is not how far it got.
        let percent = task.percent.filter(|_| !task.cancelled());
        let step = Event::Step { name: task.state.clone(), percent };
        if self.told.as_ref() != Some(&step) {
            cx.event(step.clone());
            self.told = Some(step);
        }
    }

    /// Ends the wanted tasks and returns when nothing of them works any more; how many there were.
    ///
    /// # Errors
    /// `br.unreachable` when TiDB cannot be asked, or they still work when `cx` ends.
    pub(super) async fn end(&mut self, cx: &JobContext, wanted: &Wanted) -> Result<usize> {
        let mut killed = Vec::new();
        let (mut reason, mut left) = (None, Left::Working);
        loop {
            match self.kill(cx, wanted, &mut killed).await {
                Ok(Left::Nothing) => return Ok(killed.len()),
                Ok(some) => (reason, left) = (None, some),
                // A broken connection is tried again, a refusal is not.
                Err(error) if error.code() == &codes::UNREACHABLE => reason = Some(error),
                Err(error) if cx.check().is_ok() => return Err(error),
                Err(_) => {}
            }
            if cx.sleep(ENDING.min(self.config.poll)).await.is_err() {
                if left == Left::Cancelled && reason.is_none() {
                    // It heard that it shall end, and that was long ago; TiDB does not give every task a time of its end.
                    return Ok(killed.len());
                }
                let still = || Error::new(&codes::UNREACHABLE, format!("TiDB at {}: its task does not end", self.config.address));
                return Err(reason.unwrap_or_else(still));
            }
        }
    }

    /// Tells the wanted tasks to end, again and again, until `cx` ends.
    pub(super) async fn keep_killing(&mut self, cx: &JobContext, wanted: &Wanted) {
        let mut killed = Vec::new();
        loop {
            if let Err(error) = self.kill(cx, wanted, &mut killed).await {
                tracing::debug!(job = %cx.job(), %error, "the task of BR cannot be told to end");
            }
            if cx.sleep(ENDING.min(self.config.poll)).await.is_err() {
                return;
            }
        }
    }

    async fn kill(&mut self, cx: &JobContext, wanted: &Wanted, killed: &mut Vec<u64>) -> Result<Left> {
        let mut left = Left::Nothing;
        for task in self.tasks(cx, wanted).await? {
            if task.ended() {
                continue;
            }
            self.tell(cx, &task);
            if task.cancelled() {
                left = left.max(Left::Cancelled);
                continue;
            }
            left = Left::Working;
            // Only what this very server lists is killed: behind a balancer the number may be another's on the next server.
            if let Some(connection) = task.connection {
                self.ask(cx, &format!("KILL TIDB QUERY {connection}")).await?;
                if !killed.contains(&connection) {
                    killed.push(connection);
                }
            }
        }
        Ok(left)
    }
}

/// What is left of the wanted tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Left {
    Nothing,
    /// Told to end, and not yet seen to have ended.
    Cancelled,
    Working,
}
