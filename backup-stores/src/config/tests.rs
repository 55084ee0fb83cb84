//! Tests of blocks and URLs.

use backup_core::Environment;
use backup_core::event::TracingObserver;

use super::*;

fn block(json: &str) -> Result<StoreConfig, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

#[test]
fn a_block_and_a_url_say_the_same_and_read_like_the_url() {
    let config = block(r#"{"fs": {"root": "/var/lib/my backups"}}"#).unwrap();
    assert_eq!(config, "fs:///var/lib/my backups".parse().unwrap());
    assert_eq!(config.to_string(), "fs:///var/lib/my backups");
}

#[test]
fn a_block_has_exactly_one_kind() {
    for (json, why) in [
        ("{}", "exactly one of fs, s3, swift, nfs; none is given"),
        (r#"{"fs": {"root": "/a"}, "nfs": {}}"#, "`fs` and `nfs` are both given"),
        (r#"{"fz": {}}"#, "unknown field `fz`, expected one of `fs`"),
        (r#"{"fs": {"root": "/a"}, "rooot": 1}"#, "unknown field `rooot`"),
        (r#"{"fs": {"rooot": "/a"}}"#, "unknown field `rooot`, expected `root`"),
        (r#"{"fs": {}}"#, "missing field `root`"),
        (r#""fs:///a""#, "expected a block"),
    ] {
        let error = block(json).unwrap_err();
        assert!(error.contains(why), "{json}: {error}");
    }
}

#[test]
fn a_kind_that_this_build_lacks_is_said_to_be_so_with_its_feature() {
    for (kind, there) in [("s3", cfg!(feature = "s3")), ("swift", cfg!(feature = "swift")), ("nfs", cfg!(feature = "nfs"))] {
        let as_block = block(&format!(r#"{{"{kind}": {{"anything": 1}}}}"#)).unwrap_err();
        let as_url = format!("{kind}://user:secret@host/bucket").parse::<StoreConfig>().unwrap_err().to_string();
        assert!(!as_url.contains("secret"), "{as_url}");
        for error in [as_block, as_url].into_iter().filter(|_| !there) {
            assert!(error.contains("this build lacks") && error.contains(&format!("the feature `{kind}`")), "{error}");
        }
    }
}

#[test]
fn what_is_no_url_of_a_store_is_refused_with_an_example() {
    for (url, why) in [
        ("/var/lib/backup", "fs:///var/lib/backup"),
        ("fs://relative/path", "absolute path"),
        ("fs://", "absolute path"),
        ("ftp://user:secret@host/", "ftp:// is no kind of store"),
    ] {
        let error = url.parse::<StoreConfig>().unwrap_err().to_string();
        assert!(error.contains(why) && !error.contains("secret"), "{url}: {error}");
    }
}

#[tokio::test]
async fn reading_makes_nothing_and_writing_makes_the_root() {
    let cx = JobContext::new(Environment::default(), Arc::new(TracingObserver));
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("backups");
    let config: StoreConfig = format!("fs://{}", root.display()).parse().unwrap();
    config.open_read_only(&cx).await.unwrap_err();
    assert!(!root.exists());
    config.open(&cx).await.unwrap();
    assert!(root.is_dir());
    config.open_read_only(&cx).await.unwrap();
}
