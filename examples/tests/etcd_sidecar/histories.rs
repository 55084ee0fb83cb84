//! An etcd that was made anew.

use crate::etcd::{V3_6, fill};
use crate::sidecar::Place;
use crate::{name, running};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_cluster_is_backed_up_at_a_lower_and_at_the_very_same_revision() {
    let Some(old) = running().await else { return };
    let old_revision = fill(&mut old.client().await, 9, 10).await;
    let place = Place::new();
    let sidecar = place.start(&old.url, "");
    sidecar.back_up();
    let old_bytes = sidecar.get("/v1/backup").body;
    drop(old);
    sidecar.stop();

    let Some(new) = running().await else { return };
    let mut client = new.client().await;
    let lower = fill(&mut client, 4, 10).await;
    let sidecar = place.start(&new.url, "");
    assert_eq!(sidecar.back_up()["revision"].as_u64(), Some(lower));
    assert_eq!(sidecar.get("/v1/backup").header("x-revision"), lower.to_string());

    assert_eq!(fill(&mut client, 5, 10).await, old_revision);
    let status = sidecar.back_up();
    assert_eq!((status["revision"].as_u64(), status["version"].as_str()), (Some(old_revision), Some(V3_6)));
    let marked = format!("{V3_6}+h2_{old_revision:016x}_etcd.backup");
    let mut expected = vec![marked, name(lower), name(old_revision)];
    expected.sort();
    assert_eq!(place.files(), expected);

    let both = format!("etcdVersion={V3_6}&etcdRevision={old_revision}");
    let newest = sidecar.get(&format!("/v1/backup?{both}"));
    assert_eq!((newest.status, newest.header("x-etcd-version")), (200, V3_6));
    assert_ne!(newest.body, old_bytes);
    let exact = sidecar.get(&format!("/v1/backup?{}", both.replace('&', "%2Bh2&")));
    assert_eq!(exact.body, newest.body);
    assert_eq!(std::fs::read(place.files_dir().join(name(old_revision))).unwrap(), old_bytes);
}
