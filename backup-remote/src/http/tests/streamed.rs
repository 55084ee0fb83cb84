//! Bodies that are read while they are sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use backup_core::error::codes;
use backup_core::{Digest, Effect, Error, Result};
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use http::{Method, Request, Response};
use tokio::sync::Notify;

use super::site::Site;
use crate::http::Streamed;
use crate::test_server::pattern;
use crate::testkit::{Ending, Gate, Harm, RequestFault, Which};
use crate::{Call, Repeat};

const MIB: usize = 1 << 20;

/// Makes the pieces of a body.
type Made = fn() -> Vec<Result<Bytes>>;

/// A body that gives these pieces each time it is opened, and how often that was.
fn body(size: usize, pieces: impl Fn() -> Vec<Result<Bytes>> + Send + Sync + 'static) -> (Streamed, Arc<AtomicUsize>) {
    let opened = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&opened);
    let open = move || {
        count.fetch_add(1, Ordering::SeqCst);
        stream::iter(pieces()).boxed()
    };
    (Streamed::new(size as u64, open), opened)
}

fn pieces(bytes: &[u8]) -> Vec<Result<Bytes>> {
    bytes.chunks(300_001).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect()
}

async fn put(site: &Site, body: Streamed) -> Result<Response<Bytes>> {
    let mut request: Request<Vec<Bytes>> = site.request(Method::PUT, "/key", &[]);
    request.extensions_mut().insert(body);
    site.http.fetch(&site.cx, &Call::changing("Put", Repeat::Always), &request, MIB as u64).await
}

#[tokio::test]
async fn a_streamed_body_comes_whole_with_its_length_and_again_after_a_break() {
    let site = Site::new().await;
    let bytes = pattern(3 * MIB + 1);
    for after in [10, 2 * MIB as u64] {
        site.proxy.requests(Which::next(), "PUT", "", RequestFault::RequestBody(Harm::Cut { after, ending: Ending::Reset }));
        let sent = bytes.clone();
        let (body, opened) = body(bytes.len(), move || pieces(&sent));
        put(&site, body).await.unwrap();
        assert_eq!(opened.load(Ordering::SeqCst), 2);
        let got = site.server.got().pop().unwrap();
        assert!(got.body == bytes, "the bytes differ");
        assert_eq!(got.headers["content-length"].to_str().unwrap(), bytes.len().to_string());
        assert!(!got.headers.contains_key("transfer-encoding"));
        let seen = site.proxy.seen().pop().unwrap();
        assert_eq!((seen.bytes, seen.digest), (Some(bytes.len() as u64), Some(Digest::of(&bytes))));
    }
}

#[tokio::test]
async fn a_body_whose_source_fails_is_never_a_whole_request() {
    let failing = || {
        let mut all = pieces(&pattern(MIB));
        all.push(Err(Error::new(&codes::SOURCE_FAILED, "the file changed")));
        all
    };
    let short = || pieces(&pattern(MIB - 1));
    let long = || pieces(&pattern(MIB + 1));
    let cases: [(Made, &str); 3] = [(failing, "source.failed"), (short, "remote.config"), (long, "remote.config")];
    for (pieces, code) in cases {
        let site = Site::new().await;
        let (body, opened) = body(MIB, pieces);
        let error = put(&site, body).await.unwrap_err();
        assert_eq!((error.code().name, error.effect()), (code, Effect::None), "{error}");
        assert_eq!(opened.load(Ordering::SeqCst), 1, "it is tried again");
        assert!(site.server.got().is_empty() && site.proxy.seen().iter().all(|seen| seen.bytes.is_none()));
    }
}

#[tokio::test]
async fn an_attempt_whose_bytes_do_not_move_is_over_long_before_the_time_that_all_of_them_may_take() {
    let site = Site::new().await;
    // More than the kernel keeps on its way.
    let bytes = pattern(48 * MIB);
    let gate = Gate::default();
    let held = RequestFault::RequestBody(Harm::Hold { after: MIB as u64, gate: gate.clone() });
    site.proxy.requests(Which::next(), "PUT", "", held);
    let sent = bytes.clone();
    let (body, opened) = body(bytes.len(), move || pieces(&sent));
    let mut passed = Duration::ZERO;
    {
        let mut sending = std::pin::pin!(put(&site, body));
        tokio::select! {
            answer = &mut sending => panic!("{answer:?}"),
            () = gate.reached() => {}
        }
        // The first look may still have seen bytes that went into the kernel.
        while opened.load(Ordering::SeqCst) < 2 {
            let step = Duration::from_secs(31);
            passed += step;
            tokio::select! {
                answer = &mut sending => panic!("{answer:?}"),
                () = site.clock.pass(step) => {}
            }
            assert!(passed < Duration::from_secs(600), "it waits for all of its {} s", 60 + bytes.len() / (32 << 10));
        }
        sending.await.unwrap();
    }
    assert!(site.server.got().pop().unwrap().body == bytes, "the bytes differ");
}

#[tokio::test]
async fn a_source_that_takes_its_time_is_no_stall() {
    let site = Site::new().await;
    let (reached, gate) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let its = (Arc::clone(&reached), Arc::clone(&gate));
    let body = Streamed::new(2 * MIB as u64, move || {
        let (reached, gate) = its.clone();
        let second = async move {
            reached.notify_one();
            gate.notified().await;
            Ok(Bytes::from(pattern(MIB)))
        };
        stream::iter([Ok(Bytes::from(pattern(MIB)))]).chain(stream::once(second)).boxed()
    });
    let mut sending = std::pin::pin!(put(&site, body));
    tokio::select! {
        answer = &mut sending => panic!("{answer:?}"),
        () = reached.notified() => {}
    }
    // Less than the whole of it may take.
    tokio::select! {
        answer = &mut sending => panic!("{answer:?}"),
        () = site.clock.pass(Duration::from_secs(100)) => {}
    }
    gate.notify_one();
    sending.await.unwrap();
    assert_eq!(site.proxy.seen().len(), 1);
}
