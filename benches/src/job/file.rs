//! A file as a source: the least that can stand before the engine, so that a bench measures the engine.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use backup_core::error::codes;
use backup_core::{ArtifactName, ArtifactOptions, Bytes, Error, JobContext, Probe, Result, Sink, Source, Summary, async_trait};

/// Bytes read at once.
const PIECE: usize = 1 << 20;

/// One file, one artifact.
#[derive(Debug, Clone)]
pub struct FileSource {
    path: PathBuf,
}

impl FileSource {
    /// A source of the file at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

#[async_trait]
impl Source for FileSource {
    fn kind(&self) -> &str {
        "file"
    }

    async fn probe(&self, _cx: &JobContext) -> Result<Probe> {
        Ok(Probe::default())
    }

    fn open_artifacts(&self) -> usize {
        1
    }

    async fn capture(&self, cx: &JobContext, sink: &dyn Sink) -> Result<Summary> {
        let failed = |error| Error::new(&codes::SOURCE_FAILED, "reading the file failed").with_source(error);
        let mut file = File::open(&self.path).map_err(failed)?;
        let mut writer = sink.artifact(&ArtifactName::new("file")?, ArtifactOptions::default()).await?;
        loop {
            cx.check()?;
            let mut piece = Vec::with_capacity(PIECE);
            // From the page cache: too short to be worth a thread of its own.
            let read = file.by_ref().take(PIECE as u64).read_to_end(&mut piece).map_err(failed)?;
            if read == 0 {
                break;
            }
            writer.write(Bytes::from(piece)).await?;
        }
        writer.close().await?;
        Ok(Summary::default())
    }
}
