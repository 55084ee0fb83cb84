//! To a real S3 server and back, as the original's caller asks for it.

use std::time::Duration;

use backup_core::Digest;
use serde_json::{Value, json};

use crate::agent::{Agent, Place, backup, restore};
use crate::postgres::{PASSWORD, Postgres, USER};
use crate::s3::Bucket;
use crate::s3s::S3s;

#[test]
fn a_backup_is_one_object_with_its_digest_and_comes_back_as_it_was() {
    let Some(bucket) = Bucket::new() else { return };
    let place = Place::new();
    place.tell("restore", "cp \"$here/restore/$6/$5\" \"$here/restored\"");
    let agent = place.start();
    // With a scheme, and without one.
    for (id, prefix, bare) in [("b1", "plan/", false), ("b2", "", true), ("b3", "no-slash-", true)] {
        let mut destination = bucket.destination(prefix);
        if bare {
            destination["endpoint"] = json!(bucket.server.endpoint.trim_start_matches("http://"));
        }
        agent.post(backup(id, &destination));
        let job = agent.succeeds(&format!("/backup/{id}"));
        let file = job["filename"].as_str().unwrap();
        assert_eq!((&job["filesize"], &job["filenamePrefix"]), (&json!({ "size": 8, "unit": "byte" }), &json!(prefix)));
        let head = bucket.head(&format!("{prefix}{file}"));
        assert_eq!(
            (head["ContentLength"].as_u64(), head["Metadata"]["backup-sha256"].as_str()),
            (Some(8), Some(Digest::of(b"the data").to_string().as_str())),
            "{head}"
        );
        agent.put(restore(id, &destination, file));
        agent.succeeds(&format!("/restore/{id}"));
        assert_eq!(std::fs::read(place.path("restored")).unwrap(), b"the data");
        assert_eq!(std::fs::read(place.path(&format!("restore/{id}/{file}"))).unwrap(), b"the data");
    }
    assert_eq!(bucket.names().len(), 3, "{:?}", bucket.names());
}

#[test]
fn an_object_under_the_key_stays_unless_it_may_be_replaced() {
    let Some(bucket) = Bucket::new() else { return };
    for may in [false, true] {
        let place = Place::new().variable("allow_overwrite", may);
        place.tell("backup", "printf 'the data' >\"$here/backup/$6/fixed.dump\"");
        let agent = place.start();
        bucket.put("p/fixed.dump", "older");
        agent.post(backup("b1", &bucket.destination("p/")));
        match may {
            true => drop(agent.succeeds("/backup/b1")),
            false => {
                let message = agent.fails("/backup/b1");
                assert!(
                    message.starts_with("Backup failed due to 'Uploading to S3 failed due to '") && message.contains("exists"),
                    "{message}"
                );
            }
        }
        assert_eq!(bucket.head("p/fixed.dump")["ContentLength"], if may { 8 } else { 5 });
    }
}

#[test]
fn a_restore_keeps_a_file_unless_it_may_delete_and_refuses_damaged_bytes() {
    let Some(bucket) = Bucket::new() else { return };
    // An object of another program has no digest.
    bucket.put("theirs.dump", "theirs");
    for may in [false, true] {
        let place = Place::new().variable("allowed_to_delete_files", may);
        let agent = place.start();
        std::fs::create_dir_all(place.path("restore/r1")).unwrap();
        let target = place.path("restore/r1/theirs.dump");
        std::fs::write(&target, "mine").unwrap();
        agent.put(restore("r1", &bucket.destination(""), "theirs.dump"));
        match may {
            true => drop(agent.succeeds("/restore/r1")),
            false => assert_eq!(
                agent.fails("/restore/r1"),
                format!("Restore failed due to 'File already exists: {}'", target.display())
            ),
        }
        assert_eq!(std::fs::read_to_string(&target).unwrap(), if may { "theirs" } else { "mine" });
    }
    let digest = Digest::of(b"what was stored").to_string();
    let put =
        json!({ "Bucket": bucket.name, "Key": "damaged.dump", "Body": "what is there", "Metadata": { "backup-sha256": digest } });
    assert_eq!(bucket.server.s3("put_object", put)["error"], Value::Null);
    let place = Place::new();
    let agent = place.start();
    agent.put(restore("r2", &bucket.destination(""), "damaged.dump"));
    let message = agent.fails("/restore/r2");
    assert!(
        message.starts_with("Restore failed due to 'Downloading from S3 failed due to '") && message.contains("SHA-256"),
        "{message}"
    );
    assert_eq!(crate::agent::names(&place.path("restore/r2")), [] as [String; 0]);
    assert!(!place.ran().contains(&"restore".to_owned()));
    agent.put(restore("r3", &bucket.destination(""), "missing.dump"));
    assert!(agent.fails("/restore/r3").contains("Downloading from S3 failed due to"));
}

