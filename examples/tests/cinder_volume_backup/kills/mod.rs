//! The program is killed at every stage of everything that it does, and started again.
//!
//! It reaches Cinder and Swift through proxies, in a region of its own. Each order is on a volume of its own and is held at its stage; then
//! comes a SIGKILL. What holds little memory is killed together.

mod creates;
mod restores;
mod rollbacks;
mod updates;

use std::sync::Arc;
use std::time::Duration;

use backup_core::repository::VerifyLevel;
use backup_core::testkit::test_context;
use backup_core::{Environment, Repository, SetName};
use backup_remote::http::http::Method;
use backup_remote::testkit::{FaultyProxy, Gate, Harm, RequestFault, Which};
use backup_sources::cinder::{Cinder, CinderConfig, Leftover};
use backup_stores::OpenOptions;
use backup_stores::swift::{SwiftConfig, SwiftStore};
use futures::StreamExt;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::openstack::{OpenStack, Witness};
use crate::proxied::Region;
use crate::rbd::{At, Rbd, Work};
use crate::server::{Place, Server, User, until};

/// The program has to come to each stage within it.
const PATIENCE: Duration = Duration::from_secs(240);
/// Manifests, which make backups exist.
const SET: &str = "sets/volumes/p-{project}/v-{volume}/";
const NOTHING: Value = Value::Null;

/// Nothing is asked a second time while it is held.
const MORE: &str = "max-running-jobs: 64\nobject-size: 16777216\ncompression: zstd\n\
                    requests: { parallel: 200, timeout-in-second: 600, stall-timeout-in-second: 600 }\n";

/// Who hears of it.
#[derive(Debug, Clone, Copy)]
enum Who {
    Cinder,
    Swift,
    Rbd(At),
}

use Who::{Cinder as AtCinder, Swift as AtSwift};

/// How far it comes.
#[derive(Debug, Clone, Copy)]
enum When {
    /// Nobody hears the request.
    Before,
    /// It is done; we do not hear the answer. For answers with a body.
    Unheard,
    /// It is done and heard; nobody hears the next request.
    Heard,
}

/// Where an order is held: at a request, `{volume}` being the order's, and `{project}` its user's.
#[derive(Debug, Clone, Copy)]
struct Stop {
    who: Who,
    method: &'static str,
    target: &'static str,
    nth: u64,
    when: When,
}

const fn at(who: Who, method: &'static str, target: &'static str, when: When) -> Stop {
    Stop { who, method, target, nth: 1, when }
}

const fn at_rbd(when: At) -> Stop {
    at(Who::Rbd(when), "", "{volume}", When::Before)
}

impl Stop {
    const fn nth(mut self, number: u64) -> Self {
        self.nth = number;
        self
    }

    /// Whether it is for one volume only, whatever else goes on.
    fn is_of_volume(&self) -> bool {
        self.target.contains("{volume}")
    }
}

/// Some at a time: a machine has few processors.
async fn side_by_side(stages: impl Iterator<Item = impl Future<Output = ()>>) {
    futures::stream::iter(stages).buffer_unordered(4).collect::<()>().await;
}

/// A stop of one order.
struct Held<'a> {
    stop: &'a Stop,
    volume: &'a str,
    target: String,
    gate: Gate,
}

impl<'a> Held<'a> {
    fn new(stop: &'a Stop, volume: &'a str, project: &str) -> Self {
        let target = stop.target.replace("{volume}", volume).replace("{project}", project);
        Self { stop, volume, target, gate: Gate::default() }
    }

    /// What the next request has in its target, where others may ask something meanwhile.
    fn next(&self) -> &str {
        if self.stop.is_of_volume() { self.volume } else { "" }
    }
}

/// A cloud of the test's own, as far as that goes.
struct Site {
    stack: OpenStack,
    place: Place,
    region: Region,
    cinder: FaultyProxy,
    swift: FaultyProxy,
    rbd: Rbd,
    witness: Witness,
    /// As our own user, past the proxies.
    ours: Cinder,
    repository: Repository,
}

impl Site {
    async fn new(stack: &OpenStack) -> Self {
        let mut region = Region::new().await;
        let (cinder, swift) = (region.proxy("volumev3").await, region.proxy("object-store").await);
        let container = format!("killed-{}", region.name);
        let store = format!(
            "swift: {{ auth-url: '{}', username: demo, password: '{}', project: demo, region: {}, container: {container} }}",
            stack.auth_url(),
            stack.password(),
            region.name
        );
        let (place, rbd) = Rbd::place(stack, &store, MORE);
        let place = place.region(&region.name);
        let config = SwiftConfig::new(stack.keystone("demo", "demo"), &container);
        let cx = test_context(&Environment::default());
        let store = SwiftStore::open(&cx, &config, &OpenOptions::default()).await.unwrap();
        Self {
            stack: stack.clone(),
            place,
            region,
            cinder,
            swift,
            rbd,
            witness: stack.as_demo().await,
            ours: Cinder::new(CinderConfig::new(stack.keystone("backup", "service"))).unwrap(),
            repository: Repository::builder(Arc::new(store)).build(),
        }
    }

    async fn demo(&self, server: &Server) -> User {
        User::new(&self.stack, server, "demo", "demo").await
    }

    /// Volumes with some bytes in them.
    async fn volumes(&self, count: usize) -> Vec<String> {
        join_all((0..count).map(|_| async {
            let volume = self.witness.volume("rbd1", 1).await;
            self.stack.write(&volume, &[(0, b"first"), (40 << 20, &[7; 5000]), (900 << 20, &[1; 5000])]).await;
            volume
        }))
        .await
    }

