use backup_core::source::ArtifactStream;
use backup_core::{Error, Result};
use futures::StreamExt;

use super::Kind;
use super::lexer::{Lexer, Token, damaged};
use crate::cinder::format::codes;

/// How deep values that nobody asks for may be nested.
const MAX_DEPTH: usize = 64;

/// Reads a JSON text from a stream, value by value.
pub(in crate::cinder::format) struct JsonReader {
    stream: ArtifactStream,
    lexer: Lexer,
}

/// Where a reader stands within an object or an array.
#[derive(Debug, Default)]
pub(in crate::cinder::format) struct Members {
    begun: bool,
}

impl JsonReader {
    pub(in crate::cinder::format) fn new(stream: ArtifactStream) -> Self {
        Self { stream, lexer: Lexer::default() }
    }

    /// The next token.
    pub(in crate::cinder::format) async fn token(&mut self) -> Result<Token> {
        loop {
            if let Some(token) = self.lexer.next()? {
                return Ok(token);
            }
            match self.stream.next().await.transpose()? {
                Some(piece) => self.lexer.feed(piece)?,
                None => {
                    self.lexer.end();
                    return self.lexer.next()?.ok_or_else(|| damaged("it ends too early"));
                }
            }
        }
    }

    pub(in crate::cinder::format) fn bytes(&self, token: Token) -> &[u8] {
        self.lexer.bytes(token)
    }

    /// # Errors
    /// `cinder.damaged` when anything but white space follows; what the stream finds at its end.
    pub(in crate::cinder::format) async fn finish(mut self) -> Result<()> {
        loop {
            if self.lexer.next()?.is_some() {
                return Err(damaged("something follows behind its end"));
            }
            match self.stream.next().await.transpose()? {
                Some(piece) => self.lexer.feed(piece)?,
                None => {
                    self.lexer.end();
                    return match self.lexer.next()? {
                        Some(_) => Err(damaged("something follows behind its end")),
                        None => Ok(()),
                    };
                }
            }
        }
    }

    /// Reads one of `{}[]:,`.
    pub(in crate::cinder::format) async fn mark(&mut self, mark: u8) -> Result<()> {
        match self.token().await?.kind {
            Kind::Mark(found) if found == mark => Ok(()),
            _ => Err(damaged("its JSON has another shape")),
        }
    }

    /// The next key of an object whose `{` was read; `None` behind its `}`.
    pub(in crate::cinder::format) async fn key(&mut self, members: &mut Members) -> Result<Option<String>> {
        let Some(token) = self.member(members, b'}').await? else { return Ok(None) };
        let key = self.text_of(token)?;
        self.mark(b':').await?;
        Ok(Some(key))
    }

    /// The first token of the next item of an array whose `[` was read; `None` behind its `]`.
    pub(in crate::cinder::format) async fn item(&mut self, members: &mut Members) -> Result<Option<Token>> {
        self.member(members, b']').await
    }

    async fn member(&mut self, members: &mut Members, end: u8) -> Result<Option<Token>> {
        let token = self.token().await?;
        if token.kind == Kind::Mark(end) {
            return Ok(None);
        }
        if !std::mem::replace(&mut members.begun, true) {
            return Ok(Some(token));
        }
        match token.kind {
            Kind::Mark(b',') => self.token().await.map(Some),
            _ => Err(damaged("its JSON has another shape")),
        }
    }

    /// Reads a text.
    pub(in crate::cinder::format) async fn text(&mut self) -> Result<String> {
        let token = self.token().await?;
        self.text_of(token)
    }

    /// Reads a text or `null`.
    pub(in crate::cinder::format) async fn text_or_null(&mut self) -> Result<Option<String>> {
        let token = self.token().await?;
        match token.kind {
            Kind::Word if self.bytes(token) == b"null" => Ok(None),
            _ => self.text_of(token).map(Some),
        }
    }

    /// Reads a number that is neither negative nor broken.
    pub(in crate::cinder::format) async fn number(&mut self) -> Result<u64> {
        let token = self.token().await?;
        let digits = (token.kind == Kind::Word).then(|| self.bytes(token));
        let digits = digits.filter(|digits| digits.iter().all(u8::is_ascii_digit)).and_then(|digits| str::from_utf8(digits).ok());
        digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| damaged("it has something else where a number belongs"))
    }

    pub(in crate::cinder::format) fn text_of(&self, token: Token) -> Result<String> {
        if token.kind != Kind::Text {
            return Err(damaged("it has something else where a text belongs"));
        }
        serde_json::from_slice(self.bytes(token))
            .map_err(|error| Error::new(&codes::DAMAGED, "a text in it cannot be read").with_source(error))
    }

    /// Passes over a value, whatever it is.
    pub(in crate::cinder::format) async fn skip(&mut self) -> Result<()> {
        let mut open = Vec::new();
        loop {
            match self.token().await?.kind {
                Kind::Mark(mark @ (b'{' | b'[')) if open.len() < MAX_DEPTH => open.push(mark),
                Kind::Mark(b'{' | b'[') => return Err(damaged("its values are nested too deeply")),
                Kind::Mark(b'}') if open.pop() == Some(b'{') => {}
                Kind::Mark(b']') if open.pop() == Some(b'[') => {}
                Kind::Mark(b':' | b',') if !open.is_empty() => continue,
                Kind::Text | Kind::Word => {}
                Kind::Mark(_) => return Err(damaged("its JSON has another shape")),
            }
            if open.is_empty() {
                return Ok(());
            }
        }
    }
}
