//! One BACKUP or RESTORE, from the statement to its end.

use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use backup_core::event::Event;
use backup_core::{Effect, Error, JobContext, Result};
use mysql_async::Row;

use super::super::codes;
use super::super::config::SqlConfig;
use super::super::executor::{Done, Order};
use super::super::place::Place;
use super::clean::Cleaner;
use super::failure::{Fault, unknown};
use super::process;
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
    /// How many looks showed nothing of the task, and since when.
    blind: Option<(u32, Duration)>,
    /// It was seen working once.
    seen: bool,
    /// Since when TiDB works on it no longer.
    gone: Option<Duration>,
}

/// # Cancel safety
/// To be awaited to its end: a dropped call leaves the task working.
pub(super) async fn run(cx: &JobContext, config: &SqlConfig, kind: Kind, order: &Order) -> Result<Done> {
    let sql = statement::text(kind, order)?;
    let cleaner = Cleaner::new(&config.password, Some(&order.location));
    let mut session = Session::open(cx, config, &cleaner).await?;
    // Not the number of the handshake: that holds 32 bits, TiDB's have 64.
    let who = process::who(&session.rows(cx, process::WHO).await?);
    let nameless =
        || Error::new(&codes::FAILED, format!("TiDB at {} does not tell the number of the connection", config.address));
    let wanted = Wanted { kind, place: Place::of(&order.location)?, ours: Some(who.ok_or_else(nameless)?) };
    let mut running = Running { config, kind, wanted, watch: Watch::new(config, &cleaner), blind: None, seen: false, gone: None };
    // Nothing is begun that could not be watched and ended. Behind a balancer this may be another server; the rights are the same there.
    running.watch.ask(cx, process::LIST).await?;
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
            if let Err(lost) = looked {
                return Err(self.lost(cx, lost).await);
            }
        }
    }

    /// Waits for the next look, takes it, and tells what it showed. A server that cannot be asked now may still work: no reason to stop
    /// before `silence` has passed.
    async fn look(&mut self, cx: &JobContext) -> Result<(), Lost> {
        cx.clock().sleep(self.config.poll).await;
        let now = cx.clock().monotonic();
        match self.watch.look(cx, &self.wanted).await {
            Ok(seen) if !seen.working.is_empty() => {
                (self.seen, self.gone, self.blind) = (true, None, None);
                if let Some(task) = seen.steps().next() {
                    self.watch.tell(cx, task);
                }
                return Ok(());
            }
            // Of one that was never seen it is not known whether it has begun.
            Ok(seen) if self.seen || seen.tasks.iter().any(|task| task.finished) => {
                self.blind = None;
                let since = *self.gone.get_or_insert(now);
                return if now.saturating_sub(since) < self.config.grace { Ok(()) } else { Err(Lost::Hanging) };
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(job = %cx.job(), %error, "TiDB does not tell whether it works on the task"),
        }
        let (looks, since) = self.blind.map_or((1, now), |(looks, since)| (looks + 1, since));
        self.blind = Some((looks, since));
        if looks == BLIND_LOOKS {
            cx.event(Event::Warning(format!(
                "TiDB at {}: it does not tell whether it works on the task, so the progress is unknown and it cannot be ended; \
                 does the server answer, and is the address that of one server?",
                self.config.address,
            )));
        }
        if cx.clock().monotonic().saturating_sub(since) < self.config.silence { Ok(()) } else { Err(Lost::Silent) }
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

    /// Nobody can say any more that TiDB works on the task, and it still does not answer.
    async fn lost(&mut self, cx: &JobContext, lost: Lost) -> Error {
        let end = self.end(cx).await;
        let (config, address) = (self.config, &self.config.address);
        unknown(match lost {
            Lost::Hanging => format!(
                "TiDB at {address}: the task is over, but the statement has not returned within {:?}; {end}",
                config.grace
            ),
            Lost::Silent => format!("TiDB at {address}: nothing was learned of the task for {:?}; {end}", config.silence),
        })
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
enum Lost {
    /// TiDB works on it no longer.
    Hanging,
    /// TiDB tells nothing.
    Silent,
}

/// Ends what works on a place and was asked for by our user.
pub(super) async fn end_leftovers(cx: &JobContext, config: &SqlConfig, place: Place) -> Result<usize> {
    let cleaner = Cleaner::new(&config.password, None);
    let mut watch = Watch::new(config, &cleaner);
    let cx = cx.with_limit(config.grace);
    let mut ended = 0;
    for kind in Kind::ALL {
        let wanted = Wanted { kind, place: place.clone(), ours: None };
        ended += watch.end(&cx, &wanted).await?;
    }
    if ended > 0 {
        tracing::info!(ended, "tasks of BR that a process which is gone had left were ended");
    }
    Ok(ended)
}
