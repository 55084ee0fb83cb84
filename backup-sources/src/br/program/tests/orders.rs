//! What `br` is told, what it leaves, and what is made of it.

use backup_core::store::ExternalLocation;
use backup_core::testkit::note_secret;
use backup_core::{Error, Result};

use super::*;
use crate::br::Tso;
use crate::br::config::{Encryption, EncryptionMethod};
use crate::br::executor::{Cluster, Done, Executor};

fn text(error: &Error) -> String {
    format!("{error} {error:?}")
}

#[tokio::test]
async fn a_backup_is_made_told_step_by_step_and_restored() {
    let setup = Setup::new().await;
    setup.br.control("BACKUP_TS=439330705621123078");
    let told = Told::default();
    let done = setup.executor.backup(&told.cx(), &setup.order("place")).await.unwrap();
    assert_eq!((done.backup_ts, done.size, done.warnings), (Some(Tso(439_330_705_621_123_078)), Some(41), Vec::<String>::new()));
    assert!(done.log.unwrap().contains("success summary"));
    let full = |percent| ("Full Backup".to_owned(), Some(percent));
    assert_eq!(told.steps(), [full(0), full(12), full(100), ("Checksum".to_owned(), Some(100))]);
    for file in ["backup.lock", "backupmeta", "1"] {
        assert!(setup.place("place").join(file).exists(), "{file}");
    }

    let done = setup.executor.restore(&cx(), &setup.order("place")).await.unwrap();
    assert_eq!(done.size, Some(41));
    assert_eq!(setup.br.restored().unwrap(), b"the first of the data, and the rest of it");
    setup.assert_forgotten();
}

#[tokio::test]
async fn every_setting_is_one_argument_and_what_is_unset_is_left_to_br() {
    let setup = Setup::new().await;
    setup.executor.backup(&cx(), &setup.order("plain")).await.unwrap();
    let run = setup.br.run();
    let place = format!("--storage=local://{}", setup.place("plain").display());
    let pd = format!("--pd={}", setup.pd.address);
    assert_eq!(run.argv[1..], ["backup", "full", &pd, &place, "--check-requirements=true"]);
    assert_eq!(run.environment.get("BR_LOG_TO_TERM").map(String::as_str), Some("1"));

    let setup = Setup::new().await;
    let mut order = setup.order("tuned");
    order.tuning = Tuning { rate_limit: Some(128), concurrency: Some(16), checksum: Some(false) };
    order.since = Some(Tso(439_330_705_621_123_078));
    setup.executor.backup(&cx(), &order).await.unwrap();
    let argv = setup.br.run().argv;
    assert_eq!(argv[6..], ["--ratelimit=128", "--concurrency=16", "--checksum=false", "--lastbackupts=439330705621123078"]);
}

#[tokio::test]
async fn a_restore_is_never_told_a_start() {
    let setup = Setup::new().await;
    setup.executor.backup(&cx(), &setup.order("place")).await.unwrap();
    let mut order = setup.order("place");
    order.since = Some(Tso(5));
    setup.executor.restore(&cx(), &order).await.unwrap();
    let restore = setup.br.runs().into_iter().find(|run| run.argv[1] == "restore").unwrap();
    assert!(!restore.argv.iter().any(|argument| argument.contains("lastbackupts")), "{restore:?}");
}

#[tokio::test]
async fn an_odd_path_arrives_as_it_is() {
    let setup = Setup::new().await;
    for name in ["a b", "100% & more", "x?y=z#1", "+'\"`$(touch hacked);", "back\\slash\\x41", "new\nline", "ümläut", "--flag"]
    {
        setup.executor.backup(&cx(), &setup.order(name)).await.unwrap_or_else(|error| panic!("{name:?}: {error}"));
        assert!(setup.place(name).join("backupmeta").is_file(), "{name:?}");
    }
    assert!(!setup.place("hacked").exists());
}

