use super::*;

fn code(result: Result<Vec<u8>>) -> &'static str {
    result.expect_err("a damaged stream was accepted").code().name
}

#[test]
fn a_stream_cut_at_any_byte_is_an_error() {
    for format in formats() {
        let file = encode_in(format, None, &text(3000, 5), &[1000]);
        for len in 0..file.len() {
            // The border of two frames is an end like any other in the format itself; the digest of the artifact finds that.
            if format == Compression::Zstd && is_frame_border(&file, len) {
                continue;
            }
            assert_eq!(code(decode(format, &file[..len])), "artifact.corrupt", "{format:?} cut at {len}");
            assert_eq!(code(decode_in(format, &file[..len], 1, 7)), "artifact.corrupt", "{format:?} cut at {len}");
        }
        assert!(decode_in(format, &file, 1, 7).is_ok());
    }
}

fn is_frame_border(file: &[u8], len: usize) -> bool {
    len > 0 && file[len..].starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
}

#[test]
fn flipped_bits_never_panic_and_never_pass_for_the_data() {
    for format in formats() {
        let data = text(2000, 9);
        let file = encode_in(format, None, &data, &[700]);
        let mut found = 0;
        for bit in 0..file.len() * 8 {
            let mut damaged = file.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            match decode_in(format, &damaged, 100, 64) {
                Err(error) => {
                    assert_eq!(error.code().name, "artifact.corrupt", "{error}");
                    found += 1;
                }
                // Bits of the gzip header that mean nothing for the data: time, effort, system.
                Ok(back) => assert!(back == data, "{format:?}: bit {bit} changed the data unnoticed"),
            }
        }
        assert!(found > file.len() * 7, "{format:?}: only {found} of {} flips were found", file.len() * 8);
    }
}

#[test]
fn several_gzip_members_and_trailing_zeros_are_read() {
    let mut file = encode(Compression::Gzip, b"one ");
    file.extend(encode(Compression::Gzip, b""));
    file.extend(encode(Compression::Gzip, b"two"));
    assert_eq!(decode(Compression::Gzip, &file).unwrap(), b"one two");
    file.extend([0; 1000]);
    assert_eq!(decode(Compression::Gzip, &file).unwrap(), b"one two");
    assert_eq!(decode_in(Compression::Gzip, &file, 1, 1).unwrap(), b"one two");
}

#[test]
fn what_follows_a_stream_is_an_error() {
    for format in formats() {
        for garbage in [&b"x"[..], b"tail", &[0, 0, 1], &[0x1f], &[0x28, 0xb5]] {
            let mut file = encode(format, b"data");
            file.extend_from_slice(garbage);
            assert_eq!(code(decode(format, &file)), "artifact.corrupt", "{format:?} {garbage:?}");
            assert_eq!(code(decode_in(format, &file, 1, 1)), "artifact.corrupt", "{format:?} {garbage:?}");
        }
    }
    let mut padded = encode(Compression::Gzip, b"data");
    padded.extend([0, 0]);
    padded.extend(encode(Compression::Gzip, b"data"));
    assert_eq!(code(decode(Compression::Gzip, &padded)), "artifact.corrupt");
}

#[test]
fn after_an_error_no_step_succeeds() {
    for format in formats() {
        let mut decoder = Decoder::new(format).unwrap();
        let mut out = Vec::new();
        assert!(decoder.step(b"no such format", &mut out, 10).is_err());
        assert!(decoder.step(&encode(format, b"data"), &mut out, 10).is_err());
        assert!(decoder.finish().is_err());
        assert!(Decoder::new(format).unwrap().step(b"x", &mut out, 0).is_err(), "a limit of 0 cannot make progress");
    }
}

#[test]
fn a_bomb_gives_no_more_than_the_limit_in_a_step() {
    for format in formats() {
        let zeros = vec![0; 4 << 20];
        let file = encode(format, &zeros);
        assert!(file.len() < zeros.len() / 100, "{format:?}: {} bytes are no bomb", file.len());
        // The helper asserts the limit of each step.
        assert_eq!(decode_in(format, &file, file.len(), 1000).unwrap().len(), zeros.len());
        // A buffer with more room than the limit does not lift it.
        let mut roomy = Vec::with_capacity(1 << 20);
        roomy.extend_from_slice(b"kept");
        let mut decoder = Decoder::new(format).unwrap();
        decoder.step(&file, &mut roomy, 10).unwrap();
        assert_eq!(roomy, b"kept\0\0\0\0\0\0\0\0\0\0", "{format:?}");
    }
}

#[cfg(feature = "zstd")]
#[test]
fn skippable_frames_are_skipped() {
    let mut file = vec![0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
    file.extend(encode(Compression::Zstd, b"data"));
    file.extend([0x5f, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]);
    file.extend(encode(Compression::Zstd, b" more"));
    assert_eq!(decode(Compression::Zstd, &file).unwrap(), b"data more");
    assert_eq!(decode_in(Compression::Zstd, &file, 1, 1).unwrap(), b"data more");
}

#[cfg(feature = "zstd")]
#[test]
fn a_window_over_128_mib_is_refused() {
    let frame = |window_log: u8| {
        // Magic, descriptor without size and checksum, window descriptor, one empty last block.
        [&[0x28, 0xb5, 0x2f, 0xfd, 0, (window_log - 10) << 3][..], &[1, 0, 0]].concat()
    };
    assert_eq!(decode(Compression::Zstd, &frame(27)).unwrap(), b"");
    assert_eq!(code(decode(Compression::Zstd, &frame(28))), "artifact.corrupt");
}
