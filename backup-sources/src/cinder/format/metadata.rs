//! What a backup consists of: `_metadata`, written and read as a stream.

use backup_core::{ArtifactWriter, BackupReader, Error, JobContext, Result, ResultExt};
use bytes::BytesMut;

use super::json::{JsonReader, Kind, Members, quoted, quoted_or_null};
use super::parts::Parts;
use super::{NewBackup, VERSION, codes, names, time_text};

/// How many bytes are handed on at a time.
const PIECE: usize = 256 << 10;

/// How an object is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    None,
    Zlib,
    Bz2,
    Zstd,
}

impl Codec {
    /// Cinder's word for it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Zlib => "zlib",
            Self::Bz2 => "bz2",
            Self::Zstd => "zstd",
        }
    }

    /// Of Cinder's words, which are those of its configuration.
    fn of(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "none" | "off" | "no" => Some(Self::None),
            "zlib" | "gzip" => Some(Self::Zlib),
            "bz2" | "bzip2" => Some(Self::Bz2),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// An object, as it is kept until the metadata is written. There may be very many.
#[derive(Debug, Clone, Copy)]
pub(super) struct Noted {
    pub(super) offset: u64,
    pub(super) length: u32,
    pub(super) codec: Codec,
    pub(super) md5: [u8; 16],
}

/// Writes the metadata of a backup whose objects are numbered from 1.
pub(super) async fn write(
    mut writer: Box<dyn ArtifactWriter>,
    backup: &NewBackup,
    parent: Option<&str>,
    prefix: &str,
    objects: &[Noted],
) -> Result<()> {
    let mut text = BytesMut::from(
        format!(
            "{{\n  \"backup_description\": {},\n  \"backup_id\": {},\n  \"backup_name\": {},\n  \"created_at\": {},\n  \"objects\": [",
            quoted_or_null(backup.description.as_deref()),
            quoted(&backup.backup_id),
            quoted(&backup.name),
            quoted(&time_text(backup.created_at)),
        )
        .as_str(),
    );
    for (object, number) in objects.iter().zip(1..) {
        let comma = if number == 1 { "" } else { "," };
        let entry = format!(
            "{comma}\n    {{\n      {}: {{\n        \"compression\": \"{}\",\n        \"length\": {},\n        \"md5\": \"{}\",\n        \"offset\": {}\n      }}\n    }}",
            quoted(&names::numbered(prefix, number)),
            object.codec.word(),
            object.length,
            hex::encode(object.md5),
            object.offset,
        );
        text.extend_from_slice(entry.as_bytes());
        if text.len() >= PIECE {
            writer.write(text.split().freeze()).await?;
        }
    }
    let end = if objects.is_empty() { "]" } else { "\n  ]" };
    let tail = format!(
        "{end},\n  \"parent_id\": {},\n  \"version\": \"{VERSION}\",\n  \"volume_id\": {},\n  \"volume_meta\": {}\n}}",
        quoted_or_null(parent),
        quoted(&backup.volume_id),
        quoted_or_null(backup.volume_meta.as_deref()),
    );
    text.extend_from_slice(tail.as_bytes());
    writer.write(text.freeze()).await?;
    writer.close().await?;
    Ok(())
}

/// An object that metadata names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Object {
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) md5: [u8; 16],
    pub(super) codec: Codec,
    /// For [`Parts::name`].
    pub(super) part: u32,
}

impl Object {
    pub(super) fn end(&self) -> u64 {
        self.offset + self.length
    }
}

/// What a backup consists of.
#[derive(Debug, Default)]
pub(super) struct Metadata {
    pub(super) backup_id: String,
    pub(super) volume_id: String,
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) created_at: String,
    pub(super) parent_id: Option<String>,
    pub(super) volume_meta: Option<String>,
    /// In the order of their offsets; none overlaps another.
    pub(super) objects: Vec<Object>,
    /// What the names of the objects begin with; `None` when there are none.
    pub(super) prefix: Option<String>,
}

impl Metadata {
    /// Reads the metadata, and looks that it names all objects of the backup and no other.
    ///
    /// # Errors
    /// `cinder.damaged`; `cinder.format` for another version or a compression that is not known; those of the reader.
    pub(super) async fn read(cx: &JobContext, reader: &dyn BackupReader, parts: &Parts) -> Result<Self> {
        let name = &parts.metadata;
        let mut reading = Reading {
            json: JsonReader::new(reader.open(cx, name).await?),
            parts,
            found: Found::default(),
            at: 0,
            used: Vec::new(),
        };
        reading.used.resize(parts.count(), false);
        reading.all().await.context(|| format!("reading {name}"))
    }

    /// Where its last object ends.
    pub(super) fn end(&self) -> u64 {
        self.objects.last().map_or(0, Object::end)
    }

    /// Whether the objects cover everything from the volume's start to the end of the last one.
    pub(super) fn is_gapless(&self) -> bool {
        let mut at = 0;
        self.objects.iter().all(|object| std::mem::replace(&mut at, object.end()) == object.offset)
    }
}

