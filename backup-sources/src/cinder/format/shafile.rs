//! The digests of a volume's blocks: `_sha256file`, written and read as a stream.

use std::fmt::Write as _;

use backup_core::{ArtifactName, ArtifactWriter, BackupReader, Digest, Error, JobContext, Result, ResultExt};
use bytes::BytesMut;

use super::json::{JsonReader, Kind, Members, quoted, quoted_or_null};
use super::{BLOCK, NewBackup, VERSION, codes, time_text};

/// How many bytes are handed on at a time.
const PIECE: usize = 256 << 10;

/// Bytes of one digest in the file: its indent, quotes, comma and line end.
const LINE: u64 = 4 + 66 + 2;

/// Blocks that are larger are not known: one is held in memory.
const MAX_BLOCK: u64 = 1 << 20;

/// Writes the digests.
pub(super) struct ShaWriter {
    writer: Box<dyn ArtifactWriter>,
    text: BytesMut,
    volume_id: String,
    any: bool,
}

impl ShaWriter {
    /// About how many bytes the file of a volume will have.
    pub(super) fn size_hint(size: u64) -> u64 {
        size.div_ceil(BLOCK) * LINE + 1024
    }

    pub(super) fn new(writer: Box<dyn ArtifactWriter>, backup: &NewBackup) -> Self {
        let head = format!(
            "{{\n  \"backup_description\": {},\n  \"backup_id\": {},\n  \"backup_name\": {},\n  \"chunk_size\": {BLOCK},\n  \"created_at\": {},\n  \"sha256s\": [",
            quoted_or_null(backup.description.as_deref()),
            quoted(&backup.backup_id),
            quoted(&backup.name),
            quoted(&time_text(backup.created_at)),
        );
        Self { writer, text: BytesMut::from(head.as_str()), volume_id: backup.volume_id.clone(), any: false }
    }

    /// Appends digests.
    pub(super) async fn append(&mut self, digests: &[Digest]) -> Result<()> {
        for digest in digests {
            let before: &[u8] = if std::mem::replace(&mut self.any, true) { b",\n    \"" } else { b"\n    \"" };
            let mut hex = [0; 64];
            encode(digest, &mut hex);
            self.text.extend_from_slice(before);
            self.text.extend_from_slice(&hex);
            self.text.extend_from_slice(b"\"");
            if self.text.len() >= PIECE {
                self.writer.write(self.text.split().freeze()).await?;
            }
        }
        Ok(())
    }

    /// Writes the end and closes the file.
    pub(super) async fn close(mut self) -> Result<()> {
        let end = if self.any { "\n  ]" } else { "]" };
        let tail = write!(self.text, "{end},\n  \"version\": \"{VERSION}\",\n  \"volume_id\": {}\n}}", quoted(&self.volume_id));
        debug_assert!(tail.is_ok());
        self.writer.write(self.text.freeze()).await?;
        self.writer.close().await?;
        Ok(())
    }
}

fn encode(digest: &Digest, out: &mut [u8; 64]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or(b'0');
    for (pair, byte) in out.chunks_exact_mut(2).zip(digest.as_bytes()) {
        if let [high, low] = pair {
            (*high, *low) = (digit(byte >> 4), digit(byte & 15));
        }
    }
}

/// What the file says beside the digests.
#[derive(Debug, Default)]
pub(super) struct ShaHead {
    pub(super) backup_id: Option<String>,
    pub(super) volume_id: Option<String>,
    version: Option<String>,
    block: Option<u64>,
}

/// Reads the digests, in step with whoever needs them.
pub(super) struct ShaReader {
    json: JsonReader,
    name: ArtifactName,
    object: Members,
    array: Members,
    head: ShaHead,
    block: u64,
}

impl ShaReader {
    /// Reads up to the first digest.
    ///
    /// # Errors
    /// `cinder.damaged`; `cinder.format` for another version or a block size of no use; those of the reader.
    pub(super) async fn open(cx: &JobContext, reader: &dyn BackupReader, name: &ArtifactName) -> Result<Self> {
        let mut file = Self::at_digests(cx, reader, name).await.context(|| format!("reading {name}"))?;
        file.block = match file.head.block {
            Some(block) => block,
            // Said behind the digests only: not by Cinder, but the order of keys means nothing in JSON.
            None => {
                let ahead = Self::at_digests(cx, reader, name).await?;
                ahead.block_behind().await.context(|| format!("reading {name}"))?
            }
        };
        if !(512..=MAX_BLOCK).contains(&file.block) {
            return Err(Error::new(&codes::FORMAT, format!("{name} is of blocks of {} bytes", file.block)));
        }
        Ok(file)
    }

