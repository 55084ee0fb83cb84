//! What a program prints, kept within bounds.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt};

use backup_core::Secret;

/// Bytes kept from the start.
const HEAD: usize = 16 << 10;
/// Bytes kept from the end.
const TAIL: usize = 48 << 10;
/// Bytes of the end that an error quotes.
const QUOTE: usize = 2 << 10;
/// Shorter values are too common in ordinary text to be struck out.
const SHORTEST_SECRET: usize = 6;

/// A bounded log: its first 16 KiB and its last 48 KiB. Shared with the tasks that fill it.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    kept: Arc<Mutex<Kept>>,
    secrets: Arc<Vec<Secret>>,
}

#[derive(Debug, Default)]
struct Kept {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    cut: u64,
}

impl Log {
    /// An empty log that strikes `secrets` out of what it gives back.
    pub(crate) fn new(secrets: Vec<Secret>) -> Self {
        let secrets = secrets.into_iter().filter(|secret| secret.expose().len() >= SHORTEST_SECRET).collect();
        Self { kept: Arc::default(), secrets: Arc::new(secrets) }
    }

    /// Adds what was printed.
    pub(crate) fn push(&self, data: &[u8]) {
        let mut kept = self.lock();
        let room = HEAD.saturating_sub(kept.head.len()).min(data.len());
        let (first, rest) = data.split_at(room);
        kept.head.extend_from_slice(first);
        kept.tail.extend(rest);
        let over = kept.tail.len().saturating_sub(TAIL);
        kept.tail.drain(..over);
        kept.cut = kept.cut.saturating_add(over as u64);
    }

    /// Reads `from` to its end.
    pub(crate) async fn fill(self, mut from: impl AsyncRead + Unpin) {
        let mut buffer = vec![0; 8 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            self.push(buffer.get(..count).unwrap_or_default());
        }
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
        Some(self.strike_out(&text))
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

    fn strike_out(&self, text: &[u8]) -> String {
        let mut text = String::from_utf8_lossy(text).into_owned();
        for secret in self.secrets.iter() {
            text = text.replace(secret.expose(), "***");
        }
        text
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_are_kept_and_the_cut_is_counted() {
        let log = Log::new(Vec::new());
        assert_eq!(log.text(), None);
        for line in 0..20_000 {
            log.push(format!("line {line:06}\n").as_bytes());
        }
        let text = log.text().unwrap();
        let total = 20_000 * 12;
        assert!(text.starts_with("line 000000\n"));
        assert!(text.ends_with("line 019999\n"));
        assert!(text.contains(&format!("[{} bytes cut out]", total - HEAD - TAIL)), "wrong count");
        assert!(text.len() < HEAD + TAIL + 100);
        assert!(log.quote().unwrap().len() <= QUOTE);
    }

    #[test]
    fn a_short_log_is_kept_whole_and_secrets_are_struck_out() {
        let log = Log::new(vec!["hunter2!".into(), "on".into()]);
        log.push(b"password is hunter2!, tracing on");
        assert_eq!(log.text().unwrap(), "password is ***, tracing on");
    }
}
