//! Where the image of a volume is, and what it is like.

use backup_core::{Error, JobContext, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{RbdAccess, codes};
use crate::cinder::access::program::{Answer, ask};

/// What `rbd` exits with when something is not there.
const ENOENT: i32 = 2;

/// The image of a volume.
#[derive(Debug, Clone)]
pub(super) struct Image {
    /// `pool/image`.
    pub(super) spec: String,
    /// Its size now, in bytes.
    pub(super) size: u64,
    /// The size of its objects.
    pub(super) object_size: u64,
}

/// A snapshot of an image.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Snapshot {
    /// Growing with time.
    pub(super) id: u64,
    pub(super) name: String,
    /// The size of the image then, in bytes.
    pub(super) size: u64,
}

#[derive(Deserialize)]
struct Info {
    size: u64,
    object_size: u64,
}

/// The name at Ceph of a snapshot of Cinder.
pub(super) fn snapshot_name(id: &str) -> Result<String> {
    checked("snapshot", id).map(|id| format!("snapshot-{id}"))
}

/// Ids become part of a specification: `pool/image@snapshot`.
fn checked<'a>(what: &str, id: &'a str) -> Result<&'a str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !id.is_empty() && id.len() <= 255 && id.bytes().all(plain) {
        return Ok(id);
    }
    Err(Error::new(&codes::NOT_THERE, format!("{id:?} is no id of a {what}")))
}

impl Image {
    /// Looks for a volume's image in the pools.
    pub(super) async fn find(rbd: &RbdAccess, cx: &JobContext, volume: &str) -> Result<Self> {
        let name = format!("volume-{}", checked("volume", volume)?);
        for pool in &rbd.config.pools {
            let spec = format!("{pool}/{name}");
            match ask(cx, &rbd.argv(&["info", "--format", "json", &spec])?).await? {
                Answer::Good(printed) => {
                    let Info { size, object_size } =
                        parse(&printed).map_err(|error| error.context(format!("looking at {spec}")))?;
                    return Ok(Self { spec, size, object_size });
                }
                Answer::Bad(Some(ENOENT), _) => {}
                Answer::Bad(_, error) => return Err(error.context(format!("looking for {spec}"))),
            }
        }
        let pools = rbd.config.pools.join(", ");
        Err(Error::new(&codes::NOT_THERE, format!("there is no image {name} in the pools of `volume-access`: {pools}")))
    }

    /// Its snapshots, in no order.
    pub(super) async fn snapshots(&self, rbd: &RbdAccess, cx: &JobContext) -> Result<Vec<Snapshot>> {
        let answer = ask(cx, &rbd.argv(&["snap", "ls", "--format", "json", &self.spec])?).await?;
        answer
            .good()
            .and_then(|printed| parse(&printed))
            .map_err(|error| error.context(format!("listing snapshots of {}", self.spec)))
    }

    /// The snapshot of that name.
    ///
    /// # Errors
    /// `cinder.not_there`.
    pub(super) fn snapshot(&self, snapshots: &[Snapshot], name: &str) -> Result<Snapshot> {
        let found = snapshots.iter().find(|snapshot| snapshot.name == name).cloned();
        found.ok_or_else(|| Error::new(&codes::NOT_THERE, format!("{} has no snapshot {name}", self.spec)))
    }
}

fn parse<T: DeserializeOwned>(printed: &[u8]) -> Result<T> {
    serde_json::from_slice(printed)
        .map_err(|error| Error::new(&codes::PROGRAM, "`rbd` answered what is not understood").with_source(error))
}
