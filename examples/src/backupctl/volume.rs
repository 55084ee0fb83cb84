//! Backups of volumes, in Cinder's own format: what is said of them, and who looks into them.

use serde_json::Value;

use crate::quickstart::text;

/// What `show` says of a volume's backup, by its `integrity`; nothing for a backup of something else.
pub(super) fn rows(integrity: Option<&Value>) -> Vec<(&'static str, String)> {
    let said = |key: &str| integrity.and_then(|integrity| integrity.get(key));
    let text_of = |key: &str| said(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let size = |key: &str| said(key).and_then(Value::as_u64).map(text::size).unwrap_or_default();
    if said("backup-id").is_none() || said("volume-id").is_none() {
        return Vec::new();
    }
    let kind = match text_of("parent-id") {
        parent if parent.is_empty() => "full".to_owned(),
        parent => format!("incremental, on backup {parent}"),
    };
    vec![
        ("volume", text_of("volume-id")),
        ("volume size", size("size")),
        ("name", text_of("name")),
        ("description", text_of("description")),
        ("backup-id", text_of("backup-id")),
        ("kind", kind),
        ("content", size("changed")),
    ]
}

#[cfg(feature = "cinder")]
pub(super) use looking::{Volumes, is_one};

#[cfg(feature = "cinder")]
mod looking {
    use backup_core::error::codes;
    use backup_core::repository::BackupInfo;
    use backup_core::source::{BackupReader, Inspection, Probe, Sink, Source, Summary};
    use backup_core::{Error, JobContext, Repository, Result, async_trait};
    use backup_sources::cinder::format;

    /// Looks into backups of volumes, with no Cinder at hand.
    #[derive(Debug)]
    pub(in super::super) struct Volumes;

    #[async_trait]
    impl Source for Volumes {
        fn kind(&self) -> &str {
            "cinder"
        }

        async fn probe(&self, _: &JobContext) -> Result<Probe> {
            Ok(Probe::default())
        }

        async fn capture(&self, _: &JobContext, _: &dyn Sink) -> Result<Summary> {
            Err(Error::new(&codes::SOURCE_UNSUPPORTED, "volumes are not backed up from here"))
        }

        async fn inspect(&self, cx: &JobContext, reader: &dyn BackupReader) -> Result<Inspection> {
            format::inspect(cx, reader).await
        }
    }

    /// Whether it is a volume's. The verify that follows says what is wrong with a manifest that cannot be read.
    pub(in super::super) async fn is_one(repository: &Repository, cx: &JobContext, info: &BackupInfo) -> bool {
        match info.state.is_published() {
            true => repository.manifest(cx, &info.set, &info.id).await.is_ok_and(|manifest| manifest.source.kind == "cinder"),
            false => info.group.is_some(),
        }
    }
}
