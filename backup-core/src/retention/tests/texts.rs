use super::*;

#[test]
fn a_policy_reads_as_kebab_case_and_refuses_a_misspelt_rule() {
    let text = r#"{"keep-last": 3, "keep-within": "1d12h", "keep-weekly": 4, "max-total-size": 1000, "time-zone": "-05:30"}"#;
    let policy: RetentionPolicy = serde_json::from_str(text).unwrap();
    let zone = "-05:30".parse().unwrap();
    let built = RetentionPolicy::default().keep_last(3).keep_within(Age::from_secs(129_600)).keep_weekly(4);
    assert_eq!(policy, built.max_total_size(1000).time_zone(zone));
    let again: RetentionPolicy = serde_json::from_str(&serde_json::to_string(&policy).unwrap()).unwrap();
    assert_eq!(again, policy);
    let error = serde_json::from_str::<RetentionPolicy>(r#"{"keep-lasts": 3}"#).unwrap_err();
    assert!(error.to_string().contains("keep-lasts"), "{error}");
    assert!(serde_json::from_str::<RetentionPolicy>(r#"{"keep-last": -1}"#).is_err());
}

#[test]
fn ages_read_and_print() {
    for (text, seconds, printed) in
        [("30d", 2_592_000, "30d"), ("14d", 1_209_600, "2w"), ("36h", 129_600, "1d12h"), ("1m30s", 90, "1m30s"), ("0s", 0, "0s")]
    {
        let age: Age = text.parse().unwrap();
        assert_eq!(age.as_secs(), seconds, "{text}");
        assert_eq!(age.to_string(), printed);
        assert_eq!(printed.parse::<Age>().unwrap(), age);
    }
    for bad in ["", "30", "d", "30 d", "-1d", "1y", "1d-2h", "99999999999999999999d", "18446744073709551615w", "1é"] {
        assert_eq!(bad.parse::<Age>().unwrap_err().code().name, "input.invalid", "{bad:?}");
    }
}

#[test]
fn zones_read_and_print() {
    for (text, printed) in [("UTC", "UTC"), ("Z", "UTC"), ("+00:00", "UTC"), ("+02:00", "+02:00"), ("-09:30", "-09:30")] {
        assert_eq!(text.parse::<Zone>().unwrap().to_string(), printed);
    }
    for bad in ["", "CET", "02:00", "+2:00", "+24:00", "+02:60", "+0200", "++1:00", "+-1:00", "é"] {
        assert_eq!(bad.parse::<Zone>().unwrap_err().code().name, "input.invalid", "{bad:?}");
    }
}
