//! What a program prints, kept within bounds and readable while it runs.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};

#[cfg(feature = "br")]
use super::lines::{Lines, Listener};
use super::spool::Spool;
#[cfg(feature = "script")]
use super::spool::Spooled;
use super::strainer::{Secrets, Strainer};

/// Bytes of the end that an error quotes.
const QUOTE: usize = 2 << 10;
/// Bytes read at once: what a pipe holds.
const READ: usize = 64 << 10;

/// How much of what a program prints is kept, for each of its streams. In bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct LogLimits {
    /// Kept from the start.
    pub head: usize,
    /// Kept from the end.
    pub tail: usize,
    /// Kept of one line.
    pub line: usize,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self { head: 16 << 10, tail: 48 << 10, line: 8 << 10 }
    }
}

impl LogLimits {
    /// Limits with that many bytes from the start and from the end, and lines as by default.
    pub fn new(head: usize, tail: usize) -> Self {
        Self { head: head.max(1), tail: tail.max(1), ..Self::default() }
    }

    /// Sets [`LogLimits::line`].
    #[must_use]
    pub fn line(mut self, bytes: usize) -> Self {
        self.line = bytes;
        self
    }
}

/// A bounded log of one stream or several. Shared with the tasks that fill it.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    kept: Arc<Mutex<Kept>>,
    secrets: Secrets,
    limits: LogLimits,
    #[cfg(feature = "br")]
    listener: Option<Listener>,
}

#[derive(Debug, Default)]
struct Kept {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    cut: u64,
    spool: Option<Spool>,
}

impl Log {
    /// An empty log into which `secrets` never get.
    pub(crate) fn new(secrets: Secrets, limits: LogLimits) -> Self {
        Self {
            kept: Arc::default(),
            secrets,
            limits,
            #[cfg(feature = "br")]
            listener: None,
        }
    }

    /// Hands every line to `listener`, too: without secrets, and cut as those that are kept.
    #[cfg(feature = "br")]
    pub(crate) fn heard(mut self, listener: Listener) -> Self {
        self.listener = Some(listener);
        self
    }

    /// Keeps what comes in files `<base>.<offset>`, too.
    #[cfg_attr(not(feature = "script"), allow(dead_code))]
    pub(crate) fn spooled(self, base: PathBuf) -> Self {
        self.lock().spool = Some(Spool::new(base, self.limits));
        self
    }

    /// The log that was spooled into `<base>.<offset>`.
    #[cfg(feature = "script")]
    pub(crate) fn of_spool(base: &std::path::Path, limits: LogLimits) -> std::io::Result<Self> {
        let log = Self::new(Secrets::default(), limits);
        if let Some(Spooled { head, tail, cut }) = super::spool::read(base, limits)? {
            *log.lock() = Kept { head, tail: tail.into(), cut, spool: None };
        }
        Ok(log)
    }

    /// Reads `from` to its end.
    pub(crate) async fn fill(self, mut from: impl AsyncRead + Unpin) {
        let mut strainer = Strainer::new(self.secrets.clone(), self.limits.line);
        let (mut buffer, mut clean) = (vec![0; READ], Vec::new());
        #[cfg(feature = "br")]
        let mut lines = self.listener.clone().map(|listener| Lines::new(listener, self.limits.line));
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            strainer.push(buffer.get(..count).unwrap_or_default(), &mut clean);
            self.keep(&clean);
            #[cfg(feature = "br")]
            lines.iter_mut().for_each(|lines| lines.push(&clean));
            clean.clear();
        }
        strainer.end(&mut clean);
        self.keep(&clean);
        #[cfg(feature = "br")]
        if let Some(mut lines) = lines {
            lines.push(&clean);
            lines.end();
        }
    }

    fn keep(&self, data: &[u8]) {
        let mut kept = self.lock();
        // On disk before anybody can have seen it. Into the page cache: as quick as copying it.
        if let Some(spool) = &mut kept.spool
            && let Err(error) = spool.push(data)
        {
            tracing::warn!(%error, "a program's log is kept in memory alone from here on");
            kept.spool = None;
        }
        let room = self.limits.head.saturating_sub(kept.head.len()).min(data.len());
        let (first, rest) = data.split_at(room);
        kept.head.extend_from_slice(first);
        let skipped = rest.len().saturating_sub(self.limits.tail);
        let rest = rest.get(skipped..).unwrap_or_default();
        let over = (kept.tail.len() + rest.len()).saturating_sub(self.limits.tail);
        kept.tail.drain(..over);
        kept.tail.extend(rest);
        kept.cut = kept.cut.saturating_add((skipped + over) as u64);
    }

    /// All that was kept, saying how much was cut out; `None` when nothing was printed.
    pub(crate) fn text(&self) -> Option<String> {
        let mut kept = self.lock();
        if kept.head.is_empty() {
            return None;
        }
        let cut = kept.cut;
        let mut text = kept.head.clone();
        if cut > 0 {
            text.extend_from_slice(format!("\n[{cut} bytes cut out]\n").as_bytes());
        }
        text.extend_from_slice(kept.tail.make_contiguous());
        Some(String::from_utf8_lossy(&text).into_owned())
    }

    /// The end of it, for an error message.
    pub(crate) fn quote(&self) -> Option<String> {
        let text = self.text()?;
        let text = text.trim_end();
        let from = text.len().saturating_sub(QUOTE);
        let from = (from..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let end = text.get(from..).unwrap_or_default();
        (!end.is_empty()).then(|| end.to_owned())
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(log: Log, text: &str) -> Log {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(log.clone().fill(text.as_bytes()));
        log
    }

    fn lines(count: usize) -> String {
        (0..count).map(|line| format!("line {line:06}\n")).collect()
    }

    #[test]
    fn the_first_and_the_last_are_kept_and_the_cut_is_counted() {
        let limits = LogLimits::default();
        assert_eq!(Log::new(Secrets::default(), limits).text(), None);
        let log = filled(Log::new(Secrets::default(), limits), &lines(20_000));
        let text = log.text().unwrap();
        let total = 20_000 * 12;
        assert!(text.starts_with("line 000000\n"));
        assert!(text.ends_with("line 019999\n"));
        assert!(text.contains(&format!("[{} bytes cut out]", total - limits.head - limits.tail)), "wrong count");
        assert!(text.len() < limits.head + limits.tail + 100);
        assert!(log.quote().unwrap().len() <= QUOTE);
    }

    #[test]
    fn a_short_log_is_kept_whole_and_secrets_are_struck_out() {
        let secrets = Secrets::new(&["hunter2!".into(), "on".into()]);
        let log = filled(Log::new(secrets, LogLimits::default()), "password is hunter2!, tracing on");
        assert_eq!(log.text().unwrap(), "password is ***, tracing on");
    }

    #[cfg(feature = "script")]
    #[test]
    fn a_spooled_log_reads_back_as_it_was_in_memory() {
        for count in [0, 1, 5, 10, 11, 50, 90, 500, 20_000] {
            let directory = tempfile::tempdir().unwrap();
            let base = directory.path().join("backup.out");
            let limits = LogLimits { head: 100, tail: 300, line: 1000 };
            let log = filled(Log::new(Secrets::default(), limits).spooled(base.clone()), &lines(count));
            assert_eq!(Log::of_spool(&base, limits).unwrap().text(), log.text(), "{count} lines");
            let sizes = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len());
            assert!(sizes.sum::<u64>() <= 700, "the spool of {count} lines is not bounded");
        }
    }
}