#[test]
fn an_id_that_was_deleted_and_used_again_uploads_only_the_new_file() {
    let Some(bucket) = Bucket::new() else { return };
    let place = Place::new();
    let agent = place.start();
    for name in ["old.dump", "new.dump"] {
        place.tell("backup", &format!("printf data >\"$here/backup/$6/{name}\""));
        agent.post(backup("again", &bucket.destination("")));
        assert_eq!(agent.succeeds("/backup/again")["filename"], name);
        assert_eq!(agent.delete("/backup", "again"), 200);
    }
    assert_eq!(bucket.names(), ["new.dump", "old.dump"]);
    // Neither a backup here nor one there was deleted.
    let there = [crate::agent::names(&place.path("backup/again")), crate::agent::names(&place.path("backup/again.1"))];
    assert_eq!(there, [["new.dump"], ["old.dump"]]);
}

#[test]
fn a_bucket_that_is_not_there_and_a_wrong_key_fail_the_job_alone() {
    let Some(bucket) = Bucket::new() else { return };
    let place = Place::new();
    let agent = place.start();
    for (id, field, value) in
        [("b1", "bucket", "no-such-bucket"), ("b2", "authSecret", "wrong"), ("b3", "endpoint", "not a host")]
    {
        let mut destination = bucket.destination("");
        destination[field] = json!(value);
        agent.post(backup(id, &destination));
        let message = agent.fails(&format!("/backup/{id}"));
        assert!(message.contains("Uploading to S3 failed due to"), "{message}");
    }
    assert_eq!(place.ran().iter().filter(|stage| *stage == "post-backup-unlock").count(), 3);
    assert_eq!(bucket.names(), [] as [String; 0]);
}

#[test]
fn a_big_sparse_file_goes_up_in_bounded_memory() {
    let Some(bucket) = Bucket::new() else { return };
    big_sparse_file(1 << 10, &bucket.destination(""));
    assert_eq!(bucket.head("big.dump")["ContentLength"].as_u64(), Some(1 << 30));
    assert_eq!(bucket.names(), ["big.dump"], "a note of the upload was left");
}

#[test]
fn a_sparse_file_of_twenty_gigabytes_goes_up_in_bounded_memory() {
    if !crate::long() {
        return println!("SKIPPED: a full size, with BACKUP_TEST_LONG=1");
    }
    // Its objects are files; the other server has them in its memory.
    let Some(server) = S3s::start() else { return };
    let block = server.block("");
    let destination = json!({
        "type": "S3", "bucket": block["bucket"], "endpoint": block["endpoint"], "authKey": block["access-key-id"],
        "authSecret": block["secret-access-key"], "filenamePrefix": "",
    });
    big_sparse_file(20 << 10, &destination);
    assert_eq!(std::fs::metadata(server.files("big.dump")).unwrap().len(), 20 << 30);
}

/// Backs up a file of zeros and looks at the memory that takes.
fn big_sparse_file(megabytes: u64, destination: &Value) {
    let place = Place::new();
    place.tell("backup", &format!("truncate -s {megabytes}M \"$here/backup/$6/big.dump\""));
    let agent = place.start();
    let before = agent.peak();
    agent.post(backup("b1", destination));
    // Of a sparse file every byte is hashed twice and sent.
    let job = agent.ended_within("/backup/b1", Duration::from_secs(120 + megabytes / 8));
    assert_eq!(job["status"], "SUCCEEDED", "{job}: {}", agent.said());
    assert_eq!(job["filesize"]["size"].as_u64(), Some(megabytes << 20));
    let more = agent.peak() - before;
    assert!(more < 128 << 20, "{more} bytes more");
}

#[test]
fn an_agent_killed_while_it_uploads_leaves_nothing_that_can_be_seen_and_unlocks() {
    let Some(bucket) = Bucket::new() else { return };
    let place = Place::new();
    place.tell("backup", "truncate -s 512M \"$here/backup/$6/big.dump\"");
    let agent = place.start();
    agent.post(backup("b1", &bucket.destination("")));
    crate::agent::until("the upload has begun", || bucket.server.uploads(&bucket.name, "") > 0);
    agent.kill();
    let agent = place.start();
    let job = agent.job("/backup/b1");
    assert_eq!((&job["status"], &job["failed_phase"]), (&json!("FAILED"), &json!("backup")), "{job}");
    assert_eq!(place.ran().join(" "), "pre-backup-lock pre-backup-check backup backup-cleanup post-backup-unlock");
    assert_eq!(bucket.names(), [] as [String; 0]);
}

#[test]
fn long_names_go_up_and_come_back() {
    let Some(bucket) = Bucket::new() else { return };
    let place = Place::new();
    let agent = place.start();
    for length in [201, 240] {
        let (id, name) = (format!("b{length}"), format!("{}.dump", "n".repeat(length - 5)));
        place.tell("backup", &format!("printf 'long {length}' >\"$here/backup/$6/{name}\""));
        agent.post(backup(&id, &bucket.destination("long/")));
        assert_eq!(agent.succeeds(&format!("/backup/{id}"))["filename"], name);
        agent.put(restore(&id, &bucket.destination("long/"), &name));
        agent.succeeds(&format!("/restore/{id}"));
        let restored = std::fs::read_to_string(place.path(&format!("restore/{id}/{name}"))).unwrap();
        assert_eq!(restored, format!("long {length}"));
    }
}

