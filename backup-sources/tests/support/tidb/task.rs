//! The BRIE queue: tasks, their states and their ends.

use std::path::Path;
use std::sync::Arc;

use tokio::task::AbortHandle;

use super::behaviour::Outcome;
use super::files::{File, backup_files};
use super::sql::{Order, Url};
use super::{Behaviour, Process, Shared};

/// A BACKUP or RESTORE that came.
#[derive(Debug, Clone)]
pub struct Task {
    pub id: u64,
    pub order: Order,
    pub connection: u64,
    pub state: String,
    pub progress: f64,
    pub killed: bool,
    pub backup_ts: u64,
    pub queue_time: String,
    pub exec_time: Option<String>,
    pub finish_time: Option<String>,
    pub message: Option<String>,
    /// `SHOW BACKUPS` has forgotten it.
    pub pruned: bool,
    /// Nothing of it works any more.
    over: bool,
    work: Option<AbortHandle>,
}

/// What a task ends with: its bytes, or why not.
pub(super) type End = Result<u64, Refusal>;

/// A code and a text.
type Refusal = (u16, String);

impl Task {
    pub fn url(&self) -> &Url {
        &self.order.url
    }

    /// It works, or waits to.
    pub fn running(&self) -> bool {
        !self.over
    }

    pub(super) fn abort(&self) {
        if let Some(work) = &self.work {
            work.abort();
        }
    }
}

pub(super) fn now() -> String {
    chrono::Utc::now().format("%Y-%m-%d %H:%M:%S").to_string()
}

impl Shared {
    /// Queues a task and starts what works on it, whether or not somebody waits for its end.
    pub(super) fn begin(
        self: &Arc<Self>,
        order: Order,
        connection: u64,
        process: Process,
    ) -> (u64, tokio::task::JoinHandle<End>) {
        self.processes.lock().unwrap().insert(connection, process);
        let mut tasks = self.tasks.lock().unwrap();
        let newest = tasks.iter().map(|task| task.backup_ts).max().unwrap_or(0);
        let backup_ts = (u64::try_from(chrono::Utc::now().timestamp_millis()).unwrap() << 18).max(newest + 1);
        let id = tasks.len() as u64 + 1;
        tasks.push(Task {
            id,
            order,
            connection,
            state: "Wait".into(),
            progress: 0.0,
            killed: false,
            backup_ts,
            queue_time: now(),
            exec_time: None,
            finish_time: None,
            message: None,
            pruned: false,
            over: false,
            work: None,
        });
        let work = tokio::spawn(self.clone().run(id));
        tasks.last_mut().unwrap().work = Some(work.abort_handle());
        drop(tasks);
        self.notify();
        (id, work)
    }

    pub(super) fn get(&self, id: u64) -> Task {
        self.tasks.lock().unwrap().iter().find(|task| task.id == id).unwrap().clone()
    }

    pub(super) fn kill(&self, connection: u64) {
        for task in self.tasks.lock().unwrap().iter_mut().filter(|task| task.connection == connection && task.running()) {
            task.killed = true;
        }
        self.notify();
    }

    fn change(&self, id: u64, change: impl FnOnce(&mut Task)) {
        change(self.tasks.lock().unwrap().iter_mut().find(|task| task.id == id).unwrap());
        self.notify();
    }

    /// `brieTaskProgress.Close`.
    fn cancelled(&self, id: u64) -> Refusal {
        self.change(id, |task| {
            task.state.push_str(" Canceled");
            task.progress = 100.0;
        });
        let failed = match self.get(id).order.backup {
            true => (8124, "Backup failed: context canceled"),
            false => (8125, "Restore failed: context canceled"),
        };
        (failed.0, failed.1.to_owned())
    }

    async fn run(self: Arc<Self>, id: u64) -> End {
        let end = self.clone().queue_and_work(id).await;
        let connection = self.get(id).connection;
        if self.behaviour().outcome != Outcome::Hang {
            self.processes.lock().unwrap().remove(&connection);
        }
        self.change(id, |task| task.over = true);
        end
    }

