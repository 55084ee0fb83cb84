use proptest::prelude::*;

use super::*;

fn digest(of: u64) -> Digest {
    Digest::of(&of.to_be_bytes())
}

fn artifact(name: &str, key: &str) -> Artifact {
    let stored = Stored { size: 8000, sha256: digest(1), block_size: BLOCK_SIZE, blocks: vec![digest(1)] };
    let (name, key) = (ArtifactName::new(name).unwrap(), ObjectKey::new(key).unwrap());
    Artifact { name, key, compression: Compression::None, size: 8000, sha256: digest(1), stored }
}

fn any_artifact() -> impl Strategy<Value = Artifact> {
    let key = prop_oneof![Just("set/id/"), Just("set/other/"), Just("")];
    let ending = prop_oneof![4 => Just(""), 1 => Just(".2")];
    let stored = (0..9_000_000u64, any::<u64>(), prop_oneof![Just(BLOCK_SIZE), Just(0), Just(100_000)]);
    ("[a-zä]{1,3}(/[0-9]{1,2})?", key, ending, 0..3usize, stored, any::<Option<u64>>()).prop_map(
        |(name, base, ending, compression, (size, sha256, block_size), plain)| {
            let compression = COMPRESSIONS[compression];
            let sha256 = digest(sha256);
            let blocks = match block_size {
                0 => Vec::new(),
                _ if size <= block_size => vec![sha256],
                _ => (0..size.div_ceil(block_size)).map(digest).collect(),
            };
            let key = format!("{base}{name}{ending}{}", compression.suffix());
            let (name, key) = (ArtifactName::new(name).unwrap(), ObjectKey::new(key).unwrap());
            let stored = Stored { size, sha256, block_size, blocks };
            let (size, sha256) = plain.map_or((size, sha256), |plain| (plain, digest(plain)));
            Artifact { name, key, compression, size, sha256, stored }
        },
    )
}

proptest! {
    #[test]
    fn what_goes_in_comes_out_and_is_found(all in prop::collection::vec(any_artifact(), 0..40)) {
        let artifacts: Artifacts = all.iter().collect();
        prop_assert_eq!(artifacts.iter().collect::<Vec<_>>(), all.clone());
        prop_assert!(artifacts.names().eq(all.iter().map(|one| one.name.clone())));
        prop_assert_eq!((artifacts.len(), artifacts.is_empty()), (all.len(), all.is_empty()));
        prop_assert_eq!(artifacts.stored_size(), all.iter().map(|one| one.stored.size).fold(0, u64::saturating_add));
        prop_assert_eq!(artifacts.size(), all.iter().map(|one| one.size).fold(0, u64::saturating_add));
        prop_assert_eq!(artifacts.any_whole(), all.iter().any(|one| one.stored.is_whole()));
        for one in &all {
            let first = all.iter().position(|other| other.name == one.name);
            prop_assert_eq!(artifacts.named(one.name.as_str()), first);
            let found = artifacts.stored_at(&one.key).map(|number| artifacts.get(number).key);
            prop_assert_eq!(found.as_ref(), Some(&one.key));
        }
        let absent = ObjectKey::new("set/id/absent").unwrap();
        prop_assert_eq!((artifacts.named("absent"), artifacts.stored_at(&absent)), (None, None));
    }
}

#[test]
fn those_that_come_late_or_never_leave_the_order() {
    let mut artifacts = Artifacts::default();
    for number in [4, 2, 0, 5] {
        let name = format!("{number}");
        artifacts.insert(number, &artifact(&name, &format!("set/id/{name}")));
    }
    assert_eq!(artifacts.numbers().collect::<Vec<_>>(), [0, 2, 4, 5]);
    assert_eq!(artifacts.names().map(|name| name.to_string()).collect::<Vec<_>>(), ["0", "2", "4", "5"]);
    assert_eq!((artifacts.len(), artifacts.named("4"), artifacts.named("3")), (4, Some(4), None));
    artifacts.push(&artifact("last", "set/id/last"));
    assert_eq!(artifacts.named("last"), Some(6));
}

#[test]
fn an_object_of_a_volume_takes_less_than_100_bytes() {
    let count = 131_072;
    let name = |number: usize| format!("backup-{number:05}");
    let artifacts: Artifacts = {
        let mut artifacts = Artifacts::default();
        (0..count).for_each(|number| artifacts.push(&artifact(&name(number), &format!("volumes/prod/id/{}", name(number)))));
        artifacts
    };
    let packed: usize = artifacts.packed.chunks.iter().map(|chunk| chunk.capacity() + size_of::<Vec<u8>>()).sum();
    // One byte each for the state of a bucket.
    let tables = (artifacts.names.capacity() + artifacts.odd_keys.capacity()) * 8 / 7 * (size_of::<usize>() + 1);
    let bytes = packed + tables + artifacts.packed.places.capacity() * size_of::<usize>();
    assert!(bytes / count < 100, "{} bytes each", bytes / count);
    assert_eq!(artifacts.named(&name(77_777)), Some(77_777));
}
