//! Names that clients of NFS leave behind.

/// Whether a client of the kernel made this name for a file that was removed while it was open ("silly rename").
pub(crate) fn is_silly(name: &[u8]) -> bool {
    name.strip_prefix(b".nfs").is_some_and(|rest| rest.len() >= 8 && rest.iter().all(|b| b.is_ascii_hexdigit() || *b == b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silly_names_are_those_that_kernels_make() {
        for silly in [".nfs0000000000a5b0f100000003", ".nfs00000000123456780000002a", ".nfs.20051001.0d28"] {
            assert!(is_silly(silly.as_bytes()), "{silly}");
        }
        for other in [".nfs", ".nfsroot", ".nfs-backup.tar", "x.nfs0000000000a5b0f100000003", ".nfs1.json"] {
            assert!(!is_silly(other.as_bytes()), "{other}");
        }
    }
}
