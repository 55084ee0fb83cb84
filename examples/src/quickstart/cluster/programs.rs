//! The programs of etcd that the demonstration runs.

use std::path::PathBuf;

use crate::quickstart::failure::Failure;
use crate::quickstart::outside;

#[derive(Debug)]
pub(super) struct Programs {
    pub(super) etcd: PathBuf,
    pub(super) etcdutl: PathBuf,
}

impl Programs {
    /// Looks before anything is started, so that a missing one costs nobody's time.
    pub(super) fn find() -> Result<Self, Failure> {
        let etcd = match std::env::var_os("ETCD_BIN").filter(|value| !value.is_empty()) {
            Some(path) if PathBuf::from(&path).is_file() => path.into(),
            Some(path) => return Err(Failure::new(format!("ETCD_BIN is {}, which is no file", path.display()))),
            None => vendored().ok_or_else(|| {
                Failure::new("no etcd server comes along for this kind of machine, only for Linux on x86_64")
                    .advise("run: ETCD_BIN=/path/to/etcd make demo\nor back up a directory: quickstart PATH")
            })?,
        };
        let etcdutl = outside::find("etcdutl").ok_or_else(|| {
            Failure::new("etcdutl is missing: restoring a snapshot into a data directory needs it")
                .advise("run: make demo    (fetches it into .tools/)\nor put etcdutl of etcd 3.5 or later into PATH")
        })?;
        Ok(Self { etcd, etcdutl })
    }
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn vendored() -> Option<PathBuf> {
    etcd_bin_vendored_linux_amd64::etcd_bin_path().ok().map(PathBuf::from).filter(|path| path.is_file())
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn vendored() -> Option<PathBuf> {
    None
}
