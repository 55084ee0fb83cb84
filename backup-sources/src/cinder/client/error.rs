//! What Cinder's answers mean that were not hoped for.

use std::time::Duration;

use backup_core::{Effect, Error};
use backup_remote::http::http::{Response, StatusCode, header};
use backup_remote::http::unsettled;
use bytes::Bytes;
use serde::Deserialize;

use super::super::codes;

/// How much of an answer's text goes into a message.
const EXCERPT: usize = 300;

/// The error of an answer, which is `{"<kind>": {"code": …, "message": …}}` when it is Cinder's own.
pub(super) fn refused(doing: &str, answer: &Response<Bytes>, changes: bool) -> Error {
    let (status, said) = (answer.status(), said(answer.body()));
    let code = match status.as_u16() {
        400 if is_about_a_state(&said) => &codes::STATE,
        401 | 403 => &codes::DENIED,
        404 => &codes::NOT_FOUND,
        406 => &codes::VERSION,
        409 => &codes::STATE,
        413 if waits_for(answer).is_some() => &codes::BUSY,
        413 => &codes::QUOTA,
        400..=499 => &codes::REFUSED,
        _ => &codes::FAILED,
    };
    let error = Error::new(code, format!("{doing}: Cinder answered {status}{}", after_a_colon(&said)));
    // An attempt before this one may have done it.
    if changes && unsettled(answer) { error.with_effect(Effect::Unknown) } else { error }
}

/// How long a limit of the rate asks to wait. A quota that is used up says zero, for waiting would not help.
pub(super) fn waits_for(answer: &Response<Bytes>) -> Option<Duration> {
    if answer.status() != StatusCode::PAYLOAD_TOO_LARGE {
        return None;
    }
    let seconds: u64 = answer.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

/// Cinder answers 400 to a wrong state and to a wrong value alike; only its text tells them apart.
fn is_about_a_state(said: &str) -> bool {
    ["Invalid volume:", "Invalid snapshot:", "Invalid backup:", "Invalid attachment"].iter().any(|start| said.starts_with(start))
        || said.contains("status must be")
        || said.contains("must be available")
}

/// The text of an answer, on one line.
fn said(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Fault {
        message: String,
    }
    let faults: Option<std::collections::BTreeMap<String, Fault>> = serde_json::from_slice(body).ok();
    let text = match faults.and_then(|faults| faults.into_values().next()) {
        Some(fault) => fault.message,
        // A page of some balancer: its title says most.
        None => {
            let text = String::from_utf8_lossy(body).into_owned();
            let title = text.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
            title.map(|(title, _)| title.to_owned()).unwrap_or(text)
        }
    };
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(EXCERPT).collect()
}

fn after_a_colon(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}
