//! What is read out of answers.

use backup_core::{Effect, ErrorKind};
use backup_remote::http::http::StatusCode;

use super::super::delete::read;
use super::super::error::{excerpt, refused};
use super::super::limits::{Large, Limits};

#[test]
fn a_bulk_answer_of_status_200_tells_what_failed() {
    let body = br#"{"Number Deleted": 2, "Number Not Found": 1, "Response Status": "400 Bad Request", "Response Body": "",
        "Errors": [["/c/a%20b%2Bc", "403 Forbidden"], ["/c/d", "503 Service Unavailable"]]}"#;
    let outcome = read("BulkDelete", body).unwrap();
    assert_eq!(outcome.removed, 2);
    assert_eq!(outcome.failed["/c/a b+c"].kind(), ErrorKind::PermissionDenied);
    assert_eq!(outcome.failed["/c/d"].effect(), Effect::Unknown);
    assert!(outcome.into_result().is_err());
}

#[test]
fn a_bulk_answer_that_failed_as_a_whole_is_an_error() {
    let body = br#"{"Number Deleted": 0, "Number Not Found": 0, "Response Status": "502 Bad Gateway", "Response Body": "Request Timeout", "Errors": []}"#;
    let error = read("BulkDelete", body).unwrap_err();
    assert!(error.to_string().contains("502 Bad Gateway: Request Timeout"), "{error}");
    assert_eq!(error.effect(), Effect::Unknown);
    assert_eq!(read("BulkDelete", b"").unwrap_err().effect(), Effect::Unknown, "an answer that broke off");
    let nothing =
        br#"{"Number Deleted": 0, "Number Not Found": 3, "Response Status": "404 Not Found", "Response Body": "", "Errors": []}"#;
    assert_eq!(read("BulkDelete", nothing).unwrap().into_result().unwrap(), 0, "nothing was there, which is as good");
}

#[test]
fn limits_are_the_clusters_own_where_it_tells_them() {
    let body = br#"{"swift": {"max_file_size": 1000, "container_listing_limit": 7}, "slo": {"max_manifest_segments": 5},
        "bulk_delete": {"max_deletes_per_request": 3}}"#;
    let limits = Limits::read(body).unwrap();
    assert_eq!((limits.object, limits.page, limits.name, limits.deletes), (1000, 7, 1024, Some(3)));
    assert_eq!(limits.large, Some(Large { segments: 5, ..Large::default() }));
    assert_eq!(Limits::read(br#"{"swift": {}}"#).unwrap().large, None, "a cluster without static large objects");
}

#[test]
fn a_refusal_says_what_swift_said_without_its_tags() {
    assert_eq!(excerpt(b"<html><h1>Forbidden</h1><p>Access was denied\n</p></html>"), ": Forbidden Access was denied");
    let error = refused("writing", "a", StatusCode::PAYLOAD_TOO_LARGE, b"Upload exceeds quota.");
    assert_eq!(error.code().name, "store.no_space");
    assert!(error.to_string().contains("413 Payload Too Large: Upload exceeds quota."), "{error}");
}
