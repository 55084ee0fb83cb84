//! What only an etcd source can check about a stored backup.

use backup_core::{BackupReader, ErrorKind, Inspection, JobContext, Result};

use super::check;
use super::config::EtcdConfig;
use super::restore::artifact;
use super::tool::Tool;
use crate::feed::feed;
use crate::file::NewFile;

pub(super) async fn inspect(config: &EtcdConfig, cx: &JobContext, reader: &dyn BackupReader) -> Result<Inspection> {
    let stream = cx.run(reader.open(cx, &artifact(config, reader)?)).await?;
    let copy = match config.inspect_with_tool {
        true => Some(NewFile::create(cx, &std::env::temp_dir().join(format!("inspect-{}.db", cx.job()))).await?),
        false => None,
    };
    let mut output: Box<dyn std::io::Write + Send> = match &copy {
        Some(copy) => Box::new(copy.handle()?),
        None => Box::new(std::io::sink()),
    };
    let checked = match feed(cx, stream, move |input| check::read(input, &mut output)).await {
        Ok(checked) => checked,
        Err(error) if error.kind() == ErrorKind::Corrupt => return Ok(Inspection::default().fault(error.to_string())),
        Err(error) => return Err(error),
    };
    let mut inspection = Inspection::default()
        .check(format!("etcd snapshot of {} bytes: SHA-256 trailer, bbolt meta page and page size", checked.db_size()));
    inspection.faults = checked.faults;
    match copy {
        Some(copy) if inspection.faults.is_empty() => with_tool(config, cx, copy, inspection).await,
        _ => Ok(inspection),
    }
}

/// Lets etcd's own program read the whole database.
async fn with_tool(config: &EtcdConfig, cx: &JobContext, copy: NewFile, inspection: Inspection) -> Result<Inspection> {
    let tool = Tool::find(&config.etcdutl)?;
    let copy = copy.into_temporary().await?;
    let arguments = ["snapshot", "status", "--write-out=json", copy.path().to_str().unwrap_or_default()].map(String::from);
    match tool.output(cx, &arguments).await {
        Ok(status) => {
            // Warnings of the program come before its answer.
            let answer = status.lines().rfind(|line| line.starts_with('{')).unwrap_or_default();
            Ok(inspection.check(format!("{} snapshot status: {answer}", tool.name())))
        }
        Err(error) if error.code().name == crate::process::codes::FAILED.name => Ok(inspection.fault(error.to_string())),
        Err(error) => Err(error),
    }
}
