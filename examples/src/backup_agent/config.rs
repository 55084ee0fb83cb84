//! The configuration: environment variables, those of the original and a few of our own.

use std::path::PathBuf;
use std::time::Duration;

use backup_core::error::codes;
use backup_core::{Error, Result, Secret};
use backup_sources::script::SecretsIn;

/// Where the original looked for its scripts.
const SCRIPTS: &str = "/var/vcap/jobs/backup-agent/backup";
const PORT: u16 = 8000;
const JOBS: usize = 10;
const S3_ENDPOINT: &str = "s3.amazonaws.com";
const RETENTION: Duration = Duration::from_secs(30 * DAY);
const DAY: u64 = 86_400;
const UPLOAD_MEMORY: u64 = 256 << 20;

/// What the environment says. `docs/backup-agent.md` describes each variable.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// `client_username`: who may ask.
    pub username: String,
    /// `client_password`: and how they prove it.
    pub password: Secret,
    /// `client_address`: where to listen.
    pub address: String,
    /// `client_port`: the port there; 0 for any free one.
    pub port: u16,
    /// `directory_backup`: each backup job has its directory there.
    pub backups: PathBuf,
    /// `directory_restore`: each restore job has its directory there.
    pub restores: PathBuf,
    /// `scripts_path`: where the scripts are.
    pub scripts: PathBuf,
    /// `allowed_to_delete_files`: whether a restore may replace a file.
    pub may_delete: bool,
    /// `skip_storage`: whether the scripts of all jobs move the data by themselves.
    pub skip_storage: bool,
    /// `max_job_number`: jobs at once.
    pub max_jobs: usize,
    /// `default_s3_endpoint`: where an S3 destination without an endpoint is.
    pub s3_endpoint: String,
    /// `state_path`: the file of the jobs.
    pub state: PathBuf,
    /// `script_timeout`: how long each script may take.
    pub script_timeout: Option<Duration>,
    /// `job_retention`: how long a job that ended is remembered.
    pub job_retention: Duration,
    /// `script_secrets`: how passwords reach the scripts.
    pub secrets_in: SecretsIn,
    /// `allow_overwrite`: whether a backup may replace an object.
    pub allow_overwrite: bool,
    /// `upload_memory`: bytes that all uploads together may hold.
    pub upload_memory: u64,
}

impl Config {
    /// Reads the environment of this process.
    ///
    /// # Errors
    /// `input.invalid`, which names the variable.
    pub fn from_env() -> Result<Self> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// Reads variables.
    ///
    /// # Errors
    /// `input.invalid`, which names the variable: credentials that are missing, and variables of our own that cannot be read. Those of
    /// the original fall back to their defaults, as there, and the log says so.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let text = |name: &str| variable(name).filter(|value| !value.is_empty());
        let needed = |name: &str| {
            text(name).ok_or_else(|| refused(format!("{name} is not set: the agent does not start without credentials")))
        };
        let directory = |name: &str| {
            text(name).map(PathBuf::from).unwrap_or_else(|| {
                tracing::warn!("{name} is not set: directories of jobs are made in /");
                PathBuf::from("/")
            })
        };
        let flag = |name: &str| or_default(name, text(name), false, parse_bool);
        Ok(Self {
            username: needed("client_username")?,
            password: needed("client_password")?.into(),
            address: text("client_address").unwrap_or_else(|| "0.0.0.0".to_owned()),
            port: or_default("client_port", text("client_port"), PORT, |value| value.parse().ok()),
            backups: absolute(directory("directory_backup"))?,
            restores: absolute(directory("directory_restore"))?,
            scripts: absolute(text("scripts_path").map_or_else(|| PathBuf::from(SCRIPTS), PathBuf::from))?,
            may_delete: flag("allowed_to_delete_files"),
            skip_storage: flag("skip_storage"),
            max_jobs: or_default("max_job_number", text("max_job_number"), JOBS, |value| value.parse().ok().filter(|n| *n > 0)),
            s3_endpoint: text("default_s3_endpoint").unwrap_or_else(|| S3_ENDPOINT.to_owned()),
            state: absolute(state(text("state_path"), text("STATE_DIRECTORY")))?,
            script_timeout: text("script_timeout").map(|value| duration("script_timeout", &value)).transpose()?,
            job_retention: text("job_retention").map_or(Ok(RETENTION), |value| duration("job_retention", &value))?,
            secrets_in: match text("script_secrets").as_deref() {
                None | Some("argv") => SecretsIn::Argv,
                Some("env") => SecretsIn::Environment,
                Some(other) => return Err(refused(format!("script_secrets is {other:?}; there are `argv` and `env`"))),
            },
            allow_overwrite: flag("allow_overwrite"),
            upload_memory: text("upload_memory").map_or(Ok(UPLOAD_MEMORY), |value| bytes("upload_memory", &value))?,
        })
    }

    /// Where the records of running jobs are.
    pub fn running(&self) -> PathBuf {
        let mut name = self.state.clone().into_os_string();
        name.push(".running");
        name.into()
    }
}

