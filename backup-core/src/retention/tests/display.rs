use super::*;

#[test]
fn a_plan_prints_as_a_table() {
    let mut backups: Vec<_> = (17..=21).map(|day| at(day, &format!("2026-11-{day:02}T09:00:00Z"))).collect();
    backups[0].pinned = true;
    backups[1].state = State::Damaged;
    backups[4].parents = vec![id(19)];
    backups[4].stored_size = 5 << 30;
    let policy = RetentionPolicy::default().keep_last(1).keep_daily(2);
    let plan = plan(&policy, time("2026-11-21T12:00:00Z"), &backups).unwrap();
    assert_eq!(
        plan.to_string(),
        "\
DECISION  BACKUP                                  BYTES  WHY
keep      20260101T000021000Z-00000015       5368709120  newest good; keep-last 1 of 1; daily 2026-11-21
keep      20260101T000020000Z-00000014              100  daily 2026-11-20
keep      20260101T000019000Z-00000013              100  needed by 20260101T000021000Z-00000015
remove    20260101T000018000Z-00000012              100  damaged; no rule keeps it
keep      20260101T000017000Z-00000011              100  pinned
4 kept (5368709420 bytes), 1 to remove (100 bytes)"
    );
}
