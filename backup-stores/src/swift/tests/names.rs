//! Where things lie.

use backup_core::environment::SystemRandom;
use backup_core::{JobId, ObjectKey};

use super::super::place::{Places, Upload, escaped};

fn places(prefix: &str) -> Places {
    Places { container: "c".into(), segments: "c_segments".into(), prefix: prefix.into(), longest_name: 1024 }
}

#[test]
fn only_names_that_this_store_makes_are_taken_for_its_uploads() {
    let owner = JobId::random(&SystemRandom);
    let upload = Upload::new(&owner, &SystemRandom);
    let name = places("").record(&upload).name.rsplit_once('/').unwrap().1.to_owned();
    assert_eq!(Upload::of(&name), Some((upload, owner.clone())));
    for other in ["", "x", owner.as_str(), &format!("{owner}-"), &format!("{owner}-0123456789abcdeF"), &format!("{name}0")] {
        assert_eq!(Upload::of(other), None, "{other}");
    }
}

#[test]
fn unfinished_things_of_a_store_below_another_are_not_among_the_others() {
    let upload = Upload::new(&JobId::random(&SystemRandom), &SystemRandom);
    let (outer, inner) = (places("a/"), places("a/b/"));
    assert!(!inner.record(&upload).name.starts_with(&outer.records().name));
    assert!(ObjectKey::new(inner.record(&upload).name.strip_prefix("a/b/").unwrap()).is_err(), "no key leads there");
}

#[test]
fn names_are_escaped_so_that_nothing_of_them_means_something() {
    assert_eq!(escaped("a b/c+d%/é?#&=~._-"), "a%20b/c%2Bd%25/%C3%A9%3F%23%26%3D~._-");
}

#[test]
fn a_name_that_swift_does_not_take_is_refused_here() {
    let key = ObjectKey::new(["x"; 500].join("/")).unwrap();
    assert!(places("").object(&key).is_ok());
    let error = places(&format!("{}/", "p".repeat(100))).object(&key).unwrap_err();
    assert!(error.to_string().contains("1100 bytes"), "{error}");
}