#[derive(Default)]
struct Found {
    version: Option<String>,
    backup_id: Option<String>,
    volume_id: Option<String>,
    objects: bool,
    metadata: Metadata,
}

struct Reading<'a> {
    json: JsonReader,
    parts: &'a Parts,
    found: Found,
    /// Where the last object ends.
    at: u64,
    used: Vec<bool>,
}

impl Reading<'_> {
    async fn all(mut self) -> Result<Metadata> {
        self.json.mark(b'{').await?;
        let mut members = Members::default();
        while let Some(key) = self.json.key(&mut members).await? {
            self.member(&key).await?;
        }
        self.json.finish().await?;
        if self.found.version.as_deref() != Some(VERSION) {
            let version = self.found.version.unwrap_or_default();
            return Err(Error::new(&codes::FORMAT, format!("it is of version {version:?}")));
        }
        if let Some(unnamed) = self.used.iter().position(|used| !used) {
            let name = self.parts.name(u32::try_from(unnamed).unwrap_or(u32::MAX))?;
            return Err(damaged(format!("it does not name {name}, which is there")));
        }
        let (Some(backup_id), Some(volume_id), true) = (self.found.backup_id, self.found.volume_id, self.found.objects) else {
            return Err(damaged("it does not say what it is of"));
        };
        Ok(Metadata { backup_id, volume_id, ..self.found.metadata })
    }

    async fn member(&mut self, key: &str) -> Result<()> {
        let Self { json, found, .. } = self;
        match key {
            "version" => once(&mut found.version, json.text().await?),
            "backup_id" => once(&mut found.backup_id, json.text().await?),
            "volume_id" => once(&mut found.volume_id, json.text().await?),
            "backup_name" => keep(&mut found.metadata.name, json.text_or_null().await?),
            "backup_description" => keep(&mut found.metadata.description, json.text_or_null().await?),
            "parent_id" => keep(&mut found.metadata.parent_id, json.text_or_null().await?),
            "volume_meta" => keep(&mut found.metadata.volume_meta, json.text_or_null().await?),
            "created_at" => {
                found.metadata.created_at = json.text_or_null().await?.unwrap_or_default();
                Ok(())
            }
            "objects" if std::mem::replace(&mut found.objects, true) => Err(damaged("it says something twice")),
            "objects" => self.objects().await,
            _ => json.skip().await,
        }
    }

    async fn objects(&mut self) -> Result<()> {
        self.json.mark(b'[').await?;
        let mut items = Members::default();
        while let Some(token) = self.json.item(&mut items).await? {
            let mut members = Members::default();
            let name = match token.kind {
                Kind::Mark(b'{') => self.json.key(&mut members).await?,
                _ => None,
            };
            let name = name.ok_or_else(|| damaged("an object in it has no name"))?;
            let object = self.object(&name).await.context(|| format!("object {name:?}"))?;
            if self.json.key(&mut members).await?.is_some() {
                return Err(damaged("an object in it has two names"));
            }
            let prefix = names::without_number(&name).map(str::to_owned);
            self.found.metadata.prefix = self.found.metadata.prefix.take().or(prefix);
            self.found.metadata.objects.push(object);
        }
        Ok(())
    }

    async fn object(&mut self, name: &str) -> Result<Object> {
        let (mut offset, mut length, mut md5, mut codec) = (None, None, None, None);
        self.json.mark(b'{').await?;
        let mut members = Members::default();
        while let Some(key) = self.json.key(&mut members).await? {
            match key.as_str() {
                "offset" => once(&mut offset, self.json.number().await?)?,
                "length" => once(&mut length, self.json.number().await?)?,
                "md5" => once(&mut md5, self.json.text().await?)?,
                "compression" => once(&mut codec, self.json.text().await?)?,
                _ => self.json.skip().await?,
            }
        }
        let (Some(offset), Some(length), Some(md5), Some(codec)) = (offset, length, md5, codec) else {
            return Err(damaged("its offset, length, compression or MD5 is missing"));
        };
        let mut sum = [0; 16];
        if hex::decode_to_slice(&md5, &mut sum).is_err() {
            return Err(damaged("its MD5 is none"));
        }
        let codec = Codec::of(&codec).ok_or_else(|| Error::new(&codes::FORMAT, format!("it is compressed with {codec:?}")))?;
        let end = offset.checked_add(length).filter(|_| length > 0 && offset >= self.at);
        self.at = end.ok_or_else(|| damaged("it is empty, or not behind the object before"))?;
        let part = self.parts.find(name).ok_or_else(|| damaged("it is not there"))?;
        match self.used.get_mut(part as usize) {
            Some(used) if !*used => *used = true,
            _ => return Err(damaged("it is named twice")),
        }
        Ok(Object { offset, length, md5: sum, codec, part })
    }
}

fn once<T>(place: &mut Option<T>, value: T) -> Result<()> {
    keep(place, Some(value))
}

fn keep<T>(place: &mut Option<T>, value: Option<T>) -> Result<()> {
    match place {
        Some(_) => Err(damaged("it says something twice")),
        None => {
            *place = value;
            Ok(())
        }
    }
}

fn damaged(why: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(&codes::DAMAGED, why)
}
