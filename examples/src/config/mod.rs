//! The configuration of the programs: one YAML file, read into the program's own type.
//!
//! # Behavior
//! Keys are kebab-case. An unknown or a missing key, a wrong type and a bad value are refused with file, line and key:
//!
//! ```text
//! config.yaml:12: unknown key `rotat`, did you mean `rotate`?
//! ```
//!
//! A text that is `${NAME}` as a whole is replaced by the environment variable of that name. A key `x` that takes a text may be given
//! as `x-file`: then the text is the content of that file, without the line end at its end. So no secret has to stand in the file.
//! Both work everywhere, also inside of blocks that the libraries define; an unset variable and an unreadable file are refused by
//! the name of the key. Errors never show a value that was expected to be something else, and never a line of the file.

mod nearest;
mod objective;
mod refusal;
mod resolve;
mod section;
mod state;
#[cfg(test)]
mod tests;

use std::io::Read;
use std::path::Path;

use backup_core::error::codes;
use backup_core::{Error, Result};
use serde::de::DeserializeOwned;

pub use objective::ObjectiveConfig;
pub use section::{Dialect, StoreSection, sidecar_naming};
pub use state::StateConfig;

/// More than any configuration needs: what is longer is another file.
const MAX_SIZE: u64 = 1 << 20;

/// Reads the configuration file at `path`.
///
/// # Errors
/// `input.invalid` with file, line and key; `store.denied` when the file cannot be read.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T> {
    parse(path, &read(path)?)
}

/// Reads a configuration from `text`, which stands in the file `path`.
fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T> {
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::with_deserializer_from_str_with_options(text, options, |yaml| T::deserialize(resolve::resolving(yaml)))
        .map_err(|error| refusal::refused(path, &error))
}

fn read(path: &Path) -> Result<String> {
    let unreadable = |error: std::io::Error| {
        let code = match error.kind() {
            std::io::ErrorKind::PermissionDenied => &codes::STORE_DENIED,
            _ => &codes::INPUT_INVALID,
        };
        Error::new(code, format!("the configuration {} cannot be read", path.display())).with_source(error)
    };
    let mut text = String::new();
    std::fs::File::open(path).and_then(|file| file.take(MAX_SIZE + 1).read_to_string(&mut text)).map_err(unreadable)?;
    if text.len() as u64 > MAX_SIZE {
        return Err(Error::new(&codes::INPUT_INVALID, format!("{} is no configuration: it is too long", path.display())));
    }
    Ok(text)
}
