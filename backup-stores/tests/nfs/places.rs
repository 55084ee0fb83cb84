//! Where the store is, who may use it, and how it looks from outside.

use std::process::Command;

use backup_core::error::codes;
use backup_core::store::PutOptions;
use backup_core::{Effect, ErrorKind, Store};
use backup_stores::nfs::NfsConfig;
use backup_stores::{OpenOptions, StoreConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::bench::{Bench, ROOT, context, data, key, open, open_read_only};
use crate::ganesha::{Ganesha, Setup, wanted};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_client_reads_the_same_bytes_and_we_read_what_it_wrote() {
    if !wanted() {
        return;
    }
    let bench = Bench::new().await;
    let bytes = data((9 << 20) + 1);
    bench.write("v1/3.5.1+h2_00 x.db", &bytes).await.unwrap();
    assert_eq!(std::fs::read(bench.on_disk("v1/3.5.1+h2_00 x.db")).unwrap(), bytes);
    let dir = tempfile::tempdir().unwrap();
    let nfs_cp = |from: &str, to: &str| {
        let output =
            Command::new("nfs-cp").args([from, to]).env_clear().env("PATH", std::env::var("PATH").unwrap()).output().unwrap();
        assert!(output.status.success(), "nfs-cp {from} {to}: {output:?}");
    };
    let (fetched, stored) = (dir.path().join("fetched"), dir.path().join("stored"));
    nfs_cp(&bench.server.libnfs_url(&format!("{ROOT}/v1/3.5.1+h2_00 x.db")), fetched.to_str().unwrap());
    assert_eq!(std::fs::read(fetched).unwrap(), bytes);
    std::fs::write(&stored, &bytes).unwrap();
    nfs_cp(stored.to_str().unwrap(), &bench.server.libnfs_url(&format!("{ROOT}/v1/other")));
    assert_eq!(bench.read("v1/other").await.unwrap(), bytes);
    assert_eq!(bench.names().await, ["v1/3.5.1+h2_00 x.db", "v1/other"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_may_have_an_address_of_ipv6() {
    if !wanted() {
        return;
    }
    let server = Ganesha::with(Setup { address: "::1", ..Setup::default() });
    let store = open(&server.config("six")).await.unwrap();
    store.put(&context(), &key("a"), "x".into(), PutOptions::if_absent()).await.unwrap();
    assert_eq!(std::fs::read(server.export().join("six/a")).unwrap(), b"x");
    assert_eq!(store.head(&context(), &key("a")).await.unwrap().size, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_opening_to_write_makes_the_root() {
    if !wanted() {
        return;
    }
    let server = Ganesha::start();
    let config = server.config("deep/er/root");
    let error = open_read_only(&config).await.unwrap_err();
    assert_eq!(error.code().name, "nfs.root_unusable", "{error}");
    assert!(!server.export().join("deep").exists());
    let store = open(&config).await.unwrap();
    store.put(&context(), &key("a"), "x".into(), PutOptions::if_absent()).await.unwrap();
    assert_eq!(std::fs::read(server.export().join("deep/er/root/a")).unwrap(), b"x");
    let reader = open_read_only(&config).await.unwrap();
    assert_eq!(reader.head(&context(), &key("a")).await.unwrap().size, 1);
    std::fs::write(server.export().join("file"), b"").unwrap();
    std::os::unix::fs::symlink("deep", server.export().join("link")).unwrap();
    for (root, code) in [("file", "nfs.root_unusable"), ("file/below", "nfs.root_unusable"), ("link/root", "nfs.symlink")] {
        let error = open(&server.config(root)).await.unwrap_err();
        assert_eq!(error.code().name, code, "{root}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_url_finds_out_where_the_export_ends() {
    if !wanted() {
        return;
    }
    let server = Ganesha::start();
    let (export, nfs, mount) = (server.export().to_str().unwrap(), server.nfs_port, server.mount_port);
    let undivided = format!("nfs://127.0.0.1:{nfs}{export}/some/root?mount-port={mount}&uid=0&gid=0");
    let divided = format!("nfs://127.0.0.1:{nfs}{export}/some/root?export={export}&mount-port={mount}&uid=0&gid=0");
    let elsewhere = format!("nfs://127.0.0.1:{nfs}/nowhere/root?mount-port={mount}");
    for url in [&divided, &undivided] {
        let config: StoreConfig = url.parse().unwrap();
        assert_eq!(config.to_string(), *url);
        let store = config.open_with(&context(), &OpenOptions::default()).await.unwrap();
        let name = format!("{}", url.len());
        store.put(&context(), &key(&name), "x".into(), PutOptions::if_absent()).await.unwrap();
        assert!(server.export().join("some/root").join(name).exists(), "{url}");
    }
    // This server calls an export that it does not have forbidden.
    let error = elsewhere.parse::<StoreConfig>().unwrap().open(&context()).await.unwrap_err();
    assert!(["nfs.export", "store.denied"].contains(&error.code().name) && error.to_string().contains("/nowhere"), "{error}");
    let block = serde_json::json!({ "nfs": { "server": "127.0.0.1", "export": export, "root": "some/root", "uid": 0, "gid": 0,
        "nfs-port": nfs, "mount-port": mount } });
    let block: StoreConfig = serde_json::from_value(block).unwrap();
    assert_eq!(block, divided.parse().unwrap());
    for (url, why) in [
        ("nfs:///export", "server"),
        ("nfs://host", "export"),
        ("nfs://host/a/b?export=/c", "begins with its `export`"),
        ("nfs://host/a/b?exports=/a", "`exports` is no parameter"),
        ("nfs://host/a?uid=root", "`uid`"),
        ("nfs://host:1/a?nfs-port=2", "twice"),
        ("nfs://host/a?connections=0", "connections"),
    ] {
        let error = url.parse::<StoreConfig>().unwrap_err().to_string();
        assert!(error.contains(why), "{url}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_write_is_told_at_once_and_why() {
    if !wanted() {
        return;
    }
    let read_only = Ganesha::with(Setup { access: "RO", ..Setup::default() });
    std::fs::create_dir(read_only.export().join("root")).unwrap();
    std::fs::write(read_only.export().join("root/a"), b"x").unwrap();
    let error = open(&read_only.config("root")).await.unwrap_err();
    assert_eq!((error.code(), error.effect()), (&codes::STORE_READ_ONLY, Effect::None), "{error}");
    let store = open_read_only(&read_only.config("root")).await.unwrap();
    assert_eq!(store.head(&context(), &key("a")).await.unwrap().size, 1);
    let report = store.delete(&context(), &[key("a")]).await.unwrap();
    assert_eq!(report.failed[0].1.code(), &codes::STORE_READ_ONLY);

    let squashed = Ganesha::with(Setup { squash: "All_Squash", ..Setup::default() });
    let error = open(&squashed.config("root")).await.unwrap_err();
    assert_eq!((error.code(), error.effect()), (&codes::STORE_DENIED, Effect::None), "{error}");
    assert!(error.to_string().contains("all_squash"), "{error}");
    let root_only = Ganesha::start();
    let error = open(&root_only.config("root").user_and_group(12_345, 12_345)).await.unwrap_err();
    assert_eq!((error.code(), error.effect()), (&codes::STORE_DENIED, Effect::None), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_export_or_a_wrong_service_is_named() {
    if !wanted() {
        return;
    }
    let server = Ganesha::start();
    let export = server.export().to_str().unwrap();
    let wrong = NfsConfig::new("127.0.0.1", format!("{export}-not"), "").ports(server.nfs_port, server.mount_port);
    let error = open(&wrong).await.unwrap_err();
    assert!(["nfs.export", "store.denied"].contains(&error.code().name) && error.to_string().contains("-not"), "{error}");
    // The port of MOUNT is not that of NFS.
    let swapped = NfsConfig::new("127.0.0.1", export, "").ports(server.mount_port, server.mount_port);
    let error = open(&swapped).await.unwrap_err();
    assert_eq!((error.code().name, error.kind()), ("nfs.service", ErrorKind::Unsupported), "{error}");
    let nobody = NfsConfig::new("no.such.host.invalid", "/x", "").ports(1, 1).requests(crate::bench::impatient());
    assert_eq!(open(&nobody).await.unwrap_err().code().name, "remote.unreachable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_ports_the_portmapper_is_asked() {
    if !wanted() {
        return;
    }
    let server = Ganesha::start();
    let (url, nfs, mount) = (server.libnfs_url(ROOT), server.nfs_port, server.mount_port);
    // The server's own portmapper listens in a network of its own, so this one answers for it: program 100003 or 100005, by GETPORT.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let portmapper = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let length = client.read_u32().await.unwrap() & 0x7fff_ffff;
            let mut call = vec![0; length as usize];
            client.read_exact(&mut call).await.unwrap();
            let word = |at: usize| u32::from_be_bytes(call[at..at + 4].try_into().unwrap());
            assert_eq!((word(12), word(20)), (100_000, 3), "GETPORT of the portmapper");
            // Behind the head and two credentials without a body stand program, version, protocol.
            let port = if word(40) == 100_003 { nfs } else { mount };
            let answer = [1 << 31 | 28, word(0), 1, 0, 0, 0, 0, u32::from(port)].map(u32::to_be_bytes).concat();
            client.write_all(&answer).await.unwrap();
        }
    });
    let export = server.export().display();
    let config: StoreConfig = format!("nfs://127.0.0.1{export}/{ROOT}?portmapper-port={portmapper}&uid=0&gid=0").parse().unwrap();
    let store = config.open(&context()).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    store.put(&context(), &key("a"), "x".into(), PutOptions::if_absent()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_privileged_port_is_used_when_asked_for() {
    if !wanted() {
        return;
    }
    let server = Ganesha::start();
    let mut config = server.config(ROOT);
    config.privileged_port = true;
    let store = open(&config).await.unwrap();
    store.put(&context(), &key("a"), "x".into(), PutOptions::if_absent()).await.unwrap();
    let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let to = format!(":{:04X}", server.nfs_port);
    let ours: Vec<u16> = sockets
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|fields| fields.len() > 3 && fields[2].ends_with(&to) && fields[3] == "01")
        .map(|fields| u16::from_str_radix(fields[1].rsplit(':').next().unwrap(), 16).unwrap())
        .collect();
    assert!(!ours.is_empty() && ours.iter().all(|port| *port < 1024), "{ours:?}");
}

struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    /// `None` where mounting is not allowed.
    fn mount(megabytes: u32) -> Option<Self> {
        let dir = tempfile::TempDir::new().unwrap();
        let size = format!("size={megabytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(dir.path()).output().ok()?;
        mounted.status.success().then_some(Self(dir))
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _unmounted = Command::new("umount").args(["-l"]).arg(self.0.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_is_a_clear_error_leaves_nothing_and_works_again_later() {
    if !wanted() {
        return;
    }
    let Some(disk) = Tmpfs::mount(8) else {
        println!("SKIPPED: a small tmpfs needs root and mount(8)");
        return;
    };
    let bench = Bench::with(Setup { export: Some(disk.0.path().to_owned()), ..Setup::default() }).await;
    bench.put("first", data(1 << 20)).await.unwrap();
    let error = bench.write("big", &data(20 << 20)).await.unwrap_err();
    assert_eq!((error.code(), error.effect()), (&codes::STORE_NO_SPACE, Effect::None), "{error}");
    let error = bench.put("also big", data(10 << 20)).await.unwrap_err();
    assert_eq!((error.code(), error.effect()), (&codes::STORE_NO_SPACE, Effect::None), "{error}");
    assert_eq!(bench.names().await, ["first"]);
    // Full to the last byte: it can still be opened, and something be removed.
    let full = std::fs::write(bench.on_disk("full"), vec![0; 16 << 20]);
    assert!(full.is_err());
    open(&bench.server.config(ROOT)).await.unwrap();
    assert_eq!(bench.delete("full").await.deleted.len(), 1);
    bench.put("second", data(1 << 20)).await.unwrap();
    assert_eq!(bench.names().await, ["first", "second"]);
}
