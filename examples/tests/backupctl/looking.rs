//! `list`, `show` and `rebuild`.

use backup_core::Compression;

use crate::bench::{Bench, keys, set};

#[tokio::test]
async fn list_shows_the_sets_and_the_backups_of_a_set() {
    let bench = Bench::new();
    let ids = bench.back_up_often("etcd/prod", 2).await;
    bench.back_up_often("vm", 1).await;

    let sets = bench.run(&["list"]).code(0).text();
    let lines: Vec<_> = sets.lines().collect();
    assert_eq!(lines.len(), 3, "{sets}");
    assert!(lines[0].starts_with("SET") && lines[1].starts_with("etcd/prod") && lines[2].starts_with("vm"), "{sets}");
    assert!(lines[1].contains(ids[1].as_str()), "{sets}");

    let backups = bench.run(&["list", "etcd/prod"]).code(0).text();
    let lines: Vec<_> = backups.lines().collect();
    assert_eq!(lines.len(), 3, "{backups}");
    for (line, id) in lines[1..].iter().zip(&ids) {
        assert!(line.starts_with(id.as_str()) && line.contains("9 bytes") && line.contains("1.2.3"), "{backups}");
    }
    assert!(lines.iter().all(|line| line.trim_end() == *line), "{backups:?}");
}

#[tokio::test]
async fn list_as_json_has_the_documented_keys() {
    let bench = Bench::new();
    let ids = bench.back_up_often("etcd/prod", 2).await;
    let list = bench.run(&["list", "etcd/prod", "--json"]).code(0).json();
    assert_eq!(list["set"], "etcd/prod");
    assert_eq!(list["backups"][0]["id"], ids[0].as_str());
    assert_eq!(list["backups"][1]["state"], "published");
    assert_eq!(
        keys(&list["backups"][0]),
        [
            "artifacts",
            "created_at",
            "first_key",
            "id",
            "identity",
            "parents",
            "pinned",
            "published_at",
            "retain_until",
            "revision",
            "set",
            "state",
            "stored_size",
            "verified",
            "version",
            "warnings"
        ]
    );
    let sets = bench.run(&["--json", "list"]).code(0).json();
    assert_eq!(keys(&sets["sets"][0]), ["backups", "good", "latest", "set", "stored_size"]);
    assert_eq!((&sets["sets"][0]["backups"], &sets["sets"][0]["latest"]["id"]), (&2.into(), &ids[1].as_str().into()));
}

#[tokio::test]
async fn show_tells_everything_of_one_backup() {
    let bench = Bench::new();
    let id = bench.back_up("vm", Compression::Gzip, &[("a", b"aaaa"), ("b/c", &[7; 5000])]).await;
    for which in ["latest", id.as_str()] {
        let text = bench.run(&["show", "vm", which]).code(0).text();
        for part in [id.as_str(), "published", "files", "b/c", "gzip", "5.0 kB", "1.2.3"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let json = bench.run(&["show", "vm", which, "--json"]).code(0).json();
        assert_eq!(keys(&json), ["artifacts", "backup", "job", "labels", "source", "warnings"]);
        assert_eq!(keys(&json["artifacts"][1]), ["compression", "key", "name", "sha256", "size", "stored_sha256", "stored_size"]);
        assert_eq!((&json["artifacts"][1]["name"], &json["artifacts"][1]["size"]), (&"b/c".into(), &5000.into()));
        assert_eq!(json["source"]["kind"], "files");
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let bench = Bench::new();
    bench.back_up_often("vm", 1).await;
    let ended = bench.run(&["list", "wm"]).code(3);
    assert!(ended.said.contains("no backup of `wm`") && ended.said.contains("vm"), "{}", ended.said);
    bench.run(&["show", "vm", "20261121T093000123Z-1f0c9a2b"]).code(3);
    bench.run(&["restore", "vm", "20261121T093000123Z-1f0c9a2b", "--to", "out"]).code(3);
    bench.run(&["pin", "vm", "20261121T093000123Z-1f0c9a2b"]).code(3);
    bench.run(&["restore", "vm", "latest", "--to", "out", "--artifact", "nothing"]).code(3);
}

#[tokio::test]
async fn rebuild_counts_what_is_there_and_names_what_is_damaged() {
    let bench = Bench::new();
    let ids = bench.back_up_often("vm", 3).await;
    bench.back_up_often("other", 1).await;
    let clean = bench.run(&["rebuild", "--json"]).code(0).json();
    assert_eq!(keys(&clean["sets"][0]), ["adopted", "backups", "damaged", "published", "set", "stored_size", "unsupported"]);
    assert_eq!((&clean["sets"][1]["set"], &clean["sets"][1]["published"]), (&"vm".into(), &3.into()));

    let manifest = bench.root.join(format!(".backup/sets/vm/{}.json", ids[1]));
    let mut content = std::fs::read(&manifest).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    std::fs::write(&manifest, content).unwrap();
    let ended = bench.run(&["rebuild"]).code(4);
    assert!(ended.said.contains(ids[1].as_str()), "{}", ended.said);
    let json = bench.run(&["rebuild", "--json"]).code(4).json();
    assert_eq!((&json["sets"][1]["published"], &json["sets"][1]["damaged"]), (&2.into(), &1.into()));
    bench.run(&["show", "vm", ids[1].as_str()]).code(4);
    assert_eq!(bench.run(&["show", "vm", "latest", "--json"]).code(0).json()["backup"]["id"], ids[2].as_str());
}

#[tokio::test]
async fn verbs_that_look_change_nothing() {
    let bench = Bench::new();
    bench.back_up_often("vm", 2).await;
    let before = bench.tree();
    for arguments in [
        &["list"][..],
        &["list", "vm"],
        &["show", "vm", "latest"],
        &["rebuild"],
        &["prune", "vm", "--keep-last", "1", "--dry-run"],
        &["janitor", "--dry-run"],
        &["restore", "vm", "latest", "--to", "out"],
        &["restore", "vm", "latest", "--to", "out2", "--dry-run"],
    ] {
        bench.run(arguments).code(0);
        assert_eq!(bench.tree(), before, "{arguments:?}");
    }
    assert!(!bench.directory.path().join("out2").exists());
}

#[tokio::test]
async fn a_configuration_of_a_server_says_where_the_backups_are() {
    let bench = Bench::new();
    let ids = bench.back_up_often("vm", 1).await;
    let config = bench.directory.path().join("server.yaml");
    let root = bench.root.display();
    for text in [format!("listen: 0.0.0.0:80\nstore:\n  fs: {{ root: {root} }}\nfrob: [1]\n"), format!("backup-dir: {root}\n")] {
        std::fs::write(&config, text).unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_backupctl"));
        let output = command.arg("--config").arg(&config).args(["list", "vm"]).output().unwrap();
        assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains(ids[0].as_str()), "{output:?}");
    }
    assert_eq!(bench.repository.list(&bench.repository.context(), &set("vm")).await.unwrap().len(), 1);
}
