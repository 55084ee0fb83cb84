//! Calls to the server: each through the limits and retries of [`Calls`], over one of a few connections.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use backup_core::error::codes;
use backup_core::{Error, JobContext, Result};
use backup_remote::{Attempt, Call, Calls, Failure, codes as remote};
use nfs3_client::RpcError;
use nfs3_client::nfs3_types::nfs3::{NFS_PROGRAM, Nfs3Result, PROGRAM, VERSION};
use nfs3_client::nfs3_types::xdr_codec::{Pack, Unpack};

use super::connect::{Connection, Service, Target};
use super::types::Status;
use crate::nfs::codes::NFS_SERVICE;

/// How long a server that says "later" is left alone at least.
const LATER: Duration = Duration::from_secs(1);

/// The way to one server.
pub(in crate::nfs) struct Session {
    pub(super) calls: Calls,
    pub(super) target: Target,
    /// Connections that nobody uses. There are never more than the limit of parallel calls.
    idle: Mutex<Vec<Connection>>,
    /// How many connections the other side ended. Those that were given up here do not count.
    breaks: AtomicU64,
}

/// The server's answer.
pub(super) struct Answer<T> {
    pub(super) result: Result<T, Status>,
    /// The call was made more than once, so an earlier one may have done what this one was refused for.
    pub(super) repeated: bool,
}

impl Session {
    pub(in crate::nfs) fn new(calls: Calls, target: Target) -> Self {
        Self { calls, target, idle: Mutex::default(), breaks: AtomicU64::new(0) }
    }

    /// Calls a procedure of NFS. A connection that broke, or on which an answer is overdue, is closed and made anew: nobody can tell
    /// what would come on it.
    pub(super) async fn call<C, T, E>(&self, cx: &JobContext, call: Call, procedure: NFS_PROGRAM, args: &C) -> Result<Answer<T>>
    where
        C: Pack + Send + Sync,
        T: Unpack + Send,
        E: Unpack + Send,
    {
        let attempt = |number: u32| async move {
            let mut connection = match self.connection(cx).await {
                Ok(connection) => connection,
                Err(error) => return Attempt::Failed(Failure::unsent(error)),
            };
            let answer = connection.rpc.call::<C, Nfs3Result<T, E>>(PROGRAM, VERSION, procedure as u32, args).await;
            let result = match answer {
                Ok(Nfs3Result::Ok(value)) => Ok(value),
                Ok(Nfs3Result::Err((status, _))) => Err(status),
                Err(RpcError::ProcUnavail) => Err(Status::NFS3ERR_NOTSUPP),
                Err(error) => {
                    // What broke this one has broken the others too, most of the time.
                    self.forget_idle();
                    self.breaks.fetch_add(1, Ordering::AcqRel);
                    return self.broken(error);
                }
            };
            self.give_back(connection);
            if matches!(result, Err(Status::NFS3ERR_JUKEBOX)) {
                let error = Error::new(&remote::OVERLOADED, "the server says that it can do that only later (NFS3ERR_JUKEBOX)");
                return Attempt::Failed(Failure::unsent(error).after(Some(LATER)));
            }
            Attempt::Ended(Ok(Answer { result, repeated: number > 1 }))
        };
        self.calls.run(cx, &call, attempt).await
    }

    /// Another value later means that a connection broke in between: the server may have restarted.
    pub(in crate::nfs) fn breaks(&self) -> u64 {
        self.breaks.load(Ordering::Acquire)
    }

    async fn connection(&self, cx: &JobContext) -> Result<Connection> {
        while let Some(connection) = self.idle().pop() {
            if connection.is_idle() {
                return Ok(connection);
            }
            self.breaks.fetch_add(1, Ordering::AcqRel);
        }
        self.target.connect(cx, self.calls.limits().stall(), Service::Nfs).await
    }

    fn give_back(&self, connection: Connection) {
        self.idle().push(connection);
    }

    fn forget_idle(&self) {
        self.idle().clear();
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a call comes to that got no answer, or none of the procedure.
    pub(super) fn broken<T>(&self, error: RpcError) -> Attempt<T> {
        let server = self.target.server();
        match error {
            RpcError::Io(error) => {
                Attempt::Failed(Failure::sent(Error::new(&remote::UNREACHABLE, "the connection broke").with_source(error)))
            }
            RpcError::Auth(why) => Attempt::Ended(Err(Error::new(
                &codes::STORE_DENIED,
                format!(
                    "`{server}` refuses who we say we are ({why}); the export must allow AUTH_SYS (`sec=sys`){}",
                    self.privileged()
                ),
            ))),
            error @ (RpcError::ProgUnavail
            | RpcError::ProgMismatch { .. }
            | RpcError::RpcMismatch { .. }
            | RpcError::ProcUnavail) => {
                let text = format!("`{server}` does not serve NFS version 3 there");
                Attempt::Ended(Err(Error::new(&NFS_SERVICE, text).with_source(error)))
            }
            RpcError::SystemErr => {
                Attempt::Failed(Failure::sent(Error::new(&remote::OVERLOADED, "the server failed within itself (SYSTEM_ERR)")))
            }
            error => Attempt::Failed(Failure::sent(
                Error::new(&remote::ANSWER, "the answer makes no sense").with_source(error.to_string()),
            )),
        }
    }

    /// What may be wrong besides when a server refuses us.
    pub(super) fn privileged(&self) -> &'static str {
        match self.target.is_privileged() {
            true => "",
            false => "; a server whose export asks for a privileged port (`secure`) needs `privileged-port: true`",
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("calls", &self.calls).finish_non_exhaustive()
    }
}
