//! What goes wrong, and what is said of it.

use backup_core::store::ExternalLocation;
use backup_core::{Effect, Retry};

use super::tidb::Outcome;
use super::*;

#[tokio::test]
async fn a_cut_connection_ends_the_task_that_nobody_waits_for() {
    for kind in Kind::ALL {
        let bench = Bench::new(|_| {}).await;
        bench.backup(&bench.order("made")).await.unwrap();
        let state = if kind == Kind::Backup { "Backup" } else { "Download&Ingest SST" };
        bench.server.set(|behaviour| behaviour.hold = Some(state.into()));
        let job = bench.start(kind, bench.order(if kind == Kind::Restore { "made" } else { "one" }));
        bench.until_told(state).await;
        bench.server.cut();
        let error = job.end().await.unwrap_err();
        assert_eq!((code(&error), error.effect()), ("br.unreachable", Effect::Unknown), "{error}");
        assert!(error.to_string().contains("it was ended"), "{error}");
        assert!(!bench.server.task().running());
    }
}

#[tokio::test]
async fn a_server_that_starts_anew_works_on_nothing() {
    let bench = Bench::new(|behaviour| behaviour.hold = Some("Backup".into())).await;
    let job = bench.start(Kind::Backup, bench.order("one"));
    bench.until_told("Backup").await;
    bench.server.restart();
    let error = job.end().await.unwrap_err();
    assert_eq!((code(&error), error.effect()), ("br.unreachable", Effect::Unknown), "{error}");
    assert!(error.to_string().contains("no longer"), "{error}");
}

#[tokio::test]
async fn a_server_that_stays_away_leaves_it_open_whether_the_task_works() {
    let mut bench = Bench::new(|behaviour| behaviour.hold = Some("Backup".into())).await;
    bench.config.grace = Duration::from_millis(300);
    let job = bench.start(Kind::Backup, bench.order("one"));
    bench.until_told("Backup").await;
    bench.server.set(|behaviour| behaviour.password = "another-password".into());
    bench.server.cut();
    let error = job.end().await.unwrap_err();
    assert_eq!((code(&error), error.effect()), ("br.unreachable", Effect::Unknown), "{error}");
    assert!(error.to_string().contains("may still work"), "{error}");
}

#[tokio::test]
async fn a_statement_that_does_not_return_after_its_task_is_given_up() {
    let mut bench = Bench::new(|behaviour| {
        behaviour.outcome = Outcome::Hang;
        behaviour.hold = Some("Backup".into());
    })
    .await;
    bench.config.grace = Duration::from_millis(300);
    let job = bench.start(Kind::Backup, bench.order("one"));
    bench.until_told("Backup").await;
    bench.server.release();
    let error = job.end().await.unwrap_err();
    assert_eq!((code(&error), error.effect()), ("br.unreachable", Effect::Unknown), "{error}");
}

#[tokio::test]
async fn the_text_of_br_decides_what_is_said() {
    for (code, text, name, retry) in [
        (8124, "[BR:Backup:ErrBackupGCSafepointExceeded]GC safepoint 4 exceed TS 3", "br.gc_passed", Retry::Never),
        (8124, "[BR:ExternalStorage:ErrStorageInvalidPermission]no PutObject", "br.denied", Retry::Never),
        (8124, "[BR:ExternalStorage:ErrStorageInvalidConfig]no bucket", "br.config", Retry::Never),
        (8124, "[BR:PD:ErrPDLeaderNotFound]no leader", "br.unreachable", Retry::Later),
        (8124, "[BR:Common:ErrVersionMismatch]too old", "br.version", Retry::Never),
        (8124, "[BR:KV:ErrKVUnknown]tikv is tired", "br.failed", Retry::Later),
        (1317, "Query execution was interrupted", "br.ended", Retry::Later),
        (1105, "BACKUP requires tikv store, not mocktikv", "br.failed", Retry::Later),
        (1227, "Access denied; you need (at least one of) the SUPER or BACKUP_ADMIN privilege(s)", "br.denied", Retry::Never),
        (8121, "privilege check for 'Super' fail", "br.denied", Retry::Never),
        (1064, "You have an error in your SQL syntax", "br.config", Retry::Never),
    ] {
        let bench = Bench::new(|behaviour| behaviour.outcome = Outcome::Fail(code, format!("Backup failed: {text}"))).await;
        let error = bench.backup(&bench.order("one")).await.unwrap_err();
        assert_eq!((error.code().name, error.retry(), error.effect()), (name, retry, Effect::None), "{text}: {error}");
        assert!(error.to_string().contains(&code.to_string()), "{error}");
    }
}

#[tokio::test]
async fn a_restore_that_fails_may_have_changed_something_unless_it_was_refused() {
    let bench = Bench::new(|_| {}).await;
    let error = bench.executor().restore(&bench.context(), &bench.order("nothing-there")).await.unwrap_err();
    assert_eq!((code(&error), error.effect()), ("br.failed", Effect::Unknown), "{error}");
    bench.server.set(|behaviour| behaviour.refuse = vec![("RESTORE".into(), 8121, "privilege check for 'Super' fail".into())]);
    let error = bench.executor().restore(&bench.context(), &bench.order("nothing-there")).await.unwrap_err();
    assert_eq!((code(&error), error.effect()), ("br.denied", Effect::None), "{error}");
}

#[tokio::test]
async fn a_place_that_holds_a_backup_is_not_written_to() {
    let bench = Bench::new(|_| {}).await;
    bench.backup(&bench.order("one")).await.unwrap();
    let error = bench.backup(&bench.order("one")).await.unwrap_err();
    assert_eq!(code(&error), "br.not_empty", "{error}");
}

#[tokio::test]
async fn no_error_holds_a_credential_that_tidb_echoes() {
    const SECRETS: [&str; 3] = ["AKIA+secret/id&1", "s3cr3t key's \"value\" 100%", "tok+en/with=odd&signs"];
    SECRETS.iter().for_each(|secret| note_secret(secret));
    let bench = Bench::new(|_| {}).await;
    let location = ExternalLocation::new("s3://bucket/one")
        .parameter("endpoint", "http://127.0.0.1:9000")
        .parameter("access-key", SECRETS[0])
        .parameter("secret-access-key", SECRETS[1])
        .parameter("session-token", SECRETS[2]);
    let sent = super::super::statement::url(&location).unwrap();
    let password = bench.config.password.expose().to_owned();
    for (code, text) in [
        (8124, format!("Backup failed: [BR:ExternalStorage:ErrStorageUnknown]cannot open {sent}: {SECRETS:?}")),
        (1064, format!("You have an error in your SQL syntax near '{sent}'")),
        (1105, format!("{} {} {} {password}", SECRETS[0], SECRETS[1], SECRETS[2])),
    ] {
        bench.server.set(|behaviour| behaviour.refuse = vec![("BACKUP".into(), code, text)]);
        let error = bench.backup(&order_at(location.clone())).await.unwrap_err();
        let shown = format!("{error} {error:?} {:?} {:?}", bench.executor(), order_at(location.clone()));
        for secret in SECRETS.into_iter().chain([password.as_str()]) {
            let encoded = crate::br::percent::value(secret);
            assert!(!shown.contains(secret) && !shown.contains(&encoded), "{secret} in {shown}");
        }
        assert!(shown.contains("***"), "{shown}");
    }
}
