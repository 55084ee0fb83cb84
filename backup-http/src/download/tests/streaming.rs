use std::time::Duration;

use axum::body::Body;
use backup_core::source::ArtifactStream;
use backup_core::{Error, error::codes};
use http_body::Body as _;
use tokio::sync::mpsc;

use super::*;

fn corrupt() -> Error {
    Error::new(&codes::ARTIFACT_CORRUPT, "block 3 is damaged")
}

/// Pieces by hand: a stream that gives what the sender sends.
fn by_hand() -> (mpsc::Sender<Result<Bytes>>, ArtifactStream) {
    let (sender, receiver) = mpsc::channel(1);
    (sender, stream::unfold(receiver, |mut receiver| async { receiver.recv().await.map(|piece| (piece, receiver)) }).boxed())
}

async fn respond(stream: ArtifactStream) -> Result<Body> {
    Ok(download().respond(&Method::GET, &HeaderMap::new(), async |_| Ok(stream)).await?.into_body())
}

async fn pieces(pieces: Vec<Result<Bytes>>) -> Result<Body> {
    respond(stream::iter(pieces).boxed()).await
}

fn part(range: Range<usize>) -> Result<Bytes> {
    Ok(Bytes::from_static(&CONTENT[range]))
}

#[tokio::test]
async fn a_failure_at_the_first_piece_is_an_error_before_any_answer() {
    assert_eq!(pieces(vec![Err(corrupt())]).await.unwrap_err().code().name, "artifact.corrupt");
    assert_eq!(pieces(vec![]).await.unwrap_err().code().name, "http.stream_length");
}

#[tokio::test]
async fn a_failure_in_the_middle_cuts_the_body() {
    let mut body = pieces(vec![part(0..7), Err(corrupt()), part(7..20)]).await.unwrap();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), &CONTENT[..7]);
    assert!(body.frame().await.unwrap().is_err());
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn the_last_bytes_leave_only_when_the_stream_ended_well() {
    let (sender, stream) = by_hand();
    sender.send(part(0..20)).await.unwrap();
    let mut body = respond(stream).await.unwrap();
    assert!(futures::poll!(Box::pin(body.frame())).is_pending(), "all bytes are there, but not their last check");
    sender.send(Err(corrupt())).await.unwrap();
    assert!(body.frame().await.unwrap().is_err());
}

#[tokio::test]
async fn a_stream_of_another_length_is_never_completed() {
    for wrong in [vec![part(0..20), part(0..1)], vec![part(0..19)], vec![part(0..19), part(0..19)]] {
        let body = pieces(wrong).await.unwrap();
        assert!(body.collect().await.is_err());
    }
}

#[tokio::test]
async fn pieces_leave_as_they_come() {
    let (sender, stream) = by_hand();
    sender.send(part(0..7)).await.unwrap();
    let mut body = respond(stream).await.unwrap();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap().len(), 7);
    assert_eq!(body.size_hint().exact(), Some(13));
    sender.send(part(7..20)).await.unwrap();
    drop(sender);
    assert_eq!(body.collect().await.unwrap().to_bytes(), &CONTENT[7..]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_loses_the_stream_and_its_memory() {
    let alive = Alive::default();
    let token = alive.token();
    let stream = stream::unfold(token, |token| async { Some((part(0..7), token)) }).boxed();
    let download = download().stall_limit(Duration::from_secs(5));
    let answer = download.respond(&Method::GET, &HeaderMap::new(), async |_| Ok(stream)).await.unwrap();
    let mut body = answer.into_body();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(body.frame().await.unwrap().is_ok());
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(alive.count(), 1, "it took something within the limit");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(alive.count(), 0);
    assert!(body.frame().await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_slow_store_is_not_taken_for_a_slow_client() {
    let (sender, stream) = by_hand();
    sender.send(part(0..7)).await.unwrap();
    let body = respond(stream).await.unwrap();
    let feeder = tokio::spawn(async move {
        tokio::time::sleep(super::super::DEFAULT_STALL * 10).await;
        sender.send(part(7..20)).await.unwrap();
    });
    assert_eq!(body.collect().await.unwrap().to_bytes(), CONTENT);
    feeder.await.unwrap();
}

#[tokio::test]
async fn a_dropped_body_drops_the_stream() {
    let alive = Alive::default();
    let stream = stream::unfold(alive.token(), |token| async { Some((part(0..7), token)) }).boxed();
    let body = respond(stream).await.unwrap();
    assert_eq!(alive.count(), 1);
    drop(body);
    assert_eq!(alive.count(), 0);
}

#[tokio::test]
async fn big_pieces_leave_in_frames_of_64_kib() {
    let content = Bytes::from(vec![7; 200_000]);
    let given = content.clone();
    let download = Download::new(200_000, &Digest::of(&content));
    let answer =
        download.respond(&Method::GET, &HeaderMap::new(), async |_| Ok(stream::iter([Ok(given)]).boxed())).await.unwrap();
    let mut body = answer.into_body();
    let mut total = 0;
    while let Some(frame) = body.frame().await {
        let length = frame.unwrap().into_data().unwrap().len();
        assert!(length <= 65_536);
        total += length;
    }
    assert_eq!(total, 200_000);
}
