use futures::TryStreamExt;

use super::*;
use crate::testkit::{test_context, test_environment};
use crate::{JobContext, record};

fn context() -> JobContext {
    test_context(&test_environment(1).0)
}

async fn read(reader: &MemoryReader, name: &str) -> (usize, Option<Error>) {
    let mut stream = reader.open(&context(), &ArtifactName::new(name).unwrap()).await.unwrap();
    let mut bytes = 0;
    loop {
        match stream.try_next().await {
            Ok(Some(piece)) => bytes += piece.len(),
            Ok(None) => return (bytes, None),
            Err(error) => return (bytes, Some(error)),
        }
    }
}

#[tokio::test]
async fn streams_are_whole_or_break_where_they_are_told_to() {
    let bytes = vec![7; 200_000];
    let reader = || MemoryReader::of("test", &[("a", &bytes), ("empty", b"")]);
    assert!(matches!(read(&reader(), "a").await, (200_000, None)));
    assert!(matches!(read(&reader(), "empty").await, (0, None)));
    let (count, error) = read(&reader().corrupt_after(70_000), "a").await;
    assert_eq!((count, error.unwrap().code()), (70_000, &codes::ARTIFACT_CORRUPT));
    let (count, error) = read(&reader().corrupt_at_end(), "a").await;
    assert_eq!((count, error.unwrap().code()), (200_000, &codes::ARTIFACT_CORRUPT));
    let (count, error) = read(&reader().corrupt_at_end(), "empty").await;
    assert_eq!((count, error.is_some()), (0, true));
}

#[tokio::test]
async fn stored_ranges_must_lie_inside() {
    let reader = MemoryReader::of("test", &[("a", b"0123456789")]);
    let name = ArtifactName::new("a").unwrap();
    let part: Vec<Bytes> = reader.open_stored(&context(), &name, Some(2..5)).await.unwrap().try_collect().await.unwrap();
    assert_eq!(part.concat(), b"234");
    let outside = reader.open_stored(&context(), &name, Some(2..11)).await.map(drop);
    assert_eq!(outside.unwrap_err().code(), &codes::INPUT_INVALID);
}

#[test]
fn the_manifest_is_one_that_a_repository_could_hold() {
    let big = vec![1; BLOCK_SIZE as usize + 1];
    let reader = MemoryReader::of("test", &[("a", &big), ("b/c", b"x"), ("empty", b"")]);
    let bytes = record::seal(reader.manifest()).unwrap();
    assert_eq!(&Manifest::open(&bytes).unwrap(), reader.manifest());
    assert_eq!(reader.manifest().artifacts[0].stored.blocks.len(), 2);
}
