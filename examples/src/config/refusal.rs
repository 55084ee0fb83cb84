//! What is wrong with a configuration, in words, with its line.

use std::path::Path;

use backup_core::Error;
use backup_core::error::codes;

use super::nearest::nearest;

/// The error of the YAML reader as ours.
pub(super) fn refused(path: &Path, error: &serde_saphyr::Error) -> Error {
    let line = error.location().map(|location| location.line()).filter(|line| *line > 0);
    let line = line.map_or_else(String::new, |line| format!("{line}:"));
    Error::new(&codes::INPUT_INVALID, format!("{}:{line} {}", path.display(), what(error.without_snippet())))
}

fn what(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::Error as Yaml;
    match error {
        Yaml::SerdeUnknownField { field, expected, .. } => format!("unknown key `{field}`{}", instead(field, expected)),
        Yaml::SerdeUnknownVariant { variant, expected, .. } => format!("unknown value `{variant}`{}", instead(variant, expected)),
        Yaml::SerdeMissingField { field, .. } => format!("the key `{field}` is missing"),
        Yaml::SerdeInvalidType { unexpected, expected, .. } | Yaml::SerdeInvalidValue { unexpected, expected, .. } => {
            format!("{} stands here instead of {expected}", hidden(unexpected))
        }
        Yaml::DuplicateMappingKey { key: Some(key), .. } => format!("the key `{key}` is there twice"),
        Yaml::InvalidScalar { ty, .. } => format!("a value here is no {ty}"),
        Yaml::Message { msg, .. } => msg.clone(),
        Yaml::Eof { .. } => "it is empty".to_owned(),
        other => other.to_string(),
    }
}

/// A near one, or all of them.
fn instead(written: &str, known: &[&str]) -> String {
    match nearest(written, known) {
        Some(near) => format!(", did you mean `{near}`?"),
        None if known.is_empty() => String::new(),
        None => format!("; there are {}", known.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")),
    }
}

/// A text that stands at the wrong place may be a secret.
fn hidden(unexpected: &str) -> &str {
    if unexpected.starts_with("string ") { "a text" } else { unexpected }
}
