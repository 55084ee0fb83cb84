//! The configuration of a TiDB source.

use std::path::PathBuf;
use std::time::Duration;

use backup_core::{Error, Result, Secret};
use serde::Deserialize;

use super::codes;
use crate::duration;

/// Which cluster, and how BR works on it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BrConfig {
    /// The way to BR.
    pub executor: ExecutorConfig,
    /// The version of the cluster, where it cannot tell itself.
    pub version: Option<String>,
    /// How fast backups are made.
    pub backup: Tuning,
    /// How fast they are restored.
    pub restore: Tuning,
    /// How backups are encrypted, and read back.
    pub encryption: Option<Encryption>,
}

/// The way to BR. Keys are kebab-case; an unknown one is refused.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExecutorConfig {
    /// The SQL statements `BACKUP` and `RESTORE`.
    Sql(SqlConfig),
    /// The program `br`.
    Br(ProgramConfig),
}

/// A TiDB server.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct SqlConfig {
    /// `host:port` of one server. Behind a balancer, a task is watched and ended as soon as a connection ends at its server; what a process
    /// that is gone left on another server is not found.
    pub address: String,
    /// A user with BACKUP_ADMIN and RESTORE_ADMIN (SUPER before 5.0), and SELECT on `mysql.tidb`. Best one for backups alone: whatever else
    /// it does at a backup's place counts as left by a process that is gone.
    pub user: String,
    /// Its password.
    #[serde(default)]
    pub password: Secret,
    /// TLS with this authority, PEM file; plain without.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// For connecting and for each short statement, default 10 s.
    #[serde(default = "ten_seconds", deserialize_with = "duration::deserialize")]
    pub timeout: Duration,
    /// How often progress is asked for, default 5 s.
    #[serde(default = "five_seconds", deserialize_with = "duration::deserialize")]
    pub poll: Duration,
    /// How long a task may take to end after it was told to, default 60 s; TiDB itself looks every 3 s.
    #[serde(default = "one_minute", deserialize_with = "duration::deserialize")]
    pub grace: Duration,
    /// How long a statement is waited for while TiDB does not tell whether it works on it, default 1 h; then its effect is unknown.
    #[serde(default = "one_hour", deserialize_with = "duration::deserialize")]
    pub silence: Duration,
}

impl SqlConfig {
    /// A server, with the defaults for everything else.
    pub fn new(address: impl Into<String>, user: impl Into<String>, password: Secret) -> Self {
        let (address, user) = (address.into(), user.into());
        let (timeout, poll, grace, silence) = (ten_seconds(), five_seconds(), one_minute(), one_hour());
        Self { address, user, password, ca_file: None, timeout, poll, grace, silence }
    }
}

/// The program `br`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct ProgramConfig {
    /// The program, default `br` in `PATH`.
    #[serde(default = "br")]
    pub binary: PathBuf,
    /// The addresses of PD, `host:port`.
    pub pd: Vec<String>,
    /// TLS towards PD and TiKV: the authority, PEM file.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Our certificate.
    #[serde(default)]
    pub cert_file: Option<PathBuf>,
    /// Our private key.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// Where running programs are noted, so that they are found again after a crash; it must outlive a restart. The server sets it.
    #[serde(skip)]
    pub notes: PathBuf,
    /// How long `br` may take to end after SIGTERM, default 30 s; then it is killed.
    #[serde(default = "thirty_seconds", deserialize_with = "duration::deserialize")]
    pub grace: Duration,
}

/// How fast BR works. What is unset is BR's own default, which differs between its versions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tuning {
    /// MiB a second of each TiKV.
    pub rate_limit: Option<u64>,
    /// Threads of each TiKV.
    pub concurrency: Option<u32>,
    /// Whether BR checks the checksums of tables.
    pub checksum: Option<bool>,
}

/// How BR encrypts files and `backupmeta`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct Encryption {
    /// The cipher.
    pub method: EncryptionMethod,
    /// The key in hexadecimal: 16, 24 or 32 bytes.
    pub key: Secret,
}

/// The ciphers of BR, by the names of its flag `--crypter.method`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum EncryptionMethod {
    /// AES with 128 bits.
    #[serde(rename = "aes128-ctr")]
    Aes128Ctr,
    /// AES with 192 bits.
    #[serde(rename = "aes192-ctr")]
    Aes192Ctr,
    /// AES with 256 bits.
    #[serde(rename = "aes256-ctr")]
    Aes256Ctr,
}

impl EncryptionMethod {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aes128Ctr => "aes128-ctr",
            Self::Aes192Ctr => "aes192-ctr",
            Self::Aes256Ctr => "aes256-ctr",
        }
    }

    /// Bytes of its key.
    pub fn key_len(self) -> usize {
        match self {
            Self::Aes128Ctr => 16,
            Self::Aes192Ctr => 24,
            Self::Aes256Ctr => 32,
        }
    }
}

impl Encryption {
    /// Looks whether the key is one of the method, without making a copy of it.
    ///
    /// # Errors
    /// `br.config` when it is not hexadecimal, or not as long as the method wants it.
    pub(super) fn check(&self) -> Result<()> {
        let (key, digits) = (self.key.expose(), self.method.key_len() * 2);
        if key.len() == digits && key.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(());
        }
        let what = format!("the `key` of `encryption` has to be {digits} hexadecimal digits, for {}", self.method.as_str());
        Err(Error::new(&codes::CONFIG, what))
    }

    /// The key itself.
    ///
    /// # Errors
    /// As [`Encryption::check`].
    pub(super) fn key_bytes(&self) -> Result<Vec<u8>> {
        self.check()?;
        hex::decode(self.key.expose()).map_err(|_| Error::new(&codes::CONFIG, "the `key` of `encryption` is not hexadecimal"))
    }
}

impl BrConfig {
    /// A cluster with BR's own defaults for everything else.
    pub fn new(executor: ExecutorConfig) -> Self {
        Self { executor, version: None, backup: Tuning::default(), restore: Tuning::default(), encryption: None }
    }

    pub(super) fn check(&self) -> Result<()> {
        self.encryption.as_ref().map(Encryption::check).transpose()?;
        let wrong = |what: &'static str| Err(Error::new(&codes::CONFIG, what));
        match &self.executor {
            ExecutorConfig::Sql(sql) if sql.address.is_empty() => wrong("`address` of the TiDB server is empty"),
            ExecutorConfig::Br(br) if br.pd.is_empty() => wrong("`pd` names no address"),
            _ => Ok(()),
        }
    }
}

fn br() -> PathBuf {
    PathBuf::from("br")
}

fn one_minute() -> Duration {
    Duration::from_secs(60)
}

fn one_hour() -> Duration {
    Duration::from_secs(3600)
}

fn five_seconds() -> Duration {
    Duration::from_secs(5)
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

fn thirty_seconds() -> Duration {
    Duration::from_secs(30)
}
