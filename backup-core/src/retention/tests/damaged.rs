use super::*;

const NOW: &str = "2026-11-21T12:00:00Z";

/// Numbers are days of November; negative ones are damaged.
fn set(days: &[i32]) -> Vec<Candidate> {
    let one = |day: &i32| {
        let mut backup = at(day.unsigned_abs() as usize, &format!("2026-11-{:02}T09:00:00Z", day.unsigned_abs()));
        if *day < 0 {
            backup.state = State::Damaged;
        }
        backup
    };
    days.iter().map(one).collect()
}

fn last(count: u32) -> RetentionPolicy {
    RetentionPolicy::default().keep_last(count)
}

#[test]
fn damaged_ones_fill_no_place_of_a_rule() {
    assert_eq!(kept(&last(2), NOW, &set(&[1, 2, 3, -4, -5])), [2, 3, 4, 5]);
    assert_eq!(kept(&RetentionPolicy::default().keep_weekly(2), NOW, &set(&[2, 9, -16, 23])), [9, 16, 23]);
}

#[test]
fn a_damaged_one_goes_when_a_good_one_in_its_place_would() {
    assert_eq!(kept(&last(2), NOW, &set(&[1, -2, 3, 4])), [3, 4]);
    let plan = plan(&last(2), time(NOW), &set(&[-1, 2, -3, 4])).unwrap();
    assert_eq!(numbers(&plan), [2, 3, 4]);
    assert_eq!(reasons(&plan, 3), "damaged; keep-last 2 of 2");
    assert_eq!(reasons(&plan, 1), "damaged; no rule keeps it");
}

#[test]
fn a_damaged_one_newer_than_every_good_one_stays() {
    let plan = plan(&RetentionPolicy::default().keep_within(Age::from_secs(1)), time(NOW), &set(&[1, -2, -3])).unwrap();
    assert_eq!(numbers(&plan), [1, 2, 3]);
    assert_eq!(reasons(&plan, 1), "newest good");
    assert_eq!(reasons(&plan, 3), "damaged, but no newer good one");
}

#[test]
fn damaged_ones_stay_when_nothing_else_is_there() {
    assert_eq!(kept(&last(1), NOW, &set(&[-1, -2, -3])), [1, 2, 3]);
    assert_eq!(kept(&RetentionPolicy::default().max_total_size(1), NOW, &set(&[-1, -2])), [1, 2]);
}

#[test]
fn the_newest_good_one_stays_behind_damaged_ones_and_an_adopted_one_is_good() {
    let mut backups = set(&[1, 2, -3]);
    backups[1].state = State::Adopted;
    assert_eq!(kept(&last(1), NOW, &backups), [2, 3]);
    backups[1].state = State::Damaged;
    assert_eq!(kept(&last(1), NOW, &backups), [1, 2, 3]);
}
