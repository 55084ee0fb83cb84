//! A source of your own: the settings that a daemon keeps in memory.
//!
//! `cargo run -p backup-examples --example custom_source`; its tests run the conformance suite of sources over it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use backup_core::error::{Error, codes};
use backup_core::source::{ArtifactOptions, BackupReader, Probe, RestoreReport, RestoreTarget, Sink, Source, Summary};
use backup_core::{
    ArtifactName, BackupOutcome, BackupRequest, Bytes, JobContext, Repository, Result, Revision, SetName, async_trait,
};
use backup_stores::fs::{FsConfig, FsStore};
use futures::TryStreamExt;

/// The text of all settings, and a number that grows with each change.
#[derive(Debug, Clone, Default)]
struct Settings(Arc<Mutex<(u64, String)>>);

impl Settings {
    fn now(&self) -> (u64, String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, text: &str) {
        let mut settings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if settings.1 != text {
            *settings = (settings.0 + 1, text.to_owned());
        }
    }
}

#[async_trait]
impl Source for Settings {
    fn kind(&self) -> &str {
        "settings"
    }

    /// With an identity and an exact revision, a backup of unchanged settings can be skipped.
    async fn probe(&self, cx: &JobContext) -> Result<Probe> {
        cx.check()?;
        Ok(Probe::default().identity("this daemon").revision(Revision::exact(self.now().0)))
    }

    async fn capture(&self, cx: &JobContext, sink: &dyn Sink) -> Result<Summary> {
        cx.check()?;
        let (revision, text) = self.now();
        let mut writer = sink.artifact(&ArtifactName::new("settings.txt")?, ArtifactOptions::default()).await?;
        cx.run(writer.write(Bytes::from(text))).await?;
        writer.close().await?;
        Ok(Summary::default().revision(Revision::exact(revision)))
    }

    /// The target is the path of a file. It gets its name only after the last byte was checked: that ends the stream.
    async fn restore(&self, cx: &JobContext, reader: &dyn BackupReader, target: &RestoreTarget) -> Result<RestoreReport> {
        let path: PathBuf = target.parse()?;
        let stream = reader.open(cx, &ArtifactName::new("settings.txt")?).await?;
        let text = cx.run(stream.try_fold(Vec::new(), async |all, piece| Ok([all, piece.to_vec()].concat()))).await?;
        if !target.dry_run {
            let partial = path.with_extension("partial");
            let written = async { tokio::fs::write(&partial, &text).await.and(tokio::fs::rename(&partial, &path).await) };
            written.await.map_err(|error| Error::new(&codes::SOURCE_FAILED, path.display().to_string()).with_source(error))?;
        }
        Ok(RestoreReport::new(text.len() as u64))
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let repository = Repository::builder(Arc::new(FsStore::open(FsConfig::new("demo-backups"))?)).build();
    let (settings, set) = (Settings::default(), SetName::new("settings/example")?);
    let request = BackupRequest::new(set).skip_unchanged(None);
    for text in ["colour = green", "colour = green", "colour = blue"] {
        settings.set(text);
        let outcome = repository.backup(&repository.context(), &settings, &request).await?;
        println!("{text}: {}", if matches!(outcome, BackupOutcome::Skipped(..)) { "skipped, unchanged" } else { "backed up" });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use backup_core::testkit::source_suite::{self, SourceFactory, TargetState, TestTarget};

    use super::*;

    const TEXT: &str = "colour = green\n";

    struct Factory;

    struct FileTarget(tempfile::TempDir);

    #[async_trait]
    impl SourceFactory for Factory {
        async fn fresh(&self) -> Arc<dyn Source> {
            let settings = Settings::default();
            settings.set(&TEXT.repeat(20_000));
            Arc::new(settings)
        }

        fn deterministic(&self) -> bool {
            true
        }

        async fn target(&self) -> Option<Box<dyn TestTarget>> {
            Some(Box::new(FileTarget(tempfile::tempdir().unwrap())))
        }
    }

    #[async_trait]
    impl TestTarget for FileTarget {
        fn target(&self) -> RestoreTarget {
            RestoreTarget::new(serde_json::json!(self.0.path().join("restored")))
        }

        async fn state(&self) -> TargetState {
            match std::fs::read(self.0.path().join("restored")) {
                Err(_) => TargetState::Untouched,
                Ok(text) if text == TEXT.repeat(20_000).as_bytes() => TargetState::Good,
                Ok(_) => TargetState::Deceiving,
            }
        }
    }

    #[tokio::test]
    async fn it_keeps_every_promise_of_a_source() {
        source_suite::run(&Factory).await;
    }
}
