//! An image and those it builds on, each opened and looked at before the next.

use std::path::{Path, PathBuf};

use backup_core::{Error, JobContext, Result};
use serde::Deserialize;

use super::ask;
use crate::cinder::access::codes;
use crate::cinder::access::connection::Format;
use crate::cinder::access::file::beneath::{Access, Opened, outside, plain};
use crate::cinder::access::image_file::ImageFile;

/// Images that may build on each other. Cinder adds one for each snapshot.
const DEPTH: usize = 200;

/// An image with all it builds on.
#[derive(Debug)]
pub(super) struct Chain {
    /// From the top to the bottom.
    pub(super) files: Vec<Opened>,
    /// The path of the top.
    pub(super) path: PathBuf,
    /// The size that a guest sees, in bytes.
    pub(super) size: u64,
}

/// What `qemu-img info` tells of one image.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Info {
    format: String,
    virtual_size: u64,
    #[serde(default)]
    encrypted: bool,
    backing_filename: Option<String>,
    backing_filename_format: Option<String>,
    format_specific: Option<Specific>,
}

#[derive(Debug, Deserialize)]
struct Specific {
    data: Option<SpecificData>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct SpecificData {
    data_file: Option<String>,
    corrupt: bool,
}

pub(super) async fn look(cx: &JobContext, image: &ImageFile) -> Result<Chain> {
    let (mut name, mut format) = (image.name.clone(), Format::Qcow2);
    let mut files: Vec<Opened> = Vec::new();
    let mut size = None;
    loop {
        let opened = image.open(&name, Access::Read).await?;
        let path = opened.path.clone();
        if files.iter().any(|above| above.path == path) {
            return Err(bad(&path, "it builds on itself"));
        }
        files.push(opened);
        let next = match format {
            Format::Raw => None,
            Format::Qcow2 => {
                let info = info(cx, &path).await?;
                size.get_or_insert(info.virtual_size);
                backing(&path, &info)?
            }
        };
        match next {
            None => break,
            Some(_) if files.len() == DEPTH => return Err(bad(&path, format!("more than {DEPTH} images build on each other"))),
            Some(next) => (name, format) = next,
        }
    }
    let path = files.first().map(|top| top.path.clone()).unwrap_or_default();
    Ok(Chain { files, path, size: size.unwrap_or_default() })
}

/// Looks at one image, and at nothing that it builds on.
async fn info(cx: &JobContext, path: &Path) -> Result<Info> {
    let text = path.to_str().ok_or_else(|| bad(path, "its path is no text"))?;
    let printed = ask(cx, &["info", "--output=json", "-f", "qcow2", text]).await?.good();
    let printed = printed.map_err(|error| error.context(format!("looking at {text}")))?;
    let info: Info = serde_json::from_slice(&printed)
        .map_err(|error| bad(path, "what `qemu-img info` tells is not understood").with_source(error))?;
    if info.format != "qcow2" {
        return Err(bad(path, "it is no qcow2"));
    }
    if info.encrypted {
        return Err(bad(path, "it is encrypted by qcow2 itself"));
    }
    let data = info.format_specific.as_ref().and_then(|specific| specific.data.as_ref());
    if data.is_some_and(|data| data.data_file.is_some()) {
        return Err(bad(path, "its data lies in another file"));
    }
    if data.is_some_and(|data| data.corrupt) {
        return Err(bad(path, "it is marked as corrupt"));
    }
    Ok(info)
}

/// What an image builds on: a file of its own directory, in a format that is stated.
fn backing(path: &Path, info: &Info) -> Result<Option<(String, Format)>> {
    let Some(backing) = &info.backing_filename else { return Ok(None) };
    let within = path.parent().and_then(|directory| Path::new(backing).strip_prefix(directory).ok());
    let name = within.map_or(Some(backing.as_str()), Path::to_str).unwrap_or_default();
    // `nbd:…` and `json:…` would be no files.
    if !plain(name) || (within.is_none() && name.contains(':')) {
        return Err(outside(path, &format!("it builds on {backing:?}, which is no file of its directory")));
    }
    match info.backing_filename_format.as_deref() {
        Some("raw") => Ok(Some((name.to_owned(), Format::Raw))),
        Some("qcow2") => Ok(Some((name.to_owned(), Format::Qcow2))),
        Some(other) => Err(bad(path, format!("what it builds on has the format {other:?}"))),
        None => Err(bad(path, "it does not state the format of what it builds on, and guessing would let a guest choose it")),
    }
}

pub(super) fn bad(path: &Path, why: impl std::fmt::Display) -> Error {
    Error::new(&codes::UNREADABLE, format!("{} is not read: {why}", path.display()))
}
