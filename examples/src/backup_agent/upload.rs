//! From the file that the script left to its destination: hashed in a first pass, sent in a second, and compared.

use std::sync::Arc;

use backup_core::budget::{MemoryBudget, Reservation};
use backup_core::error::codes;
use backup_core::store::{Payload, WriteOptions};
use backup_core::{Bytes, Digest, Error, Hasher, JobContext, ObjectKey, Result, Store};
use backup_sources::script::JobFile;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};

use super::unfinished::Noting;

/// The SHA-256 of the file.
pub(super) async fn digest(cx: &JobContext, file: &JobFile) -> Result<Digest> {
    let mut hasher = Hasher::new();
    let mut bytes = file.stream();
    while let Some(data) = cx.run(async { Ok(bytes.next().await) }).await? {
        hasher.update(&data?);
    }
    Ok(hasher.finish())
}

/// A file that has to be what it was in its first pass each time it is read.
#[derive(Debug)]
pub(super) struct Hashed {
    pub(super) file: JobFile,
    pub(super) digest: Digest,
}

impl Payload for Hashed {
    fn size(&self) -> u64 {
        self.file.size()
    }

    fn open(&self) -> BoxStream<'static, Result<Bytes>> {
        let (name, digest) = (self.file.name().to_owned(), self.digest);
        stream::try_unfold((self.file.stream(), Hasher::new()), move |(mut bytes, mut hasher)| {
            let name = name.clone();
            async move {
                if let Some(data) = bytes.try_next().await? {
                    hasher.update(&data);
                    return Ok(Some((data, (bytes, hasher))));
                }
                if hasher.finish() == digest {
                    return Ok(None);
                }
                let what = format!("{name} changed while it was read: its second reading gave other bytes");
                Err(Error::new(&backup_sources::script::codes::FILE_CHANGED, what))
            }
        })
        .boxed()
    }
}

/// Sends the file.
///
/// # Errors
/// `store.exists` for a key that is taken, unless it may be replaced; `budget.too_small`, before anything is sent; those of the store. Then
/// nothing of the file can be seen there.
pub(super) async fn send(
    cx: &JobContext,
    store: &Arc<dyn Store>,
    key: &ObjectKey,
    file: Hashed,
    replace: bool,
    memory: &MemoryBudget,
    notes: Noting,
) -> Result<()> {
    if !replace {
        match cx.run(store.head(cx, key)).await {
            Ok(_) => {
                let what = format!("the object `{key}` exists and was left untouched; allow_overwrite=true replaces it");
                return Err(Error::new(&codes::STORE_EXISTS, what));
            }
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    let (size, digest) = (file.size(), file.digest);
    let _reserved = reserve(cx, store.put_memory(size), size, memory).await?;
    let options = WriteOptions::new(cx.job().clone()).if_absent(!replace).sha256(Some(digest)).notes(Some(Arc::new(notes)));
    let stored = store.put_from(cx, key, Arc::new(file), options).await?;
    match stored.size == size {
        true => Ok(()),
        false => {
            let what = format!("the object `{key}` has {} bytes instead of {size}", stored.size);
            Err(Error::new(&codes::ARTIFACT_CORRUPT, what))
        }
    }
}

/// Takes what an upload holds at most from what all of them may hold.
async fn reserve(cx: &JobContext, needed: u64, size: u64, memory: &MemoryBudget) -> Result<Reservation> {
    if needed > memory.total() {
        let what = format!(
            "an object of {size} bytes goes in parts of which {needed} bytes are held at a time, and upload_memory is {} bytes; \
             raise it to {}M at least",
            memory.total(),
            needed.div_ceil(1 << 20)
        );
        return Err(Error::new(&codes::BUDGET_TOO_SMALL, what));
    }
    memory.reserve(cx, needed).await
}

#[cfg(test)]
mod tests {
    use backup_core::Environment;
    use backup_core::testkit::test_context;

    use super::*;

    #[tokio::test]
    async fn an_upload_that_needs_more_than_there_is_names_the_setting_and_takes_nothing() {
        let (cx, memory) = (test_context(&Environment::default()), MemoryBudget::new(256 << 20));
        // What the parts of an object of a tebibyte on S3 take.
        let error = reserve(&cx, 315 << 20, 1 << 40, &memory).await.unwrap_err();
        assert_eq!(error.code().name, "budget.too_small");
        assert!(error.to_string().contains("upload_memory") && error.to_string().contains("315M"), "{error}");
        assert_eq!(memory.available(), memory.total());
        let held = reserve(&cx, 256 << 20, 1 << 39, &memory).await.unwrap();
        assert_eq!(memory.available(), 0);
        drop(held);
    }

    #[cfg(feature = "s3")]
    #[tokio::test]
    async fn an_object_of_a_tebibyte_fails_before_anything_is_sent() {
        let cx = test_context(&Environment::default());
        let mut s3 = backup_stores::s3::S3Config::new("bucket");
        // Nobody is there: what is sent fails otherwise.
        s3.endpoint = Some("http://127.0.0.1:1".to_owned());
        (s3.access_key_id, s3.secret_access_key) = (Some("k".into()), Some("s".into()));
        let options = backup_stores::OpenOptions::default().guest(true);
        let store = backup_stores::StoreConfig::S3(s3).open_with(&cx, &options).await.unwrap();
        for (size, fits) in [(800_u64 << 30, true), (1 << 40, false)] {
            let reserved = reserve(&cx, store.put_memory(size), size, &MemoryBudget::new(256 << 20)).await;
            assert_eq!(reserved.is_ok(), fits, "{size}: {reserved:?}");
        }
    }
}
