//! The bundled scripts against a real PostgreSQL: captured, restored, and dumped again without a difference.
#![cfg(feature = "script")]
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use backup_core::{RestoreTarget, Source};
use backup_sources::script::{ScriptConfig, ScriptSource, SecretsIn, StagedConfig, StagedSource};
use support::postgres::{PASSWORD, Postgres, USER};
use support::scripts::entries;
use support::{RecordingSink, context};

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("examples/scripts/postgres")
}

/// Tables, keys, text of every kind, a big value, a view, a sequence.
const FILL: &str = r"
    create table customer (id serial primary key, name text not null unique, note jsonb, picture bytea);
    create table sale (id bigserial primary key, customer int references customer, amount numeric(12, 2), at timestamptz);
    insert into customer (name, note, picture)
        select 'customer ' || n || E' \t\\ ''quoted'' Ünïcode ', json_build_object('n', n), decode(repeat(md5(n::text), 200), 'hex')
        from generate_series(1, 200) n;
    insert into sale (customer, amount, at)
        select 1 + n % 200, n * 1.01, timestamp '2026-11-21' + n * interval '1 minute' from generate_series(1, 5000) n;
    create view turnover as select customer, sum(amount) from sale group by customer;
    create index on sale (at);
";

const DAMAGE: &str = "drop view turnover; truncate sale; delete from customer where id > 3; update customer set name = 'x' || id";

struct Setting {
    postgres: Postgres,
    work: tempfile::TempDir,
}

impl Setting {
    async fn start() -> Option<Self> {
        let setting = Self { postgres: Postgres::start().await?, work: tempfile::tempdir().unwrap() };
        setting.postgres.sql("app", FILL);
        Some(setting)
    }

    fn config(&self) -> StagedConfig {
        let path = |name: &str| self.work.path().join(name);
        let mut config = StagedConfig::new(scripts(), path("jobs"), path("state"), "app");
        config.host = self.postgres.host().to_str().unwrap().into();
        config.username = USER.into();
        config.password = PASSWORD.into();
        for (name, place) in [("BACKUP_DIRECTORY", "jobs"), ("RESTORE_DIRECTORY", "jobs"), ("LOCK_DIRECTORY", "locks")] {
            config.parameters.insert(name.into(), path(place).to_str().unwrap().into());
        }
        config
    }

    /// Captures, damages, restores, compares. Gives back the artifact.
    async fn round_trip(&self, source: &dyn Source) -> (String, Vec<u8>) {
        let before = self.postgres.dump("app");
        let sink = RecordingSink::default();
        let summary = source.capture(&context(), &sink).await.unwrap();
        assert!(!format!("{summary:?}").contains(PASSWORD));
        self.postgres.sql("app", DAMAGE);
        assert_ne!(self.postgres.dump("app"), before);
        source.restore(&context(), &sink.reader(), &RestoreTarget::default()).await.unwrap();
        assert!(self.postgres.dump("app") == before, "the restored database differs");
        sink.only()
    }
}

/// A pair of age's keys: identity and recipient.
fn age_keys() -> (String, String) {
    let keygen = Command::new("age-keygen").stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8(keygen.stdout).unwrap();
    let line = |start: &str| text.lines().find_map(|line| line.strip_prefix(start)).unwrap().to_owned();
    (format!("AGE-SECRET-KEY-{}", line("AGE-SECRET-KEY-")), line("# public key: "))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staged_scripts_bring_a_database_back_with_every_way_to_compress_and_encrypt() {
    let Some(setting) = Setting::start().await else { return };
    let (identity, recipient) = age_keys();
    for (compression, key, back, secrets, suffix, magic) in [
        (false, "none", None, SecretsIn::Argv, ".dump", &b"PGDMP"[..]),
        (true, "none", None, SecretsIn::Environment, ".dump.zst", &b"\x28\xb5\x2f\xfd"[..]),
        (
            true,
            recipient.as_str(),
            Some(identity.as_str()),
            SecretsIn::Environment,
            ".dump.zst.age",
            &b"age-encryption.org/v1"[..],
        ),
        (true, "a passphrase of ours", None, SecretsIn::Argv, ".dump.zst.enc", &b"Salted__"[..]),
        (false, "a passphrase of ours", None, SecretsIn::Environment, ".dump.enc", &b"Salted__"[..]),
    ] {
        let mut config = setting.config();
        config.compression = compression;
        config.encryption_key = key.into();
        config.decryption_key = back.map(Into::into);
        config.secrets = secrets;
        let (name, data) = setting.round_trip(&StagedSource::new(config).unwrap()).await;
        assert!(name.ends_with(&format!("_app{suffix}")), "{name}");
        assert!(data.starts_with(magic), "{name} begins with {:?}", &data[..20]);
        for directory in ["jobs", "state", "locks"] {
            assert_eq!(
                entries(&setting.work.path().join(directory)),
                Vec::<String>::new(),
                "{name} left something in {directory}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_database_is_not_backed_up_and_stays_locked() {
    let Some(setting) = Setting::start().await else { return };
    let lock = setting.work.path().join("locks/app.lock");
    std::fs::create_dir_all(&lock).unwrap();
    let source = StagedSource::new(setting.config()).unwrap();
    let error = source.capture(&context(), &RecordingSink::default()).await.unwrap_err();
    assert!(error.to_string().contains("another job works on it"), "{error}");
    assert!(lock.exists(), "another job's lock was taken away");

    // A backup that fails gives its own lock back.
    std::fs::remove_dir(&lock).unwrap();
    let mut config = setting.config();
    config.password = "wrong password".into();
    let error = StagedSource::new(config).unwrap().capture(&context(), &RecordingSink::default()).await.unwrap_err();
    assert!(error.to_string().contains("authentication failed") && !error.to_string().contains("wrong password"), "{error}");
    assert!(!lock.exists(), "the lock stayed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_brings_a_database_back_and_a_damaged_one_changes_nothing() {
    let Some(setting) = Setting::start().await else { return };
    let (identity, recipient) = age_keys();
    for (key, back) in
        [("none", "none"), (recipient.as_str(), identity.as_str()), ("a passphrase of ours", "a passphrase of ours")]
    {
        let script = |name: &str| vec!["bash".to_owned(), scripts().join(name).to_str().unwrap().to_owned()];
        let config = |key: &str| {
            let mut config = ScriptConfig::new(script("dump"));
            config.restore_command = Some(script("load"));
            let host = setting.postgres.host().to_str().unwrap();
            for (name, value) in
                [("PGHOST", host), ("PGUSER", USER), ("PGPASSWORD", PASSWORD), ("PGDATABASE", "app"), ("ENCRYPTION_KEY", key)]
            {
                config.environment.insert(name.into(), value.into());
            }
            config
        };
        let sink = RecordingSink::default();
        let before = setting.postgres.dump("app");
        ScriptSource::new(config(key)).unwrap().capture(&context(), &sink).await.unwrap();
        setting.postgres.sql("app", DAMAGE);
        let damaged = setting.postgres.dump("app");

        let source = ScriptSource::new(config(back)).unwrap();
        let size = sink.only().1.len();
        for bytes in [size / 2, size] {
            let reader = sink.reader().damaged_after(bytes);
            let error = source.restore(&context(), &reader, &RestoreTarget::default()).await.unwrap_err();
            assert_eq!(error.code().name, "artifact.corrupt");
            assert!(setting.postgres.dump("app") == damaged, "half a restore is in the database");
        }
        source.restore(&context(), &sink.reader(), &RestoreTarget::default()).await.unwrap();
        assert!(setting.postgres.dump("app") == before, "the restored database differs");
    }
}
