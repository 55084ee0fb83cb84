//! What lies beside the segments of a large object while it is written, so that they are found when its writer died.
//!
//! A **record** is made before the first segment and removed when the object is there; it names the object's key. A **mark** is made
//! by a sweep before it looks for the object. The writer looks for a mark after it made the object. So of a writer that comes back
//! from the dead and a sweep that takes it for dead, at least one sees the other: the sweep leaves the segments of an object that it
//! finds, and a writer that finds a mark takes its object back.

use backup_core::error::codes as core_codes;
use backup_core::{Effect, Error, JobContext, ObjectKey, Result};
use backup_remote::http::http::{HeaderValue, Method, header};
use backup_remote::{Call, Repeat};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::account::{Account, unquoted};
use super::codes;
use super::digest::md5;
use super::error::refused_change;
use super::manifest::Line;
use super::place::Upload;

/// How many segments behind the last one that is known of are tried: as many as can be under way, and one more.
pub(super) const BEHIND: u64 = 3;
const RECORD: u64 = 64 << 10;

/// Which object an upload will make.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) key: ObjectKey,
}

impl Account {
    pub(super) async fn put_record(&self, cx: &JobContext, upload: &Upload, record: &Record) -> Result<()> {
        let text = serde_json::to_vec(record)
            .map_err(|error| Error::new(&core_codes::INTERNAL, "a record cannot be written").with_source(error))?;
        self.put_own(cx, &self.places.record(upload), text.into()).await
    }

    /// `None` when it is gone, or is no record.
    pub(super) async fn record(&self, cx: &JobContext, upload: &Upload) -> Result<Option<Record>> {
        let place = self.places.record(upload);
        let Some(answer) = self.get_own(cx, &place, "", RECORD).await? else { return Ok(None) };
        match serde_json::from_slice(answer.body()) {
            Ok(record) => Ok(Some(record)),
            Err(error) => {
                tracing::warn!(name = place.name, %error, "what lies among the records of uploads is none");
                Ok(None)
            }
        }
    }

    pub(super) async fn put_segment(&self, cx: &JobContext, upload: &Upload, number: u64, pieces: Vec<Bytes>) -> Result<Line> {
        let place = self.places.segment(upload, number);
        let etag = md5(&pieces).await?;
        let size_bytes = pieces.iter().map(|piece| piece.len() as u64).sum();
        let mut request = self.request(Method::PUT, &place.path())?;
        request.headers_mut().insert(header::CONTENT_TYPE, super::account::OCTETS);
        request.headers_mut().extend(HeaderValue::from_str(&etag).ok().map(|value| (header::ETAG, value)));
        *request.body_mut() = pieces;
        let answer = self.send(cx, Call::changing("PutSegment", Repeat::Always).bytes(size_bytes), request).await?;
        if !answer.status().is_success() {
            return Err(refused_change("writing the segment", &place.name, &answer));
        }
        let stored = answer.headers().get(header::ETAG).and_then(|value| value.to_str().ok()).map(unquoted);
        if stored.as_ref().is_some_and(|stored| *stored != etag) {
            return Err(Error::new(
                &codes::CHECKSUM,
                format!("Swift stored another content as `{}` than it was sent", place.name),
            ));
        }
        Ok(Line { path: place.plain(), etag, size_bytes })
    }

    /// The object of an upload was made: unless a sweep took the upload for dead, its record goes.
    pub(super) async fn settle(&self, cx: &JobContext, key: &ObjectKey, upload: &Upload) -> Result<()> {
        let marked = self.head(cx, &self.places.mark(upload)).await;
        let marked = marked.map_err(|error| error.with_effect(Effect::Unknown).context(format!("settling `{key}`")))?;
        if marked.is_some() {
            // The sweep may have seen the object and left its segments, but nobody knows: it is taken back.
            self.remove(cx, &self.places.object(key)?).await.map_err(|error| error.with_effect(Effect::Unknown))?;
            let text = format!("a sweep took the write of `{key}` for dead and removed segments of it");
            return Err(Error::new(&codes::SWEPT, text));
        }
        if let Err(error) = self.remove(cx, &self.places.record(upload)).await {
            tracing::warn!(%key, %error, "the record of a finished upload stays until the next sweep");
        }
        Ok(())
    }

    /// Removes all segments of an upload of which `known` were begun: those that are listed, and those that a listing may not show yet.
    /// The number of objects that were there.
    pub(super) async fn remove_segments(&self, cx: &JobContext, upload: &Upload, known: u64) -> Result<usize> {
        let parts = self.places.parts(upload);
        let listed: Vec<String> = self.lines(cx, &parts).await?.into_iter().filter_map(|line| line.name).collect();
        let number = |name: &String| name.strip_prefix(&parts.name)?.parse::<u64>().ok();
        let mut upto = listed.iter().filter_map(number).max().map_or(known, |last| known.max(last + 1)) + BEHIND;
        let mut places: Vec<_> = (0..upto).map(|number| self.places.segment(upload, number)).collect();
        let others = listed.iter().filter(|name| number(name).is_none());
        places.extend(others.map(|name| super::place::Place { container: parts.container.clone(), name: name.clone() }));
        let mut removed = self.remove_all(cx, &places).await?.into_result()?;
        // Something behind what was known of was there: there may be more.
        loop {
            let behind: Vec<_> = (upto..upto + BEHIND).map(|number| self.places.segment(upload, number)).collect();
            let more = self.remove_all(cx, &behind).await?.into_result()?;
            removed += more;
            upto += BEHIND;
            if more == 0 {
                return Ok(removed);
            }
        }
    }
}
