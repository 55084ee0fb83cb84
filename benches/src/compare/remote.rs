//! Cases over a remote store: upload and download of a file, against the store's own client.

use std::fs;
use std::process::Command;

use super::race::Report;
use super::stored::{mebibytes, shell, warm};
use super::{Outcome, Race, Settings, Side, data, remove, text};

/// A store that runs, and the client to compare with.
pub(super) struct Remote<'a> {
    pub(super) name: &'a str,
    /// Of the store, without a path behind it: each upload has one of its own.
    pub(super) url: Box<dyn Fn(&str) -> String + 'a>,
    /// What both sides take from the environment.
    pub(super) environment: Vec<(String, String)>,
    pub(super) client: &'a str,
    /// A line of shell that uploads the file, and one that downloads it again.
    pub(super) upload: Box<dyn Fn(&str) -> String + 'a>,
    pub(super) download: Box<dyn Fn(&str) -> String + 'a>,
    /// Ours takes at most so much of the client's time.
    pub(super) goal: f64,
    /// The server's process.
    pub(super) server: Option<u32>,
}

impl Remote<'_> {
    /// Both directions.
    pub(super) fn transfers(&self, settings: &Settings) -> Outcome {
        let file = data::file(settings, "mixed", settings.mib)?;
        let file = text(&file)?;
        let (down_ours, down_theirs) = (settings.path("download-ours"), settings.path("download-theirs"));
        let (ours_to, theirs_to) = (text(&down_ours)?, text(&down_theirs)?);
        let url = (self.url)("ours");
        let with = |mut command: Command| {
            command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", &settings.directory);
            command.envs(self.environment.iter().cloned());
            command
        };
        let reports = Race {
            name: format!("upload of {} MiB to {}", settings.mib, self.name),
            goal: self.goal,
            ours: Side {
                name: "ours",
                prepare: Box::new(|| warm(file)),
                command: Box::new(|| with(settings.job(&["backup-file", &url, "none", file]))),
            },
            peer: Side {
                name: self.client,
                prepare: Box::new(|| warm(file)),
                command: Box::new(|| with(shell(&(self.upload)(file)))),
            },
            server: self.server,
        }
        .run(settings.rounds)?;
        memory(&reports);
        let reports = Race {
            name: format!("download of {} MiB from {}, ours checked by SHA-256", settings.mib, self.name),
            goal: self.goal,
            ours: Side {
                name: "ours",
                prepare: Box::new(|| remove(&down_ours)),
                command: Box::new(|| with(settings.job(&["restore-file", &url, ours_to]))),
            },
            peer: Side {
                name: self.client,
                prepare: Box::new(|| remove(&down_theirs)),
                command: Box::new(|| with(shell(&format!("{} && sync '{theirs_to}'", (self.download)(theirs_to))))),
            },
            server: self.server,
        }
        .run(settings.rounds)?;
        memory(&reports);
        for downloaded in [&down_ours, &down_theirs] {
            if fs::metadata(downloaded)?.len() != fs::metadata(file)?.len() {
                return Err(format!("{} is not what was uploaded", downloaded.display()).into());
            }
            remove(downloaded)?;
        }
        Ok(())
    }
}

fn memory(reports: &[Report]) {
    let (_, idle, _) = mebibytes(reports, "idle-kib");
    let (_, _, peak) = mebibytes(reports, "peak-kib");
    println!("  ours: {idle:.1} MiB before the job, {peak:.1} MiB at most");
}
