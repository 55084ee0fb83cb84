//! The procedures of NFSv3 (RFC 1813) that the store is made of.
//!
//! Each may be repeated after a lost answer. What a repetition is refused for because the first one was done, is settled here.

use backup_core::{Bytes, JobContext};
use backup_remote::{Call, Repeat};
use nfs3_client::nfs3_types::nfs3::{
    COMMIT3args, COMMIT3resfail, COMMIT3resok, CREATE3args, CREATE3resfail, CREATE3resok, FSINFO3args, FSINFO3resfail,
    FSINFO3resok, GETATTR3args, GETATTR3resok, LINK3args, LINK3resfail, LINK3resok, LOOKUP3args, LOOKUP3resfail, LOOKUP3resok,
    MKDIR3args, MKDIR3resfail, MKDIR3resok, NFS_PROGRAM, Nfs3Option, READ3args, READ3resfail, READ3resok, READDIR3args,
    READDIR3resfail, READDIR3resok, READDIRPLUS3args, READDIRPLUS3resfail, READDIRPLUS3resok, REMOVE3args, REMOVE3resfail,
    REMOVE3resok, RENAME3args, RENAME3resfail, RENAME3resok, RMDIR3args, RMDIR3resfail, RMDIR3resok, WRITE3args, WRITE3resfail,
    WRITE3resok, cookieverf3, createhow3, diropargs3, filename3, sattr3, stable_how,
};
use nfs3_client::nfs3_types::xdr_codec::{Opaque, Void};

use super::session::{Answer, Session};
use super::types::{Attr, Fault, Found, Handle, Limits, Status, Verifier};

/// How many bytes one page of a directory may take.
const PAGE: u32 = 64 << 10;

/// What a write came to.
#[derive(Debug, Clone, Copy)]
pub(in crate::nfs) struct Wrote {
    /// How many bytes were taken.
    pub(in crate::nfs) count: u32,
    /// Whether they are durable already.
    pub(in crate::nfs) stable: bool,
    /// Another one later means that the server forgot what was not committed.
    pub(in crate::nfs) verifier: Verifier,
}

/// A part of a directory.
#[derive(Debug)]
pub(in crate::nfs) struct Page {
    /// Names with what the server told of them by the way.
    pub(in crate::nfs) entries: Vec<(Vec<u8>, Option<Attr>)>,
    /// Where the next part begins.
    pub(in crate::nfs) cookie: u64,
    pub(in crate::nfs) verifier: cookieverf3,
    pub(in crate::nfs) end: bool,
}

fn at<'a>(dir: &Handle, name: &'a str) -> diropargs3<'a> {
    diropargs3 { dir: dir.clone(), name: filename3::from(name.as_bytes()) }
}

fn mode(mode: u32) -> sattr3 {
    sattr3 { mode: Nfs3Option::Some(mode), ..sattr3::default() }
}

fn changing(operation: &'static str) -> Call {
    Call::changing(operation, Repeat::Always)
}

impl<T> Answer<T> {
    fn result(self) -> Result<T, Fault> {
        self.result.map_err(Fault::Status)
    }

    /// Done, also when a repetition finds with `status` that it was done before.
    fn done(self, status: Status) -> Result<(), Fault> {
        match self.result {
            Ok(_) => Ok(()),
            Err(is) if is == status && self.repeated => Ok(()),
            Err(is) => Err(Fault::Status(is)),
        }
    }
}

impl Session {
    pub(in crate::nfs) async fn limits(&self, cx: &JobContext, root: &Handle) -> Result<Limits, Fault> {
        let args = FSINFO3args { fsroot: root.clone() };
        let call = Call::reading("FSINFO");
        let answer = self.call::<_, FSINFO3resok, FSINFO3resfail>(cx, call, NFS_PROGRAM::NFSPROC3_FSINFO, &args).await?;
        Ok(Limits::from(&answer.result()?))
    }

    pub(in crate::nfs) async fn attr(&self, cx: &JobContext, object: &Handle) -> Result<Attr, Fault> {
        let args = GETATTR3args { object: object.clone() };
        let call = Call::reading("GETATTR");
        let answer = self.call::<_, GETATTR3resok, Void>(cx, call, NFS_PROGRAM::NFSPROC3_GETATTR, &args).await?;
        Ok(Attr::from(&answer.result()?.obj_attributes))
    }

