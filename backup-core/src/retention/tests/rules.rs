use super::*;

const NOW: &str = "2026-11-21T12:00:00Z";

fn daily(days: std::ops::RangeInclusive<usize>) -> Vec<Candidate> {
    days.map(|day| at(day, &format!("2026-11-{day:02}T09:00:00Z"))).collect()
}

#[test]
fn keep_last_keeps_the_newest_by_id_in_whatever_order_they_come() {
    let mut backups = daily(1..=5);
    backups.swap(0, 4);
    assert_eq!(kept(&RetentionPolicy::default().keep_last(2), NOW, &backups), [4, 5]);
    assert_eq!(kept(&RetentionPolicy::default().keep_last(99), NOW, &backups), [1, 2, 3, 4, 5]);
}

#[test]
fn backups_of_one_instant_are_ordered_by_id() {
    let backups: Vec<_> = (1..=3).map(|n| at(n, NOW)).collect();
    assert_eq!(kept(&RetentionPolicy::default().keep_last(1), NOW, &backups), [3]);
    assert_eq!(kept(&RetentionPolicy::default().keep_daily(5), NOW, &backups), [3]);
}

#[test]
fn keep_within_counts_the_border_and_takes_the_future_for_now() {
    let mut backups = daily(18..=21);
    backups.push(at(22, "2030-01-01T00:00:00Z"));
    let policy = RetentionPolicy::default().keep_within("3d3h".parse().unwrap());
    assert_eq!(kept(&policy, NOW, &backups), [18, 19, 20, 21, 22]);
    let policy = RetentionPolicy::default().keep_within("3d2h59m59s".parse().unwrap());
    assert_eq!(kept(&policy, NOW, &backups), [19, 20, 21, 22]);
}

#[test]
fn a_period_keeps_its_newest_and_empty_periods_do_not_count() {
    let backups = [
        at(1, "2025-12-29T08:00:00Z"), // ISO week 2026-W01
        at(2, "2026-01-01T08:00:00Z"), // 2026-W01
        at(3, "2026-01-05T08:00:00Z"), // 2026-W02
        at(4, "2026-03-31T23:10:00Z"),
        at(5, "2026-03-31T23:50:00Z"),
        at(6, "2026-04-01T00:10:00Z"),
    ];
    let keep = |policy: RetentionPolicy| kept(&policy, NOW, &backups);
    assert_eq!(keep(RetentionPolicy::default().keep_hourly(2)), [5, 6]);
    assert_eq!(keep(RetentionPolicy::default().keep_daily(3)), [3, 5, 6]);
    assert_eq!(keep(RetentionPolicy::default().keep_weekly(9)), [2, 3, 6]);
    assert_eq!(keep(RetentionPolicy::default().keep_monthly(3)), [3, 5, 6]);
    assert_eq!(keep(RetentionPolicy::default().keep_yearly(9)), [1, 6]);
    let east = RetentionPolicy::default().keep_monthly(9).time_zone("+01:00".parse().unwrap());
    assert_eq!(keep(east), [1, 3, 6], "an hour east of UTC, 23:10 is the next month");
}

#[test]
fn rules_add_up_and_each_says_why() {
    let plan = plan(&RetentionPolicy::default().keep_last(1).keep_monthly(2), time(NOW), &daily(19..=21)).unwrap();
    assert_eq!(reasons(&plan, 21), "newest good; keep-last 1 of 1; monthly 2026-11");
    assert_eq!(reasons(&plan, 20), "no rule keeps it");
}

#[test]
fn protected_ones_stay_and_take_no_part_in_the_rules_by_that() {
    let mut backups = daily(1..=6);
    backups[0].pinned = true;
    backups[1].locked_until = Some(time("2026-11-21T12:00:01Z"));
    backups[2].locked_until = Some(time(NOW));
    backups[3].needed_by_intent = true;
    let plan = plan(&RetentionPolicy::default().keep_last(1), time(NOW), &backups).unwrap();
    assert_eq!(numbers(&plan), [1, 2, 4, 6]);
    assert_eq!(reasons(&plan, 1), "pinned");
    assert_eq!(reasons(&plan, 2), "locked until 2026-11-21T12:00:01Z");
    assert_eq!(reasons(&plan, 4), "needed by a backup under way");
}

