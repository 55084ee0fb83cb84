//! The source's own position.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A position of the source: a number that grows (an etcd revision, a TSO), or an opaque name.
///
/// Numbers are written as decimal text in JSON, so that readers with 53-bit numbers keep them whole.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "value")]
pub enum Position {
    /// A number that never falls within one history of the source.
    Number(#[serde(with = "decimal")] u64),
    /// A name without an order.
    Name(String),
}

impl PartialOrd for Position {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.partial_cmp(b),
            (Self::Name(a), Self::Name(b)) if a == b => Some(Ordering::Equal),
            _ => None,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// How well a position is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Certainty {
    /// It is this position.
    Exact,
    /// It is this position or a later one.
    AtLeast,
}

/// A position with its certainty.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Revision {
    /// Where the source stood.
    #[serde(flatten)]
    pub position: Position,
    /// How well that is known.
    pub certainty: Certainty,
}

impl Revision {
    /// An exactly known number.
    pub fn exact(number: u64) -> Self {
        Self { position: Position::Number(number), certainty: Certainty::Exact }
    }

    /// A number known as a lower bound.
    pub fn at_least(number: u64) -> Self {
        Self { position: Position::Number(number), certainty: Certainty::AtLeast }
    }

    /// True when both are exact and equal: the only case in which a source counts as unchanged.
    pub fn is_same_exact(&self, other: &Self) -> bool {
        self.certainty == Certainty::Exact && self == other
    }

    /// True when this is known to lie before `other`: then the source has another history.
    pub fn is_before(&self, other: &Self) -> bool {
        self.position < other.position
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.certainty {
            Certainty::Exact => write!(f, "{}", self.position),
            Certainty::AtLeast => write!(f, ">={}", self.position),
        }
    }
}

mod decimal {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_the_same_only_when_both_are_exact() {
        assert!(Revision::exact(7).is_same_exact(&Revision::exact(7)));
        assert!(!Revision::exact(7).is_same_exact(&Revision::at_least(7)));
        assert!(!Revision::at_least(7).is_same_exact(&Revision::at_least(7)));
        assert!(Revision::exact(6).is_before(&Revision::at_least(7)));
    }

    #[test]
    fn big_numbers_keep_every_digit_in_json() {
        let revision = Revision::exact(u64::MAX);
        let json = serde_json::to_string(&revision).unwrap();
        assert_eq!(json, r#"{"kind":"number","value":"18446744073709551615","certainty":"exact"}"#);
        assert_eq!(serde_json::from_str::<Revision>(&json).unwrap(), revision);
    }
}
