//! Users and certificates: what etcd refuses is named, and never with a password.
#![cfg(feature = "etcd")]
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use backup_core::{Error, Source};
use backup_sources::etcd::{EtcdConfig, EtcdSource};
use support::etcd::{Pki, Server, Setup, V3_4, V3_5, V3_6, V3_7, fill, server};
use support::{RecordingSink, context};

const PASSWORD: &str = "correct horse";

async fn failure(config: EtcdConfig) -> Error {
    let sink = RecordingSink::default();
    let error = EtcdSource::new(config).unwrap().capture(&context(), &sink).await.unwrap_err();
    sink.assert_nothing_closed();
    assert!(!format!("{error} {error:?}").contains("battery"), "the password shows");
    error
}

/// A member with authentication, `root`, and a user without a role.
async fn guarded(version: &str) -> Option<Server> {
    let program = server(version)?;
    let etcd = Server::start(&program, &Setup { fast: version != V3_4, ..Setup::default() }).await;
    let mut client = etcd.client().await;
    fill(&mut client, 3, 1000).await;
    for user in ["root", "guest"] {
        client.user_add(user, PASSWORD, None).await.unwrap();
    }
    client.user_grant_role("root", "root").await.unwrap();
    client.auth_enable().await.unwrap();
    Some(etcd)
}

fn as_user(etcd: &Server, user: &str, password: &str) -> EtcdConfig {
    let mut config = etcd.config(None);
    config.username = user.into();
    config.password = password.into();
    config
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_and_missing_users_are_told_from_missing_rights() {
    for version in [V3_4, V3_5, V3_6, V3_7] {
        let Some(etcd) = guarded(version).await else { return };
        for (config, code) in [
            (as_user(&etcd, "root", "battery staple"), "etcd.login"),
            (as_user(&etcd, "nobody", "battery staple"), "etcd.login"),
            (etcd.config(None), "etcd.login"),
            (as_user(&etcd, "guest", PASSWORD), "etcd.denied"),
        ] {
            let error = failure(config).await;
            assert_eq!(error.code().name, code, "etcd {version}: {error}");
            assert!(error.to_string().contains(&etcd.url), "{error}");
        }
        let config = as_user(&etcd, "root", PASSWORD);
        EtcdSource::new(config).unwrap().capture(&context(), &RecordingSink::default()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_where_authentication_is_off_is_not_in_the_way() {
    let Some(program) = server(V3_6) else { return };
    let etcd = Server::start(&program, &Setup { fast: true, ..Setup::default() }).await;
    let config = as_user(&etcd, "root", PASSWORD);
    EtcdSource::new(config).unwrap().capture(&context(), &RecordingSink::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_that_do_not_fit_are_an_error_about_certificates() {
    let Some(program) = server(V3_6) else { return };
    let (pki, other) = (Pki::new(), Pki::new());
    let etcd = Server::start(&program, &Setup { pki: Some(&pki), fast: true, ..Setup::default() }).await;
    let good = etcd.config(Some(&pki));
    let change = |edit: &dyn Fn(&mut EtcdConfig)| {
        let mut config = good.clone();
        edit(&mut config);
        config
    };
    for (what, config) in [
        ("another authority", change(&|config| config.tls_ca_file = other.path("ca.crt"))),
        ("the system's authorities", change(&|config| config.tls_ca_file = "".into())),
        (
            "no client certificate",
            change(&|config| {
                config.tls_cert_file = "".into();
                config.tls_key_file = "".into();
            }),
        ),
        (
            "a foreign client certificate",
            change(&|config| {
                config.tls_cert_file = other.path("client.crt");
                config.tls_key_file = other.path("client.key");
            }),
        ),
        ("http to an https port", change(&|config| config.endpoints = vec![etcd.url.replace("https", "http")])),
    ] {
        let error = failure(config).await;
        match (what, error.code().name) {
            ("http to an https port", "etcd.unreachable") => {}
            // The refusal of a client certificate may arrive as the end of the connection.
            (_, "etcd.unreachable") => assert!(error.to_string().contains("another client certificate"), "{what}: {error}"),
            (_, code) => assert_eq!(code, "etcd.tls", "{what}: {error}"),
        }
    }
    for (what, config) in [
        ("a missing file", change(&|config| config.tls_ca_file = pki.path("no-such.crt"))),
        ("a file that is no PEM", change(&|config| config.tls_ca_file = pki.path("ext"))),
    ] {
        assert_eq!(failure(config).await.code().name, "input.invalid", "{what}");
    }
    // The same as texts; a file wins over a text.
    let inline = change(&|config| {
        config.tls_ca = other.text("ca.crt");
        config.tls_cert = pki.text("client.crt");
        config.tls_key = pki.text("client.key").into();
        config.tls_cert_file = "".into();
        config.tls_key_file = "".into();
    });
    EtcdSource::new(inline).unwrap().capture(&context(), &RecordingSink::default()).await.unwrap();
}
