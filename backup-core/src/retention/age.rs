use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, codes};

/// Largest unit first, as [`Age`] is printed.
const UNITS: [(char, u64); 5] = [('w', 7 * 86400), ('d', 86400), ('h', 3600), ('m', 60), ('s', 1)];

/// How old a backup is. As text: numbers with the units `w`, `d`, `h`, `m`, `s`: `30d`, `1d12h`. A day has 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Age(u64);

impl Age {
    /// An age in seconds.
    pub fn from_secs(seconds: u64) -> Self {
        Self(seconds)
    }

    /// An age in days.
    pub fn from_days(days: u32) -> Self {
        Self(u64::from(days) * 86400)
    }

    /// In seconds.
    pub fn as_secs(self) -> u64 {
        self.0
    }
}

impl FromStr for Age {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            let text: String = text.chars().take(40).collect();
            Error::new(&codes::INPUT_INVALID, format!("{text:?} is no age; one reads like `30d`, `12h` or `1d12h`"))
        };
        let mut seconds = 0_u64;
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
            let (number, behind) = rest.split_at(digits);
            let number: u64 = number.parse().map_err(|_| wrong())?;
            let unit = behind.chars().next().ok_or_else(wrong)?;
            let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
            seconds = number.checked_mul(*factor).and_then(|part| seconds.checked_add(part)).ok_or_else(wrong)?;
            rest = behind.get(unit.len_utf8()..).unwrap_or_default();
        }
        if text.is_empty() { Err(wrong()) } else { Ok(Self(seconds)) }
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `30d`, not `4w2d`: weeks only where they come out even.
        let mut rest = self.0;
        for (unit, factor) in UNITS {
            let even = unit != 'w' || rest.is_multiple_of(factor);
            if rest >= factor && even {
                write!(f, "{}{unit}", rest / factor)?;
                rest %= factor;
            }
        }
        if self.0 == 0 { f.write_str("0s") } else { Ok(()) }
    }
}

impl TryFrom<String> for Age {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Age> for String {
    fn from(age: Age) -> String {
        age.to_string()
    }
}
