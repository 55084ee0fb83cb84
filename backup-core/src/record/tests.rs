use serde::Deserialize;

use super::*;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Sample {
    name: String,
    #[serde(flatten)]
    other: serde_json::Map<String, Value>,
}

impl Record for Sample {
    const FORMAT: &'static str = "sample";
    const VERSION: u64 = 1;
}

fn sample() -> Sample {
    let mut other = serde_json::Map::new();
    other.insert("from_the_future".into(), Value::from(7));
    Sample { name: "é".into(), other }
}

#[test]
fn every_flipped_bit_of_a_record_is_found() {
    let sealed = seal(&sample()).unwrap();
    for byte in 0..sealed.len() {
        for bit in 0..8 {
            let mut damaged = sealed.to_vec();
            damaged[byte] ^= 1 << bit;
            let error = open::<Sample>(&damaged).expect_err("a flipped bit went unnoticed");
            assert_eq!(error.code().name, "record.corrupt", "byte {byte} bit {bit}");
        }
    }
}

#[test]
fn a_record_cut_or_extended_anywhere_is_found() {
    let sealed = seal(&sample()).unwrap();
    for len in 0..sealed.len() {
        assert!(open::<Sample>(&sealed[..len]).is_err(), "cut at {len}");
    }
    assert!(open::<Sample>(&[&sealed[..], b" "].concat()).is_err());
}

#[test]
fn unknown_keys_are_kept_and_written_again() {
    let sealed = seal(&sample()).unwrap();
    let read: Sample = open(&sealed).unwrap();
    assert_eq!(read, sample());
    assert_eq!(seal(&read).unwrap(), sealed);
}

#[test]
fn a_newer_version_is_refused_by_name_and_another_format_is_corrupt() {
    #[derive(Serialize, Deserialize)]
    struct Newer {}
    impl Record for Newer {
        const FORMAT: &'static str = "sample";
        const VERSION: u64 = 2;
    }
    #[derive(Serialize, Deserialize)]
    struct Other {}
    impl Record for Other {
        const FORMAT: &'static str = "other";
        const VERSION: u64 = 1;
    }
    let code = |bytes: &[u8]| open::<Sample>(bytes).unwrap_err().code().name;
    assert_eq!(code(&seal(&Newer {}).unwrap()), "record.unsupported");
    assert_eq!(code(&seal(&Other {}).unwrap()), "record.corrupt");
}
