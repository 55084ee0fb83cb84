//! The `Range` header (RFC 9110 section 14).

use std::ops::Range;

use axum::http::HeaderValue;
use axum::http::header::GetAll;

/// What a request wants of the bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Everything: no range, or one that is ignored.
    All,
    /// These bytes: not empty, within the size.
    Part(Range<u64>),
    /// Nothing that is there.
    Unsatisfiable,
}

pub(super) fn wanted(values: GetAll<'_, HeaderValue>, size: u64) -> Wanted {
    let mut values = values.iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Wanted::All };
    value.to_str().ok().and_then(single).map_or(Wanted::All, |spec| spec.within(size))
}

/// One well-formed range.
enum Spec {
    From(u64, Option<u64>),
    Last(u64),
}

/// `None` for another unit, for several ranges and for anything malformed.
fn single(text: &str) -> Option<Spec> {
    let (unit, set) = text.split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let mut members = set.split(',').map(|member| member.trim_matches([' ', '\t'])).filter(|member| !member.is_empty());
    let (Some(member), None) = (members.next(), members.next()) else { return None };
    match member.split_once('-')? {
        ("", suffix) => Some(Spec::Last(number(suffix)?)),
        (first, "") => Some(Spec::From(number(first)?, None)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Spec::From(first, Some(last)))
        }
    }
}

/// Digits only; what does not fit is as good as the biggest number.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

impl Spec {
    fn within(self, size: u64) -> Wanted {
        match self {
            Self::From(first, _) if first >= size => Wanted::Unsatisfiable,
            Self::From(first, last) => Wanted::Part(first..last.map_or(size, |last| last.saturating_add(1).min(size))),
            Self::Last(0) => Wanted::Unsatisfiable,
            // The last bytes of nothing are nothing; no `Content-Range` could say so.
            Self::Last(_) if size == 0 => Wanted::All,
            Self::Last(count) => Wanted::Part(size.saturating_sub(count)..size),
        }
    }
}
