//! What the original program left in the directory.

use std::time::Duration;

use axum::http::StatusCode;
use backup_core::Clock;
use backup_core::testkit::{Fault, FaultPlan, FaultRule, OpKind};

use super::world::{World, gzip};

const OLD: &str = "snapshot-20261121_170000.db.gz";
const OLDER: &str = "snapshot-20261121_160000.db.gz";

fn content() -> Vec<u8> {
    (0..100_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

async fn settled(world: &World) {
    world.clock.advance(Duration::from_secs(61));
    assert!(world.clock.now() > "2026-11-21T09:31:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap());
}

#[tokio::test]
async fn files_of_the_original_are_listed_and_served_byte_for_byte() {
    let world = World::start(14).await;
    let file = gzip(&content());
    world.store.raw_put(OLD, file.clone());
    assert!(world.names().await.is_empty(), "too young");
    assert_eq!(world.get(&format!("/api/v1/backup/{OLD}")).await.status, StatusCode::NOT_FOUND);
    settled(&world).await;
    assert_eq!(world.names().await, [OLD]);
    let answer = world.get(&format!("/api/v1/backup/{OLD}")).await;
    assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, &file[..]));
    assert_eq!(answer.header("content-type"), "application/gzip");
    assert_eq!(answer.header("last-modified"), "Sat, 21 Nov 2026 09:30:00 GMT");
    assert_eq!(world.store.raw_get(OLD).unwrap(), &file[..], "the file itself is left alone");
}

#[tokio::test]
async fn a_download_needs_no_list_before_it() {
    let world = World::start(14).await;
    world.store.raw_put(OLD, gzip(b"x"));
    settled(&world).await;
    assert_eq!(world.get(&format!("/api/v1/backup/{OLD}")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_half_written_file_is_neither_listed_nor_served_whatever_comes_first() {
    let whole = gzip(&content());
    let halves = [whole[..whole.len() / 2].to_vec(), whole[..whole.len() - 1].to_vec(), {
        let mut wrong = whole.clone();
        let place = wrong.len() - 6;
        wrong[place] ^= 1;
        wrong
    }];
    for half in halves {
        let world = World::start(14).await;
        world.store.raw_put(OLD, half.clone());
        world.store.raw_put(OLDER, whole.clone());
        settled(&world).await;
        assert_eq!(world.get(&format!("/api/v1/backup/{OLD}")).await.status, StatusCode::NOT_FOUND);

        let world = World::start(14).await;
        world.store.raw_put(OLD, half);
        world.store.raw_put(OLDER, whole.clone());
        settled(&world).await;
        assert_eq!(world.names().await, [OLDER]);
        assert_eq!(world.get(&format!("/api/v1/backup/{OLD}")).await.status, StatusCode::NOT_FOUND);
        // Known for good: another process does not read it again.
        let next = world.restart(14).await;
        let reads = next.store.count(OpKind::Read);
        assert_eq!(next.names().await, [OLDER]);
        let manifest_only = next.store.count(OpKind::Read) - reads;
        assert!(manifest_only <= 4, "{manifest_only} reads");
    }
}

#[tokio::test]
async fn files_of_the_original_are_rotated_by_their_age_and_a_broken_one_takes_no_place() {
    let world = World::start(2).await;
    world.store.raw_put(OLDER, gzip(&content()));
    world.clock.advance(Duration::from_secs(3));
    world.store.raw_put(OLD, gzip(&content()));
    world.clock.advance(Duration::from_secs(3));
    let half = gzip(&content());
    world.store.raw_put("snapshot-20261121_180000.db.gz", half[..half.len() / 2].to_vec());
    world.store.raw_put("notes.txt", &b"stays"[..]);
    settled(&world).await;
    let made = world.post().await.json()["filename"].as_str().unwrap().to_owned();
    assert_eq!(world.names().await, [made.as_str(), OLD], "ascending by name, as text");
    assert!(world.store.raw_get(OLDER).is_none() && world.store.raw_get("notes.txt").is_some());
}

#[tokio::test]
async fn an_archive_without_a_manifest_is_taken_over_too() {
    let world = World::start(14).await;
    world.store.raw_put("snapshot-20261101_000000.tar.gz", gzip(b"a tar"));
    settled(&world).await;
    assert_eq!(world.names().await, ["snapshot-20261101_000000.tar.gz"]);
    assert_eq!(world.get("/api/v1/backup/snapshot-20261101_000000.tar.gz").await.body, gzip(b"a tar"));
}

#[tokio::test]
async fn where_nothing_can_be_written_the_files_are_listed_all_the_same() {
    let world = World::start(14).await;
    world.store.raw_put(OLD, gzip(&content()));
    settled(&world).await;
    let read_only = || FaultRule::new(Fault::ErrorBefore(&backup_core::error::codes::STORE_READ_ONLY)).on([OpKind::Put]);
    world.store.set_faults(FaultPlan::seeded(1).rule(read_only()));
    assert_eq!(world.names().await, [OLD]);
    // Not read anew for every list.
    let reads = world.store.count(OpKind::Read);
    assert_eq!(world.names().await, [OLD]);
    assert_eq!(world.store.count(OpKind::Read), reads);
    world.store.verify_all_faults_exercised();
    world.store.clear_faults();
    world.clock.advance(Duration::from_secs(61));
    assert_eq!(world.names().await, [OLD]);
    assert!(world.store.count(OpKind::Read) > reads, "tried again after a while");
}

#[tokio::test]
async fn a_server_takes_over_when_it_starts() {
    let world = World::start(14).await;
    world.store.raw_put(OLD, gzip(&content()));
    settled(&world).await;
    world.dialect.take_over().await;
    assert!(world.store.keys().iter().any(|key| key.starts_with(".backup/sets/")));
}