    pub(in crate::nfs) async fn lookup(&self, cx: &JobContext, dir: &Handle, name: &str) -> Result<Found, Fault> {
        let args = LOOKUP3args { what: at(dir, name) };
        let call = Call::reading("LOOKUP");
        let answer = self.call::<_, LOOKUP3resok, LOOKUP3resfail>(cx, call, NFS_PROGRAM::NFSPROC3_LOOKUP, &args).await?;
        let found = answer.result()?;
        let attr = match &found.obj_attributes {
            Nfs3Option::Some(attr) => Attr::from(attr),
            Nfs3Option::None => self.attr(cx, &found.object).await?,
        };
        Ok(Found { handle: found.object, attr })
    }

    /// Creates a file of this mode. Its name must be one that nobody else chooses: found there by a repetition, it is ours.
    pub(in crate::nfs) async fn create(&self, cx: &JobContext, dir: &Handle, name: &str) -> Result<Found, Fault> {
        let args = CREATE3args { where_: at(dir, name), how: createhow3::GUARDED(mode(0o600)) };
        let call = changing("CREATE");
        let answer = self.call::<_, CREATE3resok, CREATE3resfail>(cx, call, NFS_PROGRAM::NFSPROC3_CREATE, &args).await?;
        match answer.result {
            Ok(CREATE3resok { obj: Nfs3Option::Some(handle), obj_attributes: Nfs3Option::Some(attr), .. }) => {
                Ok(Found { handle, attr: Attr::from(&attr) })
            }
            Ok(_) => self.lookup(cx, dir, name).await,
            Err(Status::NFS3ERR_EXIST) if answer.repeated => self.lookup(cx, dir, name).await,
            Err(status) => Err(Fault::Status(status)),
        }
    }

    pub(in crate::nfs) async fn make_dir(&self, cx: &JobContext, dir: &Handle, name: &str) -> Result<(), Fault> {
        let args = MKDIR3args { where_: at(dir, name), attributes: mode(0o700) };
        let call = changing("MKDIR");
        let answer = self.call::<_, MKDIR3resok, MKDIR3resfail>(cx, call, NFS_PROGRAM::NFSPROC3_MKDIR, &args).await?;
        answer.done(Status::NFS3ERR_EXIST)
    }

    pub(in crate::nfs) async fn write(
        &self,
        cx: &JobContext,
        file: &Handle,
        offset: u64,
        data: &Bytes,
        stable: bool,
    ) -> Result<Wrote, Fault> {
        let args = WRITE3args {
            file: file.clone(),
            offset,
            count: data.len() as u32,
            stable: if stable { stable_how::FILE_SYNC } else { stable_how::UNSTABLE },
            data: Opaque::borrowed(data),
        };
        let call = changing("WRITE").bytes(data.len() as u64);
        let answer = self.call::<_, WRITE3resok, WRITE3resfail>(cx, call, NFS_PROGRAM::NFSPROC3_WRITE, &args).await?;
        let wrote = answer.result()?;
        let stable = wrote.committed != stable_how::UNSTABLE;
        Ok(Wrote { count: wrote.count.min(args.count), stable, verifier: wrote.verf })
    }

    /// Makes `count` bytes from `offset` on durable.
    pub(in crate::nfs) async fn commit(
        &self,
        cx: &JobContext,
        file: &Handle,
        offset: u64,
        count: u32,
    ) -> Result<Verifier, Fault> {
        let args = COMMIT3args { file: file.clone(), offset, count };
        let call = changing("COMMIT");
        let answer = self.call::<_, COMMIT3resok, COMMIT3resfail>(cx, call, NFS_PROGRAM::NFSPROC3_COMMIT, &args).await?;
        Ok(answer.result()?.verf)
    }

    /// Reads up to `count` bytes; nothing is the end.
    pub(in crate::nfs) async fn read(&self, cx: &JobContext, file: &Handle, offset: u64, count: u32) -> Result<Bytes, Fault> {
        let args = READ3args { file: file.clone(), offset, count };
        let call = Call::reading("READ");
        let answer = self.call::<_, READ3resok<'static>, READ3resfail>(cx, call, NFS_PROGRAM::NFSPROC3_READ, &args).await?;
        let mut data = answer.result()?.data.into_owned();
        data.truncate(count as usize);
        self.calls.paced(cx, data.len() as u64).await?;
        Ok(data.into())
    }

