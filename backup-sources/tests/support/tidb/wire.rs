//! Connections: the login, and an answer to every statement.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::task::{Context, Poll};

use opensrv_mysql::{
    AsyncMysqlIntermediary, AsyncMysqlShim, Column, ColumnFlags, ColumnType, ErrorKind, OkResponse, ParamParser,
    QueryResultWriter, StatementMetaWriter,
};
use sha1::{Digest as _, Sha1};
use tokio::io::AsyncWrite;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use super::behaviour::{Balancer, Behaviour, Columns, Outcome};
use super::sql;
use super::task::Task;
use super::{FIRST, Process, Shared};

/// The login that MySQL's error 1045 refuses; opensrv-mysql says 1698.
const ACCESS_DENIED: u16 = 1045;

pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, shared.clone()));
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    // A packet goes out in two writes.
    stream.set_nodelay(true).unwrap();
    let id = shared.connections.fetch_add(1, Ordering::Relaxed);
    let mut epochs = shared.epoch.subscribe();
    let (reader, writer): (OwnedReadHalf, OwnedWriteHalf) = stream.into_split();
    let code = Arc::new(AtomicU16::new(0));
    let connection = Connection { shared, id, code: code.clone() };
    tokio::select! {
        _ = AsyncMysqlIntermediary::run_on(connection, reader, Coded { inner: writer, code }) => {}
        _ = epochs.changed() => {}
    }
}

struct Connection {
    shared: Arc<Shared>,
    id: u64,
    /// The code of the next error: opensrv-mysql knows none of TiDB's own.
    code: Arc<AtomicU16>,
}

type Answer<'a> = QueryResultWriter<'a, Coded>;

#[async_trait::async_trait]
impl AsyncMysqlShim<Coded> for Connection {
    type Error = io::Error;

    fn version(&self) -> String {
        self.shared.behaviour().version
    }

    /// The lower half, as the handshake has no room for more.
    fn connect_id(&self) -> u32 {
        u32::try_from(self.id & 0xffff_ffff).unwrap()
    }

    async fn authenticate(&self, _plugin: &str, user: &[u8], salt: &[u8], answer: &[u8]) -> bool {
        let behaviour = self.shared.behaviour();
        user == behaviour.user.as_bytes() && answer == native_password(&behaviour.password, salt)
    }

    async fn on_prepare<'a>(&'a mut self, _: &'a str, info: StatementMetaWriter<'a, Coded>) -> io::Result<()> {
        info.error(ErrorKind::ER_UNSUPPORTED_PS, b"not prepared here".as_slice()).await
    }

    async fn on_execute<'a>(&'a mut self, _: u32, _: ParamParser<'a>, answer: Answer<'a>) -> io::Result<()> {
        self.refuse(answer, 1295, "not prepared here").await
    }

    async fn on_close<'a>(&'a mut self, _: u32) {}

    async fn on_query<'a>(&'a mut self, sql: &'a str, answer: Answer<'a>) -> io::Result<()> {
        self.shared.statements.lock().unwrap().push(sql.to_owned());
        self.shared.notify();
        let behaviour = self.shared.behaviour();
        if behaviour.mute.iter().any(|start| sql.starts_with(start)) {
            return std::future::pending().await;
        }
        if let Some((_, code, text)) = behaviour.refuse.iter().find(|(start, ..)| sql.starts_with(start)) {
            return self.refuse(answer, *code, text).await;
        }
        if let Some(connection) = sql.strip_prefix("KILL TIDB QUERY ") {
            self.shared.kill(connection.parse().unwrap());
            return answer.completed(OkResponse::default()).await;
        }
        match sql::order(sql) {
            Some(Ok(order)) => return self.work(order, sql, answer).await,
            Some(Err(text)) => return self.refuse(answer, 1064, &text).await,
            None => {}
        }
        let value = |text: Option<String>| text.map(|text| vec![vec![Some(text)]]).unwrap_or_default();
        match sql {
            "SELECT VERSION()" => rows(answer, &["VERSION()"], value(Some(behaviour.version))).await,
            "SELECT TIDB_VERSION()" if behaviour.release.is_some() => {
                rows(answer, &["TIDB_VERSION()"], value(behaviour.release)).await
            }
            "SELECT CONNECTION_ID() AS ID, @@hostname AS SERVER_HOST, @@port AS SERVER_PORT" => {
                let [host, port] = self.identity();
                rows(answer, &["ID", "SERVER_HOST", "SERVER_PORT"], vec![vec![Some(self.id.to_string()), host, port]]).await
            }
            "SELECT @@hostname AS SERVER_HOST, @@port AS SERVER_PORT, ID, USER, INFO FROM INFORMATION_SCHEMA.PROCESSLIST \
             WHERE INFO LIKE 'BACKUP %' OR INFO LIKE 'RESTORE %' OR ID = CONNECTION_ID()" => self.processes(sql, answer).await,
            "SHOW BACKUPS" => self.show(true, answer).await,
            "SHOW RESTORES" => self.show(false, answer).await,
            "SELECT VARIABLE_VALUE FROM mysql.tidb WHERE VARIABLE_NAME = 'cluster_id'" => {
                rows(answer, &["VARIABLE_VALUE"], value(behaviour.cluster_id)).await
            }
            "SELECT VARIABLE_VALUE FROM mysql.tidb WHERE VARIABLE_NAME = 'tikv_gc_safe_point'" => {
                rows(answer, &["VARIABLE_VALUE"], value(behaviour.gc_safe_point)).await
            }
            _ => self.refuse(answer, 1064, &format!("You have an error in your SQL syntax near '{sql}'")).await,
        }
    }
}

