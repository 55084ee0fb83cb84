//! Listings.

use futures::stream::{self, StreamExt};

use super::bench::{Bench, key, promise};
use crate::key::KeyPrefix;
use crate::store::{ListOptions, PutOptions};

/// Names whose byte order a walk through directories gets wrong: ` `, `+`, `-`, `.` sort before `/`.
const NASTY: [&str; 14] =
    ["n/a b", "n/a+b", "n/a-b", "n/a.b", "n/a/b", "n/a/b-c", "n/a0", "n/aa", "n/B", "n/a-b/c", "n/~", "n/é", "n/a/é/x", "m"];

async fn put_all(bench: &Bench<'_>, names: &[&str]) {
    for name in names {
        bench.put(&key(name), (*name).to_owned()).await;
    }
}

pub(super) async fn listings_are_in_byte_order(bench: Bench<'_>) {
    let long = format!("n/{}/{}", "l".repeat(240), "m".repeat(240));
    let mut names = NASTY.to_vec();
    // `a-b` and `a-b/c` cannot both lie in a plain file tree.
    if !bench.factory.objects_below_objects() {
        names.retain(|name| *name != "n/a-b/c");
    }
    names.push(&long);
    put_all(&bench, &names).await;
    names.sort_unstable();
    let listed = bench.list(&KeyPrefix::root(), ListOptions::default()).await;
    let got: Vec<_> = listed.iter().map(|meta| meta.key.as_str()).collect();
    promise!(got == names, "a listing must have every key once and in byte order:\n{got:?}\ninstead of\n{names:?}");
    for meta in &listed {
        let size = meta.key.as_str().len() as u64;
        promise!(meta.size == size, "the listing says {} bytes of {}, which has {size}", meta.size, meta.key);
    }
}

pub(super) async fn a_prefix_ends_at_a_segment(bench: Bench<'_>) {
    put_all(&bench, &["etcd/prod/1", "etcd/prod/deep/er/2", "etcd/prod.old/3", "etcd/prod2/4", "etcd/prod-5", "z"]).await;
    for (prefix, expected) in [
        ("etcd/prod", vec!["etcd/prod/1", "etcd/prod/deep/er/2"]),
        ("etcd/prod/deep", vec!["etcd/prod/deep/er/2"]),
        ("etcd/pro", vec![]),
        ("etcd/prod/1", vec![]),
        ("none", vec![]),
        ("", vec!["etcd/prod-5", "etcd/prod.old/3", "etcd/prod/1", "etcd/prod/deep/er/2", "etcd/prod2/4", "z"]),
    ] {
        let got = bench.names(prefix, None).await;
        promise!(got == expected, "under the prefix {prefix:?} there is exactly {expected:?}, not {got:?}");
    }
}

pub(super) async fn listings_start_after_a_key(bench: Bench<'_>) {
    let all = ["p/a", "p/a.b", "p/a0/x", "p/a0/y", "p/c", "q"];
    put_all(&bench, &all).await;
    for after in ["p/a", "p/a.b", "p/a0", "p/a0/x", "p/b", "p/c", "a", "p", "q", "zz"] {
        for prefix in ["", "p", "p/a0"] {
            let got = bench.names(prefix, Some(after)).await;
            let inside = |name: &str| prefix.is_empty() || name.starts_with(&format!("{prefix}/"));
            let expected: Vec<_> = all.into_iter().filter(|name| *name > after && inside(name)).collect();
            promise!(got == expected, "under {prefix:?} after {after:?} there is exactly {expected:?}, not {got:?}");
        }
    }
}

pub(super) async fn long_listings_are_whole(bench: Bench<'_>) {
    let names: Vec<_> = (0..1_234).map(|n| format!("many/{}/{n:04}", n % 3)).collect();
    let puts = stream::iter(names.clone()).map(|name| {
        let (store, cx) = (bench.store.clone(), bench.cx.clone());
        async move {
            let put = store.put(&cx, &key(&name), "x".into(), PutOptions::if_absent()).await;
            put.unwrap_or_else(|error| panic!("put of {name}: {error}"));
        }
    });
    puts.buffer_unordered(16).collect::<Vec<()>>().await;
    let mut expected = names.clone();
    expected.sort();
    let got = bench.names("many", None).await;
    let first = got.iter().zip(&expected).position(|(a, b)| a != b);
    promise!(
        got == expected,
        "a listing of {} objects must be whole and in order: {} came, first difference at {first:?}",
        expected.len(),
        got.len()
    );
    let after = &expected[1_100];
    let rest = bench.names("many", Some(after)).await;
    promise!(rest == expected[1_101..], "after {after} there must be {} objects, not {}", expected.len() - 1_101, rest.len());

    let keys: Vec<_> = names.iter().map(|name| key(name)).collect();
    let report = bench.store.delete(&bench.cx, &keys).await.unwrap_or_else(|error| panic!("a long delete: {error}"));
    promise!(report.deleted.len() == keys.len(), "{} of {} objects deleted", report.deleted.len(), keys.len());
    let left = bench.names("", None).await;
    promise!(left.is_empty(), "after a long delete nothing is left, not {}", left.len());
}
