//! Streams that `rbd` did not write, or not to their end.

use bytes::Bytes;
use proptest::prelude::*;

use super::diff::{Bad, Diff, Expected, PIECE};
use crate::cinder::access::Extent;

const SIZE: u64 = 1 << 30;

/// A stream being made.
#[derive(Clone, Default)]
struct Stream(Vec<u8>);

impl Stream {
    fn new() -> Self {
        Self(b"rbd diff v1\n".to_vec())
    }

    fn name(mut self, tag: u8, name: &str) -> Self {
        self.0.push(tag);
        self.0.extend((name.len() as u32).to_le_bytes());
        self.0.extend(name.as_bytes());
        self
    }

    fn size(mut self, size: u64) -> Self {
        self.0.push(b's');
        self.0.extend(size.to_le_bytes());
        self
    }

    fn range(mut self, tag: u8, offset: u64, length: u64) -> Self {
        self.0.push(tag);
        self.0.extend(offset.to_le_bytes());
        self.0.extend(length.to_le_bytes());
        self
    }

    fn data(self, offset: u64, data: &[u8]) -> Self {
        let mut stream = self.range(b'w', offset, data.len() as u64);
        stream.0.extend(data);
        stream
    }

    fn end(mut self) -> Self {
        self.0.push(b'e');
        self
    }
}

fn expected() -> Expected {
    Expected { from: Some("a".to_owned()), to: Some("b".to_owned()), size: SIZE, block: None }
}

fn head() -> Stream {
    Stream::new().name(b'f', "a").name(b't', "b").size(SIZE)
}

async fn read(stream: &[u8], expected: Expected) -> Result<Vec<Extent>, Bad> {
    let mut diff = Diff::new(stream, expected);
    let mut extents = Vec::new();
    while let Some(extent) = diff.next().await? {
        extents.push(extent);
    }
    Ok(extents)
}

async fn bad(stream: Stream) -> String {
    read(&stream.0, expected()).await.unwrap_err().to_string()
}

#[tokio::test]
async fn data_comes_in_pieces_and_zeros_as_they_are() {
    let data: Vec<u8> = (0..2 * PIECE + 5).map(|at| at as u8).collect();
    let stream = head().data(10, &data).range(b'z', 3 * PIECE, SIZE - 3 * PIECE).end();
    let extents = read(&stream.0, expected()).await.unwrap();
    let slice = |range| Bytes::copy_from_slice(data.get(range).unwrap());
    let piece = PIECE as usize;
    assert_eq!(
        extents,
        [
            Extent::Data { offset: 10, bytes: slice(0..piece) },
            Extent::Data { offset: 10 + PIECE, bytes: slice(piece..2 * piece) },
            Extent::Data { offset: 10 + 2 * PIECE, bytes: slice(2 * piece..2 * piece + 5) },
            Extent::Zero { offset: 3 * PIECE, length: SIZE - 3 * PIECE },
        ]
    );
    assert_eq!(read(&head().end().0, expected()).await.unwrap(), []);
}

#[tokio::test]
async fn a_stream_that_was_cut_anywhere_is_no_whole_one() {
    let stream = head().data(0, b"hello").range(b'z', 100, 5).data(200, b"x").end().0;
    for cut in 0..stream.len() {
        let error = read(stream.get(..cut).unwrap(), expected()).await.unwrap_err();
        assert!(matches!(error, Bad::Cut), "cut at {cut}: {error}");
    }
    read(&stream, expected()).await.unwrap();
}

#[tokio::test]
async fn what_is_announced_is_not_reserved() {
    // An image that large would be; what reads it must not be.
    let expected = Expected { size: u64::MAX, ..expected() };
    let stream = Stream::new().name(b'f', "a").name(b't', "b").size(u64::MAX).range(b'w', 0, u64::MAX);
    let mut diff = Diff::new(&*stream.0, expected.clone());
    assert!(matches!(diff.next().await, Err(Bad::Cut)));
    let mut name = Stream::new();
    name.0.extend([b'f', 0xff, 0xff, 0xff, 0xff]);
    assert!(matches!(read(&name.0, expected).await, Err(Bad::Snapshots)));
}

