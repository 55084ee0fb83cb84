use super::*;

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[test]
fn named_zones_read_and_print_and_unknown_ones_are_refused_with_advice() {
    for name in ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Etc/UTC"] {
        let zone: Zone = name.parse().unwrap();
        assert_eq!(zone.to_string(), name);
        assert_eq!(serde_json::from_str::<Zone>(&serde_json::to_string(&zone).unwrap()).unwrap(), zone);
    }
    for bad in ["Europe/Berlln", "europe/berlin", "EST", "Europe/", "/"] {
        let error = bad.parse::<Zone>().unwrap_err().to_string();
        assert!(error.contains(bad) && error.contains("Europe/Berlin"), "{error}");
    }
}

#[test]
fn a_wall_clock_shows_a_time_once_twice_or_never() {
    let berlin: Zone = "Europe/Berlin".parse().unwrap();
    let at = |text: &str| berlin.shown(text.parse().unwrap());
    assert_eq!(at("2026-11-21T12:00:00"), Shown::Once(utc("2026-11-21T11:00:00Z")));
    let back = utc("2026-10-25T01:00:00Z");
    assert_eq!(
        at("2026-10-25T02:30:00"),
        Shown::Twice { first: utc("2026-10-25T00:30:00Z"), back, last: utc("2026-10-25T01:30:00Z") }
    );
    assert_eq!(at("2026-10-25T02:00:00"), Shown::Twice { first: utc("2026-10-25T00:00:00Z"), back, last: back });
    assert_eq!(at("2026-10-25T03:00:00"), Shown::Once(utc("2026-10-25T02:00:00Z")));
    let forth = utc("2026-03-29T01:00:00Z");
    for never in ["2026-03-29T02:00:00", "2026-03-29T02:59:59"] {
        assert_eq!(at(never), Shown::Never(forth));
    }
    assert_eq!(at("2026-03-29T03:00:00"), Shown::Once(forth));
    let howe: Zone = "Australia/Lord_Howe".parse().unwrap();
    assert_eq!(howe.shown("2026-10-04T02:15:00".parse().unwrap()), Shown::Never(utc("2026-10-03T15:30:00Z")));
    // A whole day that Samoa left out.
    let apia: Zone = "Pacific/Apia".parse().unwrap();
    assert_eq!(apia.shown("2011-12-30T12:00:00".parse().unwrap()), Shown::Never(utc("2011-12-30T10:00:00Z")));
}
