//! Tests of unified limits.

use backup_core::{Result, Secret};
use serde_json::{Value, json};

use super::stand_in::StandIn;

const OWN: &str = "/v3/limits?service_id=s1&resource_name=volume_backup_total&project_id=p1";
const REGISTERED: &str = "/v3/registered_limits?service_id=s1&resource_name=volume_backup_total";

async fn limit(site: &StandIn, region: Option<&str>) -> Result<Option<u64>> {
    site.keystone.limit(&site.cx, &Secret::from("theirs"), "s1", "volume_backup_total", region, "p1").await
}

fn own(project: &str, region: Option<&str>, limit: i64) -> Value {
    json!({ "resource_name": "volume_backup_total", "project_id": project, "region_id": region, "resource_limit": limit,
        "service_id": "s1", "domain_id": null, "id": "l1", "description": null })
}

fn registered(region: Option<&str>, limit: i64) -> Value {
    json!({ "resource_name": "volume_backup_total", "region_id": region, "default_limit": limit, "service_id": "s1", "id": "r1" })
}

#[tokio::test]
async fn a_projects_own_limit_wins_over_the_registered_one_and_a_negative_one_is_no_bound() {
    let site = StandIn::start().await;
    site.answer(OWN, 200, json!({ "limits": [] }));
    site.answer(REGISTERED, 200, json!({ "registered_limits": [] }));
    assert_eq!(limit(&site, None).await.unwrap(), None);
    site.answer(REGISTERED, 200, json!({ "registered_limits": [registered(None, 10)] }));
    assert_eq!(limit(&site, None).await.unwrap(), Some(10));
    for (set, is) in [(3, Some(3)), (0, Some(0)), (-1, Some(u64::MAX))] {
        site.answer(OWN, 200, json!({ "limits": [own("p1", None, set)] }));
        assert_eq!(limit(&site, None).await.unwrap(), is);
    }
    // A server that does not filter.
    let other = json!({ "resource_name": "instance_backup_total", "project_id": "p1", "region_id": null, "resource_limit": 1 });
    site.answer(OWN, 200, json!({ "limits": [own("p2", None, 1), other] }));
    assert_eq!(limit(&site, None).await.unwrap(), Some(10));
}

#[tokio::test]
async fn a_limit_of_the_region_wins_over_one_of_no_region_and_other_regions_do_not_count() {
    let site = StandIn::start().await;
    site.answer(OWN, 200, json!({ "limits": [] }));
    let all = json!([registered(Some("B"), 1), registered(None, 2), registered(Some("A"), 3)]);
    site.answer(REGISTERED, 200, json!({ "registered_limits": all }));
    assert_eq!(limit(&site, Some("A")).await.unwrap(), Some(3));
    assert_eq!(limit(&site, Some("C")).await.unwrap(), Some(2));
    site.answer(REGISTERED, 200, json!({ "registered_limits": [registered(Some("B"), 1)] }));
    assert_eq!(limit(&site, Some("C")).await.unwrap(), None);
    assert_eq!(limit(&site, None).await.unwrap(), Some(1));
}

#[tokio::test]
async fn limits_that_cannot_be_read_are_an_error_and_not_the_absence_of_limits() {
    let site = StandIn::start().await;
    for (status, body, code) in [
        (401, "{}", "keystone.refused"),
        (403, "{}", "keystone.refused"),
        (404, "{}", "keystone.address"),
        (200, "{}", "remote.answer"),
        (500, "", "remote.overloaded"),
    ] {
        site.answer_text(OWN, status, body);
        assert_eq!(limit(&site, None).await.unwrap_err().code().name, code);
    }
}
