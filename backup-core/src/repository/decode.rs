//! From checked stored bytes back to the source's bytes.

use bytes::Bytes;
use futures::StreamExt;

use crate::codec::Decoder;
use crate::cpu::CpuPool;
use crate::digest::{Digest, Hasher};
use crate::error::{Error, Result, codes};
use crate::key::ObjectKey;
use crate::manifest::{Artifact, Compression};
use crate::source::ArtifactStream;

/// Bytes decoded in one step.
const STEP: usize = 1 << 20;

struct State {
    stored: ArtifactStream,
    input: Bytes,
    decoder: Decoder,
    hasher: Hasher,
    size: u64,
    pool: CpuPool,
    key: ObjectKey,
    /// What has to come out; `None` when that is what we want to know.
    expected: Option<(u64, Digest)>,
    /// The decoder may hold more output although all input was read.
    more: bool,
    ended: bool,
}

/// Size and digest of what `stored` decodes to.
pub(crate) async fn measure(
    pool: CpuPool,
    key: &ObjectKey,
    compression: Compression,
    stored: ArtifactStream,
) -> Result<(u64, Digest)> {
    let mut state = start(pool, key, compression, None, stored)?;
    while next(&mut state).await?.is_some() {}
    Ok((state.size, state.hasher.finish()))
}

fn start(
    pool: CpuPool,
    key: &ObjectKey,
    compression: Compression,
    expected: Option<(u64, Digest)>,
    stored: ArtifactStream,
) -> Result<State> {
    let (decoder, hasher) = (Decoder::new(compression)?, Hasher::new());
    Ok(State {
        stored,
        input: Bytes::new(),
        decoder,
        hasher,
        size: 0,
        pool,
        key: key.clone(),
        expected,
        more: false,
        ended: false,
    })
}

/// Decompresses `stored`, and fails at the end unless size and digest are those of the manifest.
pub(crate) fn decoded(pool: CpuPool, artifact: &Artifact, stored: ArtifactStream) -> Result<ArtifactStream> {
    let state = start(pool, &artifact.key, artifact.compression, Some((artifact.size, artifact.sha256)), stored)?;
    Ok(futures::stream::unfold(state, |mut state| async move {
        if state.ended {
            return None;
        }
        let item = next(&mut state).await.transpose()?;
        state.ended = item.is_err();
        Some((item, state))
    })
    .boxed())
}

async fn next(state: &mut State) -> Result<Option<Bytes>> {
    loop {
        if state.input.is_empty() && !state.more {
            match state.stored.next().await {
                Some(piece) => state.input = piece?,
                None => return finish(state).map(|()| None),
            }
        }
        let mut decoder = std::mem::replace(&mut state.decoder, Decoder::new(Compression::None)?);
        let mut hasher = std::mem::take(&mut state.hasher);
        let input = state.input.clone();
        let worked = state.pool.run(move || {
            let mut output = Vec::with_capacity(STEP);
            let consumed = decoder.step(&input, &mut output, STEP);
            hasher.update(&output);
            (decoder, hasher, consumed, output)
        });
        let (decoder, hasher, consumed, output) = worked.await?;
        (state.decoder, state.hasher) = (decoder, hasher);
        let consumed = consumed.map_err(|error| mismatch(state, error.to_string()))?;
        state.input = state.input.slice(consumed.min(state.input.len())..);
        state.more = output.len() == STEP;
        state.size += output.len() as u64;
        if let Some((size, _)) = state.expected
            && state.size > size
        {
            return Err(mismatch(state, format!("decodes to more than {size} bytes")));
        }
        if !output.is_empty() {
            return Ok(Some(output.into()));
        }
    }
}

fn finish(state: &mut State) -> Result<()> {
    state.ended = true;
    state.decoder.finish().map_err(|error| mismatch(state, error.to_string()))?;
    if state.expected.is_some_and(|expected| expected != (state.size, state.hasher.clone().finish())) {
        return Err(mismatch(state, "decodes to other bytes than the source wrote".into()));
    }
    Ok(())
}

fn mismatch(state: &State, what: String) -> Error {
    Error::new(&codes::ARTIFACT_CORRUPT, format!("{}: {what}", state.key))
}
