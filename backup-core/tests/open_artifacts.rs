//! How many artifacts a source holds open, and what is reserved for that.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod support;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use backup_core::budget::MemoryBudget;
use backup_core::{Bytes, JobContext, Probe, Result, Sink, Source, Summary, async_trait};
use support::World;

/// Writes artifacts one after the other, says that it does so, and sees what its job has reserved.
#[derive(Debug)]
struct OneByOne {
    says: usize,
    budget: MemoryBudget,
    reserved: AtomicU64,
    beside: Mutex<Option<backup_core::Error>>,
}

impl OneByOne {
    fn new(world: &World, says: usize) -> Self {
        let budget = world.repository.budget().clone();
        Self { says, budget, reserved: AtomicU64::new(0), beside: Mutex::default() }
    }
}

#[async_trait]
impl Source for OneByOne {
    fn kind(&self) -> &str {
        "one-by-one"
    }
    async fn probe(&self, _: &JobContext) -> Result<Probe> {
        Ok(Probe::default())
    }
    fn open_artifacts(&self) -> usize {
        self.says
    }
    async fn capture(&self, _: &JobContext, sink: &dyn Sink) -> Result<Summary> {
        self.reserved.store(self.budget.total() - self.budget.available(), Ordering::Relaxed);
        for number in 0..300 {
            let mut writer = sink.artifact(&format!("a{number}").parse()?, Default::default()).await?;
            writer.write(Bytes::from_static(b"content")).await?;
            if number == 0 {
                *self.beside.lock().unwrap() = sink.artifact(&"beside".parse()?, Default::default()).await.err();
            }
            writer.close().await?;
        }
        Ok(Summary::default())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_says_one_may_open_the_next_as_soon_as_one_is_closed_and_none_beside_it() {
    let world = World::new(1);
    let source = OneByOne::new(&world, 1);
    world.repository.backup(&world.cx(), &source, &world.request()).await.unwrap();
    let beside = source.beside.lock().unwrap().take().expect("a second artifact beside the first");
    assert_eq!(beside.code().name, "source.incomplete");
    assert!(beside.to_string().contains("1 artifacts open"), "{beside}");
}

#[tokio::test]
async fn a_source_that_opens_fewer_reserves_less() {
    let mut reserved = Vec::new();
    for says in [1, 2, 5] {
        let world = World::new(1);
        let source = OneByOne::new(&world, says);
        world.repository.backup(&world.cx(), &source, &world.request()).await.unwrap();
        reserved.push(source.reserved.load(Ordering::Relaxed));
    }
    let one = reserved[1] - reserved[0];
    assert!(one > 0, "{reserved:?}");
    assert_eq!(reserved[2] - reserved[1], 3 * one);
}
