//! One artifact to standard output. Whoever reads it hears by the exit code whether all of it was good.

use std::io::IsTerminal;

use futures::TryStreamExt;
use tokio::io::AsyncWriteExt;

use super::super::arguments::Restore;
use super::super::failure::Failure;
use super::super::output::note;
use super::super::session::Session;
use super::{bytes, open};

pub(super) async fn run(session: &Session, restore: &Restore) -> Result<(), Failure> {
    if session.output.is_json() {
        return Err(Failure::usage("--json and --to - both want standard output"));
    }
    if std::io::stdout().is_terminal() && !restore.dry_run {
        return Err(Failure::usage("a backup is nothing for a terminal: send it to a file or a program"));
    }
    let cx = session.context();
    let work = async {
        let (backup, artifacts) = open(session, &cx, restore).await?;
        let [artifact] = artifacts.as_slice() else {
            let names: Vec<_> = artifacts.iter().take(20).map(|artifact| artifact.name.to_string()).collect();
            return Err(Failure::usage(format!(
                "the backup has {} artifacts ({}); name one with --artifact",
                artifacts.len(),
                names.join(", ")
            )));
        };
        let mut stream = bytes(&cx, &backup, artifact, restore.decompressed).await?;
        let mut output = tokio::io::stdout();
        let mut size = 0_u64;
        while let Some(piece) = stream.try_next().await? {
            size += piece.len() as u64;
            cx.progress().add(piece.len() as u64);
            if !restore.dry_run {
                cx.run(async { Ok(output.write_all(&piece).await) }).await??;
            }
        }
        output.flush().await?;
        Ok((artifact.name.clone(), size))
    };
    let (name, size) = session.job("restoring", &cx, work).await?;
    note(&format!("{name}: {size} bytes, all checked"));
    Ok(())
}
