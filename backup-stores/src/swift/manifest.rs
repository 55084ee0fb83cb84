//! Manifests of static large objects. The source of the format: Swift's API, "Static large objects".

use backup_core::error::codes as core_codes;
use backup_core::store::WriteOptions;
use backup_core::{Effect, Error, JobContext, ObjectKey, ObjectMeta, Result};
use backup_remote::http::http::{HeaderValue, Method, header};
use backup_remote::{Call, Repeat};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::account::{Account, unquoted};
use super::codes;
use super::create::{Content, NewObject};
use super::digest::md5_of_texts;
use super::error::refused_change;
use super::limits::Large;
use super::place::{Place, Upload};

const PUT: &str = "?multipart-manifest=put";
/// What a client gets of a manifest: a little more for each entry than it sent.
const ANSWER: u64 = 64 << 20;

/// A line of a manifest: a segment, or a manifest of segments.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Line {
    pub(super) path: String,
    pub(super) etag: String,
    pub(super) size_bytes: u64,
}

/// The most lines of one manifest.
fn widest(large: &Large, lines: &[Line]) -> usize {
    // Quotes, names of fields, a size: 80 bytes; what JSON escapes in a path is six times as long.
    let line = lines.iter().map(|line| 6 * line.path.len() + line.etag.len() + 80).max().unwrap_or(1);
    large.segments.min(large.manifest / line).max(2)
}

impl Account {
    /// Makes the large object of these segments: manifests of manifests until one has few enough lines, and that one as the commit.
    pub(super) async fn commit(
        &self,
        cx: &JobContext,
        key: &ObjectKey,
        upload: &Upload,
        mut lines: Vec<Line>,
        options: &WriteOptions,
    ) -> Result<ObjectMeta> {
        let large = self.limits.large.unwrap_or_default();
        let mut level = 0;
        loop {
            let widest = widest(&large, &lines);
            if lines.len() <= widest {
                break;
            }
            let mut above = Vec::with_capacity(lines.len().div_ceil(widest));
            for (number, group) in lines.chunks(widest).enumerate() {
                let nested = self.nest(cx, &self.places.nested(upload, level, number), group).await;
                // Without the last manifest there is no object.
                above.push(nested.map_err(|error| error.with_effect(Effect::None))?);
            }
            lines = above;
            level += 1;
        }
        let (size, etag, body) = manifest(&lines)?;
        let new = NewObject { key, query: PUT, etag, size, if_absent: options.if_absent, sha256: options.sha256 };
        self.create(cx, new, Content::Pieces(vec![body])).await
    }

    /// A manifest that another one will name.
    async fn nest(&self, cx: &JobContext, place: &Place, lines: &[Line]) -> Result<Line> {
        let (size, etag, body) = manifest(lines)?;
        let mut request = self.request(Method::PUT, &format!("{}{PUT}", place.path()))?;
        request.headers_mut().extend(HeaderValue::from_str(&etag).ok().map(|value| (header::ETAG, value)));
        let bytes = body.len() as u64;
        request.body_mut().push(body);
        let answer = self.send(cx, Call::changing("PutManifest", Repeat::Always).bytes(bytes), request).await?;
        if !answer.status().is_success() {
            return Err(refused_change("writing the manifest", &place.name, &answer));
        }
        let stored = answer.headers().get(header::ETAG).and_then(|value| value.to_str().ok()).map(unquoted);
        if stored.is_some_and(|stored| stored != etag) {
            return Err(Error::new(&codes::CHECKSUM, format!("Swift stored another manifest as `{}`", place.name)));
        }
        Ok(Line { path: place.plain(), etag, size_bytes: size })
    }

    /// Whether the object at `place` is made of segments of this upload.
    pub(super) async fn names(&self, cx: &JobContext, place: &Place, upload: &Upload) -> Result<bool> {
        let ours = self.places.parts(upload).plain();
        Ok(self.lines_of(cx, place).await?.iter().any(|name| name.starts_with(&ours)))
    }

    /// The uploads of this store whose segments the object at `place` is made of; those of others are left to them.
    pub(super) async fn uploads_of(&self, cx: &JobContext, place: &Place) -> Result<Vec<Upload>> {
        let (names, all) = (self.lines_of(cx, place).await?, self.places.all_parts().plain());
        let upload = |name: &String| Upload::of(name.strip_prefix(&all)?.split('/').next()?);
        let mut uploads: Vec<Upload> = Vec::new();
        for name in &names {
            match upload(name) {
                Some((upload, _)) if uploads.contains(&upload) => {}
                Some((upload, _)) => uploads.push(upload),
                None => {
                    tracing::warn!(
                        object = place.name,
                        segment = name,
                        "a large object of others is replaced; its segments stay"
                    );
                    return Ok(Vec::new());
                }
            }
        }
        Ok(uploads)
    }

    /// What the manifest at `place` names, as `/container/name`; nothing when there is none.
    async fn lines_of(&self, cx: &JobContext, place: &Place) -> Result<Vec<String>> {
        #[derive(Deserialize)]
        struct Stored {
            name: String,
        }
        // Of an object that is no manifest only a look is taken: it may be big.
        if !self.head(cx, place).await?.is_some_and(|head| head.large) {
            return Ok(Vec::new());
        }
        let Some(answer) = self.get_own(cx, place, "?multipart-manifest=get", ANSWER).await? else { return Ok(Vec::new()) };
        let stored: Vec<Stored> = serde_json::from_slice(answer.body()).map_err(|error| {
            Error::new(&backup_remote::codes::ANSWER, format!("the manifest of `{}` cannot be read: {error}", place.name))
        })?;
        Ok(stored.into_iter().map(|line| line.name).collect())
    }
}

/// Size and ETag of the object that a manifest makes, and its text.
fn manifest(lines: &[Line]) -> Result<(u64, String, Bytes)> {
    let text = serde_json::to_vec(lines)
        .map_err(|error| Error::new(&core_codes::INTERNAL, "a manifest cannot be written").with_source(error))?;
    let etag = md5_of_texts(lines.iter().map(|line| line.etag.as_str()));
    Ok((lines.iter().map(|line| line.size_bytes).sum(), etag, Bytes::from(text)))
}
