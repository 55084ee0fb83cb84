//! Bodies that go on after a break.

use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use backup_core::error::codes as core_codes;
use backup_core::testkit::{VirtualClock, test_context, test_environment};
use backup_core::{Error, ErrorKind, JobContext, Result};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};

use crate::{ByteStream, CallLimits, Calls, codes};

/// How a body ends.
#[derive(Clone, Copy)]
enum End {
    Well,
    Breaks,
    Hopeless,
    Stalls,
}

fn body(bytes: &str, end: End) -> ByteStream {
    let bytes = Bytes::copy_from_slice(bytes.as_bytes());
    // Two pieces, and one without bytes, which is not an end.
    let middle = bytes.len() / 2;
    let pieces = [bytes.slice(..middle), Bytes::new(), bytes.slice(middle..)].map(Ok);
    let error = |code| stream::iter([Err(Error::new(code, "as told"))]).boxed();
    let end = match end {
        End::Well => stream::empty().boxed(),
        End::Breaks => error(&codes::ANSWER),
        End::Hopeless => error(&core_codes::STORE_DENIED),
        End::Stalls => stream::pending().boxed(),
    };
    stream::iter(pieces).chain(end).boxed()
}

struct Read {
    cx: JobContext,
    clock: Arc<VirtualClock>,
    calls: Calls,
    opened: Arc<Mutex<Vec<Range<u64>>>>,
}

impl Read {
    fn new(limits: CallLimits) -> Self {
        let (environment, clock) = test_environment(1);
        clock.auto_advance(true);
        Self { cx: test_context(&environment), clock, calls: Calls::new("s3", limits), opened: Arc::default() }
    }

