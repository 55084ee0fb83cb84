//! Where the text of a key comes from when it does not stand in the configuration.

use std::io::Read;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::de::{Deserializer, Visitor};
use serde::forward_to_deserialize_any;

/// More than any secret or certificate needs.
const MAX_SIZE: u64 = 1 << 16;

/// Another place than the configuration itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Source {
    Variable(String),
    File(PathBuf),
}

impl Source {
    /// The variable, when `text` is `${NAME}` as a whole.
    pub(super) fn of(text: &str) -> Option<Self> {
        let name = text.strip_prefix("${")?.strip_suffix('}')?;
        let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        (letters && !name.is_empty()).then(|| Self::Variable(name.to_owned()))
    }

    /// The text; an error names `key`, and never what was read.
    pub(super) fn read(&self, key: &str) -> Result<String, String> {
        match self {
            Self::Variable(name) => {
                std::env::var(name).map_err(|error| format!("`{key}`: the environment variable {name} cannot be used: {error}"))
            }
            Self::File(path) => {
                let text = content(path).map_err(|error| format!("`{key}-file`: {} cannot be read: {error}", path.display()))?;
                Ok(text.strip_suffix('\n').map(|text| text.strip_suffix('\r').unwrap_or(text)).unwrap_or(&text).to_owned())
            }
        }
    }
}

fn content(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_SIZE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_SIZE {
        return Err(std::io::Error::other(format!("it has more than {MAX_SIZE} bytes")));
    }
    Ok(text)
}

/// A text as a deserializer, for whatever can be made of a text.
pub(super) struct Text<E> {
    text: String,
    error: PhantomData<E>,
}

impl<E> Text<E> {
    pub(super) fn new(text: String) -> Self {
        Self { text, error: PhantomData }
    }
}

impl<'de, E: serde::de::Error> Deserializer<'de> for Text<E> {
    type Error = E;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_string(self.text)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, E> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}
