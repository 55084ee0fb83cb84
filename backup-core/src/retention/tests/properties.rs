use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// Any time that can be written, the ends of the calendar included, and mostly some around now.
fn any_time() -> impl Strategy<Value = DateTime<Utc>> {
    let (low, high) = (DateTime::<Utc>::MIN_UTC.timestamp(), DateTime::<Utc>::MAX_UTC.timestamp());
    let seconds = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
    prop_oneof![
        20 => (1_790_000_000i64..1_800_000_000).prop_map(seconds),
        2 => (low..high).prop_map(seconds),
        1 => Just(DateTime::<Utc>::MIN_UTC),
        1 => Just(DateTime::<Utc>::MAX_UTC),
    ]
}

fn any_set() -> impl Strategy<Value = Vec<Candidate>> {
    let one = (
        any_time(),
        0u64..1000,
        prop_oneof![4 => Just(State::Good), 1 => Just(State::Adopted), 2 => Just(State::Damaged)],
        prop::bool::weighted(0.1),
        prop::option::weighted(0.1, any_time()),
        proptest::collection::vec(0usize..25, 0..3),
        prop::bool::weighted(0.1),
    );
    proptest::collection::vec(one, 0..25).prop_map(|parts| {
        let build = |(n, (created, size, state, pinned, locked_until, parents, needed_by_intent))| {
            let mut backup = Candidate::new(id(n), created, size);
            // A backup needs older ones only; two of three are full.
            let parents: Vec<usize> = parents;
            backup.parents = if n % 3 == 0 { parents.into_iter().filter(|parent| *parent < n).map(id).collect() } else { vec![] };
            Candidate { state, pinned, locked_until, needed_by_intent, ..backup }
        };
        parts.into_iter().enumerate().map(build).collect()
    })
}

fn any_rules() -> impl Strategy<Value = RetentionPolicy> {
    let count = || prop::option::weighted(0.3, 0u32..6);
    let counts = (count(), count(), count(), count(), count(), count());
    (counts, prop::option::weighted(0.3, 0u64..20_000_000), -86399i32..86400).prop_map(|(counts, within, offset)| {
        RetentionPolicy {
            keep_last: counts.0,
            keep_hourly: counts.1,
            keep_daily: counts.2,
            keep_weekly: counts.3,
            keep_monthly: counts.4,
            keep_yearly: counts.5,
            keep_within: within.map(Age::from_secs),
            max_total_size: None,
            time_zone: chrono::FixedOffset::east_opt(offset).unwrap().into(),
        }
    })
}

fn any_policy() -> impl Strategy<Value = RetentionPolicy> {
    (any_rules(), prop::option::weighted(0.3, 0u64..8000))
        .prop_map(|(policy, max_total_size)| RetentionPolicy { max_total_size, ..policy })
}

fn kept_ids(plan: &Plan) -> BTreeSet<BackupId> {
    plan.kept().map(|item| item.id.clone()).collect()
}

