//! What `br` is started with. Never a shell's line: each argument is one element of a vector, and each flag has its value in the same
//! element, so that no value can be taken for a flag.

use std::collections::BTreeMap;
use std::path::Path;

use backup_core::{Error, Result, Secret};

use crate::br::codes;
use crate::br::config::ProgramConfig;
use crate::br::executor::Order;
use crate::br::place;

/// What `br` shall do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Backup,
    Restore,
}

impl Action {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Restore => "restore",
        }
    }
}

/// A command to start. What is secret stands in its environment, and in `secrets`, which its log is strained of.
#[derive(Debug, Default)]
pub(super) struct Invocation {
    pub(super) argv: Vec<String>,
    pub(super) environment: BTreeMap<String, Secret>,
    pub(super) secrets: Vec<Secret>,
}

/// The parameters of a place that are credentials, by the variables in which BR looks for them.
const CREDENTIALS: [(&str, &str); 3] =
    [("access-key", "AWS_ACCESS_KEY_ID"), ("secret-access-key", "AWS_SECRET_ACCESS_KEY"), ("session-token", "AWS_SESSION_TOKEN")];
/// Those for which BR has flags.
const FLAGS: [&str; 7] = ["endpoint", "region", "storage-class", "sse", "sse-kms-key-id", "acl", "provider"];
/// Those that BR takes in the place's URL alone, where everybody on the host can read them: none of them is a secret. A role to take on is
/// not among them, for its `external-id` is one.
const QUERY: [&str; 2] = ["force-path-style", "use-accelerate-endpoint"];

/// The command for an order.
///
/// # Errors
/// `br.config` for a path that is no text, or a parameter that BR does not know.
pub(super) fn of(config: &ProgramConfig, action: Action, order: &Order, key_file: Option<&Path>) -> Result<Invocation> {
    let mut made = Invocation { argv: program(config)?, ..Invocation::default() };
    made.argv.extend([action.word(), "full"].map(str::to_owned));
    made.flag("pd", config.pd.join(","));
    for (name, file) in [("ca", &config.ca_file), ("cert", &config.cert_file), ("key", &config.key_file)] {
        if let Some(file) = file {
            made.flag(name, text(file)?);
        }
    }
    made.place(order)?;
    made.flag("check-requirements", true);
    let tuning = &order.tuning;
    if let Some(rate) = tuning.rate_limit {
        made.flag("ratelimit", rate);
    }
    if let Some(concurrency) = tuning.concurrency {
        made.flag("concurrency", concurrency);
    }
    if let Some(checksum) = tuning.checksum {
        made.flag("checksum", checksum);
    }
    if let Some(since) = order.since.filter(|_| action == Action::Backup) {
        made.flag("lastbackupts", since);
    }
    if let (Some(encryption), Some(file)) = (&order.encryption, key_file) {
        made.flag("crypter.method", encryption.method.as_str());
        made.flag("crypter.key-file", text(file)?);
        made.secrets.push(encryption.key.clone());
    }
    // Its log comes to us, not into a file of its own, and then tells its progress too.
    made.environment.insert("BR_LOG_TO_TERM".to_owned(), Secret::from("1"));
    Ok(made)
}

/// The command that asks `br` for its version.
pub(super) fn version(config: &ProgramConfig) -> Result<Vec<String>> {
    let mut argv = program(config)?;
    argv.push("--version".to_owned());
    Ok(argv)
}

impl Invocation {
    fn flag(&mut self, name: &str, value: impl std::fmt::Display) {
        self.argv.push(format!("--{name}={value}"));
    }

    fn place(&mut self, order: &Order) -> Result<()> {
        let (mut flags, mut query) = (Vec::new(), Vec::new());
        for (name, value) in &order.location.parameters {
            let name = name.as_str();
            if let Some((_, variable)) = CREDENTIALS.iter().find(|(parameter, _)| *parameter == name) {
                self.environment.insert((*variable).to_owned(), Secret::new(value.clone()));
                self.secrets.push(Secret::new(value.clone()));
            } else if FLAGS.contains(&name) {
                flags.push((format!("s3.{name}"), value));
            } else if QUERY.contains(&name) {
                query.push((name, value.as_str()));
            } else {
                return Err(Error::new(&codes::CONFIG, format!("`br` knows no parameter {name:?} of a place")));
            }
        }
        self.flag("storage", place::url(&order.location.url, query)?);
        flags.into_iter().for_each(|(name, value)| self.flag(&name, value));
        if !self.secrets.is_empty() {
            self.flag("send-credentials-to-tikv", true);
        }
        Ok(())
    }
}

fn program(config: &ProgramConfig) -> Result<Vec<String>> {
    Ok(vec![text(&config.binary)?.to_owned()])
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| Error::new(&codes::CONFIG, format!("the path {} is not UTF-8", path.display())))
}
