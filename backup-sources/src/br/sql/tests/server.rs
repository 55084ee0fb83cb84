//! What a server tells about itself, and servers that tell nothing.

use backup_core::testkit::free_port;

use super::super::super::config::{Encryption, EncryptionMethod};
use super::super::super::executor::Cluster;
use super::*;

#[tokio::test]
async fn version_and_cluster_are_told_as_far_as_the_server_knows_them() {
    let cluster = |id: Option<&str>, version: &str| Cluster { id: id.map(str::to_owned), version: Some(version.into()) };
    let bench = Bench::new(|behaviour| behaviour.version = "5.7.25-TiDB-v6.5.0".into()).await;
    assert_eq!(bench.executor().identify(&bench.context()).await.unwrap(), cluster(None, "6.5.0"));
    bench.server.set(|behaviour| {
        behaviour.version = "8.0.11-renamed-by-an-operator".into();
        behaviour.cluster_id = Some("7051234567890123456".into());
    });
    assert_eq!(bench.executor().identify(&bench.context()).await.unwrap(), cluster(Some("7051234567890123456"), "7.5.0"));
    let denied = (1142, "SELECT command denied to user 'root'@'%' for table 'tidb'");
    bench.server.set(|behaviour| behaviour.refuse = vec![("SELECT VARIABLE_VALUE".into(), denied.0, denied.1.into())]);
    assert_eq!(bench.executor().identify(&bench.context()).await.unwrap(), cluster(None, "7.5.0"));
    bench.server.set(|behaviour| behaviour.release = None);
    let error = bench.executor().identify(&bench.context()).await.unwrap_err();
    assert_eq!(code(&error), "br.config", "{error}");
    assert!(error.to_string().contains("renamed-by-an-operator"), "{error}");
}

#[tokio::test]
async fn the_safe_point_is_told_or_unknown_or_denied() {
    let bench = Bench::new(|_| {}).await;
    let ask = async || bench.executor().gc_safe_point(&bench.context()).await;
    assert_eq!(ask().await.unwrap(), None);
    bench.server.set(|behaviour| behaviour.gc_safe_point = Some("20220428-16:00:42.191 +0800".into()));
    assert_eq!(ask().await.unwrap().unwrap().time().to_rfc3339(), "2022-04-28T08:00:42.191+00:00");
    bench.server.set(|behaviour| behaviour.gc_safe_point = Some(String::new()));
    assert_eq!(ask().await.unwrap(), None);
    bench.server.set(|behaviour| behaviour.refuse = vec![("SELECT VARIABLE_VALUE".into(), 1142, "SELECT command denied".into())]);
    assert_eq!(code(&ask().await.unwrap_err()), "br.denied");
}

#[tokio::test]
async fn a_wrong_login_is_named_and_begins_nothing() {
    let mut bench = Bench::new(|_| {}).await;
    note_secret("battery-staple");
    for (user, password) in [("root", "battery-staple"), ("root", ""), ("nobody", "tidb-root-password")] {
        (bench.config.user, bench.config.password) = (user.into(), password.into());
        let error = bench.backup(&bench.order("one")).await.unwrap_err();
        assert_eq!(code(&error), "br.login", "{user}: {error}");
        assert!(error.to_string().contains(&bench.server.address()), "{error}");
    }
    assert!(bench.server.tasks().is_empty() && bench.server.statements().is_empty());
}

#[tokio::test]
async fn who_may_not_look_after_a_task_does_not_start_one() {
    let bench =
        Bench::new(|behaviour| behaviour.refuse = vec![("SHOW".into(), 1227, "you need SUPER or BACKUP_ADMIN".into())]).await;
    let error = bench.backup(&bench.order("one")).await.unwrap_err();
    assert_eq!(code(&error), "br.denied", "{error}");
    assert!(bench.server.tasks().is_empty());
}

#[tokio::test]
async fn no_server_and_one_that_does_not_answer_are_unreachable() {
    let mut bench = Bench::new(|behaviour| behaviour.mute = vec!["SELECT".into()]).await;
    bench.config.timeout = Duration::from_millis(200);
    let error = bench.executor().identify(&bench.context()).await.unwrap_err();
    assert_eq!(code(&error), "br.unreachable", "{error}");
    assert!(error.to_string().contains("200ms"), "{error}");
    bench.config.address = format!("127.0.0.1:{}", free_port());
    let error = bench.backup(&bench.order("one")).await.unwrap_err();
    assert_eq!(code(&error), "br.unreachable", "{error}");
}

#[tokio::test]
async fn what_cannot_be_said_in_sql_is_refused_at_once() {
    let mut bench = Bench::new(|_| {}).await;
    for address in ["tidb", "tidb:x", ":4000", "tidb:99999"] {
        bench.config.address = address.into();
        assert_eq!(code(&bench.backup(&bench.order("one")).await.unwrap_err()), "br.config", "{address}");
    }
    let mut config = BrConfig::new(ExecutorConfig::Sql(bench.config.clone()));
    config.encryption = Some(Encryption { method: EncryptionMethod::Aes256Ctr, key: "00".repeat(32).into() });
    let error = SqlExecutor::new(&bench.config, &config).unwrap_err();
    assert_eq!(code(&error), "br.config", "{error}");
    config.encryption = None;
    bench.config.poll = Duration::ZERO;
    let error = SqlExecutor::new(&bench.config, &config).unwrap_err();
    assert!(error.to_string().contains("`poll`"), "{error}");
}
