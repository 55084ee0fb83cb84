//! What a program prints, line by line, for somebody who reads along.

use std::fmt;
use std::sync::Arc;

/// Takes each line as it comes, without its end. Called from the task that reads the program's output: it returns at once.
#[derive(Clone)]
pub(crate) struct Listener(Arc<dyn Fn(&str) + Send + Sync>);

impl Listener {
    /// Hands each line to `take`.
    pub(crate) fn new(take: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(take))
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

/// Cuts one stream into lines. Their ends are line feeds and carriage returns, with which a bar of progress is drawn anew.
#[derive(Debug)]
pub(super) struct Lines {
    listener: Listener,
    part: Vec<u8>,
    limit: usize,
}

impl Lines {
    /// Of a line, `limit` bytes are kept.
    pub(super) fn new(listener: Listener, limit: usize) -> Self {
        Self { listener, part: Vec::new(), limit }
    }

    pub(super) fn push(&mut self, mut data: &[u8]) {
        while let Some(at) = memchr::memchr2(b'\n', b'\r', data) {
            let (line, rest) = data.split_at(at);
            if self.part.is_empty() {
                self.tell(line);
            } else {
                self.keep(line);
                self.end();
            }
            data = rest.get(1..).unwrap_or_default();
        }
        self.keep(data);
    }

    /// Hands on a last line that has no end.
    pub(super) fn end(&mut self) {
        let part = std::mem::take(&mut self.part);
        self.tell(&part);
    }

    fn keep(&mut self, data: &[u8]) {
        let room = self.limit.saturating_sub(self.part.len()).min(data.len());
        self.part.extend_from_slice(data.get(..room).unwrap_or_default());
    }

    fn tell(&self, line: &[u8]) {
        let line = line.get(..self.limit).unwrap_or(line);
        if !line.is_empty() {
            (self.listener.0)(&String::from_utf8_lossy(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn lines_are_the_same_wherever_the_reads_cut_them_and_none_is_longer_than_the_limit() {
        let text = "one\n\ntwo\r10%\r20%\nx0123456789abcdef\nlast";
        for size in 1..=text.len() {
            let heard: Arc<Mutex<Vec<String>>> = Arc::default();
            let its = Arc::clone(&heard);
            let mut lines = Lines::new(Listener::new(move |line| its.lock().unwrap().push(line.to_owned())), 10);
            text.as_bytes().chunks(size).for_each(|piece| lines.push(piece));
            lines.end();
            assert_eq!(*heard.lock().unwrap(), ["one", "two", "10%", "20%", "x012345678", "last"], "in pieces of {size}");
        }
    }
}
