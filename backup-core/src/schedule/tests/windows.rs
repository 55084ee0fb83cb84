//! Weekly windows and daylight saving.

use chrono::{Datelike, NaiveDate, Timelike};
use proptest::prelude::*;

use super::*;
use crate::zone::Zone;

/// Parts of windows in a span of time: identity, opening, closing.
fn parts(trigger: &Trigger, from: &str, to: &str) -> Vec<(String, String, String)> {
    let text = |time: DateTime<Utc>| time.format("%dT%H:%M").to_string();
    let mut at = utc(from);
    let mut found = Vec::new();
    while let Some(next) = trigger.occurrence(at).filter(|next| next.opens < utc(to)) {
        let closes = next.closes.unwrap();
        assert!(closes > at && next.opens < closes);
        found.push((text(next.nominal), text(next.opens), text(closes)));
        at = closes;
    }
    found
}

fn part(nominal: &str, opens: &str, closes: &str) -> (String, String, String) {
    (nominal.into(), opens.into(), closes.into())
}

#[test]
fn a_window_is_open_from_its_start_to_before_its_end() {
    let trigger = windows(&["mon", "thu"], "22:00", "24:00", "UTC");
    let thursday = trigger.occurrence(utc("2026-11-17T00:00:00Z")).unwrap();
    assert_eq!((thursday.opens, thursday.closes), (utc("2026-11-19T22:00:00Z"), Some(utc("2026-11-20T00:00:00Z"))));
    assert_eq!(trigger.occurrence(utc("2026-11-19T23:59:59Z")).unwrap(), thursday);
    assert_eq!(trigger.occurrence(utc("2026-11-20T00:00:00Z")).unwrap().key(), "2026-11-23T22:00:00Z");
    let whole = daily("00:00", "24:00", "+02:00");
    assert_eq!(whole.occurrence(utc("2026-11-19T21:59:59Z")).unwrap().key(), "2026-11-18T22:00:00Z");
    assert_eq!(whole.occurrence(utc("2026-11-19T22:00:00Z")).unwrap().key(), "2026-11-19T22:00:00Z");
    let night = windows(&["sun"], "23:00", "01:00", "UTC");
    assert_eq!(night.occurrence(utc("2026-11-23T00:30:00Z")).unwrap().key(), "2026-11-22T23:00:00Z");
}

#[test]
fn a_window_in_the_gap_takes_place_right_after_it() {
    let spring = |start, end| parts(&daily(start, end, "Europe/Berlin"), "2026-03-29T00:00:00Z", "2026-03-29T12:00:00Z");
    assert_eq!(spring("02:00", "03:00"), [part("29T01:00", "29T01:00", "29T02:00")]);
    assert_eq!(spring("02:15", "02:45"), [part("29T01:00", "29T01:00", "29T01:30")]);
    assert_eq!(spring("01:30", "02:30"), [part("29T00:30", "29T00:30", "29T01:00")]);
    assert_eq!(spring("02:30", "03:30"), [part("29T01:00", "29T01:00", "29T01:30")]);
    assert_eq!(spring("01:30", "04:00"), [part("29T00:30", "29T00:30", "29T02:00")]);
}

#[test]
fn a_window_that_comes_twice_is_one_window_in_two_parts() {
    let autumn = |start, end| parts(&daily(start, end, "Europe/Berlin"), "2026-10-24T23:00:00Z", "2026-10-25T12:00:00Z");
    assert_eq!(autumn("02:00", "02:30"), [part("25T00:00", "25T00:00", "25T00:30"), part("25T00:00", "25T01:00", "25T01:30")]);
    assert_eq!(autumn("02:00", "03:00"), [part("25T00:00", "25T00:00", "25T01:00"), part("25T00:00", "25T01:00", "25T02:00")]);
    assert_eq!(autumn("01:30", "02:30"), [part("24T23:30", "24T23:30", "25T00:30"), part("24T23:30", "25T01:00", "25T01:30")]);
    assert_eq!(autumn("02:30", "04:00"), [part("25T00:30", "25T00:30", "25T01:00"), part("25T00:30", "25T01:30", "25T03:00")]);
    assert_eq!(autumn("01:30", "02:00"), [part("24T23:30", "24T23:30", "25T00:00")]);
    assert_eq!(autumn("01:30", "04:00"), [part("24T23:30", "24T23:30", "25T03:00")]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_window_is_open_exactly_while_the_clock_says_so(
        zone in prop::sample::select(vec!["+05:30", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"]),
        day in 0_i64..365, start in 0_u32..300, length in 1_u32..300, minute in -600_i64..900
    ) {
        let text = |minutes: u32| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        let trigger = daily(&text(start), &text(start + length), zone);
        let zone: Zone = zone.parse().unwrap();
        let date = NaiveDate::from_ymd_opt(2026, 1, 1).unwrap() + TimeDelta::days(day);
        let at = zone.shown(date.and_hms_opt(0, 0, 0).unwrap()).first() + TimeDelta::minutes(minute);
        let local = zone.local(at);
        let shows = (start..start + length).contains(&(local.hour() * 60 + local.minute()));
        let found = trigger.occurrence(at).unwrap();
        let open = found.opens <= at;
        // Moved behind the gap: open while the clock shows a later time.
        let (from, to) = (found.opens, found.closes.unwrap());
        let local_start = zone.local(from);
        let moved = (local_start.hour() * 60 + local_start.minute()) >= start + length;
        prop_assert!(open == shows || (open && moved), "{} at {} shows {}: {:?}", zone, at, local, found);
        prop_assert!(to > at);
        prop_assert!(local.year() >= 2025);
    }
}
