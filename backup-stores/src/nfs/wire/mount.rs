//! The MOUNT protocol (RFC 1813, appendix I): from the path of an export to its handle.

use std::io::Read;

use backup_core::error::codes;
use backup_core::{Error, JobContext, Result};
use backup_remote::{Attempt, Call, Failure};
use nfs3_client::nfs3_types::mount::{MOUNT_PROGRAM, PROGRAM, VERSION, dirpath, mountstat3};
use nfs3_client::nfs3_types::xdr_codec::{self, Opaque, Unpack};

use super::connect::Service;
use super::session::Session;
use super::types::Handle;
use crate::nfs::codes::NFS_EXPORT;

/// The answer to MNT. The crate's own would reserve memory for any number of flavours that a server claims.
struct MountAnswer(Result<Handle, mountstat3>);

/// How many ways to authenticate are read.
const FLAVORS: u32 = 64;

impl Unpack for MountAnswer {
    fn unpack(input: &mut impl Read) -> xdr_codec::Result<(Self, usize)> {
        let (status, mut size) = mountstat3::unpack(input)?;
        if !matches!(status, mountstat3::MNT3_OK) {
            return Ok((Self(Err(status)), size));
        }
        let (data, handle_size) = Opaque::unpack(input)?;
        let (count, count_size) = u32::unpack(input)?;
        size += handle_size + count_size;
        if count > FLAVORS {
            return Err(xdr_codec::Error::InvalidLength(count as usize));
        }
        for _ in 0..count {
            size += u32::unpack(input)?.1;
        }
        Ok((Self(Ok(Handle { data })), size))
    }
}

/// What came of an attempt to mount.
#[derive(Debug)]
pub(in crate::nfs) enum Mounted {
    Handle(Handle),
    /// The server has no such export, or not for us.
    Refused(Error),
}

impl Session {
    /// Asks for the handle of the export `path`. Nothing is mounted anywhere: the server only notes that somebody asked.
    pub(in crate::nfs) async fn mount(&self, cx: &JobContext, path: &str) -> Result<Mounted> {
        let call = Call::reading("MNT");
        let attempt = |_| async move {
            let connected = self.target.connect(cx, self.calls.limits().stall(), Service::Mount).await;
            let mut connection = match connected {
                Ok(connection) => connection,
                Err(error) => return Attempt::Failed(Failure::unsent(error)),
            };
            let path = dirpath(Opaque::borrowed(path.as_bytes()));
            match connection.rpc.call::<_, MountAnswer>(PROGRAM, VERSION, MOUNT_PROGRAM::MOUNTPROC3_MNT as u32, &path).await {
                Ok(answer) => Attempt::Ended(Ok(answer)),
                Err(error) => self.broken(error),
            }
        };
        let server = self.target.server();
        Ok(match self.calls.run(cx, &call, attempt).await?.0 {
            Ok(handle) => Mounted::Handle(handle),
            Err(status @ (mountstat3::MNT3ERR_ACCES | mountstat3::MNT3ERR_PERM)) => Mounted::Refused(Error::new(
                &codes::STORE_DENIED,
                format!(
                    "`{server}` has no export `{path}`, or does not let this machine use it ({status}; `showmount -e {server}` shows \
                     what there is){}",
                    self.privileged()
                ),
            )),
            Err(status) => {
                let text = format!("`{server}` has no export `{path}` ({status}); `showmount -e {server}` shows what there is");
                Mounted::Refused(Error::new(&NFS_EXPORT, text))
            }
        })
    }
}