/// A file, also where a directory is given.
fn state(path: Option<String>, directory: Option<String>) -> PathBuf {
    let path = path.map(PathBuf::from).unwrap_or_else(|| {
        // systemd gives several directories with colons between them.
        let first = directory.as_deref().and_then(|all| all.split(':').next()).filter(|first| !first.is_empty());
        first.map_or_else(|| PathBuf::from("/var/lib/backup").join(super::PROGRAM), PathBuf::from).join("state.redb")
    });
    if path.is_dir() { path.join("state.redb") } else { path }
}

fn absolute(path: PathBuf) -> Result<PathBuf> {
    std::path::absolute(&path).map_err(|error| refused(format!("{} is no path", path.display())).with_source(error))
}

fn or_default<T>(name: &str, value: Option<String>, default: T, parse: impl Fn(&str) -> Option<T>) -> T {
    let Some(value) = value else { return default };
    parse(value.trim()).unwrap_or_else(|| {
        tracing::warn!("{name} cannot be read; its default is used");
        default
    })
}

/// As Go's `strconv.ParseBool` reads it.
fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// A whole number and a unit: `500ms`, `2s`, `30m`, `12h`, `30d`.
fn duration(name: &str, text: &str) -> Result<Duration> {
    let unreadable = || refused(format!("{name} is {text:?}; write for example 2s, 30m or 30d, above zero"));
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(unreadable)?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| unreadable())?;
    let seconds = |each: u64| number.checked_mul(each).map(Duration::from_secs);
    let duration = match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(3600),
        "d" => seconds(DAY),
        _ => None,
    };
    duration.filter(|duration| !duration.is_zero()).ok_or_else(unreadable)
}

/// A whole number of mebibytes or gibibytes: `256M`, `2G`.
fn bytes(name: &str, text: &str) -> Result<u64> {
    let unreadable = || refused(format!("{name} is {text:?}; write for example 256M or 2G, above zero"));
    let text = text.trim();
    let (number, each) = match (text.strip_suffix('M'), text.strip_suffix('G')) {
        (Some(number), _) => (number, 1_u64 << 20),
        (_, Some(number)) => (number, 1 << 30),
        _ => return Err(unreadable()),
    };
    let number: u64 = number.parse().map_err(|_| unreadable())?;
    number.checked_mul(each).filter(|bytes| *bytes > 0).ok_or_else(unreadable)
}

