use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::{Decision, Plan, PlanItem, Reason, RetentionPolicy};
use crate::error::{Error, Result, codes};
use crate::name::BackupId;

/// A published backup, as the planner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Candidate {
    /// Its id; ids give the order.
    pub id: BackupId,
    /// When it was made; gives age and periods.
    pub created_at: DateTime<Utc>,
    /// Its stored bytes.
    pub stored_size: u64,
    /// Whether it is good.
    pub state: State,
    /// True when a pin exempts it.
    pub pinned: bool,
    /// Until when the store refuses to remove it.
    pub locked_until: Option<DateTime<Utc>>,
    /// The backups that its restore needs.
    pub parents: Vec<BackupId>,
    /// True when a live intent names it as parent.
    pub needed_by_intent: bool,
}

/// What is known of a backup's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// Published, and not found damaged.
    Good,
    /// A file of another program that was taken over, not found damaged. Counts as good.
    Adopted,
    /// The last verify found damage.
    Damaged,
}

impl Candidate {
    /// A good backup that nothing protects.
    pub fn new(id: BackupId, created_at: DateTime<Utc>, stored_size: u64) -> Self {
        let (state, parents) = (State::Good, Vec::new());
        Self { id, created_at, stored_size, state, pinned: false, locked_until: None, parents, needed_by_intent: false }
    }

    fn is_good(&self) -> bool {
        self.state != State::Damaged
    }
}

/// Decides what becomes of each of `backups`, which are all published backups of one set, in any order.
///
/// # Behavior
/// Pure: the same arguments give the same plan. The [module](super) says what is never removed.
///
/// # Errors
/// `retention.no_rule` for a policy that keeps nothing; `input.invalid` when a backup is listed twice.
pub fn plan(policy: &RetentionPolicy, now: DateTime<Utc>, backups: &[Candidate]) -> Result<Plan> {
    policy.check()?;
    let mut set = Set::new(now, backups)?;
    set.protect();
    set.apply_rules(policy);
    set.keep_parents();
    if let Some(limit) = policy.max_total_size {
        set.shrink(limit);
    }
    set.into_plan(policy)
}

/// The set under work: every map is keyed by id, so that iteration goes from the oldest to the newest.
struct Set<'a> {
    now: DateTime<Utc>,
    backups: BTreeMap<&'a BackupId, &'a Candidate>,
    newest_good: Option<&'a BackupId>,
    /// Why what stays stays.
    keep: BTreeMap<&'a BackupId, Vec<Reason>>,
    /// Whose parents are in `keep` already.
    followed: BTreeSet<&'a BackupId>,
    /// Which of `keep` no rule may give up.
    protected: BTreeSet<&'a BackupId>,
    /// Why what the size cap takes goes.
    over: BTreeMap<&'a BackupId, Reason>,
}

impl<'a> Set<'a> {
    fn new(now: DateTime<Utc>, backups: &'a [Candidate]) -> Result<Self> {
        let mut map = BTreeMap::new();
        for backup in backups {
            if map.insert(&backup.id, backup).is_some() {
                return Err(Error::new(&codes::INPUT_INVALID, format!("backup {} is listed twice", backup.id)));
            }
        }
        let newest_good = map.values().rev().find(|backup| backup.is_good()).map(|backup| &backup.id);
        let (keep, over) = (BTreeMap::new(), BTreeMap::new());
        let (followed, protected) = (BTreeSet::new(), BTreeSet::new());
        Ok(Self { now, backups: map, newest_good, keep, followed, protected, over })
    }

    fn add(&mut self, id: &'a BackupId, reason: Reason) {
        self.keep.entry(id).or_default().push(reason);
    }

    /// What stays whatever the rules say.
    fn protect(&mut self) {
        let backups: Vec<_> = self.backups.values().copied().collect();
        for backup in backups {
            let mut reasons = Vec::new();
            if self.newest_good == Some(&backup.id) {
                reasons.push(Reason::NewestGood);
            }
            if !backup.is_good() && self.newest_good < Some(&backup.id) {
                reasons.push(Reason::NothingBetter);
            }
            if backup.pinned {
                reasons.push(Reason::Pinned);
            }
            if let Some(until) = backup.locked_until.filter(|until| *until > self.now) {
                reasons.push(Reason::LockedUntil(until));
            }
            if backup.needed_by_intent {
                reasons.push(Reason::LiveIntent);
            }
            if !reasons.is_empty() {
                self.protected.insert(&backup.id);
                self.keep.entry(&backup.id).or_default().append(&mut reasons);
            }
        }
        self.keep_parents();
        self.protected = self.keep.keys().copied().collect();
    }

