use serde::{Deserialize, Serialize};

use super::{Age, Period, Zone};
use crate::error::{Error, Result, codes};

/// What is to be kept. A backup stays when at least one rule keeps it. No policy at all keeps everything; a policy without
/// a rule that keeps is refused.
///
/// Keys are kebab-case, and an unknown one is refused: a misspelt rule must not remove anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct RetentionPolicy {
    /// The newest so many good backups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_last: Option<u32>,
    /// Backups up to this age: `30d`, `12h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_within: Option<Age>,
    /// The newest good backup of each of the latest so many hours that have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_hourly: Option<u32>,
    /// The same for days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_daily: Option<u32>,
    /// The same for weeks (ISO 8601).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_weekly: Option<u32>,
    /// The same for months.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_monthly: Option<u32>,
    /// The same for years.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_yearly: Option<u32>,
    /// A cap on all stored bytes of the set. The oldest go until the rest fits, also when another rule would keep them; what
    /// is never removed stays even above the cap. Alone it keeps all that fits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_total_size: Option<u64>,
    /// Where hours, days, weeks, months and years begin. UTC unless set.
    pub time_zone: Zone,
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty;)*) => {
        $(
            $(#[$doc])*
            #[must_use]
            pub fn $name(mut self, value: $type) -> Self {
                self.$name = Some(value);
                self
            }
        )*
    };
}

impl RetentionPolicy {
    setters! {
        /// Sets the field of that name.
        keep_last: u32;
        /// Sets the field of that name.
        keep_within: Age;
        /// Sets the field of that name.
        keep_hourly: u32;
        /// Sets the field of that name.
        keep_daily: u32;
        /// Sets the field of that name.
        keep_weekly: u32;
        /// Sets the field of that name.
        keep_monthly: u32;
        /// Sets the field of that name.
        keep_yearly: u32;
        /// Sets the field of that name, in bytes.
        max_total_size: u64;
    }

    /// Sets the time zone.
    #[must_use]
    pub fn time_zone(mut self, zone: Zone) -> Self {
        self.time_zone = zone;
        self
    }

    /// Refuses a policy that keeps nothing, so that a configuration is refused at start, not at the first prune.
    ///
    /// # Errors
    /// `retention.no_rule`.
    pub fn check(&self) -> Result<()> {
        if self.has_keep_rule() || self.max_total_size.is_some_and(|size| size > 0) {
            return Ok(());
        }
        Err(Error::new(
            &codes::RETENTION_NO_RULE,
            "the retention policy has no rule that keeps a backup (a rule of 0 keeps none)",
        ))
    }

    pub(super) fn has_keep_rule(&self) -> bool {
        self.keep_last > Some(0)
            || self.keep_within.is_some_and(|age| age.as_secs() > 0)
            || self.periods().iter().any(|(_, count)| *count > 0)
    }

    pub(super) fn periods(&self) -> [(Period, usize); 5] {
        [
            (Period::Hourly, self.keep_hourly),
            (Period::Daily, self.keep_daily),
            (Period::Weekly, self.keep_weekly),
            (Period::Monthly, self.keep_monthly),
            (Period::Yearly, self.keep_yearly),
        ]
        .map(|(period, count)| (period, count.unwrap_or(0) as usize))
    }
}
