use axum::body::Body;
use axum::http::{Request, StatusCode};
use backup_core::state::State;
use serde_json::{Value, json};

use super::world::{PASSWORD, USER, World, authorization, backup, restore};

const CREATED: StatusCode = StatusCode::CREATED;
const REFUSED: StatusCode = StatusCode::BAD_REQUEST;

#[tokio::test]
async fn wrong_credentials_are_refused_in_the_words_of_the_original_before_anything_is_read() {
    let world = World::start().await;
    let wrong = [
        None,
        Some(authorization(USER, "wrong")),
        Some(authorization("wrong", PASSWORD)),
        Some("Basic Og==".to_owned()),
        Some(format!("Bearer {PASSWORD}")),
    ];
    for credentials in &wrong {
        for (method, path) in [
            ("GET", "/status"),
            ("POST", "/backup"),
            ("DELETE", "/backup"),
            ("GET", "/backup/"),
            ("PUT", "/restore"),
            ("GET", "/restore/x"),
        ] {
            let mut builder = Request::builder().method(method).uri(path);
            if let Some(value) = credentials {
                builder = builder.header("authorization", value);
            }
            let answer = world.ask(builder.body(Body::from("not read")).unwrap()).await;
            assert_eq!(
                (answer.status, answer.text()),
                (StatusCode::UNAUTHORIZED, "{ \"message\" : \"Unauthorised.\" }"),
                "{method} {path}"
            );
            assert_eq!(answer.headers["content-type"], "application/json");
        }
    }
    assert_eq!(world.state.changes(), 0);
}

