//! Real nfs-ganesha, and `nfs-cp`.

use std::path::Path;
use std::process::Command;

use crate::ganesha::{Ganesha, wanted};
use crate::place::{Remote, run};

struct Nfs(Ganesha);

impl Remote for Nfs {
    fn block(&self, prefix: &str) -> String {
        let (export, nfs, mount) = (self.0.export().display(), self.0.nfs_port, self.0.mount_port);
        format!(
            "{{ nfs: {{ server: 127.0.0.1, export: {export}, root: {prefix}, uid: 0, gid: 0, nfs-port: {nfs}, mount-port: {mount} }} }}"
        )
    }

    fn is_bucket(&self) -> bool {
        false
    }

    fn fetch(&self, prefix: &str, key: &str, file: &Path) {
        run(Command::new("nfs-cp").arg(self.0.libnfs_url(&format!("{prefix}/{key}"))).arg(file));
    }

    fn secrets(&self) -> Vec<String> {
        Vec::new()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nfs() {
    if wanted() {
        crate::both_servers(&Nfs(Ganesha::start())).await;
    }
}