    async fn at_digests(cx: &JobContext, reader: &dyn BackupReader, name: &ArtifactName) -> Result<Self> {
        let json = JsonReader::new(reader.open(cx, name).await?);
        let (object, array) = (Members::default(), Members::default());
        let mut file = Self { json, name: name.clone(), object, array, head: ShaHead::default(), block: 0 };
        file.json.mark(b'{').await?;
        while let Some(key) = file.json.key(&mut file.object).await? {
            if key == "sha256s" {
                file.json.mark(b'[').await?;
                return Ok(file);
            }
            file.member(&key).await?;
        }
        Err(damaged(name, "it has no digests"))
    }

    async fn block_behind(mut self) -> Result<u64> {
        while self.json.item(&mut self.array).await?.is_some() {}
        self.members().await?;
        self.head.block.ok_or_else(|| damaged(&self.name, "it does not say the size of its blocks"))
    }

    /// Bytes of a block.
    pub(super) fn block(&self) -> u64 {
        self.block
    }

    /// Appends the next `count` digests to `digests`.
    ///
    /// # Errors
    /// `cinder.damaged` when there are fewer; those of the reader.
    pub(super) async fn next(&mut self, count: u64, digests: &mut Vec<Digest>) -> Result<()> {
        let doing = self.name.clone();
        self.take(count, digests).await.context(|| format!("reading {doing}"))
    }

    async fn take(&mut self, count: u64, digests: &mut Vec<Digest>) -> Result<()> {
        for _ in 0..count {
            let Some(token) = self.json.item(&mut self.array).await? else {
                return Err(damaged(&self.name, "it has fewer digests than the volume has blocks"));
            };
            let digest = (token.kind == Kind::Text).then(|| self.json.bytes(token)).and_then(decode);
            digests.push(digest.ok_or_else(|| damaged(&self.name, "it has something else where a digest belongs"))?);
        }
        Ok(())
    }

    /// Counts the digests that are left, and reads to the end of the file.
    ///
    /// # Errors
    /// As [`ShaReader::finish`].
    pub(super) async fn count(mut self) -> Result<u64> {
        let mut count = 0;
        while let Some(token) = self.json.item(&mut self.array).await? {
            if token.kind != Kind::Text {
                return Err(damaged(&self.name, "it has something else where a digest belongs"));
            }
            count += 1;
        }
        self.ended().await?;
        Ok(count)
    }

    /// Reads to the end of the file.
    ///
    /// # Errors
    /// `cinder.damaged` when there are more digests, or what the file says is not right; those of the reader, which checks the whole here.
    pub(super) async fn finish(mut self) -> Result<ShaHead> {
        let name = self.name.clone();
        let more = self.json.item(&mut self.array).await.context(|| format!("reading {name}"))?;
        if more.is_some() {
            return Err(damaged(&name, "it has more digests than the volume has blocks"));
        }
        self.ended().await
    }

    /// Reads what follows the digests.
    async fn ended(mut self) -> Result<ShaHead> {
        let name = self.name.clone();
        self.members().await.context(|| format!("reading {name}"))?;
        self.json.finish().await.context(|| format!("reading {name}"))?;
        if self.head.version.as_deref() != Some(VERSION) {
            return Err(Error::new(&codes::FORMAT, format!("{name} is of version {:?}", self.head.version.unwrap_or_default())));
        }
        if self.head.block != Some(self.block) || self.head.backup_id.is_none() {
            return Err(damaged(&name, "it does not say what it is of"));
        }
        Ok(self.head)
    }

    async fn members(&mut self) -> Result<()> {
        while let Some(key) = self.json.key(&mut self.object).await? {
            if key == "sha256s" {
                return Err(damaged(&self.name, "it has digests twice"));
            }
            self.member(&key).await?;
        }
        Ok(())
    }

    async fn member(&mut self, key: &str) -> Result<()> {
        let twice = match key {
            "chunk_size" => self.head.block.replace(self.json.number().await?).is_some(),
            "backup_id" => self.head.backup_id.replace(self.json.text().await?).is_some(),
            "volume_id" => self.head.volume_id.replace(self.json.text().await?).is_some(),
            "version" => self.head.version.replace(self.json.text().await?).is_some(),
            _ => {
                self.json.skip().await?;
                false
            }
        };
        match twice {
            true => Err(damaged(&self.name, "it says something twice")),
            false => Ok(()),
        }
    }
}

fn decode(quoted: &[u8]) -> Option<Digest> {
    let text = quoted.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let mut bytes = [0; 32];
    if text.len() != 64 || text.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(Digest::from_bytes(bytes))
}

fn damaged(name: &ArtifactName, why: &str) -> Error {
    Error::new(&codes::DAMAGED, format!("{name}: {why}"))
}