    /// From the newest to the oldest; good ones take places, damaged ones are only measured against those that are taken.
    fn apply_rules(&mut self, policy: &RetentionPolicy) {
        let mut good_so_far = 0;
        let mut seen = policy.periods().map(|(period, count)| (period, count, BTreeSet::new()));
        let backups: Vec<_> = self.backups.values().rev().copied().collect();
        for backup in backups {
            let mut reasons = Vec::new();
            let last = policy.keep_last.unwrap_or(0) as usize;
            if good_so_far < last {
                reasons.push(Reason::KeepLast { place: good_so_far + 1, of: last });
            }
            if let Some(limit) = policy.keep_within.filter(|limit| self.is_within(backup, limit.as_secs())) {
                reasons.push(Reason::KeepWithin(limit));
            }
            for (period, count, names) in &mut seen {
                let name = period.name_of(backup.created_at, policy.time_zone);
                if names.len() < *count && !names.contains(&name) {
                    reasons.push(Reason::Newest { period: *period, name: name.clone() });
                    if backup.is_good() {
                        names.insert(name);
                    }
                }
            }
            if !policy.has_keep_rule() {
                reasons.push(Reason::FitsTotalSize);
            }
            good_so_far += usize::from(backup.is_good());
            if !backup.is_good() && !reasons.is_empty() {
                reasons.insert(0, Reason::Damaged);
            }
            for reason in reasons {
                self.add(&backup.id, reason);
            }
        }
    }

    fn is_within(&self, backup: &Candidate, seconds: u64) -> bool {
        let age = self.now.signed_duration_since(backup.created_at).max(TimeDelta::zero());
        seconds > 0 && age.num_milliseconds().unsigned_abs() <= seconds.saturating_mul(1000)
    }

    /// Keeps what the kept ones need, and so on.
    fn keep_parents(&mut self) {
        let mut todo: Vec<&'a BackupId> = self.keep.keys().copied().collect();
        while let Some(child) = todo.pop() {
            let Some(backup) = self.backups.get(child).copied() else { continue };
            if !self.followed.insert(child) {
                continue;
            }
            for parent in backup.parents.iter().collect::<BTreeSet<_>>() {
                // A parent that is not there cannot be kept; that the child cannot be restored is for verify to say.
                let Some((&parent, _)) = self.backups.get_key_value(parent) else { continue };
                self.add(parent, Reason::NeededBy(child.clone()));
                todo.push(parent);
            }
        }
    }

    fn children(&self) -> BTreeMap<&'a BackupId, Vec<&'a BackupId>> {
        let mut children: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (&id, backup) in &self.backups {
            for parent in &backup.parents {
                children.entry(parent).or_default().push(id);
            }
        }
        children
    }

    /// Gives up the oldest until the rest fits. What needs one that goes is of no use any more and goes with it.
    fn shrink(&mut self, limit: u64) {
        let children = self.children();
        let mut total: u128 = self.keep.keys().map(|id| self.size_of(id)).sum();
        let oldest_first: Vec<_> = self.keep.keys().copied().filter(|id| !self.protected.contains(id)).collect();
        for id in oldest_first {
            if total <= u128::from(limit) {
                break;
            }
            let mut todo = vec![(id, Reason::OverTotalSize { limit })];
            while let Some((id, reason)) = todo.pop() {
                if self.keep.remove(id).is_none() {
                    continue;
                }
                total -= self.size_of(id);
                self.over.insert(id, reason);
                let needing = children.get(id).into_iter().flatten();
                todo.extend(needing.map(|child| (*child, Reason::Needs(id.clone()))));
            }
        }
        // Nobody is needed by one that is gone.
        let over = &self.over;
        for reasons in self.keep.values_mut() {
            reasons.retain(|reason| !matches!(reason, Reason::NeededBy(child) if over.contains_key(child)));
        }
    }

    fn size_of(&self, id: &BackupId) -> u128 {
        self.backups.get(id).map_or(0, |backup| u128::from(backup.stored_size))
    }

    fn into_plan(mut self, policy: &RetentionPolicy) -> Result<Plan> {
        let mut items = Vec::with_capacity(self.backups.len());
        for (id, backup) in self.backups.iter().rev() {
            let kept = self.keep.remove(id).filter(|reasons| !reasons.is_empty());
            let decision = if kept.is_some() { Decision::Keep } else { Decision::Remove };
            let reasons = kept.unwrap_or_else(|| {
                let over = self.over.remove(id).unwrap_or(Reason::NoRuleKeeps);
                let damaged = (!backup.is_good()).then_some(Reason::Damaged);
                damaged.into_iter().chain([over]).collect()
            });
            items.push(PlanItem { id: (*id).clone(), decision, reasons, stored_size: backup.stored_size });
        }
        let plan = Plan { items };
        if !plan.items.is_empty() && plan.kept().next().is_none() {
            return Err(Error::new(&codes::INTERNAL, format!("the plan would empty the set, so it is refused: {policy:?}")));
        }
        Ok(plan)
    }
}
