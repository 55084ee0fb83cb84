//! Connections that break, hang, or come from somewhere else.

use backup_core::error::codes;
use backup_core::store::ReadOptions;
use backup_core::{Effect, ErrorKind, Store};
use backup_remote::codes as remote;
use backup_remote::testkit::{ConnectionFault, Ending, FaultyProxy, Gate, Harm, Which};

use crate::bench::{ROOT, collect, context, data, impatient, key, open};
use crate::ganesha::{Ganesha, wanted};

async fn proxied() -> (Ganesha, FaultyProxy) {
    let server = Ganesha::start();
    let proxy = FaultyProxy::tcp(&format!("127.0.0.1:{}", server.nfs_port)).await;
    (server, proxy)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_break_after_any_number_of_bytes_cost_no_byte() {
    if !wanted() {
        return;
    }
    let (server, proxy) = proxied().await;
    let store = open(&server.config_over(ROOT, proxy.address().port())).await.unwrap();
    let (cx, bytes) = (context(), data((9 << 20) + 3));
    for (n, after) in [0, 1, 100, 5_000, 700_001, 3_000_000].into_iter().enumerate() {
        for ending in [Ending::Close, Ending::Reset] {
            let name = key(&format!("broken/{n}/{ending:?}"));
            let cut = |to: fn(Harm) -> ConnectionFault| proxy.connections(Which::first(2), to(Harm::Cut { after, ending }));
            // Those that are open already do not count: a server that closes them makes new ones necessary.
            proxy.down().await;
            proxy.up().await;
            cut(ConnectionFault::ToServer);
            cut(ConnectionFault::ToClient);
            let mut writer = store.writer(&cx, &name, backup_core::store::WriteOptions::new(cx.job().clone())).await.unwrap();
            for piece in bytes.chunks(1_000_001) {
                writer.write(bytes.slice_ref(piece)).await.unwrap();
            }
            assert_eq!(writer.finish().await.unwrap().size, bytes.len() as u64);
            assert_eq!(std::fs::read(server.export().join(ROOT).join(name.as_str())).unwrap(), bytes);
            proxy.down().await;
            proxy.up().await;
            cut(ConnectionFault::ToClient);
            cut(ConnectionFault::ToServer);
            let read = store.read(&cx, &name, ReadOptions::default()).await.unwrap();
            assert_eq!(collect(read).await.unwrap(), bytes);
            proxy.clear();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_hangs_is_given_up_and_asked_for_on_another_connection() {
    if !wanted() {
        return;
    }
    let (server, proxy) = proxied().await;
    let store = open(&server.config_over(ROOT, proxy.address().port()).requests(impatient())).await.unwrap();
    proxy.down().await;
    proxy.up().await;
    let gate = Gate::default();
    proxy.connections(Which::next(), ConnectionFault::ToClient(Harm::Hold { after: 40, gate: gate.clone() }));
    let put = store.put(&context(), &key("hangs"), "x".into(), backup_core::store::PutOptions::if_absent()).await;
    assert_eq!(put.unwrap().size, 1);
    gate.reached().await;

    // Nothing ever answers: it ends, and says so.
    proxy.down().await;
    proxy.up().await;
    proxy.connections(Which::all(), ConnectionFault::BlackHole);
    let error = store.head(&context(), &key("hangs")).await.unwrap_err();
    assert_eq!((error.code(), error.effect()), (&remote::TIMEOUT, Effect::None), "{error}");
    let put = store.put(&context(), &key("other"), "x".into(), backup_core::store::PutOptions::if_absent()).await;
    assert_eq!(put.unwrap_err().kind(), ErrorKind::Timeout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_is_an_error_within_the_limits() {
    if !wanted() {
        return;
    }
    let (server, proxy) = proxied().await;
    let config = server.config_over(ROOT, proxy.address().port()).requests(impatient());
    let store = open(&config).await.unwrap();
    proxy.down().await;
    for error in [store.head(&context(), &key("x")).await.unwrap_err(), open(&config).await.unwrap_err()] {
        assert_eq!((error.code(), error.effect()), (&remote::UNREACHABLE, Effect::None), "{error}");
    }
    let put = store.put(&context(), &key("x"), "x".into(), backup_core::store::PutOptions::if_absent()).await;
    assert_eq!(put.unwrap_err().effect(), Effect::None);
    proxy.up().await;
    let missing = store.head(&context(), &key("x")).await.unwrap_err();
    assert_eq!(missing.code(), &codes::STORE_NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_answers_nonsense_is_an_error_within_the_limits() {
    if !wanted() {
        return;
    }
    let (server, proxy) = proxied().await;
    let store = open(&server.config_over(ROOT, proxy.address().port()).requests(impatient())).await.unwrap();
    // The head of the record, the transaction's number, what kind of message it is.
    for place in [0, 4, 11] {
        proxy.down().await;
        proxy.up().await;
        proxy.clear();
        proxy.connections(Which::all(), ConnectionFault::ToClient(Harm::FlipAt(place)));
        let error = store.head(&context(), &key("x")).await.unwrap_err();
        let expected = [&remote::ANSWER, &remote::TIMEOUT, &remote::UNREACHABLE];
        assert!(expected.contains(&error.code()), "byte {place}: {error}");
    }
}
