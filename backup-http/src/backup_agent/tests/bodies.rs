use axum::http::{Method, StatusCode};
use serde_json::json;

use super::world::{World, backup, request, restore};

/// The time of the virtual clock.
const NOW: &str = "2026-11-21T09:30:00+00:00";

#[tokio::test]
async fn a_backup_is_polled_as_the_original_shows_it_from_its_start_to_its_end() {
    let world = World::start().await;
    let answer = world.post(backup("b1")).await;
    assert_eq!((answer.status, answer.text()), (StatusCode::CREATED, ""));
    assert_eq!(answer.headers["content-type"], "application/json");
    let running = world.begun("/backup/b1").await;
    let head = r#"{"status":"RUNNING","message":"backup is running","state":"pre-backup-lock","type":"S3","compression":true,"skip_storage":false,"useSSL":false,"skipSSL":true,"endpoint":"http://s3.example:9000","bucket":"bucket","filename":"","filenamePrefix":"plan/","filesize":{"size":0,"unit":""},"#;
    let logs = r#""pre_backup_lock_log":"begun","pre_backup_lock_errorlog":"\u003c\u0026\u003e","pre_backup_check_log":"","pre_backup_check_errorlog":"","backup_log":"","backup_errorlog":"","backup_cleanup_log":"","backup_cleanup_errorlog":"","post_backup_unlock_log":"","post_backup_unlock_errorlog":""}"#;
    assert_eq!(running.text(), format!("{head}\"start_time\":\"{NOW}\",\"end_time\":\"\",\"execution_time_ms\":0,{logs}\n"));
    world.clock.advance(std::time::Duration::from_millis(2500));
    world.release(1);
    let ended = world.ended("/backup/b1").await;
    let head = r#"{"status":"SUCCEEDED","message":"backup successfully carried out","state":"finished","type":"S3","compression":true,"skip_storage":false,"useSSL":false,"skipSSL":true,"endpoint":"http://s3.example:9000","bucket":"bucket","filename":"db.dump","filenamePrefix":"plan/","filesize":{"size":42,"unit":"byte"},"#;
    let times = format!("\"start_time\":\"{NOW}\",\"end_time\":\"2026-11-21T09:30:02+00:00\",\"execution_time_ms\":2500,");
    assert_eq!(ended.text(), format!("{head}{times}{logs}\n"));
}

#[tokio::test]
async fn a_restore_is_polled_in_its_own_shape() {
    let world = World::start().await;
    assert_eq!(world.put(restore("r1")).await.status, StatusCode::CREATED);
    world.release(1);
    let expected = format!(
        r#"{{"status":"SUCCEEDED","message":"restore successfully carried out","state":"finished","type":"SWIFT","compression":false,"useSSL":false,"skipSSL":false,"skip_storage":false,"start_time":"{NOW}","end_time":"{NOW}","execution_time_ms":0,"pre_restore_lock_log":"begun","pre_restore_lock_errorlog":"\u003c\u0026\u003e","restore_log":"","restore_errorlog":"","restore_cleanup_log":"","restore_cleanup_errorlog":"","post_restore_unlock_log":"","post_restore_unlock_errorlog":""}}"#
    );
    assert_eq!(world.ended("/restore/r1").await.text(), expected + "\n");
    // Its id is free for a backup.
    assert_eq!(world.get("/backup/r1").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_failure_names_its_phase_and_the_others_and_stays_in_the_words_of_the_original() {
    let world = World::start().await;
    let mut body = backup("b1");
    body["backup"]["database"] = json!("broken");
    world.release(1);
    assert_eq!(world.post(body).await.status, StatusCode::CREATED);
    let job = world.ended("/backup/b1").await.json();
    assert_eq!((&job["status"], &job["message"], &job["state"]), (&json!("FAILED"), &json!("backup failed"), &json!("finished")));
    assert_eq!(job["failed_phase"], "backup");
    assert_eq!(
        job["error_message"],
        "Backup failed due to 'Executing the shell script failed due to 'exit status 3''; post-backup-unlock failed, too, due to 'No script found for the post-backup-unlock stage.'"
    );
}

#[tokio::test]
async fn tls_is_what_the_request_says_else_its_scheme_else_off() {
    let world = World::start().await;
    for (index, (fields, tls)) in [
        (json!({"endpoint": "h:1"}), false),
        (json!({"endpoint": "https://h:1"}), true),
        (json!({"endpoint": "https://h:1", "useSSL": false}), false),
        (json!({"endpoint": "http://h:1", "useSSL": true}), true),
        (json!({"endpoint": "http://h:1", "skipSSL": false}), true),
        (json!({"endpoint": "h:1", "skipSSL": true, "useSSL": true}), true),
        (json!({"endpoint": "HTTPS://h:1", "skipSSL": null}), true),
        (json!({"endpoint": null}), false),
    ]
    .into_iter()
    .enumerate()
    {
        let mut body = backup(&format!("t{index}"));
        for (name, value) in fields.as_object().unwrap() {
            body["destination"][name] = value.clone();
        }
        world.release(1);
        assert_eq!(world.post(body).await.status, StatusCode::CREATED, "{fields}");
        let job = world.ended(&format!("/backup/t{index}")).await.json();
        assert_eq!((&job["useSSL"], &job["skipSSL"]), (&json!(tls), &json!(!tls)), "{fields}");
        let endpoint = fields["endpoint"].as_str().unwrap_or("s3.amazonaws.com");
        assert_eq!(job["endpoint"], endpoint);
    }
}

#[tokio::test]
async fn skip_storage_has_a_name_and_no_size() {
    let world = World::start().await;
    let mut body = backup("s");
    body["destination"]["skipStorage"] = json!(true);
    world.release(1);
    assert_eq!(world.post(body).await.status, StatusCode::CREATED);
    let job = world.ended("/backup/s").await.json();
    assert_eq!((&job["skip_storage"], &job["filename"]), (&json!(true), &json!("NAME")));
    assert_eq!(job["filesize"], json!({"size": 0, "unit": "byte"}));
}

#[tokio::test]
async fn what_is_no_job_is_answered_as_documented() {
    let world = World::start().await;
    let status = world.get("/status").await;
    assert_eq!((status.status, status.text()), (StatusCode::OK, "{ \"message\" : \"Client is running\" }"));
    for path in [
        "/backup/",
        "/backup/..%2f..%2fetc%2fpasswd",
        "/backup/.hidden",
        "/backup/a%00",
        "/backup/%ff",
        "/restore/",
        "/restore/a%20b",
    ] {
        let answer = world.get(path).await;
        assert_eq!((answer.status, answer.text()), (StatusCode::BAD_REQUEST, ""), "{path}");
    }
    let unknown = world.get("/backup/none").await;
    assert_eq!((unknown.status, unknown.text()), (StatusCode::NOT_FOUND, ""));
    assert_eq!(world.get("/nothing").await.text(), "404 page not found\n");
    for (method, path, allow) in [
        ("GET", "/backup", "POST, DELETE"),
        ("HEAD", "/backup/a", "GET"),
        ("POST", "/restore", "PUT, DELETE"),
        ("PUT", "/status", "GET"),
    ] {
        let answer = world.ask(request(Method::from_bytes(method.as_bytes()).unwrap(), path, "")).await;
        assert_eq!((answer.status, answer.headers["allow"].to_str().unwrap()), (StatusCode::METHOD_NOT_ALLOWED, allow), "{path}");
    }
}
