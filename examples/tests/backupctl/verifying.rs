//! `verify`.

use backup_core::Compression;

use crate::bench::{Bench, keys};

#[tokio::test]
async fn a_good_backup_is_good_at_every_level() {
    let bench = Bench::new();
    let id = bench.back_up("vm", Compression::Gzip, &[("a", &[1; 100_000])]).await;
    for level in ["size", "digest", "restorable"] {
        let ended = bench.run(&["verify", "vm", "latest", "--level", level]).code(0);
        assert!(ended.text().contains("good") && ended.text().contains(level), "{}", ended.text());
    }
    let json = bench.run(&["verify", "vm", id.as_str(), "--json"]).code(0).json();
    let one = &json["verified"][0];
    assert_eq!(keys(one), ["bytes", "checks", "error", "findings", "good", "id", "set"]);
    assert_eq!((&one["good"], &one["id"]), (&true.into(), &id.as_str().into()));
    assert!(bench.run(&["list", "vm"]).code(0).text().contains("verified"));
}

#[tokio::test]
async fn verify_all_finds_the_damaged_one_and_checks_the_others_too() {
    let bench = Bench::new();
    let ids = bench.back_up_often("vm", 3).await;
    bench.back_up_often("other", 1).await;
    bench.flip_a_bit("vm", &ids[2], "data");
    let ended = bench.run(&["verify", "--all"]).code(4);
    let text = ended.text();
    let damaged: Vec<_> = text.lines().filter(|line| line.starts_with("DAMAGED")).collect();
    assert!(damaged.len() == 1 && damaged[0].contains(ids[2].as_str()), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("good")).count(), 3, "{text}");
    assert!(ended.said.contains("4 backups checked, 1 damaged"), "{}", ended.said);

    let json = bench.run(&["verify", "vm", "--all", "--json"]).code(4).json();
    assert_eq!(json["verified"].as_array().unwrap().len(), 3);
    assert_eq!(
        (&json["verified"][2]["good"], &json["verified"][2]["findings"][0]["code"]),
        (&false.into(), &"artifact.corrupt".into())
    );
    // From now on it is not the latest any more.
    assert_eq!(bench.run(&["show", "vm", "latest", "--json"]).code(0).json()["backup"]["id"], ids[1].as_str());
    bench.run(&["show", "vm", ids[2].as_str()]).code(4);
}

#[tokio::test]
async fn a_missing_object_is_damage() {
    let bench = Bench::new();
    let ids = bench.back_up_often("vm", 1).await;
    std::fs::remove_file(bench.object("vm", &ids[0], "data")).unwrap();
    bench.run(&["verify", "vm", ids[0].as_str(), "--level", "size"]).code(4);
}
