use backup_core::Result;
use bytes::Bytes;
use futures::{StreamExt, stream};
use proptest::prelude::*;
use serde_json::Value;

use super::{JsonReader, Members, quoted};

fn reader(text: &[u8], piece: usize) -> JsonReader {
    let pieces: Vec<Result<Bytes>> = text.chunks(piece).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    JsonReader::new(stream::iter(pieces).boxed())
}

fn skips(text: &[u8], piece: usize) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut json = reader(text, piece);
        json.skip().await.is_ok() && json.finish().await.is_ok()
    })
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_is_json_is_passed_over_in_any_pieces(value in json(), piece in 1usize..40, pretty: bool) {
        let text = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();
        prop_assert!(skips(&text, piece));
        prop_assert!(!skips(&[&text[..], b" 1"].concat(), piece));
        prop_assert!(!value.is_object() || !skips(&text[..text.len() - 1], piece));
    }

    #[test]
    fn whatever_comes_ends_without_a_panic(text: Vec<u8>, piece in 1usize..40) {
        skips(&text, piece);
    }

    #[test]
    fn texts_are_written_so_that_they_are_read_again(text: String) {
        let quoted = quoted(&text);
        prop_assert!(quoted.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        prop_assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), text);
    }
}

#[tokio::test]
async fn values_are_read_in_any_pieces() {
    let text = br#" { "a" : "x\u00e9\"y" , "b":null,"c": [ "1", "2" ],"d":18446744073709551615 } "#;
    for piece in 1..text.len() {
        let mut json = reader(text, piece);
        let (mut members, mut items) = (Members::default(), Members::default());
        json.mark(b'{').await.unwrap();
        assert_eq!(json.key(&mut members).await.unwrap().as_deref(), Some("a"));
        assert_eq!(json.text().await.unwrap(), "xé\"y");
        assert_eq!(json.key(&mut members).await.unwrap().as_deref(), Some("b"));
        assert_eq!(json.text_or_null().await.unwrap(), None);
        assert_eq!(json.key(&mut members).await.unwrap().as_deref(), Some("c"));
        json.mark(b'[').await.unwrap();
        let mut found = Vec::new();
        while let Some(token) = json.item(&mut items).await.unwrap() {
            found.push(json.text_of(token).unwrap());
        }
        assert_eq!(found, ["1", "2"]);
        assert_eq!(json.key(&mut members).await.unwrap().as_deref(), Some("d"));
        assert_eq!(json.number().await.unwrap(), u64::MAX);
        assert_eq!(json.key(&mut members).await.unwrap(), None);
        json.finish().await.unwrap();
    }
}

#[test]
fn what_has_no_bottom_is_refused() {
    assert!(!skips(&[b'['; 1000], 100));
}

#[tokio::test]
async fn what_has_no_end_is_refused() {
    let endless = stream::iter((0..).map(|n| Ok(Bytes::from_static(if n == 0 { b"\"" } else { &[b'x'; 4096] })))).boxed();
    assert!(JsonReader::new(endless).skip().await.is_err());
    for broken in [&b"-1"[..], b"1.5", b"1e3", b"99999999999999999999", b"\"1\"", b"true", b"null"] {
        assert!(reader(broken, 10).number().await.is_err());
    }
}