    pub(in crate::nfs) async fn link(&self, cx: &JobContext, file: &Handle, dir: &Handle, name: &str) -> Result<(), Fault> {
        let args = LINK3args { file: file.clone(), link: at(dir, name) };
        let call = changing("LINK");
        let answer = self.call::<_, LINK3resok, LINK3resfail>(cx, call, NFS_PROGRAM::NFSPROC3_LINK, &args).await?;
        answer.result().map(drop)
    }

    pub(in crate::nfs) async fn rename(&self, cx: &JobContext, from: (&Handle, &str), to: (&Handle, &str)) -> Result<(), Fault> {
        let args = RENAME3args { from: at(from.0, from.1), to: at(to.0, to.1) };
        let call = changing("RENAME");
        let answer = self.call::<_, RENAME3resok, RENAME3resfail>(cx, call, NFS_PROGRAM::NFSPROC3_RENAME, &args).await?;
        answer.result().map(drop)
    }

    /// Removes a file that was seen there: a repetition that does not find it any more removed it before.
    pub(in crate::nfs) async fn remove(&self, cx: &JobContext, dir: &Handle, name: &str) -> Result<(), Fault> {
        let args = REMOVE3args { object: at(dir, name) };
        let call = changing("REMOVE");
        let answer = self.call::<_, REMOVE3resok, REMOVE3resfail>(cx, call, NFS_PROGRAM::NFSPROC3_REMOVE, &args).await?;
        answer.done(Status::NFS3ERR_NOENT)
    }

    pub(in crate::nfs) async fn remove_dir(&self, cx: &JobContext, dir: &Handle, name: &str) -> Result<(), Fault> {
        let args = RMDIR3args { object: at(dir, name) };
        let call = changing("RMDIR");
        let answer = self.call::<_, RMDIR3resok, RMDIR3resfail>(cx, call, NFS_PROGRAM::NFSPROC3_RMDIR, &args).await?;
        answer.done(Status::NFS3ERR_NOENT)
    }

    /// A part of a directory with the attributes of what is in it.
    pub(in crate::nfs) async fn page_plus(
        &self,
        cx: &JobContext,
        dir: &Handle,
        cookie: u64,
        verifier: cookieverf3,
    ) -> Result<Page, Fault> {
        let args = READDIRPLUS3args { dir: dir.clone(), cookie, cookieverf: verifier, dircount: PAGE, maxcount: PAGE };
        let call = Call::reading("READDIRPLUS");
        let procedure = NFS_PROGRAM::NFSPROC3_READDIRPLUS;
        let answer = self.call::<_, READDIRPLUS3resok<'static>, READDIRPLUS3resfail>(cx, call, procedure, &args).await?;
        let read = answer.result()?;
        let (mut last, mut entries) = (cookie, Vec::new());
        for entry in read.reply.entries.into_inner() {
            last = entry.cookie;
            let attr = match &entry.name_attributes {
                Nfs3Option::Some(attr) => Some(Attr::from(attr)),
                Nfs3Option::None => None,
            };
            entries.push((entry.name.0.into_owned(), attr));
        }
        Ok(Page { entries, cookie: last, verifier: read.cookieverf, end: read.reply.eof })
    }

    /// A part of a directory, names alone: for servers that have no READDIRPLUS.
    pub(in crate::nfs) async fn page(
        &self,
        cx: &JobContext,
        dir: &Handle,
        cookie: u64,
        verifier: cookieverf3,
    ) -> Result<Page, Fault> {
        let args = READDIR3args { dir: dir.clone(), cookie, cookieverf: verifier, count: PAGE };
        let call = Call::reading("READDIR");
        let answer =
            self.call::<_, READDIR3resok<'static>, READDIR3resfail>(cx, call, NFS_PROGRAM::NFSPROC3_READDIR, &args).await?;
        let read = answer.result()?;
        let (mut last, mut entries) = (cookie, Vec::new());
        for entry in read.reply.entries.into_inner() {
            last = entry.cookie;
            entries.push((entry.name.0.into_owned(), None));
        }
        Ok(Page { entries, cookie: last, verifier: read.cookieverf, end: read.reply.eof })
    }
}
