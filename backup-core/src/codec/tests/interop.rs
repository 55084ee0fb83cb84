//! The field's own tools read what we write, and we read what they write.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use super::*;

/// Runs a tool as a filter. `None`, with a line that says so, when the machine does not have it.
fn filter(tool: &str, arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let child = Command::new(tool).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        eprintln!("SKIPPED: {tool} is not installed");
        return None;
    };
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).unwrap());
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "{tool} {arguments:?} failed: {}", output.status);
    Some(output.stdout)
}

fn samples() -> [Vec<u8>; 4] {
    [Vec::new(), b"x".to_vec(), text(1_300_000, 1), noise(700_000)]
}

#[test]
fn gunzip_reads_it() {
    for data in samples() {
        let Some(back) = filter("gunzip", &["-c"], &encode(Compression::Gzip, &data)) else { return };
        assert!(back == data, "{} bytes", data.len());
    }
}

#[test]
fn python_reads_it() {
    const PROGRAM: &str = "import gzip,sys; sys.stdout.buffer.write(gzip.decompress(sys.stdin.buffer.read()))";
    for data in samples() {
        let Some(back) = filter("python3", &["-c", PROGRAM], &encode(Compression::Gzip, &data)) else { return };
        assert!(back == data, "{} bytes", data.len());
    }
}

#[test]
fn a_reader_of_one_gzip_member_reads_all_of_it() {
    for data in samples() {
        let file = encode(Compression::Gzip, &data);
        let mut reader = flate2::bufread::GzDecoder::new(&file[..]);
        let mut back = Vec::new();
        reader.read_to_end(&mut back).unwrap();
        assert!(back == data, "{} bytes", data.len());
        assert_eq!(reader.header().unwrap().mtime(), 0);
        assert!(reader.into_inner().is_empty(), "bytes are left behind the member");
    }
}

#[test]
fn what_gzip_and_pigz_write_is_read() {
    for data in samples() {
        for (tool, arguments) in [("gzip", &["-c9"][..]), ("pigz", &["-c", "-b", "128", "-p", "2"]), ("pigz", &["-ci"])] {
            let Some(file) = filter(tool, arguments, &data) else { continue };
            assert!(decode(Compression::Gzip, &file).unwrap() == data, "{tool} {} bytes", data.len());
        }
    }
}

#[test]
fn gzip_output_is_at_most_2_percent_larger_than_that_of_pigz() {
    let data = text(6_000_000, 21);
    let Some(theirs) = filter("pigz", &["-6", "-c"], &data) else { return };
    let ours = encode(Compression::Gzip, &data);
    assert!(ours.len() * 100 <= theirs.len() * 102, "{} bytes, pigz has {}", ours.len(), theirs.len());
}

#[test]
fn small_gzip_chunks_find_matches_in_the_chunk_before() {
    // Noise repeats itself only over the border of the chunks.
    let data = noise(20_000).repeat(10);
    let file = encode_in(Compression::Gzip, None, &data, &[20_000]);
    assert!(file.len() < 25_000, "{} bytes", file.len());
    assert_eq!(filter("gunzip", &["-c"], &file).unwrap_or_else(|| data.clone()), data);
}

#[cfg(feature = "zstd")]
#[test]
fn zstd_reads_it_and_is_read() {
    for data in samples().into_iter().chain([text(9_000_000, 2)]) {
        let file = encode(Compression::Zstd, &data);
        let Some(back) = filter("zstd", &["-dc"], &file) else { return };
        assert!(back == data, "{} bytes", data.len());
        filter("zstd", &["-t"], &file);
        let theirs = filter("zstd", &["-c", "-3"], &data).unwrap();
        assert!(decode(Compression::Zstd, &theirs).unwrap() == data, "{} bytes", data.len());
    }
}

#[cfg(feature = "zstd")]
#[test]
fn each_zstd_frame_states_its_size_and_has_a_checksum() {
    let file = encode(Compression::Zstd, &text(100_000, 4));
    assert_eq!(::zstd::zstd_safe::get_frame_content_size(&file).unwrap(), Some(100_000));
    // Bit 2 of the frame header descriptor (RFC 8878, 3.1.1.1.1).
    assert_eq!(file[4] & 4, 4, "the frame has no checksum");
}
