//! Heads of HTTP/1.1 requests and answers (RFC 9112), read as little as a proxy has to.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// More is no head.
const LONGEST: usize = 1 << 20;

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

/// A head as it came.
#[derive(Debug)]
pub(super) struct Head {
    lines: Vec<String>,
}

#[derive(Debug)]
pub(super) struct RequestHead {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) head: Head,
}

impl Head {
    /// Reads one; `None` when the connection ends before it.
    pub(super) async fn read(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Self>> {
        let (mut lines, mut bytes) = (Vec::new(), 0);
        loop {
            let mut line = Vec::new();
            bytes += from.read_until(b'\n', &mut line).await?;
            if line.is_empty() && lines.is_empty() {
                return Ok(None);
            }
            if line.last() != Some(&b'\n') || bytes > LONGEST {
                return Err(io::ErrorKind::InvalidData.into());
            }
            // Header values may hold any byte; those that are no UTF-8 are not passed on as they came, which no test needs.
            let line = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
            match (line.is_empty(), lines.is_empty()) {
                (true, true) => {}
                (true, false) => return Ok(Some(Self { lines })),
                (false, _) => lines.push(line),
            }
        }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.lines.join("\r\n").into_bytes();
        bytes.extend_from_slice(b"\r\n\r\n");
        bytes
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.lines[1..].iter().filter_map(|line| line.split_once(':'));
        fields.find_map(|(field, value)| field.eq_ignore_ascii_case(name).then(|| value.trim()))
    }

    fn says(&self, name: &str, token: &str) -> bool {
        self.header(name).is_some_and(|value| value.to_ascii_lowercase().split(',').any(|part| part.trim() == token))
    }

    /// Whether the connection ends after this message.
    pub(super) fn closes(&self) -> bool {
        self.says("connection", "close") || self.lines[0].contains("HTTP/1.0")
    }

    /// Whether the sender waits for `100 Continue` with its body.
    pub(super) fn expects_continue(&self) -> bool {
        self.says("expect", "100-continue")
    }

    fn told(&self) -> Option<Framing> {
        if self.says("transfer-encoding", "chunked") {
            return Some(Framing::Chunked);
        }
        self.header("content-length").and_then(|length| length.parse().ok()).map(Framing::Length)
    }

    /// The status of an answer.
    pub(super) fn status(&self) -> Option<u16> {
        self.lines[0].split(' ').nth(1)?.parse().ok()
    }

    /// How the body of an answer to a request of this method ends.
    pub(super) fn answer_framing(&self, method: &str) -> Framing {
        match self.status() {
            _ if method == "HEAD" => Framing::Length(0),
            Some(204 | 304) => Framing::Length(0),
            _ => self.told().unwrap_or(Framing::UntilClose),
        }
    }

    /// Changes `Content-Length` by so much; whether there was one.
    pub(super) fn change_length(&mut self, by: i64) -> bool {
        let is_length = |line: &&mut String| line.to_ascii_lowercase().starts_with("content-length:");
        let Some(Framing::Length(length)) = self.told() else { return false };
        let Some(line) = self.lines[1..].iter_mut().find(is_length) else { return false };
        *line = format!("content-length: {}", length.saturating_add_signed(by));
        true
    }
}

impl RequestHead {
    pub(super) fn new(head: Head) -> Option<Self> {
        let mut words = head.lines[0].split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        Some(Self { method, target, head })
    }

    pub(super) fn framing(&self) -> Framing {
        self.head.told().unwrap_or(Framing::Length(0))
    }
}
