//! The second connection: it sees what the server works on, and ends it.

use std::time::Duration;

use backup_core::event::Event;
use backup_core::{Error, JobContext, Result};

use super::super::codes;
use super::super::config::SqlConfig;
use super::super::place::Place;
use super::clean::Cleaner;
use super::process::{self, Process, Server};
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
    /// The connection whose statement it is, and its server; any of our user on any server when `None`.
    pub(super) ours: Option<(u64, Server)>,
}

impl Wanted {
    fn lists(&self, task: &Task) -> bool {
        task.place == self.place && self.ours.as_ref().is_none_or(|(connection, _)| task.connection == Some(*connection))
    }

    /// Numbers of connections are given again, so the place counts for our own too.
    fn is(&self, process: &Process, user: &str, tasks: &[Task]) -> bool {
        let listed = || tasks.iter().any(|task| task.connection == Some(process.connection));
        process.kind == self.kind
            && match &self.ours {
                Some((connection, _)) => {
                    process.connection == *connection && process.place.as_ref().is_none_or(|place| *place == self.place)
                }
                None => process.user == user && process.place.as_ref().map_or_else(listed, |place| *place == self.place),
            }
    }
}

/// What one look showed of what is wanted.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Connections whose statement runs.
    pub(super) working: Vec<u64>,
    /// What is listed of it, perhaps not all, ended ones too.
    pub(super) tasks: Vec<Task>,
}

impl Seen {
    /// What is listed of what runs.
    pub(super) fn steps(&self) -> impl Iterator<Item = &Task> {
        self.tasks.iter().filter(|task| !task.finished && task.connection.is_some_and(|id| self.working.contains(&id)))
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

    /// What runs of the wanted, and what is listed of it.
    ///
    /// # Errors
    /// `br.unreachable` also when the connection ended at another server than that of the wanted one.
    ///
    /// # Cancel safety
    /// May be dropped: the next call connects anew.
    pub(super) async fn look(&mut self, cx: &JobContext, wanted: &Wanted) -> Result<Seen> {
        let rows = self.ask(cx, process::LIST).await?;
        if let Some((_, server)) = &wanted.ours
            && Server::read(&rows).as_ref() != Some(server)
        {
            // The next one may end at the right server.
            self.session = None;
            let text = format!("TiDB at {}: the connection ended at another server than that of the task", self.config.address);
            return Err(Error::new(&codes::UNREACHABLE, text));
        }
        let tasks = match self.tasks(cx, wanted).await {
            Ok(tasks) => tasks,
            // What runs is known without.
            Err(error) => {
                cx.check()?;
                tracing::debug!(job = %cx.job(), %error, "the progress of BR cannot be read");
                Vec::new()
            }
        };
        let finished = |id| wanted.ours.is_some() && tasks.iter().any(|task| task.finished && task.connection == Some(id));
        let processes = rows.iter().filter_map(Process::read);
        let working = processes.filter(|process| wanted.is(process, &self.config.user, &tasks)).map(|process| process.connection);
        Ok(Seen { working: working.filter(|id| !finished(*id)).collect(), tasks })
    }

    /// The wanted tasks that this server lists: some of those it knows.
    ///
    /// # Cancel safety
    /// As [`Watch::look`].
    pub(super) async fn tasks(&mut self, cx: &JobContext, wanted: &Wanted) -> Result<Vec<Task>> {
        let rows = self.ask(cx, wanted.kind.show()).await?;
        Ok(rows.iter().map(Task::read).filter(|task| wanted.lists(task)).collect())
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
        let step = Event::Step { name: task.step().to_owned(), percent: task.percent() };
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
        let mut reason = None;
        loop {
            match self.kill(cx, wanted, &mut killed).await {
                Ok(true) => return Ok(killed.len()),
                Ok(false) => reason = None,
                // A broken connection is tried again, a refusal is not.
                Err(error) if error.code() == &codes::UNREACHABLE => reason = Some(error),
                Err(error) if cx.check().is_ok() => return Err(error),
                Err(_) => {}
            }
            if cx.sleep(ENDING.min(self.config.poll)).await.is_err() {
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

    /// Tells what works to end, listed or not; whether nothing works.
    async fn kill(&mut self, cx: &JobContext, wanted: &Wanted, killed: &mut Vec<u64>) -> Result<bool> {
        let seen = self.look(cx, wanted).await?;
        if let Some(task) = seen.steps().next() {
            self.tell(cx, task);
        }
        for connection in &seen.working {
            self.ask(cx, &format!("KILL TIDB QUERY {connection}")).await?;
            if !killed.contains(connection) {
                killed.push(*connection);
            }
        }
        Ok(seen.working.is_empty())
    }
}
