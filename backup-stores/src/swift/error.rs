//! What Swift's statuses mean.

use backup_core::error::codes as core_codes;
use backup_core::{Effect, Error};
use backup_remote::http::http::{Response, StatusCode};
use backup_remote::http::unsettled;
use bytes::Bytes;

use super::codes;

/// How much of an answer's text goes into a message.
const EXCERPT: usize = 200;

/// The error of an answer that was not hoped for.
pub(super) fn refused(doing: &str, name: &str, status: StatusCode, body: &[u8]) -> Error {
    let code = match status.as_u16() {
        401 | 403 => &core_codes::STORE_DENIED,
        404 => &core_codes::STORE_NOT_FOUND,
        409 => &codes::SEGMENTS_MISSING,
        // A quota, or a full device.
        413 | 507 => &core_codes::STORE_NO_SPACE,
        416 => &core_codes::INPUT_INVALID,
        422 => &codes::CHECKSUM,
        408 | 499 => &core_codes::STORE_UNAVAILABLE,
        _ => &core_codes::STORE_IO,
    };
    Error::new(code, format!("{doing} `{name}`: Swift answered {status}{}", excerpt(body)))
}

/// The error of an answer to a request that changes something: an attempt before it may have done so.
pub(super) fn refused_change(doing: &str, name: &str, answer: &Response<Bytes>) -> Error {
    let error = refused(doing, name, answer.status(), answer.body());
    if unsettled(answer) { error.with_effect(Effect::Unknown) } else { error }
}

/// An answer's text on one line, after a colon; without the tags of Swift's error pages.
pub(super) fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let mut plain = String::new();
    let mut tag = false;
    for character in text.chars() {
        match character {
            '<' => tag = true,
            '>' if tag => {
                tag = false;
                plain.push(' ');
            }
            _ if !tag => plain.push(character),
            _ => {}
        }
    }
    let words: Vec<&str> = plain.split_whitespace().collect();
    let text: String = words.join(" ").chars().take(EXCERPT).collect();
    if text.is_empty() { text } else { format!(": {text}") }
}
