//! What becomes of the ways in which `br` fails.

use backup_core::Effect;

use super::*;
use crate::br::Tso;
use crate::br::executor::Executor;

#[tokio::test]
async fn a_place_that_is_not_empty_is_refused_and_left_as_it_is() {
    let setup = Setup::new().await;
    setup.executor.backup(&cx(), &setup.order("place")).await.unwrap();
    let before = std::fs::read(setup.place("place").join("backupmeta")).unwrap();
    let error = setup.executor.backup(&cx(), &setup.order("place")).await.unwrap_err();
    assert_eq!(error.code().name, "br.not_empty", "{error}");
    assert_eq!(std::fs::read(setup.place("place").join("backupmeta")).unwrap(), before);
    setup.assert_forgotten();
}

#[tokio::test]
async fn the_text_of_br_decides_what_failed() {
    let setup = Setup::new().await;
    for (at, (text, code)) in [
        ("[BR:ExternalStorage:ErrStorageInvalidPermission]no PutObject", "br.denied"),
        ("[BR:Common:ErrVersionMismatch]TiKV is too old", "br.version"),
        ("[BR:PD:ErrPDLeaderNotFound]no leader", "br.unreachable"),
        ("[BR:KV:ErrKVStorage]\"no\" space \\ left", "br.failed"),
        ("[BR:Common:ErrUnknown]context canceled", "br.ended"),
    ]
    .into_iter()
    .enumerate()
    {
        for when in ["FAIL", "FAIL_LATE"] {
            setup.br.control(&format!("{when}='{text}'"));
            let error = setup.executor.backup(&cx(), &setup.order(&format!("{when}-{at}"))).await.unwrap_err();
            assert_eq!(error.code().name, code, "{error}");
            assert!(error.to_string().contains(text), "{error}");
        }
    }
    let mut order = setup.order("incremental");
    order.since = Some(Tso(5));
    setup.br.control("GC=6");
    assert_eq!(setup.executor.backup(&cx(), &order).await.unwrap_err().code().name, "br.gc_passed");
}

#[tokio::test]
async fn an_exit_code_is_believed_whatever_the_summary_says() {
    let setup = Setup::new().await;
    setup.br.control("CODE=1");
    let error = setup.executor.backup(&cx(), &setup.order("place")).await.unwrap_err();
    assert_eq!(error.code().name, "br.failed");
    assert!(error.to_string().contains("exit code 1"), "{error}");
}

#[tokio::test]
async fn what_a_failed_restore_did_is_unknown() {
    let setup = Setup::new().await;
    let error = setup.executor.restore(&cx(), &setup.order("nothing")).await.unwrap_err();
    assert_eq!((error.code().name, error.effect()), ("br.failed", Effect::Unknown));
}

#[tokio::test]
async fn a_version_that_does_not_suit_is_refused_before_anything_is_started() {
    let setup = Setup::new().await;
    setup.pd.tikv("8.1.0");
    let error = setup.executor.backup(&cx(), &setup.order("place")).await.unwrap_err();
    assert_eq!((error.code().name, error.effect()), ("br.version", Effect::None));
    assert!(error.to_string().contains("8.1.0") && error.to_string().contains("6.5.0"), "{error}");
    assert!(setup.br.runs().is_empty());

    setup.pd.tikv("6.5.9");
    let done = setup.executor.backup(&cx(), &setup.order("place")).await.unwrap();
    assert!(done.warnings[0].contains("6.5.9"), "{:?}", done.warnings);

    setup.br.control("VERSION=");
    let done = setup.executor.backup(&cx(), &setup.order("untold")).await.unwrap();
    assert!(done.warnings[0].contains("not tell a version"), "{:?}", done.warnings);
}

#[tokio::test]
async fn a_program_that_is_not_there_cannot_be_started() {
    let setup = Setup::new().await;
    std::fs::remove_file(setup.br.binary()).unwrap();
    let error = setup.executor.backup(&cx(), &setup.order("place")).await.unwrap_err();
    assert_eq!(error.code().name, "program.not_started");
    setup.assert_forgotten();
}

#[tokio::test]
async fn without_a_note_nothing_begins() {
    let setup = Setup::new().await;
    std::fs::write(setup.br.path("notes"), "a file where the directory should be").unwrap();
    let error = setup.executor.backup(&cx(), &setup.order("place")).await.unwrap_err();
    assert_eq!(error.code().name, "br.note", "{error}");
    assert!(setup.br.runs().is_empty() && !setup.place("place").exists());
}
