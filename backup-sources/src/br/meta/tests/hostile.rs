//! Damage and malice end in an error that says where, never in a panic, an endless walk or a file of memory.

use std::collections::BTreeMap;

use backup_core::Digest;
use backup_core::error::codes as core;
use proptest::prelude::*;

use super::encoder::{Laid, encode, quoted, tools};
use super::{parse, read};
use crate::br::codes;

/// A field with bytes, by hand.
fn entry(number: u64, bytes: &[u8]) -> Vec<u8> {
    [varint(number << 3 | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// `end_version: 5`.
const END: [u8; 2] = [0x30, 5];

#[tokio::test]
async fn a_file_that_is_cut_off_anywhere_is_never_taken_for_the_whole() {
    if !tools() {
        return;
    }
    let laid = Laid::default().v1("");
    let whole = read(&laid.files, None, 4096).await.unwrap();
    let bytes = &laid.files["backupmeta"];
    let mut accepted = 0;
    for len in 0..bytes.len() {
        let mut cut = laid.files.clone();
        cut.insert("backupmeta".into(), bytes[..len].to_vec());
        match read(&cut, None, 100).await {
            Ok(found) => {
                assert_ne!(found, whole, "cut off after {len} bytes");
                accepted += 1;
            }
            Err(error) => {
                assert_eq!(*error.code(), codes::META_DAMAGED, "{error}");
                assert!(error.message().contains("at byte "), "{error}");
            }
        }
    }
    // Between the fields after the position a shorter file is a whole message; there are 14 of them.
    assert!(accepted <= 14, "{accepted} shorter files were accepted");
}

#[tokio::test]
async fn a_flipped_bit_never_panics_and_is_found_wherever_there_is_a_digest() {
    if !tools() {
        return;
    }
    let laid = Laid::default().v2("");
    for (name, bytes) in laid.files.iter().filter(|(name, _)| name.starts_with("backupmeta")) {
        for (at, bit) in (0..bytes.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut flipped = laid.files.clone();
            flipped.get_mut(name).unwrap()[at] ^= 1 << bit;
            let answer = read(&flipped, None, 1 << 20).await;
            assert!(answer.is_err() || name == "backupmeta", "bit {bit} of byte {at} of {name}");
        }
    }
}

#[tokio::test]
async fn hostile_numbers_are_refused_with_their_place() {
    let long = [&END[..], &varint(4 << 3 | 2), &varint(u64::MAX - 3)].concat();
    let too_long = [&END[..], &varint(4 << 3 | 2), &varint((64 << 20) + 1)].concat();
    let skipped = [&END[..], &varint(99 << 3 | 2), &varint(1 << 40), b"x"].concat();
    let inner = [&END[..], &entry(7, &[(1 << 3) | 2, 50, 0])].concat();
    for (bytes, what) in [
        (vec![], "position"),
        (long, "bytes"),
        (too_long, "refused"),
        (skipped, "cut off"),
        (inner, "its message ends"),
        ([&END[..], &entry(7, &[3 << 3, 0x80])].concat(), "beyond the end"),
        (vec![0x30, 0x80], "cut off"),
        (vec![0x30, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], "64 bits"),
        (vec![0x30, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x81, 0], "64 bits"),
        (vec![0, 1], "no key"),
        (varint(1 << 33), "no key"),
        (vec![0x33], "wire type 3"),
        (vec![0x34], "wire type 4"),
        (vec![0x36], "wire type 6"),
        (vec![0x32, 1, 1], "not of its type"),
        ([&END[..], &entry(2, &[0xff])].concat(), "no text"),
        ([&END[..], &entry(4, &[8])].concat(), "entry of field 4"),
        ([&END[..], &entry(4, &entry(1, b"a"))].concat(), "SHA-256"),
        ([&END[..], &entry(4, &[entry(1, b"../a"), entry(2, &[7; 32])].concat())].concat(), "cannot be"),
        ([&END[..], &entry(4, &entry(2, &[7; 32]))].concat(), "cannot be"),
    ] {
        for piece in [1, 1000] {
            let error = parse(&bytes, piece).await.unwrap_err();
            assert_eq!(*error.code(), codes::META_DAMAGED, "{error}");
            assert!(error.message().contains("at byte ") && error.message().contains(what), "{what}: {error}");
            assert_eq!(error.effect(), backup_core::error::Effect::None);
        }
    }
    let later = parse(&[&END[..], &[0x60, 2]].concat(), 10).await.unwrap_err();
    assert_eq!(*later.code(), core::RECORD_UNSUPPORTED, "{later}");
}

#[tokio::test]
async fn deep_nesting_does_not_recurse() {
    let mut nested = Vec::new();
    for _ in 0..10_000 {
        nested = entry(13, &nested);
    }
    // Where a field of the same number is unknown, and where it is a table of a table.
    parse(&[&END[..], &nested].concat(), 50).await.unwrap();
    let file = entry(1, &entry(13, &nested));
    parse(&[&END[..], &entry(13, &file)].concat(), 50).await.unwrap_err();
}

#[tokio::test]
async fn a_tree_that_is_deep_or_goes_in_circles_ends() {
    if !tools() {
        return;
    }
    let mut laid = Laid::default();
    let file = laid.sst(1);
    let mut next = laid.index("leaf.0", &format!("data_files {{ {file} }}"));
    for depth in 1..20 {
        let deep = laid.clone().finish(&format!("end_version: 5 version: 1 file_index {{ meta_files {{ {next} }} }}"));
        let answer = read(&deep.files, None, 1000).await;
        assert_eq!(answer.is_ok(), depth <= 16, "a tree of depth {depth}: {answer:?}");
        next = laid.index(&format!("leaf.{depth}"), &format!("meta_files {{ {next} }}"));
    }
    for twice in [
        format!("file_index {{ meta_files {{ {next} }} meta_files {{ {next} }} }}"),
        format!("file_index {{ meta_files {{ name: \"backupmeta\" sha256: \"{}\" }} }}", quoted(&[1; 32])),
    ] {
        let circle = laid.clone().finish(&format!("end_version: 5 {twice}"));
        let error = read(&circle.files, None, 1000).await.unwrap_err();
        assert!(error.message().contains("named twice"), "{error}");
    }
}

#[tokio::test]
async fn a_file_of_metadata_that_is_missing_or_another_is_told() {
    if !tools() {
        return;
    }
    let laid = Laid::default().v2("");
    for name in laid.files.keys().filter(|name| name.starts_with("backupmeta")) {
        let mut less = laid.files.clone();
        less.remove(name);
        let error = read(&less, None, 1000).await.unwrap_err();
        assert_eq!(*error.code(), codes::NOT_WHOLE, "{error}");
        assert!(error.to_string().contains(name.as_str()), "{error}");
    }
    let mut other = laid.files.clone();
    other.insert("backupmeta.ddl.000000004".into(), encode("MetaFile", "ddls: \"[]\""));
    let error = read(&other, None, 1000).await.unwrap_err();
    assert_eq!(*error.code(), codes::META_DAMAGED, "{error}");
    assert!(error.message().contains(&Digest::of(&other["backupmeta.ddl.000000004"]).to_string()), "{error}");
}

/// Messages that are almost good: known fields, their types mostly right.
fn almost() -> impl Strategy<Value = Vec<u8>> {
    let number = prop_oneof![1_u64..27, Just(900_u64)];
    let leaf = prop_oneof![
        (number.clone(), any::<u64>()).prop_map(|(number, value)| [varint(number << 3), varint(value)].concat()),
        (number.clone(), proptest::collection::vec(any::<u8>(), 0..40)).prop_map(|(number, bytes)| entry(number, &bytes)),
    ];
    leaf.prop_recursive(4, 64, 6, move |inner| {
        (number.clone(), proptest::collection::vec(inner, 0..6)).prop_map(|(number, inner)| entry(number, &inner.concat()))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn whatever_comes_is_read_or_refused_alike_in_any_pieces(
        bytes in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..300),
            proptest::collection::vec(almost(), 0..8).prop_map(|fields| fields.concat()),
        ],
        piece in 1_usize..40,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let files = BTreeMap::from([("backupmeta".to_owned(), [&bytes[..], &END].concat())]);
        let (whole, pieces) = runtime.block_on(async { (read(&files, None, 1 << 20).await, read(&files, None, piece).await) });
        match (whole, pieces) {
            (Ok(whole), Ok(pieces)) => prop_assert_eq!(whole, pieces),
            (Err(whole), Err(pieces)) => prop_assert_eq!(whole.code().name, pieces.code().name),
            (whole, pieces) => prop_assert!(false, "{:?} in one piece, {:?} in pieces of {}", whole, pieces, piece),
        }
    }
}
