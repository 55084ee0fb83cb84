//! MD5, which is what Swift knows its content by. Against accidents, not against anybody.

use backup_core::error::codes;
use backup_core::store::Payload;
use backup_core::{Error, JobContext, Result};
use bytes::Bytes;
use futures::StreamExt;
use md5::{Digest, Md5};

/// Below this a digest takes less time than handing it to a thread.
const AT_ONCE: u64 = 64 << 10;

/// The MD5 of pieces, in hexadecimal digits.
pub(super) async fn md5(pieces: &[Bytes]) -> Result<String> {
    if pieces.iter().map(|piece| piece.len() as u64).sum::<u64>() <= AT_ONCE {
        return Ok(of(pieces));
    }
    let pieces = pieces.to_vec();
    let digest = tokio::task::spawn_blocking(move || of(&pieces)).await;
    digest.map_err(|error| Error::new(&codes::INTERNAL, "a digest ended early").with_source(error))
}

/// The MD5 of all bytes of a payload.
pub(super) async fn md5_of_payload(cx: &JobContext, payload: &dyn Payload) -> Result<String> {
    let (mut digest, mut bytes) = (Md5::new(), payload.open());
    while let Some(data) = cx.run(async { Ok(bytes.next().await) }).await? {
        digest.update(&data?);
    }
    Ok(hex::encode(digest.finalize()))
}

/// The MD5 of texts behind each other: what a large object has as its ETag.
pub(super) fn md5_of_texts<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut digest = Md5::new();
    texts.for_each(|text| digest.update(text));
    hex::encode(digest.finalize())
}

fn of(pieces: &[Bytes]) -> String {
    let mut digest = Md5::new();
    pieces.iter().for_each(|piece| digest.update(piece));
    hex::encode(digest.finalize())
}
