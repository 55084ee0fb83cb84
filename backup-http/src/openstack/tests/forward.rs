use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use super::world::{DEMO, World, request};
use crate::openstack::Service;

const ID: &str = "aaaaaaaa-0000-4000-8000-000000000001";

#[tokio::test]
async fn what_is_not_ours_goes_on_as_it_came_and_its_answer_comes_back_as_it_is() {
    let world = World::new().await;
    for (path, to, service) in [
        ("/volume", "/volumes".to_owned(), Service::Volume),
        (&*format!("/volume/{ID}/action"), format!("/volumes/{ID}/action"), Service::Volume),
        (&*format!("/instance/{ID}/action"), format!("/servers/{ID}/action"), Service::Compute),
    ] {
        for body in
            ["{\"volume\": {\"size\":  1, \"backup_id\": null}}", "{\"os-extend\": {\"new_size\": 2}}", "no json", "", "[1]"]
        {
            let answer = world.ask(request("POST", path, DEMO, body)).await;
            assert_eq!((answer.code(), answer.headers["x-cinder"].to_str().unwrap()), (418, "yes"), "{path} {body}");
            assert_eq!(answer.text, format!("got {} bytes", body.len()));
            let last = world.hand.with(|things| things.forwarded.pop().unwrap());
            assert_eq!(last, (service, to.clone(), body.to_owned()));
        }
        // One that is too long to be ours is not held.
        let long = format!("{{\"x\": \"{}\"}}", "y".repeat(2_000_000));
        let pieces: Vec<Result<String, std::io::Error>> =
            long.as_bytes().chunks(60_000).map(|piece| Ok(String::from_utf8(piece.to_vec()).unwrap())).collect();
        let body = Body::from_stream(futures::stream::iter(pieces));
        let asked = Request::post(format!("/v1{path}")).header("x-auth-token", DEMO).body(body).unwrap();
        assert_eq!(world.ask(asked).await.text, format!("got {} bytes", long.len()));
        assert_eq!(world.hand.with(|things| things.forwarded.pop().unwrap().2), long);
    }
    let none = world.post("/volume/x/action", json!({"os-extend": {}})).await;
    assert_eq!(none.refused(), (404, "Volume x is not found!".to_owned()));
    assert!(world.hand.with(|things| things.forwarded.is_empty()));
}