impl Connection {
    async fn refuse(&self, answer: Answer<'_>, code: u16, text: &str) -> io::Result<()> {
        self.code.store(code, Ordering::Relaxed);
        answer.error(ErrorKind::ER_UNKNOWN_ERROR, text.as_bytes()).await
    }

    /// Blocks until the task is over. Dropped with the connection; the task goes on.
    fn elsewhere(&self) -> bool {
        match self.shared.behaviour().balancer {
            Balancer::None => false,
            Balancer::AllOthers => self.id != FIRST,
            Balancer::InTurns => (self.id - FIRST) % 2 == 1,
        }
    }

    fn identity(&self) -> [Option<String>; 2] {
        [Some(if self.elsewhere() { "tidb-1" } else { "tidb-0" }.to_owned()), Some("4000".to_owned())]
    }

    async fn processes(&self, sql: &str, answer: Answer<'_>) -> io::Result<()> {
        let mut found = if self.elsewhere() { Default::default() } else { self.shared.processes.lock().unwrap().clone() };
        found.retain(|_, process| process.info.starts_with("BACKUP ") || process.info.starts_with("RESTORE "));
        found.insert(self.id, Process { user: self.shared.behaviour().user, info: sql.to_owned() });
        let [host, port] = self.identity();
        let row = |(id, process): (u64, Process)| {
            vec![host.clone(), port.clone(), Some(id.to_string()), Some(process.user), Some(process.info)]
        };
        let found = found.into_iter().map(row).collect();
        rows(answer, &["SERVER_HOST", "SERVER_PORT", "ID", "USER", "INFO"], found).await
    }

    async fn work(&self, order: sql::Order, sql: &str, answer: Answer<'_>) -> io::Result<()> {
        let process = Process { user: self.shared.behaviour().user, info: sql::redacted(sql) };
        let (id, work) = self.shared.begin(order, self.id, process);
        let Ok(end) = work.await else { return Err(io::ErrorKind::ConnectionAborted.into()) };
        let size = match end {
            Ok(size) => size,
            Err((code, text)) => return self.refuse(answer, code, &text).await,
        };
        let behaviour = self.shared.behaviour();
        if behaviour.outcome == Outcome::Hang {
            return std::future::pending().await;
        }
        let task = self.shared.get(id);
        let mut columns = vec!["Destination", "Size", "BackupTS", "Queue Time", "Execution Time"];
        let mut row = vec![Some(task.url().destination.clone()), Some(size.to_string()), Some(task.backup_ts.to_string())];
        row.extend([Some(task.queue_time.clone()), task.exec_time.clone()]);
        if !task.order.backup && behaviour.columns == Columns::Nine {
            columns.insert(3, "Cluster TS");
            row.insert(3, Some((task.backup_ts + 1).to_string()));
        }
        rows(answer, &columns, vec![row]).await
    }

