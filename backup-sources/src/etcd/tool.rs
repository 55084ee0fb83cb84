//! etcd's own program for snapshots: `etcdutl`, or `etcdctl` of 3.4.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use backup_core::{Error, JobContext, Result};

use super::codes;
use super::config::set;
use crate::process::{Group, Launch, Logs};

/// How long it may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(5);

/// The program, found.
#[derive(Debug)]
pub(super) struct Tool {
    program: String,
}

impl Tool {
    /// The named one, or the first of `etcdutl` and `etcdctl` in `PATH`.
    ///
    /// # Errors
    /// `etcd.tool_missing`.
    pub(super) fn find(named: &Path) -> Result<Self> {
        let found = if set(named) {
            named.is_file().then(|| named.to_owned())
        } else {
            in_path("etcdutl").or_else(|| in_path("etcdctl"))
        };
        let program = found.and_then(|path| path.to_str().map(str::to_owned)).ok_or_else(|| {
            let what = if set(named) {
                format!("{} was not found", named.display())
            } else {
                "neither etcdutl nor etcdctl is in PATH".to_owned()
            };
            Error::new(&codes::TOOL_MISSING, what)
        })?;
        Ok(Self { program })
    }

    /// Its name, for messages.
    pub(super) fn name(&self) -> &str {
        &self.program
    }

    /// # Errors
    /// `etcd.tool_missing` when its help for `snapshot restore` does not show all of `flags`.
    pub(super) async fn needs(&self, cx: &JobContext, flags: &[&str]) -> Result<()> {
        // Some versions end a help with an error code; what counts is what they print.
        let help =
            self.output(cx, &["snapshot", "restore", "--help"].map(String::from)).await.unwrap_or_else(|error| error.to_string());
        cx.check()?;
        match flags.iter().find(|flag| !help.contains(**flag)) {
            None => Ok(()),
            Some(flag) => {
                let program = &self.program;
                Err(Error::new(
                    &codes::TOOL_MISSING,
                    format!("{program} does not offer `snapshot restore` with {flag}; a newer etcdutl does"),
                ))
            }
        }
    }

    /// Runs it to its end and gives back what it printed, within bounds.
    ///
    /// # Errors
    /// `program.not_started`, `program.failed`, those of `cx`.
    pub(super) async fn output(&self, cx: &JobContext, arguments: &[String]) -> Result<String> {
        let argv = [std::slice::from_ref(&self.program), arguments].concat();
        // etcdctl 3.4 speaks the old API unless told otherwise. Nothing else is handed to it.
        let environment = BTreeMap::from([("ETCDCTL_API".to_owned(), "3".into())]);
        let launch = Launch {
            argv: &argv,
            environment: &environment,
            directory: None,
            feed: false,
            collect: false,
            gated: false,
            grace: GRACE,
            logs: Logs::merged(&environment),
        };
        let mut group = Group::start(cx, &launch)?;
        if let Err(error) = group.finish(cx).await {
            group.terminate().await;
            return Err(error);
        }
        Ok(group.logs().out.text().unwrap_or_default())
    }
}

fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|program| program.is_file())
}
