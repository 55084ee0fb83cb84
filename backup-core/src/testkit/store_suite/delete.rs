//! Deleting.

use super::bench::{Bench, key, promise};
use crate::key::ObjectKey;
use crate::store::DeleteReport;

async fn delete(bench: &Bench<'_>, names: &[&str]) -> DeleteReport {
    let keys: Vec<ObjectKey> = names.iter().map(|name| key(name)).collect();
    bench.store.delete(&bench.cx, &keys).await.unwrap_or_else(|error| panic!("delete of {names:?} must work: {error}"))
}

fn sorted(mut keys: Vec<ObjectKey>) -> Vec<String> {
    keys.sort();
    keys.iter().map(ToString::to_string).collect()
}

pub(super) async fn delete_says_what_it_did(bench: Bench<'_>) {
    for name in ["d/a", "d/b", "d/c/x", "d/e"] {
        bench.put(&key(name), "x").await;
    }
    let report = delete(&bench, &["d/b", "d/missing", "d/a", "d/c", "d/c/x"]).await;
    promise!(report.failed.is_empty(), "nothing can fail here: {report:?}");
    let (deleted, missing) = (sorted(report.deleted), sorted(report.missing));
    promise!(deleted == ["d/a", "d/b", "d/c/x"], "a delete must name what it removed, not {deleted:?}");
    promise!(missing == ["d/c", "d/missing"], "a delete must name what was not there, not {missing:?}");
    for gone in ["d/a", "d/b", "d/c/x"] {
        bench.absent(&key(gone), "after its delete").await;
    }
    bench.present(&key("d/e"), b"x", "after a delete of its neighbours").await;

    let again = delete(&bench, &["d/a", "d/b"]).await;
    promise!(again.deleted.is_empty() && again.failed.is_empty(), "a second delete must find nothing: {again:?}");
    promise!(sorted(again.missing) == ["d/a", "d/b"], "a second delete must say that nothing was there");
    let nothing = delete(&bench, &[]).await;
    promise!(nothing.deleted.len() + nothing.missing.len() == 0, "a delete of nothing must do nothing: {nothing:?}");
    bench.put(&key("d/a"), "the key is free again").await;
}