#[tokio::test]
async fn records_that_do_not_belong_there_are_refused() {
    for (stream, why) in [
        (Stream(b"rbd diff v2\n".to_vec()), "none of the format"),
        (Stream(b"rbd: error opening image".to_vec()), "none of the format"),
        (head().range(b'w', SIZE - 1, 2), "beyond the image"),
        (head().range(b'w', u64::MAX, 2), "beyond the image"),
        (head().range(b'z', 0, 0), "empty"),
        (head().data(10, b"abc").range(b'z', 12, 5), "comes after one that ends at 13"),
        (head().data(10, b"abc").data(0, b"abc"), "comes after one that ends at 13"),
        (head().size(SIZE), "'s' where none belongs"),
        (head().data(0, b"a").name(b't', "b"), "'t' where none belongs"),
        (head().range(b'x', 0, 1), "'x', which the format does not know"),
        (Stream::new().range(b'x', 0, 1), "'x', which the format does not know"),
        (Stream::new().name(b'f', "a").name(b't', "c"), "other snapshots"),
        (Stream::new().name(b't', "b").size(SIZE).end(), "other snapshots"),
        (Stream::new().name(b'f', "a").size(SIZE).end(), "other snapshots"),
        (Stream::new().name(b'f', "a").name(b't', "b").end(), "0 bytes, instead of"),
        (head().end().end(), "goes on after"),
        (Stream::new().name(b'f', "a").name(b't', "b").size(SIZE + 1), "instead of"),
    ] {
        let text = bad(stream).await;
        assert!(text.contains(why), "{why}: {text}");
    }
}

#[tokio::test]
async fn only_whole_blocks_and_the_end_of_the_image_pass_where_blocks_are_asked_for() {
    let expected = |size| Expected { size, block: Some(512), ..expected() };
    let head = |size| Stream::new().name(b'f', "a").name(b't', "b").size(size);
    for (offset, length, fits) in
        [(0, 512, true), (512, 1536, true), (1536, 564, true), (1, 511, false), (0, 100, false), (0, 2100, true)]
    {
        let result = read(&head(2100).range(b'z', offset, length).end().0, expected(2100)).await;
        assert_eq!(result.is_ok(), fits, "{length} at {offset}: {result:?}");
    }
    // A block that is no part of 1 MiB still comes in one piece.
    let odd = Expected { block: Some(1536 << 10), ..expected(SIZE) };
    let extents = read(&head(SIZE).data(0, &vec![1; 3 << 20]).end().0, odd).await.unwrap();
    let lengths = |extent: &Extent| matches!(extent, Extent::Data { bytes, .. } if bytes.len() == 1536 << 10);
    assert!(extents.len() == 2 && extents.iter().all(lengths));
}

fn records() -> impl Strategy<Value = Vec<u8>> {
    let number = prop_oneof![0..2048_u64, Just(SIZE), Just(u64::MAX), any::<u64>()];
    let tag = prop_oneof![Just(b'w'), Just(b'z'), Just(b'e'), Just(b'f'), Just(b's'), any::<u8>()];
    let record = (tag, number.clone(), number, proptest::collection::vec(any::<u8>(), 0..64));
    proptest::collection::vec(record, 0..12).prop_map(|records| {
        let made = records.into_iter().fold(head(), |stream, (tag, offset, length, data)| {
            let mut stream = stream.range(tag, offset, length);
            stream.0.extend(data);
            stream
        });
        made.0
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn whatever_comes_ends_without_a_panic_and_in_order(stream in records(), cut in any::<prop::sample::Index>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let stream = &stream[..cut.index(stream.len() + 1)];
        runtime.block_on(async {
            let mut diff = Diff::new(stream, expected());
            let (mut end, mut data) = (0, 0);
            while let Ok(Some(extent)) = diff.next().await {
                let (offset, length) = match extent {
                    Extent::Data { offset, bytes } => {
                        data += bytes.len();
                        (offset, bytes.len() as u64)
                    }
                    Extent::Zero { offset, length } => (offset, length),
                };
                assert!(offset >= end && length > 0 && offset + length <= SIZE);
                end = offset + length;
            }
            assert!(data <= stream.len());
        });
    }
}
