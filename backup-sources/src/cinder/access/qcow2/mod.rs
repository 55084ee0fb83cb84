//! Images in qcow2, read through the program `qemu-img`, which knows where their clusters are; the bytes are read here.
//!
//! An image may build on others. Where they are is written in it, and `qemu-img` would open whatever that is, and guess its format. So
//! each image is looked at alone first: the next one has to lie in the same directory, and its format has to be stated.

mod chain;
mod map;

use backup_core::{Error, JobContext, Result};

use super::image_file::ImageFile;
use super::program::Answer;
use super::{Extents, Place, codes, file, program, size};
use crate::process::Group;

const QEMU_IMG: &str = "qemu-img";

/// Reads an image with all it builds on.
pub(super) async fn read(cx: &JobContext, image: ImageFile, place: &Place) -> Result<Extents> {
    let chain = chain::look(cx, &image).await?;
    size::check_readable(&chain.path.display().to_string(), chain.size, place.size)?;
    let path = chain.path.clone();
    let runs = map::runs(cx, chain)?;
    Ok(file::read::extents(cx, runs, &path))
}

fn argv(words: &[&str]) -> Vec<String> {
    std::iter::once(QEMU_IMG).chain(words.iter().copied()).map(str::to_owned).collect()
}

async fn ask(cx: &JobContext, words: &[&str]) -> Result<Answer> {
    program::ask(cx, &argv(words)).await.map_err(missing)
}

fn start(cx: &JobContext, words: &[&str]) -> Result<Group> {
    program::start(cx, &argv(words), program::Pipe::Output).map_err(missing)
}

fn missing(error: Error) -> Error {
    match error.code().name == crate::process::codes::NOT_STARTED.name {
        true => {
            Error::new(&codes::UNREADABLE, "a volume in qcow2 is read through the program `qemu-img`, which does not start here")
                .with_source(error)
        }
        false => error,
    }
}
