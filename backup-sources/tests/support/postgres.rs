//! A real PostgreSQL server for tests: a cluster of its own in a temporary directory, reached over a unix socket alone.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub const USER: &str = "keeper";
pub const PASSWORD: &str = "pass:wörd 'quoted'";

pub struct Postgres {
    programs: PathBuf,
    directory: TempDir,
    server: Child,
}

/// The directory of the server's programs; without it the test is skipped aloud, or fails where real servers are asked for.
fn programs() -> Option<PathBuf> {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let debian = debian.filter_map(|entry| Some(entry.ok()?.path().join("bin")));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = debian.chain(std::env::split_paths(&path)).find(|directory| directory.join("initdb").exists());
    if found.is_none() {
        let wanted = std::env::var_os("BACKUP_TEST_REAL").is_some_and(|value| value == "1");
        assert!(!wanted, "PostgreSQL is missing: run tools/packages.sh test");
        println!("SKIPPED: PostgreSQL is missing: run tools/packages.sh test");
    }
    found
}

/// The user to run the server as, which refuses root.
fn user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let of = |name: &str| {
        let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut ids = line.split(':').skip(2).map(|id| id.parse().unwrap());
        Some((ids.next()?, ids.next()?))
    };
    Some(of("postgres").or_else(|| of("nobody")).unwrap())
}

impl Postgres {
    /// Starts a server with an empty database `app`, or skips the test.
    pub async fn start() -> Option<Self> {
        let programs = programs()?;
        // A socket's path has 107 bytes at most, and the server's user has to get there.
        let (directory, user) = (tempfile::tempdir_in("/tmp").unwrap(), user());
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("password"), PASSWORD).unwrap();
        if let Some((uid, gid)) = user {
            chown(directory.path(), Some(uid), Some(gid)).unwrap();
            chown(path("password"), Some(uid), Some(gid)).unwrap();
        }
        let as_user = |program: &str| {
            let mut command = Command::new(programs.join(program));
            command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("LC_ALL", "C");
            command.current_dir(directory.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            if let Some((uid, gid)) = user {
                command.uid(uid).gid(gid);
            }
            command
        };
        let mut initdb = as_user("initdb");
        initdb.args(["--no-sync", "--encoding=UTF8", "--locale=C", "--auth=scram-sha-256", "--username", USER]);
        initdb.arg("--pwfile").arg(path("password")).arg("--pgdata").arg(path("data"));
        assert!(initdb.status().unwrap().success(), "initdb failed");
        let mut server = as_user("postgres");
        server.arg("-D").arg(path("data")).arg("-k").arg(directory.path());
        server.args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "shared_buffers=8MB", "-c", "max_connections=10"]);
        let server = server.spawn().unwrap();
        let postgres = Self { server, programs, directory };
        let start = Instant::now();
        while !postgres.client("psql").args(["postgres", "-c", ""]).output().unwrap().status.success() {
            assert!(start.elapsed() < Duration::from_secs(60), "the server does not answer");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        postgres.sql("postgres", "create database app");
        Some(postgres)
    }

    /// Where its socket is: the host to connect to.
    pub fn host(&self) -> &Path {
        self.directory.path()
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.env("PGHOST", self.host()).env("PGUSER", USER).env("PGPASSWORD", PASSWORD).stdin(Stdio::null());
        command
    }

    pub fn sql(&self, database: &str, sql: &str) -> String {
        let mut psql = self.client("psql");
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", "-d", database, "-c", sql]);
        let output = psql.output().unwrap();
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// All of a database as SQL: what has to be the same after a restore.
    pub fn dump(&self, database: &str) -> String {
        let output = self.client("pg_dump").args(["--format=plain", database]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        // Newer versions put a random key into these two lines.
        let same = |line: &&str| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict");
        text.lines().filter(same).map(|line| format!("{line}\n")).collect()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // At once: its children end with it.
        if let Some(pid) = i32::try_from(self.server.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::QUIT);
        }
        let _ = self.server.wait();
    }
}