    fn stream(&self, range: Range<u64>, bodies: Vec<(&'static str, End)>) -> ByteStream {
        let bodies = bodies.into_iter().map(|(bytes, end)| self.calls.limited(&self.cx, body(bytes, end)));
        let mut bodies = bodies.collect::<Vec<_>>().into_iter();
        let first = bodies.next().unwrap();
        let opened = Arc::clone(&self.opened);
        self.calls.resumed(&self.cx, "GetObject", range, first, move |left| {
            opened.lock().unwrap().push(left);
            let next = bodies.next().ok_or_else(|| Error::new(&core_codes::ARTIFACT_MISSING, "the object changed"));
            async move { next }
        })
    }

    /// What came before the end, and the end.
    async fn read(&self, range: Range<u64>, bodies: Vec<(&'static str, End)>) -> (String, Result<()>) {
        let mut stream = self.stream(range, bodies);
        let mut text = String::new();
        loop {
            match stream.try_next().await {
                Ok(Some(bytes)) => text.push_str(std::str::from_utf8(&bytes).unwrap()),
                Ok(None) => return (text, Ok(())),
                Err(error) => {
                    assert!(stream.next().await.is_none(), "an error is the last item");
                    return (text, Err(error));
                }
            }
        }
    }

    fn opened(&self) -> Vec<Range<u64>> {
        self.opened.lock().unwrap().clone()
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_stalls_or_ends_early_goes_on_where_it_was() {
    let read = Read::new(CallLimits::default());
    let bodies = vec![("ab", End::Breaks), ("", End::Breaks), ("cd", End::Well), ("ef", End::Stalls), ("gh", End::Well)];
    let (text, end) = read.read(100..108, bodies).await;
    assert_eq!(text, "abcdefgh");
    end.unwrap();
    assert_eq!(read.opened(), [102..108, 102..108, 104..108, 106..108]);
}

#[tokio::test(start_paused = true)]
async fn a_whole_body_is_opened_once_and_however_it_ends_it_is_whole() {
    for end in [End::Well, End::Breaks, End::Hopeless, End::Stalls] {
        let read = Read::new(CallLimits::default());
        let (text, result) = read.read(0..4, vec![("abcd", end)]).await;
        assert_eq!(text, "abcd");
        result.unwrap();
        assert!(read.opened().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_with_more_bytes_is_an_error_and_the_surplus_is_not_handed_out() {
    let read = Read::new(CallLimits::default());
    let (text, end) = read.read(0..3, vec![("abcdef", End::Well)]).await;
    assert_eq!(text, "abc");
    let error = end.unwrap_err();
    assert_eq!(error.code().name, "remote.answer");
    assert_eq!(
        error.to_string(),
        "s3 GetObject, after 3 of 3 bytes: the body has more bytes than were asked for [remote.answer]"
    );
    assert!(read.opened().is_empty());
}

#[tokio::test(start_paused = true)]
async fn breaks_in_a_row_end_it_with_the_last_one_and_a_byte_begins_the_row_anew() {
    let limits = CallLimits { attempts: 3, ..CallLimits::default() };
    let read = Read::new(limits.clone());
    let row =
        vec![("", End::Breaks), ("", End::Breaks), ("ab", End::Breaks), ("", End::Breaks), ("", End::Well), ("cd", End::Well)];
    let (text, end) = read.read(0..4, row).await;
    assert_eq!((text.as_str(), end.unwrap_err().code().name), ("ab", "remote.answer"));
    assert_eq!(read.opened().len(), 4, "the third break in a row was the last");

    let read = Read::new(limits);
    let row = vec![("", End::Breaks), ("", End::Breaks), ("ab", End::Breaks), ("", End::Breaks), ("cd", End::Well)];
    let (text, end) = read.read(0..4, row).await;
    end.unwrap();
    assert_eq!(text, "abcd");
}

#[tokio::test(start_paused = true)]
async fn an_error_of_opening_ends_it_and_so_does_one_that_trying_again_does_not_help() {
    let read = Read::new(CallLimits::default());
    let (text, end) = read.read(0..4, vec![("ab", End::Breaks)]).await;
    assert_eq!((text.as_str(), end.unwrap_err().code().name), ("ab", "artifact.missing"));

    let read = Read::new(CallLimits::default());
    let (text, end) = read.read(0..4, vec![("ab", End::Hopeless), ("cd", End::Well)]).await;
    assert_eq!((text.as_str(), end.unwrap_err().kind()), ("ab", ErrorKind::PermissionDenied));
    assert!(read.opened().is_empty());
}

#[tokio::test(start_paused = true)]
async fn between_a_break_and_the_next_body_there_is_a_pause_and_a_deadline_before_its_end_gives_the_break() {
    let read = Read::new(CallLimits::default());
    let before = backup_core::Clock::monotonic(&*read.clock);
    read.read(0..4, vec![("ab", End::Breaks), ("cd", End::Well)]).await.1.unwrap();
    let pause = backup_core::Clock::monotonic(&*read.clock) - before;
    assert!(pause >= Duration::from_millis(100) && pause <= Duration::from_millis(200), "{pause:?}");

    let mut read = Read::new(CallLimits::default());
    read.cx = read.cx.with_limit(Duration::from_millis(50));
    let (_, end) = read.read(0..4, vec![("ab", End::Breaks), ("cd", End::Well)]).await;
    let error = end.unwrap_err();
    assert_eq!(error.code().name, "remote.answer", "{error}");
    assert!(read.opened().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_bytes_of_a_body_count_for_the_bandwidth() {
    let read = Read::new(CallLimits { bytes_per_second: Some(2), ..CallLimits::default() });
    let (text, end) = read.read(0..12, vec![("abcdef", End::Well), ("ghijkl", End::Well)]).await;
    end.unwrap();
    assert_eq!(text, "abcdefghijkl");
    // Four pieces, of which the last one need not have had its time; and a pause between the bodies.
    let passed = backup_core::Clock::monotonic(&*read.clock);
    assert!(passed >= Duration::from_millis(4500) && passed <= Duration::from_millis(5000), "{passed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_cancel_ends_it_in_the_body_and_in_the_pause() {
    let read = Read::new(CallLimits::default());
    read.clock.auto_advance(false);
    let mut stream = read.stream(0..4, vec![("ab", End::Stalls), ("cd", End::Well)]);
    assert_eq!(stream.try_next().await.unwrap().unwrap(), "a");
    assert_eq!(stream.try_next().await.unwrap().unwrap(), "b");
    let waiting = tokio::spawn(async move { stream.try_next().await });
    read.clock.wait_for_sleepers(1).await;
    read.cx.cancel_token().cancel();
    assert_eq!(waiting.await.unwrap().unwrap_err().kind(), ErrorKind::Cancelled);

    let read = Read::new(CallLimits::default());
    read.clock.auto_advance(false);
    let mut stream = read.stream(0..4, vec![("", End::Breaks), ("abcd", End::Well)]);
    let waiting = tokio::spawn(async move { stream.try_next().await });
    read.clock.wait_for_sleepers(1).await;
    read.cx.cancel_token().cancel();
    assert_eq!(waiting.await.unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(read.opened().is_empty());
}
