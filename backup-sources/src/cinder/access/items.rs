//! A JSON array of small objects, read one by one: what `rbd diff` and `qemu-img map` print of a volume may be as long as it likes.

use std::marker::PhantomData;

use backup_core::{Error, Result};
use bytes::{Buf, BytesMut};
use serde::de::DeserializeOwned;
use tokio::io::AsyncRead;

use super::codes;
use super::program::fill;

/// Bytes of one object.
const ITEM: usize = 4 << 10;

/// The objects of an array, in turn.
#[derive(Debug)]
pub(super) struct Items<R, T> {
    source: R,
    buffer: BytesMut,
    state: State,
    kind: PhantomData<fn() -> T>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Before,
    /// Within the array; whether an object came already.
    Within {
        some: bool,
    },
    After,
}

impl<R: AsyncRead + Unpin, T: DeserializeOwned> Items<R, T> {
    pub(super) fn new(source: R) -> Self {
        Self { source, buffer: BytesMut::new(), state: State::Before, kind: PhantomData }
    }

    /// The next object; `None` after the last, when the array and the output ended.
    ///
    /// # Errors
    /// `cinder.unreadable`; there is no next one then.
    pub(super) async fn next(&mut self) -> Result<Option<T>> {
        loop {
            let byte = self.next_byte().await?;
            match (self.state, byte) {
                (State::Before, Some(b'[')) => self.state = State::Within { some: false },
                (State::Within { .. }, Some(b']')) => self.state = State::After,
                (State::Within { some: true }, Some(b',')) => self.state = State::Within { some: false },
                (State::Within { some: false }, Some(b'{')) => {
                    self.state = State::Within { some: true };
                    return self.object().await.map(Some);
                }
                (State::After, None) => return Ok(None),
                (_, None) => return Err(bad("it was cut")),
                (_, Some(byte)) => return Err(bad(format!("it has {:?} where none belongs", char::from(byte)))),
            }
        }
    }

    /// The next byte that is no white space.
    async fn next_byte(&mut self) -> Result<Option<u8>> {
        while self.more(1).await? {
            let byte = self.buffer.get_u8();
            if !byte.is_ascii_whitespace() {
                return Ok(Some(byte));
            }
        }
        Ok(None)
    }

    /// The object whose first brace was taken already. None of these has another within it.
    async fn object(&mut self) -> Result<T> {
        let mut text = vec![b'{'];
        let (mut quoted, mut escaped) = (false, false);
        while text.len() < ITEM && self.more(1).await? {
            let byte = self.buffer.get_u8();
            text.push(byte);
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = quoted,
                b'"' => quoted = !quoted,
                b'{' if !quoted => return Err(bad("an entry has an object within it")),
                b'}' if !quoted => {
                    let parsed = serde_json::from_slice(&text);
                    return parsed.map_err(|error| bad("an entry is not understood").with_source(error));
                }
                _ => {}
            }
        }
        Err(bad("an entry was cut, or is too long"))
    }

    async fn more(&mut self, bytes: usize) -> Result<bool> {
        fill(&mut self.source, &mut self.buffer, bytes).await.map_err(|error| bad("it could not be read").with_source(error))
    }
}

fn bad(what: impl std::fmt::Display) -> Error {
    Error::new(&codes::UNREADABLE, format!("the list of extents cannot be used: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Pair {
        a: u64,
        #[serde(default)]
        b: String,
    }

    async fn all(text: &str) -> Result<Vec<Pair>> {
        let mut items = Items::<_, Pair>::new(text.as_bytes());
        let mut all = Vec::new();
        while let Some(item) = items.next().await? {
            all.push(item);
        }
        Ok(all)
    }

    #[tokio::test]
    async fn objects_come_one_by_one_whatever_is_between_and_within_them() {
        assert_eq!(all("[]\n").await.unwrap(), []);
        let read = all("[ {\"a\": 1},\n{\"a\":2,\"b\":\"}\\\"]{\"} ]\n").await.unwrap();
        assert_eq!(read, [Pair { a: 1, b: String::new() }, Pair { a: 2, b: "}\"]{".to_owned() }]);
        let many: Vec<_> = (0..100_000).map(|a| format!("{{\"a\":{a}}}")).collect();
        assert_eq!(all(&format!("[{}]", many.join(","))).await.unwrap().len(), 100_000);
    }

    #[tokio::test]
    async fn whatever_is_no_whole_list_is_an_error() {
        let long = format!("[{{\"a\":1,\"b\":\"{}\"}}]", "x".repeat(2 * ITEM));
        for text in [
            "",
            "[",
            "[{\"a\":1}",
            "[{\"a\":1}{\"a\":2}]",
            "[{\"a\":",
            "[{}]",
            "[1]",
            "{}",
            "[] []",
            "[{\"a\":{\"a\":1}}]",
            &long,
        ] {
            let error = all(text).await.unwrap_err();
            assert_eq!(error.code().name, "cinder.unreadable", "{text:.40}: {error}");
        }
    }
}
