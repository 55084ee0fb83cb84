//! One BACKUP or RESTORE, from the statement to its end.

use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use backup_core::event::Event;
use backup_core::{Effect, Error, JobContext, Result};
use mysql_async::Row;

use super::super::config::SqlConfig;
use super::super::executor::{Done, Order};
use super::clean::Cleaner;
use super::failure::{Fault, unknown};
use super::place::Place;
use super::rows;
use super::session::Session;
use super::statement::{self, Kind};
use super::watch::{Wanted, Watch};

/// After so many looks without a sign of the task, somebody should know that it cannot be seen.
const BLIND_LOOKS: u32 = 6;

type Answer = Result<Vec<Row>, Fault>;

/// A statement that BR works on.
struct Running<'a> {
    config: &'a SqlConfig,
    kind: Kind,
    wanted: Wanted,
    watch: Watch<'a>,
    /// Looks that showed nothing of the task, since the last that did.
    blind: u32,
    /// It was seen working once.
    seen: bool,
    /// Since when TiDB no longer counts it among the working ones.
    gone: Option<Duration>,
}

/// # Cancel safety
/// To be awaited to its end: a dropped call leaves the task working.
pub(super) async fn run(cx: &JobContext, config: &SqlConfig, kind: Kind, order: &Order) -> Result<Done> {
    let sql = statement::text(kind, order)?;
    let cleaner = Cleaner::new(&config.password, Some(&order.location));
    let mut session = Session::open(cx, config, &cleaner).await?;
    // Not the number of the handshake: that holds 32 bits, TiDB's have 64.
    let answer = session.rows(cx, "SELECT CONNECTION_ID()").await?;
    let connection = rows::single(&answer).and_then(|id| id.parse().ok());
    let wanted = Wanted { kind, place: Place::of(&order.location)?, connection };
    let mut running = Running { config, kind, wanted, watch: Watch::new(config, &cleaner), blind: 0, seen: false, gone: None };
    // Nothing is begun that could not be watched and ended.
    running.watch.tasks(cx, &running.wanted).await?;
    cx.check()?;
    let statement = session.statement(sql);
    running.attend(cx, statement).await
}

impl Running<'_> {
    async fn attend(
        &mut self,
        cx: &JobContext,
        mut statement: Pin<Box<dyn Future<Output = Answer> + Send + '_>>,
    ) -> Result<Done> {
        let mut stopped = pin!(cx.run(std::future::pending::<Result<Infallible>>()));
        loop {
            let looked = tokio::select! {
                biased;
                answer = &mut statement => return self.conclude(cx, answer).await,
                Err(why) = &mut stopped => return self.cancel(cx, statement, why).await,
                looked = self.look(cx) => looked,
            };
            if looked.is_err_and(|Hanging| true) {
                return Err(self.hanging(cx).await);
            }
        }
    }

    /// Waits for the next look, takes it, and tells what it showed. A server that cannot be asked now may still work: no reason to stop.
    async fn look(&mut self, cx: &JobContext) -> Result<(), Hanging> {
        cx.clock().sleep(self.config.poll).await;
        let tasks = match self.watch.tasks(cx, &self.wanted).await {
            Ok(tasks) => tasks,
            Err(error) => {
                tracing::debug!(job = %cx.job(), %error, "the progress of BR cannot be read");
                return Ok(());
            }
        };
        let now = cx.clock().monotonic();
        if let Some(task) = tasks.iter().find(|task| !task.ended()) {
            (self.seen, self.gone, self.blind) = (true, None, 0);
            self.watch.tell(cx, task);
            return Ok(());
        }
        if self.seen || !tasks.is_empty() {
            let since = *self.gone.get_or_insert(now);
            return if now.saturating_sub(since) < self.config.grace { Ok(()) } else { Err(Hanging) };
        }
        self.blind += 1;
        if self.blind == BLIND_LOOKS {
            cx.event(Event::Warning(format!(
                "TiDB at {}: {} does not list the task, so its progress is unknown and it cannot be ended; the address must be that of one server",
                self.config.address,
                self.kind.show(),
            )));
        }
        Ok(())
    }

    /// The statement has answered.
    async fn conclude(&mut self, cx: &JobContext, answer: Answer) -> Result<Done> {
        let begun = if self.kind == Kind::Restore { Effect::Unknown } else { Effect::None };
        match answer {
            Ok(rows) => Ok(rows::done(&rows)),
            Err(Fault::Refused { code, error }) if Fault::before_the_start(code) => Err(error),
            Err(Fault::Refused { error, .. }) => Err(error.with_effect(begun)),
            Err(Fault::Lost(error)) => {
                let end = self.end(cx).await;
                Err(unknown(format!("the connection was lost while BR worked: {}; {end}", error.message())))
            }
        }
    }

    /// TiDB lists the task no longer, or as ended, and still does not answer.
    async fn hanging(&mut self, cx: &JobContext) -> Error {
        let end = self.end(cx).await;
        unknown(format!(
            "TiDB at {}: the task is over, but the statement has not returned within {:?}; {end}",
            self.config.address, self.config.grace
        ))
    }

    /// Somebody wants it to stop, for the reason `why`.
    async fn cancel(
        &mut self,
        cx: &JobContext,
        mut statement: Pin<Box<dyn Future<Output = Answer> + Send + '_>>,
        why: Error,
    ) -> Result<Done> {
        let cleanup = cx.for_cleanup(self.config.grace);
        let answer = tokio::select! {
            biased;
            answer = &mut statement => Some(answer),
            () = self.watch.keep_killing(&cleanup, &self.wanted) => None,
        };
        match answer {
            // It was finished before the order to end reached it.
            Some(Ok(rows)) => return Ok(rows::done(&rows)),
            Some(Err(Fault::Refused { .. })) if self.watch.end(&cleanup, &self.wanted).await.is_ok() => {
                let begun = if self.kind == Kind::Restore { Effect::Unknown } else { Effect::None };
                return Err(why.with_effect(begun));
            }
            Some(Err(Fault::Lost(_))) if self.watch.end(&cleanup, &self.wanted).await.is_ok() => {
                return Err(why.with_effect(Effect::Unknown));
            }
            _ => {}
        }
        Err(unknown(format!(
            "TiDB at {}: the task was told to end and has not within {:?}; it may still work ({})",
            self.config.address,
            self.config.grace,
            why.message()
        )))
    }

    /// Ends what may still work of a task that nobody waits for any more, and says so.
    async fn end(&mut self, cx: &JobContext) -> String {
        match self.watch.end(&cx.for_cleanup(self.config.grace), &self.wanted).await {
            Ok(0) => "TiDB works on it no longer".to_owned(),
            Ok(_) => "it was ended".to_owned(),
            Err(error) => format!("it may still work: {}", error.message()),
        }
    }
}

/// A statement that does not come back.
#[derive(Debug)]
struct Hanging;

/// Ends what works on a place, whoever asked for it.
pub(super) async fn end_leftovers(cx: &JobContext, config: &SqlConfig, place: Place) -> Result<usize> {
    let cleaner = Cleaner::new(&config.password, None);
    let mut watch = Watch::new(config, &cleaner);
    let cx = cx.with_limit(config.grace);
    let mut ended = 0;
    for kind in Kind::ALL {
        let wanted = Wanted { kind, place: place.clone(), connection: None };
        ended += watch.end(&cx, &wanted).await?;
    }
    if ended > 0 {
        tracing::info!(ended, "tasks of BR that a process which is gone had left were ended");
    }
    Ok(ended)
}
