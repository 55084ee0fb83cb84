//! What a backup script may leave in the directory of its job, and what nobody takes from there.
#![cfg(feature = "script")]
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::os::unix::fs::PermissionsExt;

use backup_core::{ErrorKind, Source};
use backup_sources::script::{JobDirectory, Stage};
use futures::TryStreamExt;
use support::scripts::{Scripts, entries};
use support::{RecordingSink, context};

#[tokio::test]
async fn what_is_not_exactly_one_plain_file_fails_the_job_and_nothing_is_captured() {
    for (body, code, named) in [
        ("", "script.no_file", "is empty"),
        ("echo a > $D/one; echo b > $D/two", "script.several_files", "\"one\", \"two\""),
        ("echo a > $D/one; echo b > $D/.hidden", "script.several_files", "\".hidden\", \"one\""),
        ("mkdir $D/one", "script.unfit_file", "\"one\", which is a directory"),
        ("ln -s /etc/shadow $D/one", "script.unfit_file", "which is a symbolic link"),
        ("mkfifo $D/one", "script.unfit_file", "which is a pipe"),
        ("echo a > $D/.one", "script.unfit_file", "which is hidden"),
        ("echo a > $D/$'a\\nb'", "script.unfit_file", "control character"),
        ("echo a > $D/$'\\xff'", "script.unfit_file", "not UTF-8"),
        ("rmdir $D", "script.no_file", "was removed"),
        ("rmdir $D; ln -s /etc $D", "script.unfit_file", "no directory any more"),
    ] {
        let (scripts, sink) = (Scripts::new(), RecordingSink::default());
        scripts.put(Stage::Backup, &format!("D=$JOBS/$6\n{body}"));
        let error = scripts.capture(&context(), &sink).await.unwrap_err();
        assert_eq!(error.code().name, code, "{body}: {error}");
        assert!(error.to_string().contains(named), "{body}: {error}");
        assert_eq!(sink.opened().len(), 0, "{body}: an artifact was opened");
        assert_eq!(scripts.trace().last().unwrap(), "post-backup-unlock", "{body}");
        assert_eq!(entries(&scripts.path("jobs")), Vec::<String>::new(), "{body}");
        assert!(std::fs::metadata("/etc/passwd").is_ok());
    }
}

#[tokio::test]
async fn a_file_of_another_user_is_not_taken() {
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED: only root can give a file away");
        return;
    }
    let (scripts, sink) = (Scripts::new(), RecordingSink::default());
    scripts.put(Stage::Backup, "echo a > $JOBS/$6/one; chown 65534 $JOBS/$6/one");
    let error = scripts.capture(&context(), &sink).await.unwrap_err();
    assert_eq!(error.code().name, "script.unfit_file");
    assert!(error.to_string().contains("belongs to the user 65534"), "{error}");
    assert_eq!(sink.opened().len(), 0);
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_read_is_found() {
    for (how, change) in [
        ("grows", "head -c 100 /dev/zero >> $F"),
        ("shrinks", "truncate -s 100000 $F"),
        ("changes in place", "printf x | dd of=$F conv=notrunc bs=1 seek=5 2>/dev/null"),
    ] {
        let scripts = Scripts::new();
        let go = scripts.path("go");
        // A process left behind goes on writing.
        scripts.put(
            Stage::Backup,
            &format!("F=$JOBS/$6/one; head -c 5000000 /dev/zero > $F; (while [ ! -e $ROOT/go ]; do sleep 0.01; done; {change}; touch $ROOT/went) >/dev/null 2>&1 &"),
        );
        let sink = RecordingSink::gated_at(2 << 20);
        let job = tokio::spawn({
            let (source, sink) = (scripts.source(), sink.clone());
            async move { source.capture(&context(), &sink).await }
        });
        sink.wrote(2 << 20).await;
        std::fs::write(&go, "").unwrap();
        support::scripts::until("the change", || scripts.path("went").exists()).await;
        sink.open_gate();
        let error = job.await.unwrap().unwrap_err();
        assert_eq!(error.code().name, "script.file_changed", "a file that {how}: {error}");
        sink.assert_nothing_closed();
        scripts.assert_clean();
    }
}

#[tokio::test]
async fn a_directory_that_is_there_already_is_set_aside_and_never_removed() {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(JobDirectory::create(root.path(), "a1").unwrap().path().join("old"), "old").unwrap();
    std::fs::write(JobDirectory::create(root.path(), "a1").unwrap().path().join("newer"), "newer").unwrap();
    let third = JobDirectory::create(root.path(), "a1").unwrap();
    assert_eq!(entries(root.path()), ["a1", "a1.1", "a1.2"]);
    assert_eq!(entries(&root.path().join("a1.1")), ["old"]);
    assert_eq!(entries(&root.path().join("a1.2")), ["newer"]);
    assert_eq!(std::fs::metadata(third.path()).unwrap().permissions().mode() & 0o777, 0o700);

    // What counts is what this run left.
    assert_eq!(third.file().unwrap_err().code().name, "script.no_file");
    std::fs::write(third.path().join("now"), "now").unwrap();
    let file = third.file().unwrap();
    assert_eq!((file.name(), file.size()), ("now", 3));
    for _ in 0..2 {
        let bytes: Vec<_> = file.stream().try_collect().await.unwrap();
        assert_eq!(bytes.concat(), b"now");
    }
    // Open: its name may go.
    std::fs::remove_file(third.path().join("now")).unwrap();
    assert_eq!(file.stream().try_collect::<Vec<_>>().await.unwrap_err().code().name, "script.file_changed");
}

#[test]
fn an_id_that_is_no_plain_name_touches_nothing() {
    let root = tempfile::tempdir().unwrap();
    let long = "x".repeat(300);
    for bad in ["", ".", "..", "../x", "a/b", ".hidden", "a\0b", "a b", "é", long.as_str()] {
        assert_eq!(JobDirectory::create(root.path(), bad).unwrap_err().kind(), ErrorKind::InvalidInput, "{bad:?}");
    }
    assert_eq!(entries(root.path()), Vec::<String>::new());
}
