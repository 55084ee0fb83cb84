//! Conditional requests, in the order of RFC 9110 section 13.2.2.

use axum::http::header::{HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE};
use axum::http::{HeaderMap, HeaderValue};

use super::date::HttpTime;
use super::validators::{Validators, tags};

/// What the preconditions of a `GET` or `HEAD` come to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The content is sent.
    Send,
    /// 304: the client has it.
    NotModified,
    /// 412.
    Failed,
}

pub(super) fn evaluate(request: &HeaderMap, validators: &Validators) -> Verdict {
    let strong = |tag: &str| validators.matches_strongly(tag);
    let weak = |tag: &str| validators.matches_weakly(tag);
    let holds = match any_tag(request, &IF_MATCH, strong) {
        Some(matches) => matches,
        None => match (date(request, &IF_UNMODIFIED_SINCE), validators.modified) {
            (Some(limit), Some(modified)) => modified <= limit,
            _ => true,
        },
    };
    if !holds {
        return Verdict::Failed;
    }
    let has_it = match any_tag(request, &IF_NONE_MATCH, weak) {
        Some(matches) => matches,
        None => match (date(request, &IF_MODIFIED_SINCE), validators.modified) {
            (Some(since), Some(modified)) => modified <= since,
            _ => false,
        },
    };
    if has_it { Verdict::NotModified } else { Verdict::Send }
}

/// Whether `Range` is to be looked at: `If-Range` is absent or names exactly this content.
pub(super) fn range_applies(request: &HeaderMap, validators: &Validators) -> bool {
    let mut values = request.get_all(IF_RANGE).iter();
    match (values.next(), values.next()) {
        (None, _) => true,
        (Some(value), None) => names(value, validators),
        // Two answers to one question: the whole is never wrong.
        (Some(_), Some(_)) => false,
    }
}

fn names(value: &HeaderValue, validators: &Validators) -> bool {
    match value.to_str() {
        Ok(text) if text.trim_start().starts_with(['"', 'W']) && text.contains('"') => validators.matches_strongly(text.trim()),
        Ok(_) => HttpTime::parse(value).is_some_and(|time| validators.modified == Some(time)),
        Err(_) => false,
    }
}

/// `None` when the header is absent; otherwise whether `*` or one of its tags matches.
fn any_tag(request: &HeaderMap, name: &HeaderName, matches: impl Fn(&str) -> bool) -> Option<bool> {
    let mut values = request.get_all(name).iter().peekable();
    values.peek()?;
    Some(values.filter_map(|value| value.to_str().ok()).any(|list| list.trim() == "*" || tags(list).any(&matches)))
}

/// The date of a header that is there once and readable; one that is neither is ignored, as the RFC asks for.
fn date(request: &HeaderMap, name: &HeaderName) -> Option<HttpTime> {
    let mut values = request.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => HttpTime::parse(value),
        _ => None,
    }
}