#[test]
fn what_a_kept_one_needs_stays_over_several_steps_and_through_rings() {
    let mut backups = daily(1..=5);
    backups[4].parents = vec![id(3), id(3), id(99)];
    backups[2].parents = vec![id(1)];
    backups[0].parents = vec![id(5)];
    let plan = plan(&RetentionPolicy::default().keep_last(1), time(NOW), &backups).unwrap();
    assert_eq!(numbers(&plan), [1, 3, 5]);
    assert_eq!(reasons(&plan, 1), format!("needed by {}", id(3)));
    assert_eq!(reasons(&plan, 3), format!("needed by {}", id(5)));
}

#[test]
fn the_size_cap_takes_the_oldest_first_even_from_a_rule_but_nothing_protected() {
    let mut backups = daily(1..=5);
    let policy = RetentionPolicy::default().keep_last(9).max_total_size(300);
    assert_eq!(kept(&policy, NOW, &backups), [3, 4, 5]);
    backups[1].pinned = true;
    let capped = plan(&policy, time(NOW), &backups).unwrap();
    assert_eq!(numbers(&capped), [2, 4, 5]);
    assert_eq!(reasons(&capped, 3), "over max-total-size 300");
    assert_eq!(kept(&RetentionPolicy::default().max_total_size(1), NOW, &backups), [2, 5], "protected ones stay above the cap");
    let alone = plan(&RetentionPolicy::default().max_total_size(500), time(NOW), &backups).unwrap();
    assert_eq!(numbers(&alone), [1, 2, 3, 4, 5]);
    assert_eq!(reasons(&alone, 1), "fits max-total-size");
}

#[test]
fn with_one_that_the_cap_takes_go_those_that_need_it() {
    let mut backups = daily(1..=4);
    backups[1].parents = vec![id(1)];
    let plan = plan(&RetentionPolicy::default().keep_last(9).max_total_size(300), time(NOW), &backups).unwrap();
    assert_eq!(numbers(&plan), [3, 4]);
    assert_eq!(reasons(&plan, 2), format!("needs {}, which goes", id(1)));
}

#[test]
fn sizes_beyond_all_numbers_do_not_overflow() {
    let mut backups = daily(1..=3);
    backups.iter_mut().for_each(|backup| backup.stored_size = u64::MAX);
    assert_eq!(kept(&RetentionPolicy::default().max_total_size(u64::MAX), NOW, &backups), [3]);
}

#[test]
fn a_policy_that_keeps_nothing_is_refused() {
    let nothing = [
        RetentionPolicy::default(),
        RetentionPolicy::default().keep_last(0),
        RetentionPolicy::default().keep_last(0).keep_daily(0).keep_within(Age::from_secs(0)),
        RetentionPolicy::default().max_total_size(0),
    ];
    for policy in nothing {
        assert_eq!(policy.check().unwrap_err().code().name, "retention.no_rule", "{policy:?}");
        assert_eq!(plan(&policy, time(NOW), &daily(1..=3)).unwrap_err().code().name, "retention.no_rule");
    }
}

#[test]
fn a_backup_listed_twice_is_refused() {
    let error = plan(&RetentionPolicy::default().keep_last(1), time(NOW), &[at(1, NOW), at(1, NOW)]).unwrap_err();
    assert_eq!(error.code().name, "input.invalid");
    assert!(error.message().contains(id(1).as_str()), "{error}");
}

#[test]
fn a_forged_clock_does_not_empty_the_set() {
    let backups = [at(1, "1970-01-01T00:00:00Z"), at(2, "2026-11-20T00:00:00Z"), at(3, "1970-01-01T00:00:00Z")];
    let policy = RetentionPolicy::default().keep_within(Age::from_days(30));
    assert_eq!(kept(&policy, NOW, &backups), [2, 3]);
    assert_eq!(kept(&policy, "9999-01-01T00:00:00Z", &backups), [3], "the newest by id, not by time stamp");
    assert_eq!(kept(&policy, "1960-01-01T00:00:00Z", &backups), [1, 2, 3]);
    assert!(plan(&policy, time(NOW), &[]).unwrap().items.is_empty());
}
