//! `prune`, `pin`, `unpin` and `janitor`.

use serde_json::Value;

use crate::bench::{Bench, keys, set};

async fn there(bench: &Bench, name: &str) -> Vec<String> {
    let cx = bench.repository.context();
    bench.repository.list(&cx, &set(name)).await.unwrap().iter().map(|info| info.id.to_string()).collect()
}

#[tokio::test]
async fn what_a_dry_run_shows_is_what_a_prune_does() {
    let bench = Bench::new();
    let ids = bench.back_up_often("vm", 5).await;
    let rules = ["prune", "vm", "--keep-last", "2", "--time-zone", "-03:00", "--json"];
    let planned = bench.run(&[&rules[..], &["--dry-run"]].concat()).code(0).json();
    assert_eq!(keys(&planned), ["dry_run", "failed", "plan", "removed", "set", "withdrawn"]);
    assert_eq!(keys(&planned["plan"][0]), ["decision", "id", "reasons", "stored_size"]);
    assert_eq!((there(&bench, "vm").await.len(), &planned["removed"]), (5, &Value::Array(Vec::new())));

    let done = bench.run(&[&rules[..], &["--yes"]].concat()).code(0).json();
    assert_eq!(planned["plan"], done["plan"]);
    let to_remove: Vec<_> = planned["plan"].as_array().unwrap().iter().filter(|item| item["decision"] == "remove").collect();
    let removed: Vec<_> = done["removed"].as_array().unwrap().iter().collect();
    assert_eq!(to_remove.iter().map(|item| &item["id"]).collect::<Vec<_>>(), removed);
    assert_eq!(there(&bench, "vm").await, [ids[3].as_str(), ids[4].as_str()]);
    assert!(!bench.root.join("vm").join(ids[0].as_str()).exists());
}

#[tokio::test]
async fn without_a_yes_and_a_terminal_nothing_is_removed() {
    let bench = Bench::new();
    bench.back_up_often("vm", 3).await;
    let before = bench.tree();
    let ended = bench.run(&["prune", "vm", "--keep-last", "1"]).code(5);
    assert!(ended.text().contains("remove") && ended.text().contains("no rule keeps it"), "the plan: {}", ended.text());
    assert!(ended.said.contains("--yes"), "{}", ended.said);
    let ended = bench.run(&["prune", "vm", "--keep-last", "1", "--json"]).code(5);
    assert!(ended.out.is_empty() && ended.said.contains("no rule keeps it"), "{}", ended.said);
    bench.run(&["janitor"]).code(5);
    assert_eq!(bench.tree(), before);
    // Where nothing goes nothing is asked.
    bench.run(&["prune", "vm", "--keep-last", "3"]).code(0);
}

#[tokio::test]
async fn a_policy_without_a_rule_is_refused() {
    let bench = Bench::new();
    bench.back_up_often("vm", 2).await;
    bench.run(&["prune", "vm", "--yes"]).code(2);
    bench.run(&["prune", "vm", "--yes", "--keep-last", "0"]).code(2);
    bench.run(&["prune", "vm", "--yes", "--keep-last", "-1"]).code(2);
    bench.run(&["prune", "vm", "--yes", "--keep-within", "soon"]).code(2);
    bench.run(&["prune", "wm", "--yes", "--keep-last", "1"]).code(3);
    assert_eq!(there(&bench, "vm").await.len(), 2);
}

#[tokio::test]
async fn every_rule_reaches_the_policy() {
    let bench = Bench::new();
    bench.back_up_often("vm", 3).await;
    for (rule, value, why) in [
        ("--keep-last", "3", "keep-last 1 of 3"),
        ("--keep-within", "30d", "keep-within 30d"),
        ("--keep-hourly", "1", "hourly"),
        ("--keep-daily", "1", "daily"),
        ("--keep-weekly", "1", "weekly"),
        ("--keep-monthly", "1", "monthly"),
        ("--keep-yearly", "1", "yearly"),
        ("--max-total-size", "1GiB", "fits max-total-size"),
    ] {
        let text = bench.run(&["prune", "vm", "--dry-run", rule, value]).code(0).text();
        assert!(text.contains(why), "{rule}: {text}");
    }
}

#[tokio::test]
async fn a_pinned_backup_stays_until_it_is_unpinned() {
    let bench = Bench::new();
    let ids = bench.back_up_often("vm", 3).await;
    let json = bench.run(&["pin", "vm", ids[0].as_str(), "--reason", "before the upgrade", "--json"]).code(0).json();
    assert_eq!((keys(&json), &json["pinned"]), (vec!["id", "pinned", "set"], &true.into()));
    assert!(bench.run(&["list", "vm"]).code(0).text().contains("pinned"));
    bench.run(&["prune", "vm", "--keep-last", "1", "--yes"]).code(0);
    assert_eq!(there(&bench, "vm").await, [ids[0].as_str(), ids[2].as_str()]);
    assert!(bench.run(&["pin", "vm", ids[0].as_str()]).code(0).text().contains("was pinned before"));
    bench.run(&["unpin", "vm", ids[0].as_str()]).code(0);
    assert!(bench.run(&["unpin", "vm", ids[0].as_str()]).code(0).text().contains("was not pinned"));
    bench.run(&["prune", "vm", "--keep-last", "1", "--yes"]).code(0);
    assert_eq!(there(&bench, "vm").await, [ids[2].as_str()]);
}

#[tokio::test]
async fn the_janitor_has_nothing_to_do_in_a_tidy_repository() {
    let bench = Bench::new();
    bench.back_up_often("vm", 1).await;
    let json = bench.run(&["janitor", "--yes", "--json"]).code(0).json();
    assert_eq!(
        keys(&json),
        ["aborted", "busy", "dry_run", "intents", "objects", "open", "problems", "removals", "unfinished", "withdrawn"]
    );
    assert_eq!((&json["open"], &json["objects"]), (&Value::Array(Vec::new()), &0.into()));
    bench.run(&["verify", "--all"]).code(0);
}