#[tokio::test]
async fn ten_thousand_wrong_credentials_change_nothing() {
    let world = World::start().await;
    for attempt in 0..10_000 {
        let builder = Request::post("/backup").header("authorization", authorization(USER, &attempt.to_string()));
        assert_eq!(world.ask(builder.body(Body::from("{}")).unwrap()).await.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(world.state.changes(), 0);
    assert_eq!(world.get("/status").await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_is_missing_is_named_in_the_order_of_the_original() {
    let world = World::start().await;
    let essential = "body is missing essential fields:";
    for (body, why) in [
        (
            json!({"id": "a", "destination": {"type": "S3"}}),
            " encryption_key destination( authKey authSecret bucket) backup( database host password username)",
        ),
        (
            json!({"id": "a", "encryption_key": "k", "destination": {"type": "S3", "authSecret": "s"}, "backup": {"username": "u", "password": "p"}}),
            " destination( authKey bucket) backup( database host)",
        ),
        (
            json!({"id": "a", "encryption_key": "k", "destination": {"type": "S3", "authSecret": "s", "authKey": "k", "bucket": "b", "skipStorage": true}, "backup": {"username": "u", "password": "p", "host": "h", "database": "d"}}),
            " destination( endpoint)",
        ),
        (
            json!({"id": "a", "destination": {"type": "SWIFT"}}),
            " encryption_key destination( authUrl domain container_name project_name username password) backup( database host password username)",
        ),
    ] {
        let answer = world.post(&body).await;
        let found = answer.json();
        assert_eq!((answer.status, found["error_message"].as_str().unwrap()), (REFUSED, format!("{essential}{why}").as_str()));
        assert_eq!(
            (&found["status"], &found["message"], &found["state"]),
            (&json!("FAILED"), &json!("Backup failed."), &json!("Body Deserialization"))
        );
        assert!(found["post_backup_unlock_errorlog"] == "" && found["filesize"]["size"] == 0);
    }
    let answer = world.put(json!({"id": "a", "destination": {"type": "S3"}})).await.json();
    assert_eq!(
        answer["error_message"],
        format!(
            "{essential} encryption_key destination( authKey authSecret bucket filename) restore( database host password username)"
        )
    );
    assert_eq!(answer["message"], "Restore failed.");
    assert_eq!(world.state.changes(), 0);
}

#[tokio::test]
async fn checks_come_in_the_order_of_the_original() {
    let world = World::with_slots(1).await;
    assert_eq!(world.post(backup("known")).await.status, CREATED);
    let why = async |body: Value| {
        let answer = world.post(body).await;
        (answer.status.as_u16(), answer.json()["error_message"].as_str().unwrap_or_default().to_owned())
    };
    let unsupported = "Backup failed during body deserialization due to 'type not supported'".to_owned();
    assert_eq!(why(json!({})).await, (400, "id is empty".into()));
    assert_eq!(why(json!({"id": 5})).await.0, 400);
    // A known id before everything that is wrong with the rest; a type before missing fields; those before the slots.
    assert_eq!(why(json!({"id": "known"})).await.0, 409);
    for kind in [json!("s3"), json!(""), json!(null), json!("SWIFT ")] {
        assert_eq!(why(json!({"id": "a", "destination": {"type": kind}})).await, (400, unsupported.clone()));
    }
    assert!(why(json!({"id": "a", "destination": {"type": "S3"}})).await.1.starts_with("body is missing"));
    let busy = world.post(backup("a")).await;
    let expected = r#"{"message":"Failed to start a new job.","state":"Job reservation","error_message":"Spawing a new job would break the allowed running job limit."}"#;
    assert_eq!((busy.status, busy.text()), (StatusCode::TOO_MANY_REQUESTS, format!("{expected}\n").as_str()));
    let known = world.post(backup("known")).await;
    assert_eq!((known.status, &known.json()["status"]), (StatusCode::CONFLICT, &json!("RUNNING")));
    assert_eq!(known.json()["bucket"], "bucket");
}

#[tokio::test]
async fn a_refused_request_can_be_sent_again_corrected() {
    let world = World::start().await;
    let mut bad = backup("a");
    bad["destination"]["bucket"] = json!("");
    assert_eq!(world.post(bad).await.status, REFUSED);
    assert_eq!(world.get("/backup/a").await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.post(backup("a")).await.status, CREATED);
}

#[tokio::test]
async fn the_body_of_the_original_caller_is_understood() {
    let world = World::start().await;
    let body = r#"{"id":"5c0123456789abcdef0123450","compression":true,"encryption_key":"none",
        "destination":{"type":"S3","id":"x","idAsString":"x","serviceInstance":{"a":[{}]},"name":"n","type":"S3","username":null,"password":null,
          "filenamePrefix":"plan/","filename":null,"authKey":"k","authSecret":"s","endpoint":"https://s3.example","region":"eu","bucket":"b","skipSSL":false,
          "domain":5},
        "backup":{"serviceInstance":{},"host":"h","port":5432,"username":"u","password":"p","backupUsername":null,"backupPassword":null,"database":"d",
          "type":"AGENT","type":"AGENT","parameters":null}} trailing"#;
    let answer = world.post(body).await;
    assert_eq!(answer.status, CREATED, "{answer:?}");
    world.release(1);
    let job = world.ended("/backup/5c0123456789abcdef0123450").await.json();
    assert_eq!((&job["status"], &job["region"], &job["useSSL"]), (&json!("SUCCEEDED"), &json!("eu"), &json!(true)));
}

#[tokio::test]
async fn letter_case_nulls_and_the_forms_of_parameters_do_not_matter() {
    let world = World::start().await;
    for (index, parameters) in
        [json!(null), json!([]), json!({}), json!({"a": 1, "b": "x\ny"}), json!([{"a": true}, null, {"b": null}])]
            .into_iter()
            .enumerate()
    {
        let text = backup(&format!("p{index}")).to_string();
        let text = text.replace("\"id\"", "\"ID\"").replace("\"authKey\"", "\"AUTHKEY\"").replace("\"backup\"", "\"Backup\"");
        let text = text.replace(r#"[{"key":"the-value"}]"#, &parameters.to_string());
        assert_eq!(world.post(text).await.status, CREATED, "{parameters}");
    }
}

#[tokio::test]
async fn what_is_no_json_of_the_right_form_is_refused() {
    let world = World::start().await;
    let literal = backup("a").to_string().replace("\"plan/\"", "\"plan/\",");
    for body in
        ["", "null", "[]", "{", "\"id\"", literal.as_str(), r#"{"id":"a","compression":"yes"}"#, r#"{"id":"a","destination":[]}"#]
    {
        let answer = world.post(body).await;
        assert_eq!((answer.status, &answer.json()["status"]), (REFUSED, &json!("FAILED")), "{body}");
    }
    assert_eq!(world.state.changes(), 0);
}

#[tokio::test]
async fn attacks_are_refused_and_touch_nothing() {
    let world = World::start().await;
    let long = "x".repeat(129);
    for id in ["../a", "..", ".a", "a/b", "a\0", "a\n", "é", "a b", "%2e%2e", long.as_str()] {
        assert_eq!(world.post(backup(id)).await.status, REFUSED, "{id:?}");
        assert_eq!(world.put(restore(id)).await.status, REFUSED, "{id:?}");
        assert_eq!(world.delete("/backup", id).await.status, REFUSED, "{id:?}");
    }
    for name in ["../x", "/etc/passwd", "a/../../x", "a\0", "..", "x\n"] {
        let mut body = restore("a");
        body["destination"]["filename"] = json!(name);
        assert_eq!(world.put(body).await.status, REFUSED, "{name:?}");
        let mut body = backup("a");
        body["destination"]["filenamePrefix"] = json!(name);
        assert_eq!(world.post(body).await.status, REFUSED, "{name:?}");
    }
    let huge = "x".repeat(200_000);
    for parameters in [
        json!([{"LD_PRELOAD": "/x.so"}]),
        json!([{"a": "b\0c"}]),
        json!([{"a": huge}]),
        json!([{"a": {"b": 1}}]),
        json!([{"a": [1]}]),
        json!(["a"]),
        json!("a=b"),
        json!(5),
    ] {
        let mut body = backup("a");
        body["backup"]["parameters"] = parameters;
        assert_eq!(world.post(body).await.status, REFUSED);
    }
    for field in ["host", "username", "password", "database"] {
        for value in ["a\0b", huge.as_str()] {
            let mut body = backup("a");
            body["backup"][field] = json!(value);
            assert_eq!(world.post(body).await.status, REFUSED, "{field}");
        }
    }
    for endpoint in ["http://user:secret@h", "h\nx"] {
        let mut body = backup("a");
        body["destination"]["endpoint"] = json!(endpoint);
        assert_eq!(world.post(body).await.status, REFUSED, "{endpoint}");
    }
    assert_eq!((world.state.changes(), world.hand.ran.lock().unwrap().len()), (0, 0));
}

#[tokio::test]
async fn the_state_holds_no_secret() {
    let world = World::start().await;
    assert_eq!(world.post(backup("a")).await.status, CREATED);
    assert_eq!(world.put(restore("a")).await.status, CREATED);
    world.begun("/backup/a").await;
    for ended in [false, true] {
        let all: String = world
            .state
            .range("", None, 1000)
            .await
            .unwrap()
            .iter()
            .map(|(key, entry)| format!("{key}={}", String::from_utf8_lossy(&entry.value)))
            .collect();
        assert!(all.contains("agent/jobs/backup/a"), "{all}");
        for secret in
            ["the-encryption-key", "the-key", "the-secret", "the-password", "the-value", "the-swift-password", "swift-user"]
        {
            assert!(!all.contains(secret), "{secret} in {all}");
        }
        if !ended {
            world.release(2);
            world.ended("/backup/a").await;
            world.ended("/restore/a").await;
        }
    }
}
