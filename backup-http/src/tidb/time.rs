//! Times as Go writes them, and the names of directories.

use backup_core::zone::Zone;
use chrono::{DateTime, FixedOffset, Utc};

/// Go's zero time: what was never deleted.
pub(super) const ZERO: &str = "0001-01-01T00:00:00Z";

/// Go's `time.RFC3339Nano` in a zone: no zeros at the end of the fraction, `Z` where the clock is that of UTC.
pub(super) fn rfc3339_nano(zone: Zone, time: DateTime<Utc>) -> String {
    let local: DateTime<FixedOffset> = zone.at(time);
    let nanos = format!("{:09}", local.timestamp_subsec_nanos());
    let fraction = match nanos.trim_end_matches('0') {
        "" => String::new(),
        digits => format!(".{digits}"),
    };
    let offset = match local.offset().local_minus_utc() {
        0 => "Z".to_owned(),
        _ => local.format("%:z").to_string(),
    };
    format!("{}{fraction}{offset}", local.format("%Y-%m-%dT%H:%M:%S"))
}

/// The time at the start of a directory's name.
pub(super) fn directory(zone: Zone, time: DateTime<Utc>) -> String {
    zone.at(time).format("%Y-%m-%d-%H-%M-%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str) -> DateTime<Utc> {
        time.parse().unwrap()
    }

    #[test]
    fn times_are_written_as_go_does() {
        let shanghai: Zone = "+08:00".parse().unwrap();
        let time = at("2022-04-28T08:00:41.697491505Z");
        assert_eq!(rfc3339_nano(shanghai, time), "2022-04-28T16:00:41.697491505+08:00");
        assert_eq!(directory(shanghai, time), "2022-04-28-16-00-41");
        assert_eq!(rfc3339_nano(Zone::UTC, at("2022-04-28T08:00:41.120Z")), "2022-04-28T08:00:41.12Z");
        assert_eq!(rfc3339_nano(Zone::UTC, at("2022-04-28T08:00:41Z")), "2022-04-28T08:00:41Z");
        let london: Zone = "Europe/London".parse().unwrap();
        assert_eq!(rfc3339_nano(london, at("2022-01-01T00:00:00.5Z")), "2022-01-01T00:00:00.5Z");
        assert_eq!(rfc3339_nano(london, at("2022-07-01T00:00:00Z")), "2022-07-01T01:00:00+01:00");
        let newfoundland: Zone = "America/St_Johns".parse().unwrap();
        assert_eq!(rfc3339_nano(newfoundland, at("2022-01-01T12:00:00Z")), "2022-01-01T08:30:00-03:30");
    }
}
