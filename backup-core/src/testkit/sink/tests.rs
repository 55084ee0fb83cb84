use super::*;
use crate::testkit::{test_context, test_environment};

fn name(text: &str) -> ArtifactName {
    ArtifactName::new(text).unwrap()
}

async fn open(sink: &RecordingSink, text: &str) -> Box<dyn ArtifactWriter> {
    sink.artifact(&name(text), ArtifactOptions::default()).await.unwrap()
}

#[tokio::test]
async fn names_are_unique_until_discarded_and_only_closed_artifacts_count() {
    let sink = RecordingSink::new();
    let mut first = open(&sink, "a").await;
    first.write(Bytes::from("lost")).await.unwrap();
    let taken = sink.artifact(&name("a"), ArtifactOptions::default()).await;
    assert_eq!(taken.map(drop).unwrap_err().code(), &codes::ARTIFACT_NAME_TAKEN);
    assert_eq!(sink.open_artifacts(), [name("a")]);
    drop(first);
    let mut second = open(&sink, "a").await;
    second.write(Bytes::from("kept")).await.unwrap();
    assert_eq!(second.digest().await.unwrap(), Digest::of(b"kept"));
    let receipt = second.close().await.unwrap();
    assert_eq!((receipt.size, receipt.sha256), (4, Digest::of(b"kept")));
    let artifacts = sink.artifacts();
    assert_eq!((artifacts.len(), &artifacts[0].bytes[..]), (1, &b"kept"[..]));
    assert!(sink.open_artifacts().is_empty());
}

#[tokio::test]
async fn an_injected_failure_latches_its_writer() {
    let sink = RecordingSink::new();
    sink.fail_write(2, &codes::STORE_NO_SPACE);
    let mut writer = open(&sink, "a").await;
    writer.write(Bytes::from("x")).await.unwrap();
    assert_eq!(writer.write(Bytes::from("x")).await.unwrap_err().code(), &codes::STORE_NO_SPACE);
    assert_eq!(writer.write(Bytes::from("x")).await.unwrap_err().code(), &codes::STORE_WRITER_FAILED);
    assert_eq!(writer.close().await.unwrap_err().code(), &codes::STORE_WRITER_FAILED);
    assert!(sink.artifacts().is_empty() && sink.open_artifacts().is_empty());
}

#[tokio::test]
async fn a_cancel_strikes_after_so_many_bytes() {
    let (environment, _) = test_environment(1);
    let cx = test_context(&environment);
    let sink = RecordingSink::new();
    sink.cancel_after(3, &cx);
    let mut writer = open(&sink, "a").await;
    writer.write(Bytes::from("ab")).await.unwrap();
    assert!(cx.check().is_ok());
    writer.write(Bytes::from("cd")).await.unwrap();
    assert_eq!(writer.write(Bytes::from("e")).await.unwrap_err().code(), &codes::JOB_CANCELLED);
}
