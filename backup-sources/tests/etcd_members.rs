//! Which member is taken, what is known of its revision, and how the snapshot is wrapped.
#![cfg(feature = "etcd")]
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backup_core::{Certainty, Position, Source};
use backup_sources::etcd::{EtcdSource, Packaging};
use etcd_client::{AlarmAction, AlarmOptions, AlarmType, MemberAddOptions};
use rustix::process::Signal;
use support::etcd::{Server, Setup, V3_4, V3_5, V3_6, V3_7, assert_filled, fill, free_port, restore, server, tool};
use support::{RecordingSink, context};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_member_is_passed_over_and_named() {
    let (Some(program), Some(_)) = (server(V3_6), tool("etcdutl")) else { return };
    let members: Vec<_> = (0..3).map(|n| (format!("m{n}"), format!("http://127.0.0.1:{}", free_port()))).collect();
    let mut cluster: Vec<_> = (0..3)
        .map(|index| Server::spawn(&program, &Setup { fast: true, cluster: Some((&members, index)), ..Setup::default() }))
        .collect();
    for member in &mut cluster {
        member.ready().await;
    }
    let leader = cluster[1].client().await.status().await.unwrap().leader();
    let mut stopped = None;
    for (index, member) in cluster.iter().enumerate() {
        if member.client().await.status().await.unwrap().header().unwrap().member_id() != leader {
            stopped = Some(index);
        }
    }
    let stopped = stopped.unwrap();
    let running = (stopped + 1) % 3;
    cluster[stopped].signal(Signal::STOP);
    let revision = fill(&mut cluster[running].client().await, 50, 2000).await;

    let mut config = cluster[stopped].config(None);
    config.timeout = Duration::from_secs(2);
    config.endpoints = [stopped, running, (running + 1) % 3].map(|index| cluster[index].url.clone()).to_vec();
    let source = EtcdSource::new(config).unwrap();
    let sink = RecordingSink::default();
    let summary = source.capture(&context(), &sink).await.unwrap();
    assert_eq!(summary.revision, Some(backup_core::Revision::exact(revision)));
    assert_eq!(summary.warnings.len(), 1, "{:?}", summary.warnings);
    assert!(summary.warnings[0].contains(&cluster[stopped].url), "{:?}", summary.warnings);
    assert_eq!(source.probe(&context()).await.unwrap().identity, summary.identity);
    drop(cluster);

    let (_directory, data) = restore(&sink.only().1);
    let restored = Server::start(&program, &Setup { data: Some(&data), ..Setup::default() }).await;
    assert_filled(&mut restored.client().await, 50, 2000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_learner_is_passed_over() {
    let Some(program) = server(V3_6) else { return };
    let voter = Server::start(&program, &Setup { fast: true, ..Setup::default() }).await;
    let peer = format!("http://127.0.0.1:{}", free_port());
    let options = MemberAddOptions::new().with_is_learner();
    voter.client().await.member_add([&peer], Some(options)).await.unwrap();
    let members = [("default".to_owned(), voter.peer.clone()), ("learner".to_owned(), peer)];
    let learner = Server::spawn(&program, &Setup { fast: true, cluster: Some((&members, 1)), join: true, ..Setup::default() });
    // A learner serves no reads that a client would wait for, but answers a status once it has caught up.
    let mut config = voter.config(None);
    config.endpoints.insert(0, learner.url.clone());
    let source = EtcdSource::new(config).unwrap();
    let summary = loop {
        let summary = source.capture(&context(), &RecordingSink::default()).await.unwrap();
        if summary.warnings.iter().any(|warning| warning.contains("learner")) {
            break summary;
        }
        // Not up yet.
        assert!(summary.warnings[0].contains(&learner.url), "{:?}", summary.warnings);
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(summary.warnings, [format!("the member at {} is a learner and was not considered", learner.url)]);
}

/// The ranking looks for these words and this number in what a member reports; here every version is asked how it puts it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_corruption_alarm_is_reported_with_the_member_s_number() {
    for version in [V3_4, V3_5, V3_6, V3_7] {
        let Some(program) = server(version) else { return };
        let etcd = Server::start(&program, &Setup::default()).await;
        let mut client = etcd.client().await;
        let member = client.status().await.unwrap().header().unwrap().member_id();
        let mut options = AlarmOptions::new();
        options.with_member(member);
        client.alarm(AlarmAction::Activate, AlarmType::Corrupt, Some(options)).await.unwrap();
        let summary = EtcdSource::new(etcd.config(None)).unwrap().capture(&context(), &RecordingSink::default()).await.unwrap();
        let warning = &summary.warnings[0];
        assert!(warning.contains("CORRUPT") && warning.contains(&member.to_string()), "etcd {version}: {warning}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_of_two_clusters_are_refused() {
    let Some(program) = server(V3_6) else { return };
    let setup = Setup { fast: true, ..Setup::default() };
    let (one, two) = (Server::start(&program, &setup).await, Server::start(&program, &setup).await);
    let mut config = one.config(None);
    config.endpoints.push(two.url.clone());
    let error = EtcdSource::new(config).unwrap().probe(&context()).await.unwrap_err();
    assert_eq!(error.code().name, "input.invalid", "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_writer_makes_the_revision_a_lower_bound() {
    let (Some(program), Some(_)) = (server(V3_6), tool("etcdutl")) else { return };
    let etcd = Server::start(&program, &Setup { fast: true, ..Setup::default() }).await;
    fill(&mut etcd.client().await, 50, 10_000).await;
    let busy = Arc::new(AtomicBool::new(true));
    let mut writers = Vec::new();
    for n in 0..8 {
        let (mut client, busy) = (etcd.client().await, Arc::clone(&busy));
        writers.push(tokio::spawn(async move {
            while busy.load(Ordering::Relaxed) {
                client.put(format!("busy/{n}"), "x", None).await.unwrap();
            }
        }));
    }
    let sink = RecordingSink::default();
    let summary = EtcdSource::new(etcd.config(None)).unwrap().capture(&context(), &sink).await.unwrap();
    busy.store(false, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    let revision = summary.revision.unwrap();
    assert_eq!(revision.certainty, Certainty::AtLeast);
    let Position::Number(bound) = revision.position else { panic!("not a number") };

    let (_directory, data) = restore(&sink.only().1);
    let restored = Server::start(&program, &Setup { data: Some(&data), ..Setup::default() }).await;
    let captured = restored.client().await.status().await.unwrap().header().unwrap().revision();
    assert!(u64::try_from(captured).unwrap() >= bound, "{captured} is below the promised {bound}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tar_opens_with_gnu_tar_and_holds_the_snapshot() {
    for version in [V3_4, V3_6] {
        let (Some(program), Some(_)) = (server(version), tool("etcdutl")) else { return };
        let etcd = Server::start(&program, &Setup::default()).await;
        fill(&mut etcd.client().await, 120, 30_000).await;
        let mut config = etcd.config(None);
        config.packaging = Packaging::Tar;
        let source = EtcdSource::new(config).unwrap().with_name("snapshot-20261121_120000").unwrap();
        let sink = RecordingSink::default();
        let summary = source.capture(&context(), &sink).await.unwrap();
        let (name, archive) = sink.only();
        assert_eq!(name, "snapshot-20261121_120000.tar");
        assert_eq!(sink.opened()[0].1.size_hint, Some(archive.len() as u64));

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s.tar");
        std::fs::write(&path, archive).unwrap();
        let tar = |what: &str| {
            let output = Command::new("tar").arg(what).arg(&path).output().unwrap();
            assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
            output.stdout
        };
        let listing = String::from_utf8(tar("-tvf")).unwrap();
        assert_eq!(listing.lines().count(), 1, "{listing}");
        assert!(listing.starts_with("-rw-------") && listing.contains("snapshot-20261121_120000.db"), "{listing}");
        let snapshot = tar("-xOf");
        assert_eq!(summary.integrity.unwrap()["db-size"], snapshot.len() - 32);
        restore(&snapshot);
    }
}