#[tokio::test]
async fn no_secret_is_in_arguments_logs_errors_or_debug() {
    let setup = Setup::new().await;
    let secrets = ["AKIDbr3x4mpl3", "s3cr3t-of+br/==", "t0ken-of-br&more", "00112233445566778899aabbccddeeff"];
    secrets.iter().for_each(|secret| note_secret(secret));
    let location = ExternalLocation::new("s3://bucket/some prefix/a+b")
        .parameter("endpoint", "http://127.0.0.1:9000")
        .parameter("region", "eu & west")
        .parameter("force-path-style", "true")
        .parameter("access-key", secrets[0])
        .parameter("secret-access-key", secrets[1])
        .parameter("session-token", secrets[2]);
    let mut order = setup.order("unused");
    order.location = location;
    order.encryption = Some(Encryption { method: EncryptionMethod::Aes128Ctr, key: secrets[3].into() });
    let hidden = |text: &str| {
        for secret in secrets {
            assert!(!text.contains(secret), "a secret is told");
        }
    };

    setup.br.control(&format!("SAY='keys: {}'", secrets.join(" ")));
    let done = setup.executor.backup(&cx(), &order).await.unwrap();
    let log = done.log.unwrap();
    assert!(log.contains("keys: *** *** *** ***"), "{log}");
    hidden(&log);
    let run = setup.br.run();
    let expected = [
        "--storage=s3://bucket/some%20prefix/a%2Bb?force-path-style=true",
        "--s3.endpoint=http://127.0.0.1:9000",
        "--s3.region=eu & west",
        "--send-credentials-to-tikv=true",
        "--check-requirements=true",
        "--crypter.method=aes128-ctr",
    ];
    assert_eq!(run.argv[4..10], expected);
    hidden(&run.argv.join(" "));
    for (name, secret) in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"].iter().zip(secrets) {
        assert_eq!(run.environment.get(*name).map(String::as_str), Some(secret), "{name}");
    }
    assert!(!run.environment.contains_key("CARGO_MANIFEST_DIR"), "the environment is inherited");
    let mode = std::fs::read_to_string(setup.br.path(&format!("seen/{}.key-mode", run.pid))).unwrap();
    assert_eq!(mode.trim(), "600");

    setup.br.control(&format!("FAIL='no such key: {}'", secrets.join(" ")));
    let error = setup.executor.backup(&cx(), &order).await.unwrap_err();
    assert!(text(&error).contains("no such key: *** *** *** ***"), "{error}");
    hidden(&text(&error));
    hidden(&format!("{:?} {order:?}", setup.executor));
    setup.assert_forgotten();
}

#[tokio::test]
async fn what_br_would_not_understand_is_refused_before_it_is_started() {
    let setup = Setup::new().await;
    let refused = |outcome: Result<Done>| assert_eq!(outcome.unwrap_err().code().name, "br.config");
    let mut order = setup.order("place");
    order.location = order.location.parameter("sas-token", "5ecret-token");
    let outcome = setup.executor.backup(&cx(), &order).await;
    assert!(!outcome.as_ref().unwrap_err().to_string().contains("5ecret"), "a value is told");
    refused(outcome);

    // A role's second secret could be told in arguments alone.
    for name in ["role-arn", "external-id"] {
        order.location = ExternalLocation::new("s3://bucket/place").parameter(name, "5ecret-id");
        refused(setup.executor.backup(&cx(), &order).await);
    }
    order.location = ExternalLocation::new("swift://container/place");
    refused(setup.executor.backup(&cx(), &order).await);

    let mut order = setup.order("place");
    for key in ["00112233", "not hexadecimal at all, is it no", ""] {
        order.encryption = Some(Encryption { method: EncryptionMethod::Aes128Ctr, key: key.into() });
        refused(setup.executor.backup(&cx(), &order).await);
    }
    assert!(setup.br.runs().is_empty());
    setup.assert_forgotten();
}