    async fn show(&self, backups: bool, answer: Answer<'_>) -> io::Result<()> {
        let Behaviour { columns: form, prunes, .. } = self.shared.behaviour();
        let mut columns = vec!["Destination", "State", "Progress", "Queue_time", "Execution_time", "Finish_time", "Connection"];
        if form != Columns::Seven {
            columns.push("Message");
        }
        if form == Columns::Nine {
            columns.insert(0, "Id");
        }
        let tasks = {
            let mut tasks = self.shared.tasks.lock().unwrap();
            for task in tasks.iter_mut().filter(|task| prunes && task.finish_time.is_none()) {
                task.pruned = true;
            }
            tasks.clone()
        };
        let listed = |task: &&Task| task.order.backup == backups && !task.pruned && !self.elsewhere();
        let found = tasks.iter().filter(listed).map(|task| shown(task, form)).collect();
        rows(answer, &columns, found).await
    }
}

fn shown(task: &Task, form: Columns) -> Vec<Option<String>> {
    let time = |time: &Option<String>| Some(time.clone().unwrap_or_else(|| "0000-00-00 00:00:00".into()));
    let mut row = vec![
        Some(task.url().destination.clone()),
        Some(task.state.clone()),
        Some(task.progress.to_string()),
        Some(task.queue_time.clone()),
        time(&task.exec_time),
        time(&task.finish_time),
        Some(task.connection.to_string()),
    ];
    if form != Columns::Seven {
        row.push(task.message.clone());
    }
    if form == Columns::Nine {
        row.insert(0, Some(task.id.to_string()));
    }
    row
}

async fn rows(answer: Answer<'_>, names: &[&str], rows: Vec<Vec<Option<String>>>) -> io::Result<()> {
    let columns: Vec<Column> = names
        .iter()
        .map(|name| Column {
            table: String::new(),
            column: (*name).to_owned(),
            coltype: ColumnType::MYSQL_TYPE_VAR_STRING,
            colflags: ColumnFlags::empty(),
        })
        .collect();
    let mut writer = answer.start(&columns).await?;
    for row in rows {
        writer.write_row(row).await?;
    }
    writer.finish().await
}

/// `mysql_native_password`: SHA1(password) XOR SHA1(salt + SHA1(SHA1(password))).
fn native_password(password: &str, salt: &[u8]) -> Vec<u8> {
    if password.is_empty() {
        return Vec::new();
    }
    let once = Sha1::digest(password.as_bytes());
    let salted = Sha1::new().chain_update(salt).chain_update(Sha1::digest(once)).finalize();
    once.iter().zip(salted).map(|(a, b)| a ^ b).collect()
}

/// A connection's output, in which the code of an error packet is set to what was meant.
struct Coded {
    inner: OwnedWriteHalf,
    code: Arc<AtomicU16>,
}

impl AsyncWrite for Coded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        // The header of a packet comes in a write of its own; an error begins with 0xff, its code, and `#`.
        let [0xff, low, high, b'#', ..] = data else { return Pin::new(&mut self.inner).poll_write(cx, data) };
        let code = match (self.code.load(Ordering::Relaxed), u16::from_le_bytes([*low, *high])) {
            (0, 1698) => ACCESS_DENIED,
            (0, said) => said,
            (meant, _) => meant,
        };
        let mut packet = data.to_vec();
        packet[1..3].copy_from_slice(&code.to_le_bytes());
        let written = Pin::new(&mut self.inner).poll_write(cx, &packet);
        if matches!(written, Poll::Ready(Ok(_))) {
            self.code.store(0, Ordering::Relaxed);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
