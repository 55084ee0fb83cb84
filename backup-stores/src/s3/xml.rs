//! Documents that S3 answers with.

use backup_core::{Error, Result};
use serde::Deserialize;

/// Reads an answer that must be a document of this kind.
pub(super) fn document<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T> {
    quick_xml::de::from_reader(&*with_blanks(body)).map_err(|error| {
        Error::new(&backup_remote::codes::ANSWER, "the answer is not the document that S3 describes").with_source(error)
    })
}

/// The document with the blanks at both ends of each key escaped: readers cut them off otherwise.
///
/// Keys hold no other character that XML would change, so no other escape (`encoding-type=url`) is asked for: servers do not agree
/// whether a blank or a plus becomes `+` then, and some say that they escape and do not.
pub(super) fn with_blanks(body: &[u8]) -> Vec<u8> {
    const BLANK: &[u8] = b"&#32;";
    let mut kept = Vec::with_capacity(body.len() + 64);
    let mut rest = body;
    while let Some((before, key, after)) = next_key(rest) {
        kept.extend_from_slice(before);
        let leading = key.iter().take_while(|byte| **byte == b' ').count();
        let trailing = key.iter().skip(leading).rev().take_while(|byte| **byte == b' ').count();
        kept.extend(BLANK.repeat(leading));
        kept.extend(key.iter().skip(leading).take(key.len() - leading - trailing));
        kept.extend(BLANK.repeat(trailing));
        rest = after;
    }
    kept.extend_from_slice(rest);
    kept
}

/// What stands before the next key's text, the text, and what stands after it.
fn next_key(body: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    const START: &[u8] = b"<Key>";
    let start = body.windows(START.len()).position(|window| window == START)? + START.len();
    let (before, rest) = body.split_at_checked(start)?;
    let end = rest.iter().position(|byte| *byte == b'<')?;
    let (key, after) = rest.split_at_checked(end)?;
    Some((before, key, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct List {
        #[serde(rename = "Key")]
        keys: Vec<String>,
    }

    #[test]
    fn keys_are_read_with_the_blanks_at_their_ends() {
        let body =
            b"<?xml version=\"1.0\"?>\n<List>\n <Key> a </Key>\n <Key>b&amp; c</Key>\n <Key>  </Key>\n <Key>d</Key>\n</List>";
        let list: List = document(body).unwrap();
        assert_eq!(list.keys, [" a ", "b& c", "  ", "d"]);
        assert!(document::<List>(b"<List><Key>").is_err());
    }
}
