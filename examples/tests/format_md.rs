//! The records in `docs/format.md` are ones that this code writes, and its command checks them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::path::Path;
use std::process::Command;

use backup_core::Manifest;
use backup_core::record::{self, Aborted, Intent, Pin, Record, Tombstone, Verified};

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/format.md");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The content of every block of a language.
fn blocks(language: &str) -> Vec<String> {
    let (page, start) = (page(), format!("```{language}\n"));
    page.split(&start).skip(1).map(|rest| rest[..rest.find("```").unwrap()].to_owned()).collect()
}

/// What the code writes for a record after reading it.
fn again<R: Record>(text: &str) -> String {
    let read: R = record::open(text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"));
    String::from_utf8(record::seal(&read).unwrap().to_vec()).unwrap()
}

#[test]
fn every_record_of_the_page_is_read_and_written_again_byte_for_byte() {
    let mut formats = Vec::new();
    for text in blocks("json") {
        let members = record::check(text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let format = record::format_of(&members).to_owned();
        let written = match format.as_str() {
            Manifest::FORMAT => again::<Manifest>(&text),
            Aborted::FORMAT => again::<Aborted>(&text),
            Intent::FORMAT => again::<Intent>(&text),
            Tombstone::FORMAT => again::<Tombstone>(&text),
            Pin::FORMAT => again::<Pin>(&text),
            Verified::FORMAT => again::<Verified>(&text),
            other => panic!("the page shows a record of the unknown format {other}"),
        };
        assert_eq!(written, text);
        formats.push(format);
    }
    let all = [Manifest::FORMAT, Aborted::FORMAT, Intent::FORMAT, Tombstone::FORMAT, Pin::FORMAT, Verified::FORMAT];
    assert_eq!(formats, all, "the page shows each kind of record once");
}

#[test]
fn the_command_of_the_page_checks_a_record() {
    let directory = tempfile::tempdir().unwrap();
    let command = blocks("sh check").remove(0);
    let digests = |text: &str| {
        std::fs::write(directory.path().join("FILE"), text).unwrap();
        let output = Command::new("sh").args(["-e", "-c", &command]).current_dir(directory.path()).output().unwrap();
        let lines: Vec<_> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
        assert!(lines.len() == 2 && lines.iter().all(|line| line.len() == 64), "{lines:?}");
        lines
    };
    for text in blocks("json") {
        let found = digests(&text);
        assert_eq!(found[0], found[1]);
        let found = digests(&text.replace("\"version\": 1", "\"version\": 3"));
        assert_ne!(found[0], found[1]);
    }
}
