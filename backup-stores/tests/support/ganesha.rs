//! A real NFS server for tests: nfs-ganesha on ports of its own, on loopback.
//!
//! It serves NFSv3 only beside a portmapper, of which a machine has one, at a fixed path and port. So each server gets one to itself:
//! both run in namespaces of their own (mounts, so that `/run` is empty; processes, so that they end together; for the portmapper the
//! network too, so that nothing listens on port 111). The first process there waits on its standard input, which is ours: whatever
//! becomes of the test, the servers end with it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::panic, reason = "each test file uses its part of it")]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use backup_core::testkit::free_port;
use backup_stores::nfs::NfsConfig;
use tempfile::TempDir;

const SCRIPT: &str = r#"
mount -t tmpfs tmpfs /run || exit 1
mkdir -p /run/rpcbind /run/lock /run/ganesha
unshare --net rpcbind -f -w </dev/null &
while [ ! -S /run/rpcbind.sock ]; do sleep 0.01; done
ganesha.nfsd -F -E "$2" -f "$1/ganesha.conf" -L "$1/log" -p /run/ganesha/pid </dev/null &
cat >/dev/null
"#;

/// Whether the programs are there; without them the test is skipped aloud, or fails where real servers are asked for.
pub fn wanted() -> bool {
    let found = |program: &str| {
        let dirs = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&dirs).chain(["/usr/sbin".into(), "/sbin".into()]).any(|dir| dir.join(program).exists())
    };
    let missing: Vec<_> =
        ["ganesha.nfsd", "rpcbind", "nfs-cp", "unshare"].into_iter().filter(|program| !found(program)).collect();
    let namespaces = || run(Command::new("unshare").args(["--mount", "--pid", "--fork", "true"])).is_some();
    let why = if !missing.is_empty() {
        format!("{} is missing: run tools/packages.sh test", missing.join(", "))
    } else if !namespaces() {
        "an NFS server needs namespaces of its own, and this user may not make them".to_owned()
    } else {
        return true;
    };
    let real = std::env::var_os("BACKUP_TEST_REAL").is_some_and(|value| value == "1");
    assert!(!real, "{why}");
    println!("SKIPPED: {why}");
    false
}

fn run(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// How to start one.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The exported directory; one of its own when absent.
    pub export: Option<PathBuf>,
    /// `RW` or `RO`.
    pub access: &'static str,
    /// `No_Root_Squash` or `All_Squash`.
    pub squash: &'static str,
    /// Whether it has another write verifier after each start. By itself its verifier is the second of its start.
    pub verifiers: bool,
    /// Where it listens.
    pub address: &'static str,
}

impl Default for Setup {
    fn default() -> Self {
        Self { export: None, access: "RW", squash: "No_Root_Squash", verifiers: true, address: "127.0.0.1" }
    }
}

/// A running server; killed when dropped.
pub struct Ganesha {
    pub nfs_port: u16,
    pub mount_port: u16,
    directory: TempDir,
    export: PathBuf,
    setup: Setup,
    starts: u32,
    running: Option<(Child, ChildStdin)>,
}

impl Ganesha {
    /// A server with one export.
    pub fn start() -> Self {
        Self::with(Setup::default())
    }

    pub fn with(setup: Setup) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let export = setup.export.clone().unwrap_or_else(|| directory.path().join("export"));
        std::fs::create_dir_all(&export).unwrap();
        let (nfs_port, mount_port) = (free_port(), free_port());
        let mut server = Self { nfs_port, mount_port, directory, export, setup, starts: 0, running: None };
        server.run();
        server
    }

    /// Starts it, again after [`Ganesha::kill`], and waits until it serves.
    pub fn run(&mut self) {
        self.spawn();
        self.ready();
    }

    /// Starts it; it may not serve yet.
    pub fn spawn(&mut self) {
        let (dir, export) = (self.directory.path().display(), self.export.display());
        let Setup { access, squash, verifiers, address, .. } = self.setup;
        let (nfs, mount) = (self.nfs_port, self.mount_port);
        let text = format!(
            "NFS_CORE_PARAM {{ NFS_Port={nfs}; MNT_Port={mount}; Bind_addr={address}; Protocols=3; Enable_NLM=false; Enable_RQUOTA=false; }}\n\
             NFSV4 {{ Graceless=true; RecoveryRoot={dir}/recovery; }}\n\
             EXPORT {{ Export_Id=1; Path={export}; Pseudo=/export; Access_Type={access}; Squash={squash}; SecType=sys; Protocols=3; \
             Transports=TCP; FSAL {{ Name=VFS; }} }}\n\
             LOG {{ Default_Log_Level=EVENT; }}\n"
        );
        std::fs::write(self.directory.path().join("ganesha.conf"), text).unwrap();
        std::fs::create_dir_all(self.directory.path().join("recovery")).unwrap();
        let _old = std::fs::remove_file(self.log());
        let output = File::create(self.directory.path().join("output")).unwrap();
        let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new("unshare");
        command.args([
            "--mount",
            "--propagation",
            "private",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "sh",
            "-c",
            SCRIPT,
        ]);
        self.starts += u32::from(verifiers || self.starts == 0);
        let epoch = 1_700_000_000 + self.starts;
        command.arg("ganesha").arg(self.directory.path()).arg(epoch.to_string());
        command.env_clear().env("PATH", path);
        command.stdin(Stdio::piped()).stdout(output.try_clone().unwrap()).stderr(output);
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take().unwrap();
        self.running = Some((child, input));
    }

    pub fn ready(&mut self) {
        let began = Instant::now();
        loop {
            let log = std::fs::read_to_string(self.log()).unwrap_or_default();
            if log.contains("NFS SERVER INITIALIZED") {
                return;
            }
            let exited = self.running.as_mut().is_none_or(|(child, _)| child.try_wait().unwrap().is_some());
            let output = || std::fs::read_to_string(self.directory.path().join("output")).unwrap_or_default();
            assert!(!exited && began.elapsed() < Duration::from_secs(60), "ganesha is not ready: {log}\n{}", output());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Kills it: it ends in the middle of what it does, and takes nothing along but what its kernel has.
    pub fn kill(&mut self) {
        if let Some((mut child, input)) = self.running.take() {
            // The first process of the namespace ends, and the kernel kills the others before it is gone.
            drop(input);
            child.wait().unwrap();
        }
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// The exported directory, as the server sees it.
    pub fn export(&self) -> &Path {
        &self.export
    }

    /// A store in the directory `root` of the export.
    pub fn config(&self, root: &str) -> NfsConfig {
        self.config_over(root, self.nfs_port)
    }

    /// The same through a proxy of the NFS port.
    pub fn config_over(&self, root: &str, nfs_port: u16) -> NfsConfig {
        let export = self.export.to_str().unwrap();
        NfsConfig::new(self.setup.address, export, root).ports(nfs_port, self.mount_port).user_and_group(0, 0)
    }

    /// The URL that the tools of libnfs take for a file of the export.
    pub fn libnfs_url(&self, path: &str) -> String {
        format!("nfs://127.0.0.1{}/{path}?nfsport={}&mountport={}", self.export.display(), self.nfs_port, self.mount_port)
    }
}

impl Drop for Ganesha {
    fn drop(&mut self) {
        self.kill();
    }
}
