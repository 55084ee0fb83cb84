//! What the program can be told. The texts here are its `--help`.

use std::path::PathBuf;
use std::str::FromStr;

use backup_core::repository::VerifyLevel;
use backup_core::retention::{Age, RetentionPolicy, Zone};
use backup_core::{ArtifactName, BackupId, Error, SetName};
use backup_stores::StoreConfig;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    it failed
  2    the arguments or the configuration cannot be used
  3    no such set, backup or artifact
  4    something is damaged
  5    refused: not confirmed, protected, or something would be overwritten
  6    busy or not reachable; try again later
  130  interrupted";

/// Lists, checks, restores and tidies backups in a repository, with or without its server.
#[derive(Debug, Parser)]
#[command(name = "backupctl", version, after_help = EXIT_CODES, propagate_version = true)]
pub(super) struct Arguments {
    /// Where the backups are, as a URL: fs:///var/lib/backup
    #[arg(long, global = true, value_name = "URL", conflicts_with = "config")]
    pub(super) store: Option<StoreConfig>,
    /// A server's configuration: where the backups are and how they are named is read from it, and nothing else
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Print one JSON document for programs
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Do not ask
    #[arg(long, short, global = true)]
    pub(super) yes: bool,
    #[command(subcommand)]
    pub(super) verb: Verb,
}

/// The command, for whoever documents it.
pub fn command() -> clap::Command {
    Arguments::command()
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List the backups of a set, or all sets
    List(List),
    /// Show all that is known of a backup
    Show(Show),
    /// Read back and check backups, and keep the outcome beside them
    Verify(Verify),
    /// Bring a backup back; nothing is overwritten
    Restore(Restore),
    /// Print what `cinder backup-import` needs to know a volume's backup
    Record(RecordOf),
    /// Remove what a retention policy does not keep
    Prune(Prune),
    /// Exempt a backup from retention
    Pin(Pin),
    /// Take a pin away
    Unpin(Unpin),
    /// Remove what crashed backups and removals left
    Janitor(Janitor),
    /// Read every manifest anew, and say what is there
    Rebuild(Rebuild),
}

/// A backup id, or the newest good backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Which {
    Latest,
    Id(BackupId),
}

impl FromStr for Which {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text == "latest" { Ok(Self::Latest) } else { BackupId::new(text).map(Self::Id) }
    }
}

/// One backup.
#[derive(Debug, Args)]
pub(super) struct Backup {
    /// The backup set
    pub(super) set: SetName,
    /// The backup's id, or `latest` for the newest good one
    pub(super) id: Which,
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// The backup set; all sets without it
    pub(super) set: Option<SetName>,
}

#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    pub(super) backup: Backup,
}

#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The backup set
    #[arg(required_unless_present = "all")]
    pub(super) set: Option<SetName>,
    /// The backup's id, or `latest` for the newest good one
    #[arg(required_unless_present = "all")]
    pub(super) id: Option<Which>,
    /// Every backup of the set, or of all sets
    #[arg(long, conflicts_with = "id")]
    pub(super) all: bool,
    /// How closely to look; each level includes the ones before it
    #[arg(long, value_enum, default_value_t = Level::Digest)]
    pub(super) level: Level,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Level {
    /// Every object is there with its size
    Size,
    /// Every stored byte has its digest
    Digest,
    /// It decompresses to what the source wrote, and the source finds nothing wrong
    Restorable,
}