fn refused(what: impl Into<String>) -> Error {
    Error::new(&codes::INPUT_INVALID, what.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(variables: &[(&str, &str)]) -> Result<Config> {
        let credentials = [("client_username", "u"), ("client_password", "p")];
        let all: std::collections::HashMap<_, _> = credentials.iter().chain(variables).copied().collect();
        Config::from_variables(|name| all.get(name).map(|value| (*value).to_owned()))
    }

    #[test]
    fn without_credentials_it_does_not_start() {
        for missing in ["client_username", "client_password"] {
            let error = config(&[(missing, "")]).unwrap_err();
            assert!(error.to_string().contains(missing), "{error}");
        }
    }

    #[test]
    fn defaults_are_those_of_the_original() {
        let found = config(&[]).unwrap();
        assert_eq!((found.port, found.max_jobs, found.s3_endpoint.as_str()), (8000, 10, "s3.amazonaws.com"));
        assert_eq!(found.scripts, PathBuf::from(SCRIPTS));
        assert!(!found.may_delete && !found.skip_storage && !found.allow_overwrite && found.script_timeout.is_none());
        assert_eq!(found.job_retention, Duration::from_secs(30 * 86_400));
        assert_eq!(found.state, PathBuf::from("/var/lib/backup/backup-agent/state.redb"));
    }

    #[test]
    fn variables_of_the_original_fall_back_and_our_own_are_refused() {
        for (port, expected) in [("9000", 9000), ("0", 0), ("-1", 8000), ("x", 8000), ("70000", 8000)] {
            assert_eq!(config(&[("client_port", port)]).unwrap().port, expected, "{port}");
        }
        for (jobs, expected) in [("3", 3), ("0", 10), ("-1", 10), ("x", 10)] {
            assert_eq!(config(&[("max_job_number", jobs)]).unwrap().max_jobs, expected, "{jobs}");
        }
        for (value, expected) in [("true", true), ("T", true), ("1", true), ("yes", false), ("on", false), ("0", false)] {
            assert_eq!(config(&[("skip_storage", value)]).unwrap().skip_storage, expected, "{value}");
        }
        for (name, value) in [
            ("script_timeout", "2"),
            ("script_timeout", "0s"),
            ("job_retention", "x"),
            ("script_secrets", "file"),
            ("upload_memory", "256"),
            ("upload_memory", "0M"),
        ] {
            assert!(config(&[(name, value)]).unwrap_err().to_string().contains(name), "{name}={value}");
        }
    }

    #[test]
    fn durations_have_a_unit() {
        for (text, seconds) in [("2s", 2), ("30m", 1800), ("12h", 43_200), ("30d", 2_592_000)] {
            assert_eq!(duration("x", text).unwrap(), Duration::from_secs(seconds), "{text}");
        }
    }

    #[test]
    fn sizes_have_a_unit() {
        assert_eq!(config(&[]).unwrap().upload_memory, 256 << 20);
        for (text, expected) in [("1M", 1 << 20), ("2G", 2_u64 << 30)] {
            assert_eq!(config(&[("upload_memory", text)]).unwrap().upload_memory, expected, "{text}");
        }
    }

    #[test]
    fn the_sample_has_every_variable_and_no_other() {
        let sample = include_str!("../../config/backup-agent.env");
        let lines = sample.lines().map(|line| line.strip_prefix('#').unwrap_or(line)).filter_map(|line| line.split_once('='));
        let sample: std::collections::BTreeMap<_, _> = lines.filter(|(name, _)| !name.contains(' ')).collect();
        let asked = std::cell::RefCell::new(std::collections::BTreeSet::new());
        let read = Config::from_variables(|name| {
            asked.borrow_mut().insert(name.to_owned());
            sample.get(name).map(|value| (*value).to_owned())
        });
        assert!(read.is_ok(), "{read:?}");
        asked.borrow_mut().remove("STATE_DIRECTORY");
        assert_eq!(asked.into_inner(), sample.keys().map(|name| (*name).to_owned()).collect());
    }

    #[test]
    fn no_secret_is_shown() {
        assert!(!format!("{:?}", config(&[("client_password", "hunter22")]).unwrap()).contains("hunter22"));
    }
}
