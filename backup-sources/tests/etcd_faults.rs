//! What goes wrong while an etcd is captured: nothing may be published, and the error has to name it.
#![cfg(feature = "etcd")]
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::time::Duration;

use backup_core::{Error, ErrorKind, JobContext, Result, Source, Summary};
use backup_remote::testkit::{ConnectionFault, Ending, FaultyProxy, Harm, Which};
use backup_sources::etcd::{EtcdConfig, EtcdSource, Packaging};
use rustix::process::Signal;
use support::etcd::{Server, Setup, V3_6, fill, server, tool};
use support::{RecordingSink, context};
use tokio::task::JoinHandle;

/// A member with about 24 MiB, more than all buffers between it and us hold.
async fn filled() -> Option<Server> {
    let program = server(V3_6)?;
    let etcd = Server::start(&program, &Setup { fast: true, ..Setup::default() }).await;
    fill(&mut etcd.client().await, 24, 1 << 20).await;
    Some(etcd)
}

/// Starts a capture into a store that stops taking bytes half-way, and waits until it got there.
async fn captured_half(config: EtcdConfig, cx: &JobContext) -> (RecordingSink, JoinHandle<Result<Summary>>) {
    let sink = RecordingSink::gated_at(4 << 20);
    let job = tokio::spawn({
        let (sink, cx) = (sink.clone(), cx.clone());
        async move { EtcdSource::new(config).unwrap().capture(&cx, &sink).await }
    });
    sink.wrote(3 << 20).await;
    (sink, job)
}

async fn failure(config: EtcdConfig) -> Error {
    let sink = RecordingSink::default();
    let error = EtcdSource::new(config).unwrap().capture(&context(), &sink).await.unwrap_err();
    sink.assert_nothing_closed();
    error
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_hangs_in_mid_snapshot_is_given_up_after_the_stall_timeout() {
    let Some(etcd) = filled().await else { return };
    let mut config = etcd.config(None);
    config.stall_timeout = Duration::from_millis(700);
    let (sink, job) = captured_half(config, &context()).await;
    etcd.signal(Signal::STOP);
    sink.open_gate();
    let error = job.await.unwrap().unwrap_err();
    assert_eq!(error.code().name, "job.stalled", "{error}");
    assert!(error.to_string().contains(&etcd.url), "{error}");
    sink.assert_nothing_closed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_store_is_no_stall() {
    let Some(etcd) = filled().await else { return };
    let mut config = etcd.config(None);
    config.stall_timeout = Duration::from_millis(200);
    let (sink, job) = captured_half(config, &context()).await;
    // Not a wait for something to happen: the store is slower than the stall timeout.
    tokio::time::sleep(Duration::from_millis(600)).await;
    sink.open_gate();
    job.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_killed_in_mid_snapshot_publishes_nothing() {
    let Some(etcd) = filled().await else { return };
    let (sink, job) = captured_half(etcd.config(None), &context()).await;
    etcd.signal(Signal::KILL);
    sink.open_gate();
    let error = job.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    sink.assert_nothing_closed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_in_mid_snapshot_publishes_nothing() {
    let Some(etcd) = filled().await else { return };
    let cx = context();
    let (sink, job) = captured_half(etcd.config(None), &cx).await;
    cx.cancel_token().cancel();
    assert_eq!(job.await.unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
    sink.assert_nothing_closed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_store_is_its_own_error() {
    let Some(etcd) = filled().await else { return };
    let sink = RecordingSink::failing_at(5 << 20);
    let error = EtcdSource::new(etcd.config(None)).unwrap().capture(&context(), &sink).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSpace);
    sink.assert_nothing_closed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bit_flipped_on_the_network_is_found_by_the_trailer() {
    let Some(etcd) = filled().await else { return };
    etcd.client().await.put("marker", "flip a bit of this marker", None).await.unwrap();
    for packaging in [Packaging::Raw, Packaging::Tar] {
        let proxy = FaultyProxy::tcp(&etcd.url).await;
        let harm = Harm::Flip(b"flip a bit of this marker".to_vec());
        let rule = proxy.connections(Which::all(), ConnectionFault::ToClient(harm));
        let mut config = etcd.config(None);
        config.endpoints = vec![proxy.url()];
        config.packaging = packaging;
        let error = failure(config).await;
        assert!(rule.hits() > 0, "the marker did not pass in one piece");
        assert_eq!(error.code().name, "etcd.snapshot_damaged", "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_cut_on_the_network_publishes_nothing() {
    let Some(etcd) = filled().await else { return };
    for cut in [100_000, 10 << 20] {
        let proxy = FaultyProxy::tcp(&etcd.url).await;
        let harm = Harm::Cut { after: cut, ending: Ending::Close };
        let rule = proxy.connections(Which::all(), ConnectionFault::ToClient(harm));
        let mut config = etcd.config(None);
        config.endpoints = vec![proxy.url()];
        let error = failure(config).await;
        assert_eq!(error.code().name, "etcd.unreachable", "{error}");
        assert!(rule.hits() > 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_there_is_said_with_the_endpoint() {
    let error = failure(EtcdConfig::new([format!("http://127.0.0.1:{}", support::etcd::free_port())])).await;
    assert_eq!(error.code().name, "etcd.unreachable");
    assert!(error.to_string().contains("127.0.0.1") && error.to_string().contains("refused"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compaction_in_mid_snapshot_does_no_harm() {
    let (Some(etcd), Some(_)) = (filled().await, tool("etcdutl")) else { return };
    let mut client = etcd.client().await;
    let (sink, job) = captured_half(etcd.config(None), &context()).await;
    let revision = client.status().await.unwrap().header().unwrap().revision();
    client.delete("key/000000", None).await.unwrap();
    client.compact(revision, None).await.unwrap();
    sink.open_gate();
    let summary = job.await.unwrap().unwrap();
    assert_eq!(summary.revision, Some(backup_core::Revision::exact(u64::try_from(revision).unwrap())));
    let (_directory, data) = support::etcd::restore(&sink.only().1);
    let program = server(V3_6).unwrap();
    let restored = Server::start(&program, &Setup { data: Some(&data), ..Setup::default() }).await;
    support::etcd::assert_filled(&mut restored.client().await, 24, 1 << 20).await;
}
