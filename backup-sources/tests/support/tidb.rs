//! A stand-in for a TiDB server. It speaks MySQL's protocol (opensrv-mysql) and treats BACKUP, RESTORE, `SHOW BACKUPS` and
//! `KILL TIDB QUERY` as `pkg/executor/brie.go` of pingcap/tidb does: the statement blocks, one task at a time works, others wait, a task
//! goes on when its client goes away, and one that is killed ends with an error. A backup into `local://` leaves real files.
//!
//! No TiDB can run where the tests run. What it does was read in the source of the real one, not seen.
#![allow(
    dead_code,
    unused_imports,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test support"
)]

#[path = "tidb/behaviour.rs"]
mod behaviour;
#[path = "tidb/files.rs"]
mod files;
#[path = "tidb/sql.rs"]
mod sql;
#[path = "tidb/task.rs"]
mod task;
#[path = "tidb/wire.rs"]
mod wire;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

pub use behaviour::{Balancer, Behaviour, Columns, Outcome};
pub use files::{CLUSTER_ID, backup_files};
pub use sql::{Order, Url};
pub use task::Task;

/// The first connection. Wider than the 32 bits of the handshake, as TiDB's are.
const FIRST: u64 = 1 << 40;

/// A running server; it ends with this value.
pub struct TidbServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// A row of the process list.
#[derive(Debug, Clone)]
struct Process {
    user: String,
    info: String,
}

struct Shared {
    behaviour: Mutex<Behaviour>,
    tasks: Mutex<Vec<Task>>,
    statements: Mutex<Vec<String>>,
    /// What `INFORMATION_SCHEMA.PROCESSLIST` shows of connections whose statement runs, with or without a client.
    processes: Mutex<BTreeMap<u64, Process>>,
    connections: AtomicU64,
    /// Counts changes of tasks and behaviour.
    changed: watch::Sender<u64>,
    /// Connections of an earlier epoch are cut.
    epoch: watch::Sender<u64>,
    /// TiDB's BRIE queue: one task of a server works at a time.
    worker: Arc<Semaphore>,
}

impl TidbServer {
    /// A server with user `root` and the password `tidb-root-password`, where backups finish at once.
    pub async fn start() -> Self {
        Self::with(Behaviour::default()).await
    }

    pub async fn with(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            behaviour: Mutex::new(behaviour),
            tasks: Mutex::default(),
            statements: Mutex::default(),
            processes: Mutex::default(),
            connections: AtomicU64::new(FIRST),
            changed: watch::Sender::new(0),
            epoch: watch::Sender::new(0),
            worker: Arc::new(Semaphore::new(1)),
        });
        let accepting = tokio::spawn(wire::accept(listener, shared.clone()));
        Self { address, shared, accepting }
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Changes how it behaves from now on, tasks that work included.
    pub fn set(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.shared.behaviour.lock().unwrap());
        self.shared.notify();
    }

    /// Lets tasks go on that are held in a state.
    pub fn release(&self) {
        self.set(|behaviour| behaviour.hold = None);
    }

    /// Every statement that came, as it came.
    pub fn statements(&self) -> Vec<String> {
        self.shared.statements.lock().unwrap().clone()
    }

    /// Every task, oldest first, ended ones too.
    pub fn tasks(&self) -> Vec<Task> {
        self.shared.tasks.lock().unwrap().clone()
    }

    /// The newest task.
    pub fn task(&self) -> Task {
        self.tasks().pop().unwrap()
    }

    /// Waits until the tasks are as wanted.
    pub async fn until(&self, what: &str, wanted: impl Fn(&[Task]) -> bool) {
        let mut changes = self.shared.changed.subscribe();
        let waiting = async {
            while !wanted(&self.tasks()) {
                changes.changed().await.unwrap();
            }
        };
        if tokio::time::timeout(Duration::from_secs(60), waiting).await.is_err() {
            panic!("not within a minute: {what}; {:?}", self.tasks());
        }
    }

    /// Waits until a task is in that state.
    pub async fn until_state(&self, state: &str) {
        self.until(state, |tasks| tasks.iter().any(|task| task.state == state)).await;
    }

    /// `KILL TIDB QUERY` by somebody else.
    pub fn kill(&self, connection: u64) {
        self.shared.kill(connection);
    }

    /// Somebody else begins a BACKUP or RESTORE.
    pub fn begin_as(&self, user: &str, statement: &str) {
        let connection = self.shared.connections.fetch_add(1, Ordering::Relaxed);
        let order = sql::order(statement).unwrap().unwrap();
        let process = Process { user: user.to_owned(), info: sql::redacted(statement) };
        drop(self.shared.begin(order, connection, process));
    }

    /// A connection runs a statement that is neither: its number was given again.
    pub fn reuse(&self, connection: u64, statement: &str) {
        let process = Process { user: self.shared.behaviour().user, info: statement.to_owned() };
        self.shared.processes.lock().unwrap().insert(connection, process);
    }

    /// Cuts all connections, as a network does: tasks go on.
    pub fn cut(&self) {
        self.shared.epoch.send_modify(|epoch| *epoch += 1);
    }

    /// Starts anew, as after a crash: nothing is left of connections and tasks.
    pub fn restart(&self) {
        for task in self.shared.tasks.lock().unwrap().drain(..) {
            task.abort();
        }
        self.shared.processes.lock().unwrap().clear();
        self.cut();
        self.shared.notify();
    }
}

impl Drop for TidbServer {
    fn drop(&mut self) {
        self.accepting.abort();
        self.restart();
    }
}

impl Shared {
    fn behaviour(&self) -> Behaviour {
        self.behaviour.lock().unwrap().clone()
    }

    fn notify(&self) {
        self.changed.send_modify(|count| *count += 1);
    }
}
