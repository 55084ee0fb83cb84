//! Where the bytes of an image are: what `qemu-img map` prints, taken line by line.

use std::sync::Arc;

use backup_core::{JobContext, Result};
use futures::{StreamExt, stream};
use serde::Deserialize;
use tokio::process::ChildStdout;

use super::chain::{Chain, bad};
use super::start;
use crate::cinder::access::file::read::{Run, Runs};
use crate::cinder::access::items::Items;
use crate::cinder::access::program::{cause, finish};
use crate::process::Group;

#[derive(Debug, Deserialize)]
struct Entry {
    start: u64,
    length: u64,
    depth: usize,
    zero: bool,
    data: bool,
    #[serde(default)]
    compressed: bool,
    offset: Option<u64>,
}

struct Mapping {
    cx: JobContext,
    group: Group,
    items: Items<ChildStdout, Entry>,
    chain: Chain,
    /// Up to where the map was read.
    end: u64,
}

pub(super) fn runs(cx: &JobContext, chain: Chain) -> Result<Runs> {
    let path = chain.path.to_str().ok_or_else(|| bad(&chain.path, "its path is no text"))?;
    let mut group = start(cx, &["map", "--output=json", "-f", "qcow2", path])?;
    let items = Items::new(group.take_stdout()?);
    let mapping = Mapping { cx: cx.clone(), group, items, chain, end: 0 };
    let runs = stream::unfold(Some(mapping), |mapping: Option<Mapping>| async move {
        let mut mapping = mapping?;
        match mapping.next().await {
            Ok(Some(run)) => Some((Ok(run), Some(mapping))),
            Ok(None) => None,
            Err(error) => {
                mapping.group.kill().await;
                Some((Err(error), None))
            }
        }
    });
    Ok(runs.boxed())
}

impl Mapping {
    /// The next run of data.
    async fn next(&mut self) -> Result<Option<Run>> {
        loop {
            let items = &mut self.items;
            let entry = match self.cx.run(items.next()).await {
                Ok(entry) => entry,
                Err(error) => return Err(cause(&self.cx, &mut self.group, error).await),
            };
            let Some(entry) = entry else {
                finish(&self.cx, &mut self.group).await?;
                return if self.end == self.chain.size { Ok(None) } else { Err(bad(&self.chain.path, "its map is not whole")) };
            };
            if let Some(run) = self.run(&entry)? {
                return Ok(Some(run));
            }
        }
    }

    fn run(&mut self, entry: &Entry) -> Result<Option<Run>> {
        let path = &self.chain.path;
        let end = entry.start.checked_add(entry.length).filter(|end| *end <= self.chain.size);
        let Some(end) = end.filter(|_| entry.start == self.end && entry.length > 0) else {
            return Err(bad(path, "its map has gaps, or reaches beyond its end"));
        };
        self.end = end;
        if entry.zero || !entry.data {
            return Ok(None);
        }
        let (Some(position), false) = (entry.offset, entry.compressed) else {
            return Err(bad(path, format!("what it has at {} is compressed or encrypted", entry.start)));
        };
        let file = self.chain.files.get(entry.depth).ok_or_else(|| bad(path, "its map names more images than it builds on"))?;
        Ok(Some(Run { offset: entry.start, length: entry.length, file: Arc::clone(&file.file), position }))
    }
}
