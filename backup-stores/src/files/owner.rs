//! Unfinished files: `.backup/tmp/<owner>.<n>.<random>.tmp`.

use backup_core::JobId;

/// Who made an unfinished file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A `put`, which nobody continues.
    Put,
    /// A writer of this job.
    Job(JobId),
}

impl Owner {
    /// A name for an unfinished file of this owner: `n` tells those of one process apart, `random` those of several.
    pub(crate) fn name(&self, n: u64, random: u64) -> String {
        match self {
            Self::Put => format!("put.{random:016x}.tmp"),
            Self::Job(job) => format!("{job}.{n}.{random:016x}.tmp"),
        }
    }

    /// Reads it out of a file name; `None` for a name that no store makes.
    pub(crate) fn of(name: &str) -> Option<Self> {
        let mut parts = name.strip_suffix(".tmp")?.split('.');
        let (owner, rest) = (parts.next()?, parts.collect::<Vec<_>>());
        match (owner, rest.as_slice()) {
            ("put", [random]) if is_random(random) => Some(Self::Put),
            (job, [n, random]) if !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()) && is_random(random) => {
                JobId::new(job).ok().map(Self::Job)
            }
            _ => None,
        }
    }
}

fn is_random(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_its_owner_and_other_names_tell_none() {
        let job = Owner::Job(JobId::new("0123456789abcdef0123456789abcdef").unwrap());
        for owner in [Owner::Put, job] {
            assert_eq!(Owner::of(&owner.name(3, 0xabc)), Some(owner));
        }
        for foreign in ["x.tmp", "put.tmp", "put.0123456789abcdef.part", "j1.x.0123456789abcdef.tmp", "j1.1.0123.tmp"] {
            assert_eq!(Owner::of(foreign), None, "{foreign}");
        }
    }
}
