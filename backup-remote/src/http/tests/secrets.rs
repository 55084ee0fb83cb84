//! What must not be read anywhere.

use backup_core::Error;
use bytes::Bytes;
use http::{HeaderValue, Request};

use super::site::Site;
use crate::testkit::{ConnectionFault, Ending, Harm, Reply, RequestFault, Which};
use crate::{Call, Repeat};

const SECRET: &str = "hunter2";

fn clean(what: &str, shown: &str) {
    assert!(!shown.contains(SECRET), "{what}: {shown}");
    assert!(!shown.contains("/key"), "{what} holds the URL: {shown}");
}

fn request(site: &Site) -> Request<Vec<Bytes>> {
    let mut token = HeaderValue::from_static(SECRET);
    token.set_sensitive(true);
    let uri = format!("{}/key?X-Amz-Signature={SECRET}", site.proxy.url());
    Request::put(uri).header("x-auth-token", token).body(vec![Bytes::from_static(b"body")]).unwrap()
}

#[tokio::test]
async fn no_error_holds_the_url_or_a_header() {
    let cut = |after| Harm::Cut { after, ending: Ending::Reset };
    let mut errors: Vec<(&str, Error)> = Vec::new();
    for (what, fault) in [
        ("reset", RequestFault::Reset),
        ("lost", RequestFault::LoseAnswer),
        ("overloaded", RequestFault::Answer(Reply::status(503))),
        ("cut", RequestFault::AnswerBody(cut(1))),
        ("cut upload", RequestFault::RequestBody(cut(1))),
        ("wrong length", RequestFault::WrongLength(9)),
    ] {
        let site = Site::new().await;
        site.proxy.requests(Which::all(), "", "", fault);
        let call = Call::changing("Put", Repeat::Always);
        errors.push((what, site.http.fetch(&site.cx, &call, &request(&site), 100).await.unwrap_err()));
        let answer = site.http.open(&site.cx, &call, &request(&site)).await;
        errors.extend(answer.err().map(|error| (what, error)));
    }
    let site = Site::new().await;
    site.proxy.connections(Which::all(), ConnectionFault::ToClient(Harm::Flip(b"HTTP".to_vec())));
    let call = Call::changing("Put", Repeat::Always);
    errors.push(("no HTTP", site.http.fetch(&site.cx, &call, &request(&site), 100).await.unwrap_err()));
    site.proxy.down().await;
    errors.push(("refused", site.http.fetch(&site.cx, &call, &request(&site), 100).await.unwrap_err()));
    let other = Request::put(format!("no scheme{SECRET}").replace(' ', "")).body(Vec::new()).unwrap();
    errors.push(("no URL", site.http.fetch(&site.cx, &call, &other, 100).await.unwrap_err()));
    for (what, error) in errors {
        clean(what, &error.to_string());
        clean(what, &format!("{error:?}"));
    }
}

#[tokio::test]
async fn debug_shows_neither_headers_marked_sensitive_nor_urls() {
    let site = Site::new().await;
    let request = request(&site);
    assert!(!format!("{:?}", request.headers()).contains(SECRET));
    clean("client", &format!("{:?}", site.http));
    let answer = site.http.open(&site.cx, &Call::reading("Put"), &request).await.unwrap();
    assert_eq!(site.server.got()[0].headers["x-auth-token"], SECRET, "the header was not sent");
    clean("answer", &format!("{answer:?}"));
}
