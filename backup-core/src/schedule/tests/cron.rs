//! Cron and daylight saving.

use chrono::Timelike;
use proptest::prelude::*;

use super::*;
use crate::zone::Zone;

/// The ticks in a span of time, by local time and by UTC.
fn ticks(expression: &str, zone: &str, from: &str, to: &str) -> Vec<String> {
    let trigger = cron(expression, zone);
    let mut at = utc(from);
    let mut found = Vec::new();
    while let Some(next) = trigger.occurrence(at).filter(|next| next.opens < utc(to)) {
        assert!(next.opens > at, "{expression} stands still at {at}");
        at = next.opens;
        found.push(at.format("%dT%H:%M").to_string());
    }
    found
}

#[test]
fn what_falls_into_the_gap_fires_once_right_after_it() {
    let spring = |expression| ticks(expression, "Europe/Berlin", "2026-03-28T23:00:00Z", "2026-03-29T04:00:00Z");
    assert_eq!(spring("30 2 * * *"), ["29T01:00"]);
    assert_eq!(spring("0 2,3 * * *"), ["29T01:00"]);
    assert_eq!(spring("*/15 2 * * *"), ["29T01:00"]);
    assert_eq!(spring("0 */2 * * *"), ["29T01:00", "29T02:00"]);
    assert_eq!(spring("0 2,14 * * *"), ["29T01:00"]);
    assert_eq!(spring("0 1-4 * * *"), ["29T00:00", "29T01:00", "29T02:00"]);
    let howe = ticks("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00Z", "2026-10-04T12:00:00Z");
    assert_eq!(howe, ["03T15:30"]);
    let york = ticks("30 2 8 * *", "America/New_York", "2026-03-08T00:00:00Z", "2026-03-09T00:00:00Z");
    assert_eq!(york, ["08T07:00"]);
    // Midnight itself is left out in Cairo.
    let cairo = ticks("0 0 * * *", "Africa/Cairo", "2026-04-23T12:00:00Z", "2026-04-24T12:00:00Z");
    assert_eq!(cairo, ["23T22:00"]);
}

#[test]
fn what_comes_twice_fires_the_first_time() {
    let autumn = |expression| ticks(expression, "Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-25T04:00:00Z");
    assert_eq!(autumn("30 2 * * *"), ["25T00:30"]);
    assert_eq!(autumn("0,30 2,3 * * *"), ["25T00:00", "25T00:30", "25T02:00", "25T02:30"]);
    assert_eq!(autumn("0 */2 * * *"), ["25T00:00", "25T03:00"]);
    let howe = ticks("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z", "2026-04-05T00:00:00Z");
    assert_eq!(howe, ["04T14:45"]);
    let casablanca = ticks("15 2 * * *", "Africa/Casablanca", "2026-02-14T12:00:00Z", "2026-02-15T12:00:00Z");
    assert_eq!(casablanca, ["15T01:15"]);
}

#[test]
fn every_hour_means_elapsed_time() {
    let spring = ticks("0 * * * *", "Europe/Berlin", "2026-03-28T23:30:00Z", "2026-03-29T03:30:00Z");
    assert_eq!(spring, ["29T00:00", "29T01:00", "29T02:00", "29T03:00"]);
    let autumn = ticks("*/30 * * * *", "Europe/Berlin", "2026-10-24T23:45:00Z", "2026-10-25T02:15:00Z");
    assert_eq!(autumn, ["25T00:00", "25T00:30", "25T01:00", "25T01:30", "25T02:00"]);
    let howe = ticks("10 * * * *", "Australia/Lord_Howe", "2026-04-04T13:00:00Z", "2026-04-04T17:00:00Z");
    assert_eq!(howe, ["04T13:10", "04T14:10", "04T15:40", "04T16:40"]);
}