    async fn queue_and_work(self: Arc<Self>, id: u64) -> End {
        let working = tokio::select! {
            permit = self.worker.clone().acquire_owned() => permit.unwrap(),
            () = self.killed(id) => {
                if !self.behaviour().forgets_the_queue {
                    self.cancelled(id);
                }
                return Err((1105, "context canceled".into()));
            }
        };
        self.change(id, |task| task.exec_time = Some(now()));
        let end = self.work(id).await;
        self.change(id, |task| {
            task.finish_time = Some(now());
            task.message = end.as_ref().err().map(|(_, text)| text.clone());
        });
        drop(working);
        end
    }

    async fn work(&self, id: u64) -> End {
        let (task, behaviour) = (self.get(id), self.behaviour());
        let mut files = if task.order.backup { self.prepare(&task, &behaviour)? } else { opened(&task)? };
        let size = files.iter().map(|(_, content)| content.len() as u64).sum();
        let steps = if task.order.backup { behaviour.backup_steps } else { behaviour.restore_steps };
        let meta = files.pop();
        for (state, percentages) in steps {
            for (at, percent) in percentages.into_iter().enumerate() {
                self.change(id, |task| (task.state, task.progress) = (state.clone(), percent));
                // Held where something is done, and not all of it.
                if at == 1 {
                    tokio::select! {
                        () = self.released(&state) => {}
                        () = self.killed(id) => {
                            let end = self.cancelled(id);
                            self.until(|| !self.behaviour().lingers).await;
                            return Err(end);
                        }
                    }
                }
                if task.order.backup
                    && let Some(file) = files.pop()
                {
                    store(&task, &file);
                }
                tokio::task::yield_now().await;
            }
        }
        if let Outcome::Fail(code, text) = self.behaviour().outcome {
            return Err((code, text));
        }
        if task.order.backup {
            files.iter().chain(&meta).for_each(|file| store(&task, file));
        }
        Ok(size)
    }

    /// The files to write, if the place is empty; the lock is written first.
    fn prepare(&self, task: &Task, behaviour: &Behaviour) -> Result<Vec<File>, Refusal> {
        let since = task.order.options.get("LAST_BACKUP").map_or(0, |tso| tso.parse().unwrap());
        let mut files = backup_files(behaviour.files, since, task.backup_ts);
        for name in ["backupmeta", "backup.lock"] {
            if task.url().scheme == "local" && Path::new(&task.url().path).join(name).exists() {
                let text = "there may be some backup files in the path already, please specify a correct backup directory!";
                let kind = if name == "backupmeta" { "meta" } else { "lock" };
                let place = &task.url().destination;
                return Err((
                    8124,
                    format!("Backup failed: [BR:Common:ErrInvalidArgument]backup {kind} file exists in {place}, {text}"),
                ));
            }
        }
        store(task, &files.remove(0));
        Ok(files)
    }

    async fn killed(&self, id: u64) {
        self.until(|| self.behaviour().heeds_kill && self.tasks.lock().unwrap().iter().any(|task| task.id == id && task.killed))
            .await;
        tokio::time::sleep(self.behaviour().kill_delay).await;
    }

    async fn released(&self, state: &str) {
        self.until(|| self.behaviour().hold.as_deref() != Some(state)).await;
    }

    async fn until(&self, wanted: impl Fn() -> bool) {
        let mut changes = self.changed.subscribe();
        while !wanted() {
            changes.changed().await.unwrap();
        }
    }
}

/// What a RESTORE finds.
fn opened(task: &Task) -> Result<Vec<File>, Refusal> {
    if task.url().scheme != "local" {
        return Ok(backup_files(1, 0, task.backup_ts));
    }
    let path = Path::new(&task.url().path).join("backupmeta");
    let content = std::fs::read(&path).map_err(|error| {
        let text = format!(
            "Restore failed: [BR:ExternalStorage:ErrStorageUnknown]load backupmeta failed: open {}: {error}",
            path.display()
        );
        (8125, text)
    })?;
    Ok(vec![("backupmeta".into(), content)])
}

fn store(task: &Task, (name, content): &File) {
    if task.url().scheme == "local" {
        let path = Path::new(&task.url().path).join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
}
