use proptest::prelude::*;

use super::*;

#[test]
fn empty_input_gives_a_valid_file() {
    for format in formats() {
        let file = encode(format, b"");
        assert!(!file.is_empty(), "{format:?}");
        assert_eq!(decode(format, &file).unwrap(), b"", "{format:?}");
    }
}

#[test]
fn an_empty_chunk_changes_nothing() {
    for format in formats() {
        let encoder = ChunkEncoder::new(format, None).unwrap().unwrap();
        assert!(encoder.encode(b"abc", b"").unwrap().bytes.is_empty(), "{format:?}");
    }
}

#[test]
fn several_full_chunks_come_back_the_same() {
    for format in formats() {
        let size = ChunkEncoder::new(format, None).unwrap().unwrap().chunk_size();
        for len in [size - 1, size, size + 1, 2 * size + 12345] {
            let data = text(len, 7);
            assert!(decode(format, &encode(format, &data)).unwrap() == data, "{format:?} {len}");
        }
        let data = noise(size + 1);
        let file = encode(format, &data);
        assert!(file.len() < data.len() + data.len() / 1000 + 100, "{format:?}: noise grew to {}", file.len());
        assert!(decode(format, &file).unwrap() == data, "{format:?}");
    }
}

#[test]
fn every_level_works_and_others_are_refused_by_number() {
    let data = text(100_000, 3);
    for (format, highest) in [(Compression::Gzip, 9), (Compression::Zstd, 19)] {
        if !formats().contains(&format) {
            continue;
        }
        for level in 1..=highest {
            let file = encode_in(format, Some(level), &data, &[40_000]);
            assert!(decode(format, &file).unwrap() == data, "{format:?} {level}");
        }
        for level in [0, highest + 1, u32::MAX] {
            let error = ChunkEncoder::new(format, Some(level)).unwrap_err();
            assert_eq!(error.code().name, "input.invalid");
            assert!(error.message().contains(&format!("level {level} ")), "{error}");
        }
    }
    assert!(ChunkEncoder::new(Compression::None, None).unwrap().is_none());
    assert_eq!(ChunkEncoder::new(Compression::None, Some(6)).unwrap_err().code().name, "input.invalid");
}

#[cfg(not(feature = "zstd"))]
#[test]
fn without_its_feature_zstd_is_refused_and_the_text_says_how_to_get_it() {
    let encoder = ChunkEncoder::new(Compression::Zstd, None).unwrap_err();
    let decoder = Decoder::new(Compression::Zstd).unwrap_err();
    assert!(encoder.message().contains("feature `zstd`"), "{encoder}");
    assert!(decoder.message().contains("feature `zstd`"), "{decoder}");
}

#[test]
fn chunks_may_be_encoded_by_many_threads_in_any_order() {
    for format in formats() {
        let encoder = ChunkEncoder::new(format, None).unwrap().unwrap();
        let data = text(900_000, 11);
        let size = 100_000;
        let mut parts: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..9_usize)
                .rev()
                .map(|index| {
                    let (encoder, data) = (encoder.clone(), &data);
                    scope.spawn(move || {
                        let start = index * size;
                        let window = &data[start.saturating_sub(encoder.window())..start];
                        (index, encoder.encode(window, &data[start..start + size]).unwrap())
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        parts.sort_by_key(|(index, _)| *index);
        let mut file = encoder.head().to_vec();
        let mut check = ChunkCheck::default();
        for (_, part) in &parts {
            file.extend_from_slice(&part.bytes);
            check.append(&part.check);
        }
        file.extend_from_slice(&encoder.tail(&check).unwrap());
        assert!(decode(format, &file).unwrap() == data, "{format:?}");
    }
}

fn data() -> impl Strategy<Value = Vec<u8>> {
    let noise = proptest::collection::vec(any::<u8>(), 0..3000);
    let text = (0usize..200_000, any::<u64>()).prop_map(|(len, seed)| text(len, seed));
    let runs = proptest::collection::vec((any::<u8>(), 1usize..5000), 0..40)
        .prop_map(|runs| runs.into_iter().flat_map(|(byte, len)| std::iter::repeat_n(byte, len)).collect());
    prop_oneof![noise, text, runs]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_split_anywhere_comes_back_the_same(
        data in data(),
        sizes in proptest::collection::vec(1usize..80_000, 1..6),
        input in 1usize..70_000,
        limit in 1usize..70_000,
    ) {
        // Steps of a few bytes over a big stream only cost time.
        let floor = data.len() / 2000 + 1;
        let sizes: Vec<_> = sizes.into_iter().map(|size| size.max(data.len() / 200)).collect();
        for format in formats() {
            let file = encode_in(format, None, &data, &sizes);
            let back = decode_in(format, &file, input.max(floor), limit.max(floor)).unwrap();
            prop_assert!(back == data);
        }
        prop_assert!(decode_in(Compression::None, &data, input.max(floor), limit.max(floor)).unwrap() == data);
    }

    #[test]
    fn bytes_that_are_no_stream_never_panic(data in proptest::collection::vec(any::<u8>(), 0..500), limit in 1usize..100) {
        for format in formats() {
            let _ = decode_in(format, &data, 33, limit);
        }
    }
}
