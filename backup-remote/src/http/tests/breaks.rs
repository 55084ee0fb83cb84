//! Connections that break.

use std::time::Duration;

use backup_core::{Clock, Effect};

use super::site::Site;
use crate::Repeat;
use crate::testkit::{ConnectionFault, Ending, Harm, RequestFault, Which};

#[tokio::test]
async fn a_refused_connection_is_unreachable_and_had_no_effect() {
    let site = Site::new().await;
    site.proxy.down().await;
    let error = site.put(Repeat::IfUnsent).await.unwrap_err();
    assert_eq!((error.code().name, error.effect()), ("remote.unreachable", Effect::None));
    let text = error.to_string();
    assert!(text.contains("s3 Put: attempt 3, the last: ") && text.contains("refused"), "{text}");
}

#[tokio::test]
async fn a_connection_that_breaks_before_or_in_the_head_leaves_the_effect_unknown() {
    for fault in [RequestFault::Reset, RequestFault::LoseAnswer] {
        let site = Site::new().await;
        site.proxy.requests(Which::next(), "", "", fault);
        let error = site.put(Repeat::IfUnsent).await.unwrap_err();
        assert_eq!((error.code().name, error.effect()), ("remote.unreachable", Effect::Unknown));
        assert_eq!(site.proxy.seen().len(), 1);
    }
    for ending in [Ending::Close, Ending::Reset] {
        for after in [0, 10] {
            let site = Site::new().await;
            site.proxy.connections(Which::all(), ConnectionFault::ToClient(Harm::Cut { after, ending }));
            let error = site.put(Repeat::Always).await.unwrap_err();
            assert_eq!((error.code().name, error.effect()), ("remote.unreachable", Effect::Unknown), "{error}");
            assert_eq!(site.proxy.accepted(), 3);
        }
    }
}

#[tokio::test]
async fn a_broken_connection_is_made_anew() {
    let site = Site::new().await;
    site.fetch("/3").await.unwrap();
    site.proxy.down().await;
    site.proxy.up().await;
    assert_eq!(site.fetch("/3").await.unwrap().body(), "aaa");
    site.proxy.connections(Which::first(2), ConnectionFault::Reset);
    site.proxy.requests(Which::next(), "", "", RequestFault::Reset);
    assert_eq!(site.fetch("/3").await.unwrap_err().code().name, "remote.unreachable");
    assert_eq!(site.fetch("/3").await.unwrap().body(), "aaa");
}

#[tokio::test]
async fn an_upload_cut_on_its_way_is_sent_again_as_it_was() {
    let site = Site::new().await;
    for ending in [Ending::Close, Ending::Reset] {
        site.proxy.requests(Which::next(), "PUT", "", RequestFault::RequestBody(Harm::Cut { after: 4, ending }));
        site.put(Repeat::Always).await.unwrap();
    }
    assert!(site.server.got().iter().all(|got| got.body == "some pieces"));
    assert_eq!((site.server.got().len(), site.proxy.seen().len()), (2, 4));
}

#[tokio::test]
async fn a_service_that_says_nothing_is_given_up_after_the_time_of_an_attempt() {
    let site = Site::new().await;
    let rule = site.proxy.requests(Which::next(), "PUT", "", RequestFault::BlackHole);
    let put = site.put(Repeat::Always);
    let time = async {
        rule.hit(1).await;
        site.clock.advance(Duration::from_secs(59));
        tokio::task::yield_now().await;
        assert_eq!(site.proxy.seen().len(), 1);
        site.clock.advance(Duration::from_secs(1));
    };
    let (answer, ()) = tokio::join!(put, time);
    answer.unwrap();
    assert_eq!(site.proxy.seen().len(), 2);

    let error = {
        let rule = site.proxy.requests(Which::next(), "PUT", "", RequestFault::BlackHole);
        let time = async {
            rule.hit(1).await;
            site.clock.advance(Duration::from_secs(60));
        };
        tokio::join!(site.put(Repeat::IfUnsent), time).0.unwrap_err()
    };
    assert_eq!((error.code().name, error.effect()), ("remote.timeout", Effect::Unknown));
    assert!(error.to_string().contains("no answer within 60 s"), "{error}");
    assert!(site.clock.monotonic() < Duration::from_secs(125));
}
