//! A capture needs as much memory for much data as for little. One test alone, because it looks at the whole process.
#![cfg(all(feature = "etcd", feature = "script", target_os = "linux"))]
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use backup_core::Source;
use backup_sources::etcd::{EtcdSource, Packaging};
use backup_sources::script::{ScriptConfig, ScriptSource};
use support::etcd::{Server, Setup, V3_6, fill, server};
use support::memory::Memory;
use support::{RecordingSink, context};

const DATA: u64 = 96 << 20;
const LIMIT: u64 = 16 << 20;

async fn assert_bounded(source: &dyn Source) {
    let before = Memory::mark();
    let sink = RecordingSink::forgetful();
    source.capture(&context(), &sink).await.unwrap();
    let more = before.peak();
    assert!(sink.written() >= DATA, "only {} bytes came", sink.written());
    assert!(more < LIMIT, "{source:?} took {more} bytes more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_does_not_grow_with_the_data() {
    let script = ScriptConfig::new(["head".to_owned(), "-c".to_owned(), DATA.to_string(), "/dev/zero".to_owned()]);
    assert_bounded(&ScriptSource::new(script).unwrap()).await;
    let Some(program) = server(V3_6) else { return };
    let etcd = Server::start(&program, &Setup { fast: true, ..Setup::default() }).await;
    fill(&mut etcd.client().await, (DATA >> 20) as usize, 1 << 20).await;
    for packaging in [Packaging::Raw, Packaging::Tar] {
        let mut config = etcd.config(None);
        config.packaging = packaging;
        assert_bounded(&EtcdSource::new(config).unwrap()).await;
    }
}