impl From<Level> for VerifyLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Size => Self::Size,
            Level::Digest => Self::Digest,
            Level::Restorable => Self::Restorable,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct Restore {
    #[command(flatten)]
    pub(super) backup: Backup,
    /// A directory that gets the artifacts as files, made when it is missing; `-` writes one artifact to standard output
    #[arg(long, value_name = "PATH", required_unless_present_any = ["etcd_data_dir", "volume_image", "volume_device"])]
    pub(super) to: Option<PathBuf>,
    /// Only this artifact; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(super) artifact: Vec<ArtifactName>,
    /// Write what the source wrote; without it the artifacts come as they are stored (snapshot.tar.gz)
    #[arg(long)]
    pub(super) decompressed: bool,
    /// Read and check everything, write nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) etcd: EtcdTarget,
    /// A volume: restore it, with all the backups that it builds on, into this raw image; a sparse file, which must not be there yet
    #[arg(long, value_name = "FILE", conflicts_with_all = ["to", "artifact", "decompressed", "etcd_data_dir", "volume_device"])]
    pub(super) volume_image: Option<PathBuf>,
    /// A volume: restore it onto this block device. What is on it is overwritten, so this asks first
    #[arg(long, value_name = "DEVICE", conflicts_with_all = ["to", "artifact", "decompressed", "etcd_data_dir"])]
    pub(super) volume_device: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct RecordOf {
    #[command(flatten)]
    pub(super) backup: Backup,
    /// For a store of files: the directory that Cinder's driver has as its own, the backups being below
    #[arg(long, value_name = "DIR")]
    pub(super) root: Option<String>,
}

/// How etcdutl makes a member of an etcd snapshot.
#[derive(Debug, Args)]
pub(super) struct EtcdTarget {
    /// An etcd snapshot: restore it into this data directory with etcdutl; it must be missing or empty
    #[arg(long, value_name = "DIR", conflicts_with_all = ["to", "artifact", "decompressed"])]
    pub(super) etcd_data_dir: Option<PathBuf>,
    /// As of etcdutl: the member's name
    #[arg(long, value_name = "NAME", requires = "etcd_data_dir")]
    pub(super) name: Option<String>,
    /// As of etcdutl: the members of the new cluster
    #[arg(long, value_name = "NAME=URL,…", requires = "etcd_data_dir")]
    pub(super) initial_cluster: Option<String>,
    /// As of etcdutl: the member's peer URLs
    #[arg(long, value_name = "URL,…", requires = "etcd_data_dir")]
    pub(super) initial_advertise_peer_urls: Option<String>,
    /// As of etcdutl: the new cluster's token
    #[arg(long, value_name = "TOKEN", requires = "etcd_data_dir")]
    pub(super) initial_cluster_token: Option<String>,
    /// As of etcdutl: raise the revision by so much, for watchers that know newer ones
    #[arg(long, value_name = "N", requires = "etcd_data_dir")]
    pub(super) bump_revision: Option<u64>,
    /// As of etcdutl: mark all revisions before the bump as compacted
    #[arg(long, requires = "etcd_data_dir")]
    pub(super) mark_compacted: bool,
    /// The program; `etcdutl`, then `etcdctl` in PATH without it
    #[arg(long, value_name = "PATH", requires = "etcd_data_dir")]
    pub(super) etcdutl: Option<PathBuf>,
}

impl EtcdTarget {
    /// Whether any of its flags was given.
    pub(super) fn is_used(&self) -> bool {
        let texts = [&self.name, &self.initial_cluster, &self.initial_advertise_peer_urls, &self.initial_cluster_token];
        let paths = [&self.etcd_data_dir, &self.etcdutl];
        texts.iter().any(|text| text.is_some())
            || paths.iter().any(|path| path.is_some())
            || self.bump_revision.is_some()
            || self.mark_compacted
    }
}

#[derive(Debug, Args)]
pub(super) struct Prune {
    /// The backup set
    pub(super) set: SetName,
    /// Keep the newest N good backups
    #[arg(long, value_name = "N")]
    pub(super) keep_last: Option<u32>,
    /// Keep backups up to this age: 30d, 12h, 1d12h
    #[arg(long, value_name = "AGE")]
    pub(super) keep_within: Option<Age>,
    /// Keep the newest of each of the latest N hours that have one
    #[arg(long, value_name = "N")]
    pub(super) keep_hourly: Option<u32>,
    /// The same for days
    #[arg(long, value_name = "N")]
    pub(super) keep_daily: Option<u32>,
    /// The same for weeks (ISO 8601)
    #[arg(long, value_name = "N")]
    pub(super) keep_weekly: Option<u32>,
    /// The same for months
    #[arg(long, value_name = "N")]
    pub(super) keep_monthly: Option<u32>,
    /// The same for years
    #[arg(long, value_name = "N")]
    pub(super) keep_yearly: Option<u32>,
    /// Remove the oldest until all stored bytes fit: 500000000, 500MB, 10GiB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(super) max_total_size: Option<u64>,
    /// Where hours, days, weeks, months and years begin: UTC, +02:00
    #[arg(long, value_name = "ZONE", default_value = "UTC", allow_hyphen_values = true)]
    pub(super) time_zone: Zone,
    /// Show the plan, remove nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

impl Prune {
    /// The rules that were given.
    pub(super) fn policy(&self) -> RetentionPolicy {
        let mut policy = RetentionPolicy::default().time_zone(self.time_zone);
        policy.keep_last = self.keep_last;
        policy.keep_within = self.keep_within;
        policy.keep_hourly = self.keep_hourly;
        policy.keep_daily = self.keep_daily;
        policy.keep_weekly = self.keep_weekly;
        policy.keep_monthly = self.keep_monthly;
        policy.keep_yearly = self.keep_yearly;
        policy.max_total_size = self.max_total_size;
        policy
    }
}

#[derive(Debug, Args)]
pub(super) struct Pin {
    #[command(flatten)]
    pub(super) backup: Backup,
    /// Why, for whoever wonders later
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(super) reason: String,
}

#[derive(Debug, Args)]
pub(super) struct Unpin {
    #[command(flatten)]
    pub(super) backup: Backup,
}

#[derive(Debug, Args)]
pub(super) struct Janitor {
    /// Show what is left over, remove nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct Rebuild {}

/// Bytes, with a unit of powers of ten or of two.
fn size(text: &str) -> Result<u64, String> {
    let wrong = || "a size reads like 500000000, 500MB or 10GiB".to_owned();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1000,
        "m" | "mb" => 1000 * 1000,
        "g" | "gb" => 1000 * 1000 * 1000,
        "t" | "tb" => 1000 * 1000 * 1000 * 1000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return Err(wrong()),
    };
    number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_holds_together() {
        command().debug_assert();
    }

    #[test]
    fn sizes_have_units_of_both_kinds() {
        assert_eq!(size("500"), Ok(500));
        assert_eq!(size("5MB"), Ok(5_000_000));
        assert_eq!(size("10GiB"), Ok(10 << 30));
        for bad in ["", "GB", "1.5GB", "-1", "99999999TB", "5 parsecs"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
