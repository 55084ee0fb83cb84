//! `require-mount`: the root must lie on a mount of a kind that was named, so that a directory whose mount is missing is not filled by
//! mistake.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use backup_core::{Error, Result};
use rustix::fs::{AtFlags, CWD, Statx, StatxFlags};
use rustix::io::Errno;

use super::codes::FS_NOT_MOUNTED;
use super::config::RequiredMount;

/// A root on a mount of the right kind, as it was when the store was opened.
#[derive(Debug)]
pub(super) struct Mount {
    path: PathBuf,
    id: Id,
    is_nfs: bool,
}

/// A directory and the mount through which it is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Id {
    /// `None` before Linux 5.8, which tells two mounts of one file system apart only by this.
    mount: Option<u64>,
    device: (u32, u32),
    inode: u64,
}

impl From<Statx> for Id {
    fn from(stat: Statx) -> Self {
        let known = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::MNT_ID);
        Self { mount: known.then_some(stat.stx_mnt_id), device: (stat.stx_dev_major, stat.stx_dev_minor), inode: stat.stx_ino }
    }
}

impl Mount {
    /// Looks through what kind of mount the open root `dir` at `path` is seen.
    pub(super) fn of(path: &Path, dir: BorrowedFd<'_>, required: &RequiredMount) -> Result<Self> {
        let id = stat(dir, Path::new(""), AtFlags::EMPTY_PATH).map_err(|errno| unknown(path, errno))?;
        let kind = check_kind(path, id, required)?;
        Ok(Self { path: path.to_owned(), id, is_nfs: matches!(kind.as_str(), "nfs" | "nfs4") })
    }

    /// Looks before anything is made on the way to a root that is not there yet.
    pub(super) fn check_above(path: &Path, required: &RequiredMount) -> Result<()> {
        for above in path.ancestors() {
            match stat(CWD, above, AtFlags::empty()) {
                Err(Errno::NOENT) => {}
                id => return check_kind(path, id.map_err(|errno| unknown(above, errno))?, required).map(drop),
            }
        }
        Err(unknown(path, Errno::NOENT))
    }

    /// Whether the path still leads to the same root on the same mount. One system call.
    pub(super) fn check(&self) -> Result<()> {
        match stat(CWD, &self.path, AtFlags::empty()) {
            Ok(id) if id == self.id => Ok(()),
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => {
                let text = format!(
                    "`{}` no longer lies on the mount on which it was when the store was opened, and nothing is written; mount it again \
                     and start this program anew",
                    self.path.display()
                );
                Err(Error::new(&FS_NOT_MOUNTED, text))
            }
            Err(errno) => Err(unknown(&self.path, errno)),
        }
    }

    /// Whether files that others removed while they were open leave names behind (`.nfs…`).
    pub(super) fn is_nfs(&self) -> bool {
        self.is_nfs
    }
}

fn stat(dir: impl AsFd, path: &Path, flags: AtFlags) -> Result<Id, Errno> {
    rustix::fs::statx(dir, path, flags, StatxFlags::INO | StatxFlags::MNT_ID).map(Id::from)
}

fn check_kind(path: &Path, id: Id, required: &RequiredMount) -> Result<String> {
    let table = std::fs::read_to_string("/proc/self/mountinfo");
    let table = table.map_err(|error| Error::new(&FS_NOT_MOUNTED, "the table of mounts cannot be read").with_source(error))?;
    let kind = kind_of(&table, id).unwrap_or("unknown");
    if required.allows(kind) {
        return Ok(kind.to_owned());
    }
    let text = format!(
        "`{}` lies on a file system of the kind `{kind}`, and `require-mount` asks for {required}; is it mounted?",
        path.display()
    );
    Err(Error::new(&FS_NOT_MOUNTED, text))
}

/// The kind of a mount, from the lines of proc_pid_mountinfo(5): `id parent major:minor root point options [fields…] - kind source options`.
fn kind_of(table: &str, id: Id) -> Option<&str> {
    let device = format!("{}:{}", id.device.0, id.device.1);
    let ours = |line: &&str| {
        let mut fields = line.split(' ');
        let mount = fields.next().and_then(|field| field.parse().ok());
        match id.mount {
            Some(_) => mount == id.mount,
            None => fields.nth(1) == Some(device.as_str()),
        }
    };
    table.lines().rev().find(ours)?.split_once(" - ")?.1.split(' ').next()
}

fn unknown(path: &Path, errno: Errno) -> Error {
    Error::new(&FS_NOT_MOUNTED, format!("nobody can say on what mount `{}` lies", path.display()))
        .with_source(std::io::Error::from(errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
                         40 22 0:50 / /mnt/a\\040b rw,relatime shared:20 master:3 - nfs4 server:/export rw,vers=4.2\n\
                         41 22 0:51 / /mnt/f rw - fuse.sshfs host:/ rw\n";

    fn id(mount: Option<u64>, device: (u32, u32)) -> Id {
        Id { mount, device, inode: 2 }
    }

    #[test]
    fn the_kind_is_found_by_the_mounts_number_or_its_device() {
        assert_eq!(kind_of(TABLE, id(Some(40), (0, 51))), Some("nfs4"));
        assert_eq!(kind_of(TABLE, id(None, (0, 51))), Some("fuse.sshfs"));
        assert_eq!(kind_of(TABLE, id(None, (8, 1))), Some("ext4"));
        assert_eq!(kind_of(TABLE, id(Some(4), (8, 1))), None);
    }

    #[test]
    fn a_name_stands_for_its_versions_and_flavours() {
        let nfs = RequiredMount::new(["nfs"]);
        assert!(nfs.allows("nfs") && nfs.allows("nfs4") && !nfs.allows("nfsd") && !nfs.allows("ext4"));
        let several = RequiredMount::new(["fuse", "ceph"]);
        assert!(several.allows("fuse") && several.allows("fuse.sshfs") && several.allows("ceph") && !several.allows("fuseblk"));
        assert_eq!(several.to_string(), "`fuse` or `ceph`");
    }
}