#[test]
fn seconds_can_be_given() {
    let next = cron("15 30 4 * * *", "UTC").occurrence(utc("2026-11-21T04:30:14.5Z")).unwrap();
    assert_eq!(next.key(), "2026-11-21T04:30:15Z");
    assert_eq!(
        cron("* * 2 * * *", "Europe/Berlin").occurrence(utc("2026-10-25T01:10:00Z")).unwrap().key(),
        "2026-10-26T01:00:00Z"
    );
}

const ZONES: [&str; 8] = [
    "UTC",
    "+05:30",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "America/St_Johns",
    "Africa/Cairo",
];

/// Moments around changes of some clock, and others.
fn moments() -> impl Strategy<Value = DateTime<Utc>> {
    let changes = [
        "2026-03-29T01:00:00Z",
        "2026-10-25T01:00:00Z",
        "2026-03-08T07:00:00Z",
        "2026-11-01T06:00:00Z",
        "2026-10-03T15:30:00Z",
        "2026-04-04T15:00:00Z",
        "2026-02-15T02:00:00Z",
        "2026-03-22T02:00:00Z",
        "2026-04-23T22:00:00Z",
        "2026-10-29T21:00:00Z",
    ];
    let near = (prop::sample::select(changes.to_vec()), -10_800_i64..10_800)
        .prop_map(|(change, seconds)| utc(change) + TimeDelta::seconds(seconds));
    prop_oneof![3 => near, 1 => (1_767_225_600_i64..1_798_761_600).prop_map(|s| DateTime::from_timestamp(s, 0).unwrap())]
}

/// Given hours, decided minute by minute: a tick is where the clock comes to a matching time for the first time, or jumps over one.
fn by_hand(zone: Zone, hours: &[u32], minute: u32, after: DateTime<Utc>) -> DateTime<Utc> {
    let matches = |local: chrono::NaiveDateTime| hours.contains(&local.hour()) && local.minute() == minute;
    let mut at = after.with_second(0).unwrap() + TimeDelta::minutes(1);
    loop {
        let (before, now) = (zone.local(at - TimeDelta::minutes(1)), zone.local(at));
        let jumped = (now - before).num_minutes();
        let skips = (1..jumped).any(|n| matches(before + TimeDelta::minutes(n)));
        let seen = (1..=180).any(|n| zone.local(at - TimeDelta::minutes(n)) == now);
        if skips || (matches(now) && !seen) {
            return at;
        }
        at += TimeDelta::minutes(1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn given_hours_fire_as_decided_minute_by_minute(
        zone in prop::sample::select(ZONES.to_vec()), after in moments(), hours in prop::collection::btree_set(0_u32..5, 1..3), minute in 0_u32..60
    ) {
        let hours: Vec<u32> = hours.into_iter().collect();
        let list = hours.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let next = cron(&format!("{minute} {list} * * *"), zone).occurrence(after).unwrap();
        prop_assert_eq!(next.opens, by_hand(zone.parse().unwrap(), &hours, minute, after));
    }

    #[test]
    fn every_hour_fires_whenever_the_clock_shows_the_minute(
        zone in prop::sample::select(ZONES.to_vec()), after in moments(), minute in 0_u32..60
    ) {
        let local: Zone = zone.parse().unwrap();
        let mut expected = after.with_second(0).unwrap() + TimeDelta::minutes(1);
        while local.local(expected).minute() != minute {
            expected += TimeDelta::minutes(1);
        }
        let next = cron(&format!("{minute} * * * *"), zone).occurrence(after).unwrap();
        prop_assert_eq!(next.opens, expected);
    }

    #[test]
    fn occurrences_ascend_and_do_not_depend_on_where_one_looks_from(
        zone in prop::sample::select(ZONES.to_vec()), after in moments(), later in 0_i64..7200, form in 0_usize..4
    ) {
        let trigger = cron(["*/7 1-3 * * *", "13 */2 * * *", "*/20 * * * *", "0 3 * * SUN"][form], zone);
        let next = trigger.occurrence(after).unwrap();
        prop_assert!(next.opens > after);
        let between = after + TimeDelta::seconds(later);
        if between < next.opens {
            prop_assert_eq!(trigger.occurrence(between).unwrap(), next);
        }
    }
}
