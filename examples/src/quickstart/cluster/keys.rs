//! What the etcd holds.

use std::collections::BTreeMap;

use etcd_client::{GetOptions, Txn, TxnOp};

use super::server::Server;
use crate::quickstart::failure::Failure;

/// All keys with their values.
pub(super) type Keys = BTreeMap<Vec<u8>, Vec<u8>>;

const KEYS: usize = 5_000;
const VALUE: usize = 2_000;
/// etcd takes at most 128 operations in a transaction.
const AT_ONCE: usize = 100;
/// Keys read at once; a message may hold 4 MiB.
const PAGE: i64 = 500;

/// Puts some thousand keys, and reads back what it holds then.
pub(super) async fn fill(server: &Server) -> Result<Keys, Failure> {
    let mut client = server.client().await?;
    let all: Vec<_> = (0..KEYS).collect();
    for some in all.chunks(AT_ONCE) {
        let puts: Vec<_> = some.iter().map(|&n| TxnOp::put(key(n), value(n), None)).collect();
        client.txn(Txn::new().and_then(puts)).await.map_err(failed)?;
    }
    let keys = everything(server).await?;
    if keys.len() == KEYS { Ok(keys) } else { Err(Failure::new(format!("etcd holds {} keys, not {KEYS}", keys.len()))) }
}

/// Gives one key another value; the revision after that.
pub(super) async fn change_one(server: &Server) -> Result<i64, Failure> {
    let mut client = server.client().await?;
    let answer = client.put(key(0), "changed after the first backup", None).await.map_err(failed)?;
    Ok(answer.header().map_or(0, etcd_client::ResponseHeader::revision))
}

/// # Errors
/// When a key is missing, is new, or has another value.
pub(super) async fn compare(server: &Server, expected: &Keys) -> Result<(), Failure> {
    let found = everything(server).await?;
    let names = expected.keys().chain(found.keys().filter(|key| !expected.contains_key(*key)));
    let different: Vec<_> = names.filter(|key| expected.get(*key) != found.get(*key)).collect();
    match different.first() {
        None => Ok(()),
        Some(first) => {
            let first = String::from_utf8_lossy(first);
            Err(Failure::new(format!("{} of the keys came back differently, the first is {first}", different.len())))
        }
    }
}

pub(super) fn bytes(keys: &Keys) -> u64 {
    keys.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum()
}

async fn everything(server: &Server) -> Result<Keys, Failure> {
    let mut client = server.client().await?;
    let (mut keys, mut from) = (Keys::new(), vec![0]);
    loop {
        let options = GetOptions::new().with_from_key().with_limit(PAGE);
        let page = client.get(from.clone(), Some(options)).await.map_err(failed)?;
        keys.extend(page.kvs().iter().map(|pair| (pair.key().to_vec(), pair.value().to_vec())));
        match keys.last_key_value() {
            Some((last, _)) if page.more() => from = [last.as_slice(), &[0]].concat(),
            _ => return Ok(keys),
        }
    }
}

fn key(n: usize) -> String {
    format!("/registry/demo/{n:05}")
}

/// Different for each key, and nothing that compresses away.
fn value(n: usize) -> Vec<u8> {
    let mut state = n as u64 + 1;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(VALUE).collect()
}

fn failed(error: etcd_client::Error) -> Failure {
    Failure::new(format!("etcd: {error}"))
}