/// A client that behaves as the original's caller: its bodies, its polling, and what it reads of the answers.
pub struct Manager<'a>(pub &'a Agent);

impl Manager<'_> {
    fn body(kind: &str, id: &str, destination: &Value, filename: &str, key: &str, host: &str, database: &str) -> String {
        let mut fields = String::from(
            r#""id":"5c0123456789abcdef012345","idAsString":"5c0123456789abcdef012345","serviceInstance":{"plan":{"metadata":null}},"name":"n","#,
        );
        for (name, value) in destination.as_object().unwrap() {
            fields += &format!("{}:{value},", json!(name));
        }
        // What says the type is there a second time, as Jackson writes it.
        fields += &format!("\"filename\":{},\"type\":{}", json!(filename), destination["type"]);
        let (host, database, user, password) = (json!(host), json!(database), json!(USER), json!(PASSWORD));
        format!(
            r#"{{"id":"{id}","compression":true,"encryption_key":{},"destination":{{{fields}}},"{kind}":{{"serviceInstance":{{}},"host":{host},"port":5432,"username":{user},"password":{password},"backupUsername":null,"backupPassword":null,"database":{database},"type":"AGENT","parameters":null}}}}"#,
            json!(key)
        )
    }

    /// Polls as it does, only more often, until the status is not RUNNING; the fields that it reads have to be there.
    fn poll(&self, path: &str) -> Value {
        loop {
            let answer = self.0.try_ask("GET", path, "");
            if let Some(job) = answer.filter(|answer| answer.status == 200).map(|answer| answer.json()) {
                let status = job["status"].as_str().unwrap();
                assert!(["RUNNING", "FAILED", "SUCCEEDED"].contains(&status), "{job}");
                assert!(
                    job["message"].is_string()
                        && job["start_time"].is_string()
                        && job["end_time"].is_string()
                        && job["execution_time_ms"].is_u64()
                );
                if status != "RUNNING" {
                    return job;
                }
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Gives the name of the file and what is before it in the key.
    pub fn backup(&self, id: &str, destination: &Value, key: &str, host: &str, database: &str) -> (String, String) {
        assert_eq!(self.0.ask("POST", "/backup", Self::body("backup", id, destination, "", key, host, database)).status, 201);
        let job = self.poll(&format!("/backup/{id}"));
        assert_eq!(job["status"], "SUCCEEDED", "{job}");
        (job["filename"].as_str().unwrap().to_owned(), job["filenamePrefix"].as_str().unwrap().to_owned())
    }

    pub fn restore(&self, id: &str, destination: &Value, filename: &str, key: &str, host: &str, database: &str) {
        assert_eq!(
            self.0.ask("PUT", "/restore", Self::body("restore", id, destination, filename, key, host, database)).status,
            201
        );
        let job = self.poll(&format!("/restore/{id}"));
        assert_eq!(job["status"], "SUCCEEDED", "{job}");
    }
}

/// The bundled scripts for PostgreSQL.
pub fn postgres_place() -> Place {
    let place = Place::new();
    let scripts = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/postgres");
    for name in crate::agent::names(&scripts) {
        std::fs::copy(scripts.join(&name), place.path("scripts").join(&name)).unwrap();
    }
    let path = |name: &str| place.path(name).display().to_string();
    let settings =
        format!("BACKUP_DIRECTORY={}\nRESTORE_DIRECTORY={}\nLOCK_DIRECTORY={}\n", path("backup"), path("restore"), path("locks"));
    std::fs::write(place.path("scripts/settings"), settings).unwrap();
    place
}

/// PostgreSQL -> agent -> `destination` -> agent -> the same dump, compressed and encrypted by the scripts.
pub fn postgres_round_trip(postgres: &Postgres, destination: &Value) {
    postgres.sql(
        "app",
        "create table t (id int primary key, text text); insert into t select n, md5(n::text) from generate_series(1, 20000) n",
    );
    let before = postgres.dump("app");
    let place = postgres_place();
    let agent = place.start();
    let (manager, host) = (Manager(&agent), postgres.host().display().to_string());
    let (file, _) = manager.backup("5c0123456789abcdef0123450", destination, "a passphrase", &host, "app");
    // The host of this server is a path: its slashes cannot stand in a file name.
    assert!(file.ends_with("_app.dump.zst.enc") && !file.contains('/'), "{file}");
    postgres.sql("app", "drop table t; create table other (x int)");
    postgres.sql("app", "drop table other");
    manager.restore("5c0123456789abcdef0123450", destination, &file, "a passphrase", &host, "app");
    assert_eq!(postgres.dump("app"), before);
    assert_eq!(crate::agent::names(&place.path("locks")), [] as [String; 0]);
}

#[tokio::test]
async fn a_postgresql_database_goes_to_s3_and_comes_back_as_it_was() {
    let (Some(bucket), Some(postgres)) = (Bucket::new(), Postgres::start().await) else { return };
    tokio::task::spawn_blocking(move || postgres_round_trip(&postgres, &bucket.destination("plan-1/"))).await.unwrap();
}
