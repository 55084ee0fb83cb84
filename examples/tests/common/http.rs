//! A client that sends what it is told, over a connection of its own.

use std::fmt;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Longer than anything a test waits for.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Answer {
    pub status: u16,
    head: String,
    pub body: Vec<u8>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = &self.body[..self.body.len().min(1000)];
        write!(f, "{}\n\n{}", self.head, String::from_utf8_lossy(start))
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value.trim())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Asks and reads to the end. `None` when the server cannot be reached or cuts the answer.
pub fn try_ask(port: u16, method: &str, path: &str) -> Option<Answer> {
    raw(
        port,
        format!("{method} {path} HTTP/1.1\r\nhost: server\r\nconnection: close\r\nx-cybozu-request-id: test-1\r\n\r\n")
            .as_bytes(),
    )
}

/// Sends bytes as they are.
pub fn raw(port: u16, request: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(request).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8(answer[..end].to_vec()).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let answer = Answer { status, head, body: answer[end + 4..].to_vec() };
    let whole = request.starts_with(b"HEAD") || answer.header("content-length").parse() == Ok(answer.body.len());
    whole.then_some(answer)
}
