use super::*;

#[test]
fn a_schedule_reads_as_kebab_case_and_refuses_unknown_keys() {
    let text = r#"{"name": "n", "set": "etcd/prod", "action": "backup", "jitter": "5m", "catch-up": true,
        "trigger": {"windows": {"days": ["mon", "Thursday"], "start": "22:30", "end": "24:00", "zone": "Europe/Berlin"}}}"#;
    let read: Schedule = serde_json::from_str(text).unwrap();
    let mut built = schedule(windows(&["mon", "thu"], "22:30", "24:00", "Europe/Berlin"));
    built.name = "n".into();
    assert_eq!(read, built.jitter(Duration::from_secs(300)).catch_up(true));
    assert_eq!(serde_json::from_str::<Schedule>(&serde_json::to_string(&read).unwrap()).unwrap(), read);
    for trigger in [r#"{"interval": {"every": "30m"}}"#, r#"{"cron": {"expression": "30 2 * * *"}}"#] {
        let read: Trigger = serde_json::from_str(trigger).unwrap();
        read.check().unwrap();
        assert_eq!(serde_json::from_str::<Trigger>(&serde_json::to_string(&read).unwrap()).unwrap(), read);
    }
    for (bad, names) in [
        (r#"{"interval": {"every": "30m", "jiter": "1m"}}"#, "jiter"),
        (r#"{"cron": {"expression": "61 * * * *"}}"#, "61 * * * *"),
        (r#"{"cron": {"expression": "0 0 30 2 *"}}"#, "no day of the calendar"),
        (r#"{"cron": {"expression": "0 2 * * *", "zone": "Berlin"}}"#, "Europe/Berlin"),
        (r#"{"windows": {"days": ["funday"], "start": "00:00", "end": "24:00"}}"#, "funday"),
        (r#"{"windows": {"days": ["mon"], "start": "0:00", "end": "24:00"}}"#, "0:00"),
        (r#"{"windows": {"days": ["mon"], "start": "00:00", "end": "24:01"}}"#, "24:01"),
        (r#"{"interval": {"every": "30"}}"#, "30m"),
    ] {
        let error = serde_json::from_str::<Trigger>(bad).unwrap_err().to_string();
        assert!(error.contains(names) || names == "30m", "{bad}: {error}");
    }
}

#[test]
fn what_can_never_fire_is_refused() {
    let no_name = Schedule { name: String::new(), ..schedule(interval(60)) };
    for bad in [
        schedule(interval(0)),
        schedule(Trigger::Interval { every: Duration::from_millis(1500) }),
        schedule(Trigger::Interval { every: Duration::MAX }),
        schedule(windows(&[], "00:00", "24:00", "UTC")),
        schedule(daily("10:00", "10:00", "UTC")),
        schedule(daily("24:00", "24:00", "UTC")),
        schedule(daily("22:00", "00:00", "UTC")),
        schedule(interval(60)).jitter(Duration::MAX),
        no_name,
    ] {
        assert_eq!(bad.check().unwrap_err().code().name, "input.invalid", "{bad:?}");
    }
}

#[test]
fn jitter_is_the_same_everywhere_and_stays_in_the_window() {
    let plain = schedule(daily("02:00", "02:10", "UTC")).jitter(Duration::from_secs(86400));
    let mut delays = std::collections::BTreeSet::new();
    for day in 1..29 {
        let window = plain.trigger.occurrence(utc(&format!("2026-11-{day:02}T00:00:00Z"))).unwrap();
        let delay = plain.delay(&window);
        assert!(delay >= TimeDelta::zero() && window.opens + delay <= window.opens + TimeDelta::minutes(5));
        assert_eq!(plain.clone().delay(&window), delay);
        delays.insert(delay);
    }
    assert!(delays.len() > 20, "{delays:?}");
    let moment = Occurrence::moment(utc("2026-11-21T00:00:00Z"));
    assert_eq!(schedule(interval(60)).delay(&moment), TimeDelta::zero());
    assert!(schedule(interval(60)).jitter(Duration::from_secs(30)).delay(&moment) <= TimeDelta::seconds(30));
}
