mod decode;
mod interop;
mod roundtrip;

use super::*;

/// Text as backups have it: words of a small vocabulary, numbers, lines. The same for the same seed.
fn text(len: usize, seed: u64) -> Vec<u8> {
    const WORDS: &[&str] = &[
        "kube-system",
        "default",
        "pod",
        "namespace",
        "metadata",
        "spec",
        "containers",
        "image",
        "labels",
        "app",
        "the",
        "volume",
        "annotations",
        "controller",
        "revision",
        "and",
        "replicas",
        "template",
        "status",
        "conditions",
        "type",
        "Ready",
        "True",
    ];
    let mut state = seed | 1;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut text = String::with_capacity(len + 64);
    while text.len() < len {
        let number = next();
        match number % 9 {
            0 => text.push_str(&format!("\"{:x}\",\n", number >> 40)),
            1 => text.push_str(": \""),
            _ => {
                text.push_str(WORDS[(number >> 8) as usize % WORDS.len()]);
                text.push(' ');
            }
        }
    }
    text.truncate(len);
    text.into_bytes()
}

/// Bytes that do not compress.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(byte).take(len).collect()
}

/// Encodes `data` in chunks of the given sizes, over and over.
fn encode_in(compression: Compression, level: Option<u32>, data: &[u8], sizes: &[usize]) -> Vec<u8> {
    let encoder = ChunkEncoder::new(compression, level).unwrap().unwrap();
    let mut out = encoder.head().to_vec();
    let mut check = ChunkCheck::default();
    let mut done = 0;
    for size in sizes.iter().cycle() {
        if done == data.len() {
            break;
        }
        let end = data.len().min(done + size.max(&1));
        let encoded = encoder.encode(&data[done.saturating_sub(encoder.window())..done], &data[done..end]).unwrap();
        check.append(&encoded.check);
        out.extend_from_slice(&encoded.bytes);
        done = end;
    }
    out.extend_from_slice(&encoder.tail(&check).unwrap());
    out
}

fn encode(compression: Compression, data: &[u8]) -> Vec<u8> {
    let size = ChunkEncoder::new(compression, None).unwrap().unwrap().chunk_size();
    encode_in(compression, None, data, &[size])
}

/// Decodes with inputs of at most `input` bytes and outputs of at most `limit`.
fn decode_in(compression: Compression, data: &[u8], input: usize, limit: usize) -> Result<Vec<u8>> {
    let mut decoder = Decoder::new(compression)?;
    let mut out = Vec::new();
    let mut done = 0;
    loop {
        let piece = &data[done..data.len().min(done + input)];
        let mut part = Vec::with_capacity(limit);
        let taken = decoder.step(piece, &mut part, limit)?;
        assert!(part.len() <= limit, "a step gave {} bytes, more than its limit", part.len());
        assert!(part.len() == limit || taken == piece.len(), "a step that was not full left input behind");
        out.extend_from_slice(&part);
        done += taken;
        if done == data.len() && part.len() < limit {
            decoder.finish()?;
            return Ok(out);
        }
    }
}

fn decode(compression: Compression, data: &[u8]) -> Result<Vec<u8>> {
    decode_in(compression, data, 64 << 10, 64 << 10)
}

/// The formats of this build.
fn formats() -> Vec<Compression> {
    if cfg!(feature = "zstd") { vec![Compression::Gzip, Compression::Zstd] } else { vec![Compression::Gzip] }
}
