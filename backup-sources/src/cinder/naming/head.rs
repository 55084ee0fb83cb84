//! What a backup's metadata says, read as it comes: it names every object, and there may be a hundred thousand.

use std::collections::HashMap;

use backup_core::error::codes;
use backup_core::naming::{Describe, Description};
use backup_core::{Error, Result};
use chrono::{NaiveDateTime, SecondsFormat};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The longest member that is accepted: all that Cinder knows of the volume is one text.
const MAX_MEMBER: usize = 4 << 20;
/// The longest entry of an object.
const MAX_OBJECT: usize = 64 << 10;

const GIB: u64 = 1 << 30;

/// Reads the `_metadata` of Cinder's chunked backup drivers, version 1.0.0.
#[derive(Debug, Default)]
pub(super) struct Head {
    volume: String,
    backup: String,
    /// How many brackets are open.
    depth: usize,
    ended: bool,
    in_text: bool,
    escaped: bool,
    in_objects: bool,
    objects_seen: bool,
    /// The member or object that is being read, without blanks between tokens.
    raw: Vec<u8>,
    members: Map<String, Value>,
    objects: Objects,
}

/// What the entries of the objects say together.
#[derive(Debug, Default)]
struct Objects {
    count: u64,
    length: u64,
    longest: u64,
    end: u64,
}

#[derive(Debug, Deserialize)]
struct Object {
    offset: u64,
    length: u64,
}

fn corrupt(why: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(&codes::ARTIFACT_CORRUPT, why)
}

impl Head {
    /// Of the backup that is called so.
    pub(super) fn of(volume: &str, backup: &str) -> Self {
        Self { volume: volume.to_owned(), backup: backup.to_owned(), ..Self::default() }
    }

    fn byte(&mut self, byte: u8) -> Result<()> {
        if self.in_text {
            self.raw.push(byte);
            self.in_text = self.escaped || byte != b'"';
            self.escaped = byte == b'\\' && !self.escaped;
            return Ok(());
        }
        if matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
            return Ok(());
        }
        if self.ended || (self.depth == 0 && byte != b'{') {
            return Err(corrupt("it is no JSON object"));
        }
        let between = self.depth == 1 || (self.depth == 2 && self.in_objects);
        match byte {
            b'{' if self.depth == 0 => self.depth = 1,
            b'[' if self.depth == 1 && self.raw == b"\"objects\":" && !self.objects_seen => {
                (self.in_objects, self.objects_seen) = (true, true);
                self.raw.clear();
                self.depth = 2;
            }
            b',' if between => self.next()?,
            b']' if between && self.in_objects => {
                self.next()?;
                self.in_objects = false;
                self.depth = 1;
            }
            b'}' if self.depth == 1 => {
                self.next()?;
                (self.ended, self.depth) = (true, 0);
            }
            _ => {
                self.in_text = byte == b'"';
                match byte {
                    b'{' | b'[' => self.depth += 1,
                    b'}' | b']' => self.depth -= 1,
                    _ => {}
                }
                self.raw.push(byte);
            }
        }
        Ok(())
    }

    /// A member or an object came to its end.
    fn next(&mut self) -> Result<()> {
        let raw = std::mem::take(&mut self.raw);
        if raw.is_empty() {
            return Ok(());
        }
        let unreadable = |error: serde_json::Error| corrupt("its JSON cannot be read").with_source(error);
        if self.in_objects {
            let named: HashMap<String, Object> = serde_json::from_slice(&raw).map_err(unreadable)?;
            for object in named.into_values() {
                let all = &mut self.objects;
                let end = object.offset.checked_add(object.length);
                all.end = all.end.max(end.ok_or_else(|| corrupt("an object lies beyond any volume"))?);
                all.length = all.length.saturating_add(object.length);
                all.longest = all.longest.max(object.length);
                all.count += 1;
            }
            return Ok(());
        }
        let member = [b"{".as_slice(), &raw, b"}"].concat();
        let member: Map<String, Value> = serde_json::from_slice(&member).map_err(unreadable)?;
        for (key, value) in member {
            let value = if key == "volume_meta" { size(&value) } else { value };
            if self.members.len() < 64 && self.members.insert(key, value).is_some() {
                return Err(corrupt("it says something twice"));
            }
        }
        Ok(())
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.members.get(key).and_then(Value::as_str)
    }
}

/// Of all that is known of the volume only its size is kept, in bytes.
fn size(volume_meta: &Value) -> Value {
    let meta: Option<Value> = volume_meta.as_str().and_then(|text| serde_json::from_str(text).ok());
    let gib = meta.and_then(|meta| meta.get("volume-base-metadata")?.get("size")?.as_u64());
    gib.and_then(|gib| gib.checked_mul(GIB)).map_or(Value::Null, Value::from)
}

impl Describe for Head {
    fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        for byte in bytes {
            self.byte(*byte)?;
            let limit = if self.in_objects { MAX_OBJECT } else { MAX_MEMBER };
            if self.raw.len() > limit {
                return Err(corrupt("a part of it has no end"));
            }
        }
        Ok(())
    }

    fn end(self: Box<Self>) -> Result<Description> {
        if !self.ended {
            return Err(corrupt("it ends too early"));
        }
        if !self.text("version").is_some_and(|version| version.starts_with("1.")) || !self.objects_seen {
            return Err(corrupt("it is no metadata of a backup that Cinder made in chunks"));
        }
        if self.text("backup_id") != Some(&self.backup) || self.text("volume_id") != Some(&self.volume) {
            return Err(corrupt("it is of another backup or volume than its name says"));
        }
        let parent = self.text("parent_id").map(str::to_owned);
        let Objects { count, length, longest, end } = self.objects;
        // A full backup has the whole volume, an incremental one only what changed: there its volume's record tells.
        let size = match parent {
            None => Some(end),
            Some(_) => self.members.get("volume_meta").and_then(Value::as_u64),
        };
        let mut integrity = Map::new();
        for (key, value) in [
            ("backup-id", json!(self.backup)),
            ("parent-id", json!(parent)),
            ("volume-id", json!(self.volume)),
            ("name", json!(self.text("backup_name"))),
            ("description", json!(self.text("backup_description"))),
            ("created-at", json!(self.text("created_at").and_then(rfc_3339))),
            ("size", json!(size)),
            ("objects", json!(count)),
            ("object-size", json!(longest)),
            ("changed", json!(length)),
        ] {
            if !value.is_null() {
                integrity.insert(key.to_owned(), value);
            }
        }
        let description = Description::default().kind("cinder").identity(self.volume.clone());
        let description = description.integrity(Value::Object(integrity)).files(count + 2);
        Ok(match parent {
            Some(parent) => description.parent(parent),
            None => description,
        })
    }
}

/// A time that Python printed, in UTC with or without saying so.
fn rfc_3339(text: &str) -> Option<String> {
    let time = NaiveDateTime::parse_from_str(text.trim_end_matches("+00:00"), "%Y-%m-%d %H:%M:%S%.f").ok()?;
    Some(time.and_utc().to_rfc3339_opts(SecondsFormat::Secs, true))
}