    /// The path of an incremental backup of a volume, which is whole.
    async fn backed_up(&self, demo: &User, volume: &str) -> String {
        let path = format!("/volume/backup/{}", demo.back_up(volume, true));
        demo.active(&path).await;
        path
    }

    /// Gives an order for each volume, and waits until it is where it is to stop.
    async fn stopped<T>(
        &self,
        (server, demo): (&Server, &User),
        stops: &[Stop],
        volumes: &[String],
        order: impl Fn(usize) -> T,
    ) -> Vec<T> {
        let stops: Vec<_> = stops.iter().zip(volumes).map(|(stop, volume)| Held::new(stop, volume, &demo.project)).collect();
        let mut given: Vec<Option<T>> = stops.iter().map(|_| None).collect();
        // One after the other where a stop would stop others, too.
        for (index, held) in stops.iter().enumerate().filter(|(_, held)| !held.stop.is_of_volume()) {
            self.hold(held);
            given[index] = Some(order(index));
            self.reached(server, held).await;
        }
        let mut waiting = Vec::new();
        for (index, held) in stops.iter().enumerate().filter(|(_, held)| held.stop.is_of_volume()) {
            self.hold(held);
            given[index] = Some(order(index));
            waiting.push(self.reached(server, held));
        }
        join_all(waiting).await;
        given.into_iter().map(Option::unwrap).collect()
    }

    fn hold(&self, held: &Held<'_>) {
        let gate = held.gate.clone();
        let fault = match held.stop.when {
            When::Before | When::Heard => RequestFault::Hold(gate),
            When::Unheard => RequestFault::AnswerBody(Harm::Hold { after: 0, gate }),
        };
        let (which, method) = (Which::nth(held.stop.nth), held.stop.method);
        match held.stop.who {
            Who::Cinder => drop(self.cinder.requests(which, method, &held.target, fault)),
            Who::Swift => drop(self.swift.requests(which, method, &held.target, fault)),
            Who::Rbd(at) => self.rbd.hold(at, Work::Rollback, held.volume),
        }
    }

    async fn reached(&self, server: &Server, held: &Held<'_>) {
        let next = Gate::default();
        let reached = async {
            let then = RequestFault::Hold(next.clone());
            match held.stop.who {
                Who::Rbd(at) => return self.rbd.held(at, Work::Rollback, held.volume).await,
                Who::Swift => {
                    held.gate.reached().await;
                    // It is asked again after a while.
                    self.swift.requests(Which::all(), "", &format!("v-{}", held.volume), then);
                }
                Who::Cinder => {
                    held.gate.reached().await;
                    if matches!(held.stop.when, When::Heard) {
                        self.cinder.requests(Which::next(), "", held.next(), then);
                    }
                }
            }
            if matches!(held.stop.when, When::Heard) {
                held.gate.open();
                next.reached().await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, reached).await;
        assert!(in_time.is_ok(), "{:?}: it was never there: {}", held.stop, server.said());
    }

    /// Kills the program, and starts it again with nothing in its way.
    fn killed(&self, server: Server) -> Server {
        server.kill();
        self.cinder.clear();
        self.swift.clear();
        self.rbd.clear();
        self.place.start()
    }

    /// What carries our mark at Cinder.
    async fn marked(&self) -> Vec<Leftover> {
        self.ours.leftovers(&test_context(&Environment::default()), &self.place.owner()).await.unwrap()
    }

    /// Waits until nothing but these base snapshots carries our mark at Cinder.
    async fn only_bases(&self, bases: &[String]) {
        let is_base = |found: &Leftover| found.role.as_str() == "base" && bases.contains(&found.id);
        until("nothing temporary is left at Cinder", async || {
            let marked = self.marked().await;
            marked.iter().all(is_base) && marked.len() == bases.len()
        })
        .await;
    }

    /// Waits until a volume is as if nobody had ever worked on it, but for these snapshots.
    async fn quiet(&self, volume: &str, snapshots: &[String]) {
        until(&format!("the volume {volume} is free and has {snapshots:?}"), async || {
            let (_, listed) = self.witness.call(Method::GET, &format!("/snapshots/detail?volume_id={volume}"), None).await;
            let found = listed["snapshots"].as_array().unwrap().iter();
            let found: Vec<_> = found.map(|snapshot| snapshot["id"].as_str().unwrap().to_owned()).collect();
            let attachments = self.witness.get(&format!("/attachments?volume_id={volume}")).await.unwrap();
            let shown = self.witness.get(&format!("/volumes/{volume}")).await.unwrap();
            found == snapshots && attachments == json!([]) && shown["status"] == "available" && shown["metadata"] == json!({})
        })
        .await;
    }

    /// What the store has of a volume: each backup whole, each that is not whole none.
    async fn published(&self, demo: &User, volume: &str) -> usize {
        let set = SetName::new(format!("volumes/p-{}/v-{volume}", demo.project)).unwrap();
        let cx = self.repository.context();
        let listed = self.repository.list(&cx, &set).await.unwrap();
        for info in &listed {
            let report = self.repository.verify(&cx, &set, &info.id, VerifyLevel::Digest, None).await.unwrap();
            assert!(report.is_good(), "{report:?}");
        }
        listed.len()
    }

    /// Ends the test.
    async fn removed(self, server: Server, volumes: &[String]) {
        server.stop();
        join_all(volumes.iter().map(async |volume| {
            self.witness.remove(&format!("/volumes/{volume}?cascade=true")).await;
        }))
        .await;
        self.region.remove().await;
    }
}
