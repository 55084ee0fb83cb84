//! What a test may choose.

use std::time::Duration;

/// How the server behaves.
#[derive(Debug, Clone)]
pub struct Behaviour {
    pub user: String,
    pub password: String,
    /// The answer to `SELECT VERSION()`.
    pub version: String,
    /// The answer to `SELECT TIDB_VERSION()`; without one it is no TiDB.
    pub release: Option<String>,
    /// Rows of `mysql.tidb`.
    pub cluster_id: Option<String>,
    pub gc_safe_point: Option<String>,
    /// The columns of this version.
    pub columns: Columns,
    /// The steps of a backup, with the percentages they show.
    pub backup_steps: Vec<(String, Vec<f64>)>,
    pub restore_steps: Vec<(String, Vec<f64>)>,
    /// A task that reaches this state stays in it until it is killed or released.
    pub hold: Option<String>,
    pub outcome: Outcome,
    /// Whether a task that is killed ends.
    pub heeds_kill: bool,
    /// How long that takes; TiDB looks every three seconds.
    pub kill_delay: Duration,
    /// Whether a task that was killed never gets a time of its end.
    pub lingers: bool,
    /// Statements that begin like this are answered with that error.
    pub refuse: Vec<(String, u16, String)>,
    /// Statements that begin like this are never answered.
    pub mute: Vec<String>,
    /// `clearTask`: each `SHOW BACKUPS` forgets the tasks that have no time of their end.
    pub prunes: bool,
    /// Before 6.5: a task that is killed in the queue stays `Wait`, without a time of its end.
    pub forgets_the_queue: bool,
    /// Where a balancer leads connections.
    pub balancer: Balancer,
    /// Files that a backup writes.
    pub files: usize,
}

/// Which connections end at another server, on which nothing runs. The first one never does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Balancer {
    None,
    /// All others.
    AllOthers,
    /// The second, the fourth and so on.
    InTurns,
}

/// Which columns `SHOW BACKUPS` and `RESTORE` have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Columns {
    /// Seven, and five for RESTORE: up to 5.x.
    Seven,
    /// With `Message`.
    Eight,
    /// With `Id`, and `Cluster TS` for RESTORE: since 7.1.
    Nine,
}

/// How a task ends that nobody killed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Finish,
    /// With this error, after the last step.
    Fail(u16, String),
    /// The task finishes, but its statement never answers.
    Hang,
}

impl Default for Behaviour {
    fn default() -> Self {
        let step = |name: &str, percent: &[f64]| (name.to_owned(), percent.to_vec());
        Self {
            user: "root".into(),
            password: "tidb-root-password".into(),
            version: "8.0.11-TiDB-v7.5.0".into(),
            release: Some("Release Version: v7.5.0\nEdition: Community".into()),
            cluster_id: None,
            gc_safe_point: None,
            columns: Columns::Nine,
            // As reported by users: it jumps, and passes 100.
            backup_steps: vec![step("Backup", &[0.0, 37.5, 133.3, 100.0]), step("Checksum", &[0.0, 100.0])],
            restore_steps: vec![step("Split&Scatter Region", &[0.0, 100.0]), step("Download&Ingest SST", &[0.0, 50.0, 100.0])],
            hold: None,
            outcome: Outcome::Finish,
            heeds_kill: true,
            kill_delay: Duration::from_millis(20),
            lingers: false,
            refuse: Vec::new(),
            mute: Vec::new(),
            prunes: false,
            forgets_the_queue: false,
            balancer: Balancer::None,
            files: 3,
        }
    }
}
