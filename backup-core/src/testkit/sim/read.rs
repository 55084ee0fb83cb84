//! Reading bodies, also those that break off or lie.

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::stream;

use super::SimStore;
use super::trace::OpKind;
use crate::context::JobContext;
use crate::error::{Error, Result, codes};
use crate::key::ObjectKey;
use crate::store::{ObjectRead, ReadOptions};
use crate::testkit::Fault;

impl SimStore {
    pub(super) async fn open_body(&self, cx: &JobContext, key: &ObjectKey, options: ReadOptions) -> Result<ObjectRead> {
        cx.check()?;
        let ticket = self.admit(OpKind::Read, key.as_str())?;
        self.wait(cx, &ticket).await?;
        let owned = key.clone();
        let open = move |state: &mut super::state::State| {
            let entry = state.get(&owned)?;
            let size = entry.bytes.len() as u64;
            let range = options.range.unwrap_or(0..size);
            if range.start > size || range.start > range.end {
                let message = format!("the range {range:?} is not inside the {size} bytes of {owned}");
                return Err(Error::new(&codes::INPUT_INVALID, message));
            }
            let (start, end) = (range.start as usize, range.end.min(size) as usize);
            Ok((entry.meta(&owned), range.start, entry.bytes.slice(start..end), state.read_piece))
        };
        let (meta, start, bytes, piece) = self.apply(&ticket, key.as_str(), open)?;
        let (bytes, broken) = distort(ticket.fault, bytes, start, key);
        let (store, cx) = (self.clone(), cx.clone());
        let pieces = stream::iter(split(&bytes, piece)).map(move |piece| {
            cx.check()?;
            store.alive()?;
            Ok(piece)
        });
        Ok(ObjectRead { meta, body: pieces.chain(stream::iter(broken.map(Err))).boxed() })
    }
}

/// What a faulty read delivers, and the error at its end.
fn distort(fault: Option<Fault>, mut bytes: Bytes, start: u64, key: &ObjectKey) -> (Bytes, Option<Error>) {
    let cut = |bytes: &Bytes, after: u64| bytes.slice(..bytes.len().min(usize::try_from(after).unwrap_or(usize::MAX)));
    match fault {
        Some(Fault::ShortRead(after)) => {
            let error = Error::new(&codes::STORE_IO, format!("injected: the body of {key} broke off after {after} bytes"));
            (cut(&bytes, after), Some(error))
        }
        Some(Fault::SilentShortRead(after)) => (cut(&bytes, after), None),
        Some(Fault::FlipBitRead { byte, bit }) => {
            let at = byte.checked_sub(start).and_then(|at| usize::try_from(at).ok()).filter(|at| *at < bytes.len());
            if let Some(at) = at {
                let mut flipped = BytesMut::from(&bytes[..]);
                flipped[at] ^= 1 << (bit % 8);
                bytes = flipped.freeze();
            }
            (bytes, None)
        }
        _ => (bytes, None),
    }
}

fn split(bytes: &Bytes, piece: usize) -> Vec<Bytes> {
    (0..bytes.len()).step_by(piece).map(|at| bytes.slice(at..bytes.len().min(at + piece))).collect()
}