/// `None` for a policy that is refused.
fn planned(policy: &RetentionPolicy, now: DateTime<Utc>, set: &[Candidate]) -> Option<Plan> {
    match plan(policy, now, set) {
        Ok(plan) => Some(plan),
        Err(error) => {
            assert_eq!(error.code().name, "retention.no_rule", "{error}");
            None
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_must_stay_stays(policy in any_policy(), now in any_time(), set in any_set()) {
        let Some(plan) = planned(&policy, now, &set) else { return Ok(()) };
        let kept = kept_ids(&plan);
        let newest_good = set.iter().filter(|backup| backup.state != State::Damaged).map(|backup| &backup.id).max();
        prop_assert!(newest_good.is_none_or(|id| kept.contains(id)), "the newest good one goes");
        prop_assert!(set.is_empty() || !kept.is_empty(), "the set is emptied");
        for backup in &set {
            let locked = backup.locked_until.is_some_and(|until| until > now);
            prop_assert!(!(backup.pinned || locked || backup.needed_by_intent) || kept.contains(&backup.id), "{} is protected", backup.id);
            if backup.state == State::Damaged && newest_good < Some(&backup.id) {
                prop_assert!(kept.contains(&backup.id), "{} is damaged without a newer good one", backup.id);
            }
            for parent in backup.parents.iter().filter(|_| kept.contains(&backup.id)) {
                prop_assert!(kept.contains(parent), "{parent} goes, and {} needs it", backup.id);
            }
        }
    }

    #[test]
    fn each_backup_is_decided_once_with_a_reason(policy in any_policy(), now in any_time(), set in any_set()) {
        let Some(plan) = planned(&policy, now, &set) else { return Ok(()) };
        let ids: Vec<_> = plan.items.iter().map(|item| &item.id).collect();
        let mut expected: Vec<_> = set.iter().map(|backup| &backup.id).collect();
        expected.sort_unstable_by(|a, b| b.cmp(a));
        prop_assert_eq!(ids, expected);
        prop_assert!(plan.items.iter().all(|item| !item.reasons.is_empty()));
        prop_assert_eq!(plan.to_string().lines().count(), set.len() + 2);
    }

    #[test]
    fn what_a_rule_keeps_is_not_removed(policy in any_rules(), now in any_time(), set in any_set()) {
        let Some(plan) = planned(&policy, now, &set) else { return Ok(()) };
        let kept = kept_ids(&plan);
        let mut good: Vec<_> = set.iter().filter(|backup| backup.state != State::Damaged).collect();
        good.sort_unstable_by(|a, b| b.id.cmp(&a.id));
        prop_assert!(good.iter().take(policy.keep_last.unwrap_or(0) as usize).all(|backup| kept.contains(&backup.id)));
        if let Some(age) = policy.keep_within.filter(|age| age.as_secs() > 0) {
            let young = |backup: &&Candidate| (now - backup.created_at).num_seconds() < age.as_secs().cast_signed();
            prop_assert!(set.iter().filter(young).all(|backup| kept.contains(&backup.id)));
        }
        for (period, count) in policy.periods() {
            let mut names: Vec<String> = Vec::new();
            for backup in &good {
                let name = period.name_of(backup.created_at, policy.time_zone);
                if !names.contains(&name) {
                    names.push(name);
                    prop_assert!(names.len() > count || kept.contains(&backup.id), "{period} {names:?}");
                }
            }
        }
    }

    #[test]
    fn planning_again_on_what_stayed_removes_nothing(policy in any_policy(), now in any_time(), set in any_set()) {
        let Some(plan) = planned(&policy, now, &set) else { return Ok(()) };
        let kept = kept_ids(&plan);
        let left: Vec<_> = set.into_iter().filter(|backup| kept.contains(&backup.id)).collect();
        prop_assert_eq!(kept_ids(&planned(&policy, now, &left).unwrap()), kept);
    }

    #[test]
    fn larger_numbers_keep_no_less(policy in any_rules(), more in 1u32..5, now in any_time(), set in any_set()) {
        let Some(plan) = planned(&policy, now, &set) else { return Ok(()) };
        let raise = |count: Option<u32>| count.map(|count| count + more);
        let larger = RetentionPolicy {
            keep_last: raise(policy.keep_last),
            keep_hourly: raise(policy.keep_hourly),
            keep_daily: raise(policy.keep_daily),
            keep_weekly: raise(policy.keep_weekly),
            keep_monthly: raise(policy.keep_monthly),
            keep_yearly: raise(policy.keep_yearly),
            keep_within: policy.keep_within.map(|age| Age::from_secs(age.as_secs() * u64::from(more + 1))),
            ..policy
        };
        prop_assert!(kept_ids(&plan).is_subset(&kept_ids(&planned(&larger, now, &set).unwrap())));
    }

    #[test]
    fn the_order_of_the_list_does_not_matter(policy in any_policy(), now in any_time(), set in any_set().prop_shuffle()) {
        let mut sorted = set.clone();
        sorted.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        prop_assert_eq!(planned(&policy, now, &set), planned(&policy, now, &sorted));
    }
}
