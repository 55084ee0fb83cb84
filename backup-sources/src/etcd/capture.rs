//! A snapshot from one member into the sink, checked against etcd's own digest on the way.

use backup_core::source::ArtifactWriter;
use backup_core::{ArtifactOptions, Bytes, Digest, Error, Hasher, JobContext, Result, Revision, Sink, Summary};
use futures::future::{try_join, try_join3};

use super::codes;
use super::config::{EtcdConfig, Packaging};
use super::member::{Member, choose};
use super::stream::{SnapshotStream, TRAILER};
use super::tarball;

/// How often a snapshot is started anew to learn its exact revision. Nothing was transferred then.
const ATTEMPTS: u32 = 2;

pub(super) async fn capture(config: &EtcdConfig, cx: &JobContext, sink: &dyn Sink) -> Result<Summary> {
    let (mut member, mut warnings) = choose(cx, config).await?;
    let (stream, revision) = open(cx, config, &mut member, &mut warnings).await?;
    let size = stream.db_size().saturating_add(TRAILER as u64);
    let artifact_size = match config.packaging {
        Packaging::Raw => size,
        Packaging::Tar => tarball::archive_size(size),
    };
    let mut options = ArtifactOptions::default().size_hint(artifact_size);
    if let Some(revision) = &revision {
        options = options.probe(member.standing.probe().revision(revision.clone()));
    }
    let mut writer = sink.artifact(&config.artifact()?, options).await?;
    let db_size = stream.db_size();
    let digest = match config.packaging {
        Packaging::Raw => raw(cx, config, stream, &mut *writer).await?,
        Packaging::Tar => tar(cx, config, stream, &mut *writer).await?,
    };
    writer.close().await?;

    let standing = &member.standing;
    let mut summary = Summary::default()
        .identity(standing.identity())
        .version(standing.version.clone())
        .integrity(serde_json::json!({ "sha256": digest, "db-size": db_size }));
    summary.revision = revision;
    summary.warnings = warnings;
    Ok(summary)
}

/// Starts a snapshot and brackets its revision: etcd fixes the snapshot before it sends the first message, so a revision
/// that is the same before the call and after that message is the snapshot's own. Otherwise the first is a lower bound.
async fn open(
    cx: &JobContext,
    config: &EtcdConfig,
    member: &mut Member,
    warnings: &mut Vec<String>,
) -> Result<(SnapshotStream, Option<Revision>)> {
    for attempt in 1.. {
        let before = member.standing_now(cx, config).await?;
        let stream = SnapshotStream::open(cx, config, member).await?;
        let after = member.standing_now(cx, config).await?;
        if (before.cluster, before.member) != (after.cluster, after.member) {
            // Something between us and etcd spreads the calls: the three answers say nothing about each other.
            let endpoint = &member.endpoint;
            warnings.push(format!("{endpoint} leads to different members, so the snapshot's revision is not known"));
            return Ok((stream, None));
        }
        if before.revision == after.revision {
            return Ok((stream, Some(Revision::exact(before.revision))));
        }
        if attempt == ATTEMPTS {
            return Ok((stream, Some(Revision::at_least(before.revision))));
        }
    }
    Err(Error::new(&backup_core::error::codes::INTERNAL, "no snapshot was started"))
}

/// The database and its trailer as they come. The engine hashes what it stores, so its digest is asked for.
async fn raw(
    cx: &JobContext,
    config: &EtcdConfig,
    mut stream: SnapshotStream,
    writer: &mut dyn ArtifactWriter,
) -> Result<Digest> {
    let mut next = stream.next(cx, config).await?;
    while let Some(piece) = next {
        // The network and the store work at the same time: one piece is written while the next is received.
        ((), next) = cx.run(try_join(writer.write(piece), stream.next(cx, config))).await?;
    }
    let (rest, trailer) = stream.finish()?;
    if !rest.is_empty() {
        cx.run(writer.write(rest)).await?;
    }
    compare(cx.run(writer.digest()).await?, trailer)?;
    cx.run(writer.write(Bytes::copy_from_slice(trailer.as_bytes()))).await?;
    Ok(trailer)
}

/// The same inside a tar; the database is hashed here, because the engine hashes the tar.
async fn tar(
    cx: &JobContext,
    config: &EtcdConfig,
    mut stream: SnapshotStream,
    writer: &mut dyn ArtifactWriter,
) -> Result<Digest> {
    let size = stream.db_size().saturating_add(TRAILER as u64);
    let header = tarball::header(&format!("{}.db", config.name), size, cx.clock().now())?;
    let mut hasher = Hasher::new();
    let mut next;
    ((), next) = cx.run(try_join(writer.write(header), stream.next(cx, config))).await?;
    while let Some(piece) = next {
        let hash = hash(hasher, piece.clone());
        ((), next, hasher) = cx.run(try_join3(writer.write(piece), stream.next(cx, config), hash)).await?;
    }
    let (rest, trailer) = stream.finish()?;
    if !rest.is_empty() {
        hasher = hash(hasher, rest.clone()).await?;
        cx.run(writer.write(rest)).await?;
    }
    compare(hasher.finish(), trailer)?;
    cx.run(writer.write(Bytes::copy_from_slice(trailer.as_bytes()))).await?;
    cx.run(writer.write(tarball::end(size))).await?;
    Ok(trailer)
}

/// Hashes off the threads that wait for the network.
async fn hash(mut hasher: Hasher, piece: Bytes) -> Result<Hasher> {
    let hashed = tokio::task::spawn_blocking(move || {
        hasher.update(&piece);
        hasher
    });
    hashed.await.map_err(|error| Error::new(&backup_core::error::codes::INTERNAL, "hashing was cut short").with_source(error))
}

fn compare(found: Digest, trailer: Digest) -> Result<()> {
    if found == trailer {
        return Ok(());
    }
    let what = format!("the database that came has the SHA-256 {found}, but etcd sent {trailer} for it");
    Err(Error::new(&codes::SNAPSHOT_DAMAGED, what))
}