#[test]
fn a_configuration_without_a_place_for_notes_is_refused() {
    let br = StandIn::new();
    let good = config(&br, "127.0.0.1:2379");
    let refused = |change: fn(&mut ProgramConfig)| {
        let mut config = good.clone();
        change(&mut config);
        assert_eq!(ProgramExecutor::new(&config).unwrap_err().code().name, "br.config");
    };
    refused(|config| config.notes = PathBuf::new());
    refused(|config| config.cert_file = Some("cert.pem".into()));
    refused(|config| config.pd = vec!["a:1,b:2".to_owned()]);
    refused(|config| config.pd = vec![String::new()]);
    ProgramExecutor::new(&good).unwrap();
    // PD is asked with the certificate with which `br` asks it.
    let mut caller = good.clone();
    (caller.cert_file, caller.key_file) = (Some(br.path("no-cert.pem")), Some(br.path("no-key.pem")));
    let error = ProgramExecutor::new(&caller).unwrap_err();
    assert!(error.code().name == "remote.config" && error.to_string().contains("no-cert.pem"), "{error}");
}

#[tokio::test]
async fn the_old_summary_is_read_and_a_missing_one_is_a_warning() {
    let setup = Setup::new().await;
    setup.br.control("SUMMARY=old BACKUP_TS=439330705621123078");
    let done = setup.executor.backup(&cx(), &setup.order("old")).await.unwrap();
    assert_eq!((done.backup_ts, done.size, done.warnings.len()), (Some(Tso(439_330_705_621_123_078)), Some(41), 0));
    setup.br.control("SUMMARY=none");
    let done = setup.executor.backup(&cx(), &setup.order("none")).await.unwrap();
    assert_eq!((done.backup_ts, done.size), (None, None));
    assert!(done.warnings[0].contains("no summary"), "{:?}", done.warnings);
}

#[tokio::test]
async fn pd_tells_the_cluster_and_its_safe_point() {
    let setup = Setup::new().await;
    setup.pd.answer(
        "/stores",
        r#"{"stores": [{"store": {"version": "v7.1.0"}}, {"store": {"version": "6.5.2"}},
            {"store": {"version": "5.0.0", "state_name": "Tombstone"}}]}"#,
    );
    let cluster = setup.executor.identify(&cx()).await.unwrap();
    let expected = Cluster { id: Some("7123456789012345678".to_owned()), version: Some("6.5.2".to_owned()) };
    assert_eq!(cluster, expected);
    assert_eq!(setup.executor.gc_safe_point(&cx()).await.unwrap(), Some(Tso(439_330_705_621_123_078)));
    setup.pd.answer("/stores", r#"{"stores": []}"#);
    assert_eq!(setup.executor.identify(&cx()).await.unwrap().version.as_deref(), Some("6.5.0"));
}

#[tokio::test]
async fn another_pd_is_asked_when_one_is_gone_and_none_is_needed() {
    let mut setup = Setup::new().await;
    let mut config = config(&setup.br, "unused");
    let nobody = format!("127.0.0.1:{}", backup_core::testkit::free_port());
    config.pd = vec![nobody, setup.pd.address.clone()];
    setup.executor = ProgramExecutor::new(&config).unwrap();
    assert!(setup.executor.gc_safe_point(&cx()).await.unwrap().is_some());

    setup.pd.forget();
    assert_eq!(setup.executor.identify(&cx()).await.unwrap(), Cluster::default());
    assert_eq!(setup.executor.gc_safe_point(&cx()).await.unwrap(), None);
    setup.executor.backup(&cx(), &setup.order("place")).await.unwrap();

    config.pd.truncate(1);
    setup.executor = ProgramExecutor::new(&config).unwrap();
    assert_eq!(setup.executor.identify(&cx()).await.unwrap(), Cluster::default());
    assert_eq!(setup.executor.gc_safe_point(&cx()).await.unwrap_err().code().name, "br.unreachable");

    let cancelled = cx();
    cancelled.cancel_token().cancel();
    assert_eq!(setup.executor.identify(&cancelled).await.unwrap_err().code().name, "job.cancelled");
}
