//! Durations as Go writes them (`time.ParseDuration`): `2s`, `1m30s`, `1.5h`, `300ms`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error};

/// Reads a Go duration. Negative ones are refused: no limit is below zero.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let refused = || format!("{text:?} is no duration; write it as in Go, for example 2s, 1m30s or 300ms");
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(refused());
    }
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let number_len = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(refused)?;
        let (number, after) = rest.split_at(number_len);
        let unit_len = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_len);
        let scale = unit_nanos(unit).ok_or_else(refused)?;
        nanos = nanos.checked_add(scaled(number, scale).ok_or_else(refused)?).ok_or_else(refused)?;
        rest = after;
    }
    u64::try_from(nanos).map(Duration::from_nanos).map_err(|_| refused())
}

fn unit_nanos(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// `number` (digits with at most one point) times `scale`; digits below a nanosecond are dropped, as Go does.
fn scaled(number: &str, scale: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let fraction = fraction.get(..18).unwrap_or(fraction);
    let part = match fraction {
        "" => 0,
        digits => digits.parse::<u128>().ok()?.checked_mul(scale)? / 10_u128.pow(u32::try_from(digits.len()).ok()?),
    };
    whole.checked_mul(scale)?.checked_add(part)
}

/// For `#[serde(deserialize_with)]`.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// For `#[serde(deserialize_with)]` of an optional one.
#[cfg(feature = "script")]
pub(crate) fn deserialize_option<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    Option::<String>::deserialize(deserializer)?.map(|text| parse(&text).map_err(D::Error::custom)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_accepts_is_read_and_the_rest_is_refused() {
        for (text, millis) in [
            ("2s", 2_000),
            ("1m30s", 90_000),
            ("1.5h", 5_400_000),
            ("300ms", 300),
            (".5s", 500),
            ("1.s", 1_000),
            ("0", 0),
            ("+2s", 2_000),
            ("2500us", 2),
            ("1h0m1s", 3_601_000),
        ] {
            assert_eq!(parse(text).unwrap().as_millis(), millis, "{text}");
        }
        for bad in ["", "2", "s", "-2s", "2 s", "2x", "1..5s", ".s", "2s3", "99999999999999h", "+", "2sec"] {
            assert!(parse(bad).is_err(), "{bad:?} was read");
        }
    }
}
