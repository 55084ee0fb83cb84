use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Trigger;

/// Which occurrences have fired, by their identities: spans, from and to, of occurrences that followed each other.
///
/// Spans instead of the last one alone: when a clock that was years ahead is set right, what fired by the wrong time must neither fire again
/// nor silence all that comes before it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Settled(Vec<(DateTime<Utc>, DateTime<Utc>)>);

/// Above it the two oldest become one, with all between them: rather a firing too few than one twice.
const SPANS: usize = 8;

impl Settled {
    /// The end of the span that holds `nominal`; none when it has not fired.
    pub(super) fn span_end(&self, nominal: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.0.iter().find(|(from, to)| (*from..=*to).contains(&nominal)).map(|(_, to)| *to)
    }

    pub(super) fn add(&mut self, nominal: DateTime<Utc>, trigger: &Trigger) {
        if self.span_end(nominal).is_some() {
            return;
        }
        let before = self.0.partition_point(|(_, to)| *to < nominal);
        let follows = |to: DateTime<Utc>| trigger.successor(to).is_some_and(|next| next.nominal == nominal);
        match before.checked_sub(1).and_then(|last| self.0.get_mut(last)) {
            Some((_, to)) if follows(*to) => *to = nominal,
            _ => self.0.insert(before, (nominal, nominal)),
        }
        if self.0.len() > SPANS {
            let (from, _) = self.0.remove(0);
            if let Some(oldest) = self.0.first_mut() {
                oldest.0 = from;
            }
        }
    }
}
