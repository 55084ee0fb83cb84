//! What can be done to connections and requests.

use std::time::Duration;

use tokio::sync::watch;

/// What happens to a connection, from its first byte on.
#[derive(Debug, Clone)]
pub enum ConnectionFault {
    /// Accepted and reset at once.
    Reset,
    /// Accepted, and everything read; nothing ever comes back.
    BlackHole,
    /// Something happens to the bytes from the client to the server. The connection's requests are not looked at.
    ToServer(Harm),
    /// Something happens to the bytes from the server to the client. The connection's requests are not looked at.
    ToClient(Harm),
}

/// What happens to a request and its answer.
#[derive(Debug, Clone)]
pub enum RequestFault {
    /// It is passed on after this time.
    Delay(Duration),
    /// It is passed on when the gate opens.
    Hold(Gate),
    /// The connection is reset after the request's head; the server hears nothing.
    Reset,
    /// The request is read; the server hears nothing, and no answer ever comes.
    BlackHole,
    /// The proxy answers; the server hears nothing.
    Answer(Reply),
    /// The server gets it and answers in full, and then the connection is reset: the client cannot know.
    LoseAnswer,
    /// The answer's `Content-Length` is wrong by so much; its body is passed on as it is and the connection closed after it. Answers without
    /// that header are left alone.
    WrongLength(i64),
    /// Something happens to the request's body on its way to the server.
    RequestBody(Harm),
    /// Something happens to the answer's body; its head passes.
    AnswerBody(Harm),
}

/// What happens to a row of bytes.
#[derive(Debug, Clone)]
pub enum Harm {
    /// The connection, on both sides of the proxy, ends as soon as so many bytes passed.
    Cut {
        /// So many bytes.
        after: u64,
        /// How it ends.
        ending: Ending,
    },
    /// As soon as so many bytes passed, nothing does until the gate opens.
    Hold {
        /// So many bytes.
        after: u64,
        /// Tells when they passed, and opens when the test says so.
        gate: Gate,
    },
    /// They pass in pieces of at most `piece` bytes with a pause after each.
    Slow {
        /// So many bytes at once.
        piece: usize,
        /// Real time.
        pause: Duration,
    },
    /// One bit of the byte at this place is flipped.
    FlipAt(u64),
    /// One bit of the first occurrence of the pattern is flipped; it is found only where it comes in one piece.
    Flip(Vec<u8>),
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// As by a server that closes it (FIN).
    Close,
    /// As by a server that died (RST).
    Reset,
}

/// An answer of the proxy's own.
#[derive(Debug, Clone)]
pub struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    pub(super) early: bool,
}

impl Reply {
    /// An answer with this status and an empty body.
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), early: false }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds `Retry-After` in seconds.
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        self.header("retry-after", &seconds.to_string())
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Answers right after the request's head, as an overloaded server does, and ends the connection; otherwise the request is read first.
    #[must_use]
    pub fn early(mut self) -> Self {
        self.early = true;
        self
    }
}

/// Stops bytes on their way. Clones are the same gate; it starts closed.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    reached: watch::Sender<bool>,
    open: watch::Sender<bool>,
}

impl Gate {
    /// Waits until somebody stands before it.
    pub async fn reached(&self) {
        // The sender lives as long as `self`.
        let _ = self.reached.subscribe().wait_for(|reached| *reached).await;
    }

    /// Lets pass who stands before it, and who comes.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    pub(super) async fn pass(&self) {
        self.reached.send_replace(true);
        let _ = self.open.subscribe().wait_for(|open| *open).await;
    }
}
