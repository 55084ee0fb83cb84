//! A Cinder, with its Keystone, that gives the answers which were recorded of Cinder 21, and goes wrong as it is told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use backup_core::testkit::{VirtualClock, note_secret, test_context, test_environment};
use backup_core::{Environment, JobContext, Secret};
use backup_remote::keystone::KeystoneConfig;
use backup_remote::testkit::FaultyProxy;
use backup_sources::cinder::{Caller, Cinder, CinderConfig, new_id};
use serde_json::{Map, Value, json};

pub const PROJECT: &str = "dbc821154a9b474ebeca34c16d2bfc72";
const PASSWORD: &str = "stand-in-hush-4411";
/// A token of a caller's.
pub const CALLER: &str = "caller-token-hush-5512";

/// What the stand-in has, and how it behaves.
pub struct State {
    pub volumes: BTreeMap<String, Value>,
    pub snapshots: BTreeMap<String, Value>,
    pub attachments: BTreeMap<String, Value>,
    /// How often a thing is shown before it has become what it is becoming.
    pub slow: u64,
    /// What snapshots become.
    pub snapshots_become: &'static str,
    pub page: usize,
    pub newest: &'static str,
    /// What a request to make something of this kind is told: `413`, or another status with a body.
    pub refuse: Option<(&'static str, StatusCode, Option<u64>, Value)>,
    /// How often that is told.
    pub refusals: u64,
    /// Our own tokens that count.
    pub tokens: Vec<String>,
    pub logins: u64,
    /// The caller's token is over; it counts beside ours alone.
    pub caller_expired: bool,
    pub seen: Vec<Seen>,
    shown: BTreeMap<String, u64>,
    public: String,
    environment: Environment,
}

/// A request that came.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub version: Option<String>,
    pub token: Option<String>,
    pub service_token: Option<String>,
    pub body: Value,
}

pub struct StandIn {
    pub state: Arc<Mutex<State>>,
    pub proxy: FaultyProxy,
    pub cx: JobContext,
    pub clock: Arc<VirtualClock>,
    /// As our own user.
    pub cinder: Cinder,
}

impl StandIn {
    pub async fn start() -> Self {
        note_secret(PASSWORD);
        note_secret(CALLER);
        let (environment, clock) = test_environment(3);
        // Pauses pass by themselves; the limits of attempts do not.
        clock.auto_advance_up_to(std::time::Duration::from_secs(20));
        let state = State {
            volumes: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            attachments: BTreeMap::new(),
            slow: 2,
            snapshots_become: "available",
            page: 1000,
            newest: "3.70",
            refuse: None,
            refusals: 0,
            tokens: Vec::new(),
            logins: 0,
            caller_expired: false,
            seen: Vec::new(),
            shown: BTreeMap::new(),
            public: String::new(),
            environment: environment.clone(),
        };
        let state = Arc::new(Mutex::new(state));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let proxy = FaultyProxy::http(&format!("http://{address}")).await;
        state.lock().unwrap().public = proxy.url();
        let mut config = KeystoneConfig::default();
        config.auth_url = format!("{}/identity/v3", proxy.url());
        config.username = Some("backup".into());
        config.password = Some(Secret::from(PASSWORD));
        config.project = Some("service".into());
        let cinder = Cinder::new(CinderConfig::new(config)).unwrap();
        Self { state, proxy, cx: test_context(&environment), clock, cinder }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// As somebody whose token we were given.
    pub fn for_caller(&self) -> Cinder {
        let endpoint = format!("{}/v3/{PROJECT}", self.proxy.url());
        let caller = Caller { token: Secret::from(CALLER), project_id: PROJECT.into(), endpoint };
        self.cinder.for_caller(caller).unwrap()
    }

    /// A volume that is there.
    pub fn volume(&self, gib: u64) -> String {
        let mut state = self.state();
        let id = new_id(&*state.environment.random);
        let volume = volume(&id, &json!({ "size": gib, "name": "data", "volume_type": "rbd1", "metadata": {} }), "available");
        state.volumes.insert(id.clone(), volume);
        id
    }

    pub fn seen(&self, method: &str, part: &str) -> Vec<Seen> {
        self.state().seen.iter().filter(|seen| seen.method == method && seen.path.contains(part)).cloned().collect()
    }

    /// What is there of ours, by kind.
    pub fn left(&self) -> (usize, usize, usize) {
        let state = self.state();
        let marked = |things: &BTreeMap<String, Value>| {
            things.values().filter(|thing| thing["metadata"].get("backup:role").is_some()).count()
        };
        (marked(&state.volumes), marked(&state.snapshots), state.attachments.len())
    }
}

/// As recorded.
fn volume(id: &str, asked: &Value, status: &str) -> Value {
    json!({
        "id": id, "status": status, "size": asked["size"], "availability_zone": "nova", "created_at": "2026-11-21T16:09:18.401096",
        "updated_at": null, "name": asked["name"], "description": null, "volume_type": asked["volume_type"],
        "snapshot_id": asked["snapshot_id"], "source_volid": null, "metadata": asked["metadata"], "links": [],
        "user_id": "4a141d62636a4a06ac42e9ecc74c73f2", "bootable": "false", "encrypted": false, "replication_status": null,
        "consistencygroup_id": null, "multiattach": false, "attachments": [], "os-vol-tenant-attr:tenant_id": PROJECT,
    })
}

fn fault(status: StatusCode, kind: &str, message: &str) -> Response {
    (status, axum::Json(json!({ kind: { "code": status.as_u16(), "message": message } }))).into_response()
}

fn not_found(what: &str, id: &str) -> Response {
    fault(StatusCode::NOT_FOUND, "itemNotFound", &format!("{what} {id} could not be found."))
}

fn done(status: StatusCode, body: Value) -> Response {
    (status, axum::Json(body)).into_response()
}

async fn answer(Shared(state): Shared<Arc<Mutex<State>>>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let mut state = state.lock().unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let seen = Seen {
        method: method.to_string(),
        path: uri.path_and_query().unwrap().to_string(),
        version: text("openstack-api-version"),
        token: text("x-auth-token"),
        service_token: text("x-service-token"),
        body: body.clone(),
    };
    state.seen.push(seen.clone());
    if uri.path() == "/identity/v3/auth/tokens" {
        return state.login();
    }
    if !state.counts(&seen) {
        let message = "The request you have made requires authentication.";
        let error = json!({ "error": { "code": 401, "title": "Unauthorized", "message": message } });
        return done(StatusCode::UNAUTHORIZED, error);
    }
    if uri.path() == "/v3/" {
        let version = json!({ "id": "v3.0", "status": "CURRENT", "version": state.newest, "min_version": "3.0" });
        return done(StatusCode::OK, json!({ "versions": [version] }));
    }
    let base = format!("/v3/{PROJECT}/");
    let Some(path) = uri.path().strip_prefix(&base) else { return StatusCode::NOT_FOUND.into_response() };
    let parts: Vec<&str> = path.split('/').collect();
    let query = uri.query().unwrap_or_default().to_owned();
    state.cinder(&method, &parts, &query, &body)
}

impl State {
    fn login(&mut self) -> Response {
        self.logins += 1;
        let token = format!("own-token-{}-hush-6613", self.logins);
        note_secret(&token);
        self.tokens = vec![token.clone()];
        let endpoint = json!({ "interface": "public", "region_id": "RegionOne", "region": "RegionOne",
            "url": format!("{}/v3/{PROJECT}", self.public) });
        let body = json!({ "token": {
            "expires_at": "2026-11-21T17:09:17.000000Z", "issued_at": "2026-11-21T16:09:17.000000Z",
            "project": { "id": PROJECT, "name": "service" },
            "catalog": [{ "type": "volumev3", "name": "cinderv3", "endpoints": [endpoint] }],
        } });
        (StatusCode::CREATED, [("x-subject-token", token)], axum::Json(body)).into_response()
    }

    /// As keystonemiddleware has it: an expired token counts beside a service's that counts.
    fn counts(&self, seen: &Seen) -> bool {
        let own = |token: &Option<String>| token.as_ref().is_some_and(|token| self.tokens.contains(token));
        match seen.token.as_deref() {
            Some(CALLER) => !self.caller_expired || own(&seen.service_token),
            _ => own(&seen.token),
        }
    }

    fn cinder(&mut self, method: &Method, parts: &[&str], query: &str, body: &Value) -> Response {
        if let Some((kind, status, after, told)) = &self.refuse
            && self.refusals > 0
            && method == Method::POST
            && parts == [*kind]
        {
            self.refusals -= 1;
            let mut answer = done(*status, told.clone());
            if let Some(after) = after {
                answer.headers_mut().insert("retry-after", after.to_string().parse().unwrap());
            }
            return answer;
        }
        match (method.as_str(), parts) {
            ("GET", ["volumes", "detail"]) => list("volumes", &self.volumes, query, self.page),
            ("GET", ["snapshots", "detail"]) => list("snapshots", &self.snapshots, query, self.page),
            ("GET", ["attachments"]) => list("attachments", &self.attachments, query, self.page),
            ("GET", ["volumes", id]) => self.show("volume", id),
            ("GET", ["snapshots", id]) => self.show("snapshot", id),
            ("POST", ["volumes"]) => self.make_volume(&body["volume"]),
            ("POST", ["snapshots"]) => self.make_snapshot(&body["snapshot"]),
            ("POST", ["attachments"]) => self.attach(&body["attachment"]),
            ("DELETE", ["volumes", id]) => self.delete("volume", id),
            ("DELETE", ["snapshots", id]) => self.delete("snapshot", id),
            ("DELETE", ["attachments", id]) => self.detach(id),
            ("PUT", ["volumes", id]) => self.merge(id, &body["volume"]),
            ("POST", [kind, id, "metadata"]) => self.set_metadata(kind, id, &body["metadata"]),
            ("DELETE", ["volumes", id, "metadata", key]) => {
                let key = key.replace("%3A", ":");
                let Some(volume) = self.volumes.get_mut(*id) else { return not_found("Volume", id) };
                match volume["metadata"].as_object_mut().unwrap().remove(&key) {
                    Some(_) => StatusCode::OK.into_response(),
                    None => fault(StatusCode::NOT_FOUND, "itemNotFound", &format!("Volume {id} has no metadata with key {key}.")),
                }
            }
            ("POST", ["volumes", id, "action"]) if self.volumes.contains_key(*id) => {
                if let Some(set) = body.get("os-set_bootable") {
                    self.volumes.get_mut(*id).unwrap()["bootable"] = json!(set["bootable"].to_string());
                }
                StatusCode::OK.into_response()
            }
            _ => StatusCode::NOT_FOUND.into_response(),
        }
    }

    fn things(&mut self, kind: &str) -> &mut BTreeMap<String, Value> {
        if kind.starts_with("volume") { &mut self.volumes } else { &mut self.snapshots }
    }

    /// What is becoming something has become it when it was shown so often.
    fn show(&mut self, kind: &str, id: &str) -> Response {
        let shown = self.shown.entry(id.to_owned()).or_default();
        *shown += 1;
        let settled = *shown > self.slow;
        let snapshots_become = self.snapshots_become;
        let name = if kind == "volume" { "Volume" } else { "Snapshot" };
        let Some(thing) = self.things(kind).get_mut(id) else { return not_found(name, id) };
        if settled && thing["status"] == "creating" {
            thing["status"] = json!(if kind == "volume" { "available" } else { snapshots_become });
        }
        let thing = thing.clone();
        if settled && thing["status"] == "deleting" {
            self.things(kind).remove(id);
            return not_found(name, id);
        }
        done(StatusCode::OK, json!({ kind: thing }))
    }

    fn make_volume(&mut self, asked: &Value) -> Response {
        let id = new_id(&*self.environment.random);
        let made = volume(&id, asked, "creating");
        self.volumes.insert(id, made.clone());
        done(StatusCode::ACCEPTED, json!({ "volume": made }))
    }

    fn make_snapshot(&mut self, asked: &Value) -> Response {
        let of = asked["volume_id"].as_str().unwrap();
        let Some(volume) = self.volumes.get(of) else { return not_found("Volume", of) };
        if asked["force"] != true {
            return fault(StatusCode::BAD_REQUEST, "badRequest", "Invalid volume: it is in use");
        }
        let id = new_id(&*self.environment.random);
        let made = json!({
            "id": id, "created_at": "2026-11-21T16:09:21.936189", "updated_at": null, "name": asked["name"], "description": null,
            "volume_id": of, "status": "creating", "size": volume["size"], "metadata": asked["metadata"],
        });
        self.snapshots.insert(id, made.clone());
        done(StatusCode::ACCEPTED, json!({ "snapshot": made }))
    }

    fn attach(&mut self, asked: &Value) -> Response {
        let of = asked["volume_uuid"].as_str().unwrap().to_owned();
        let Some(volume) = self.volumes.get_mut(&of) else { return not_found("Volume", &of) };
        if volume["status"] != "available" {
            let message = format!(
                "Invalid volume: Volume {of} status must be available or downloading to reserve, but the current status is {}.",
                volume["status"].as_str().unwrap()
            );
            return fault(StatusCode::BAD_REQUEST, "badRequest", &message);
        }
        volume["status"] = json!("reserved");
        let id = new_id(&*self.environment.random);
        let listed = json!({ "id": id, "status": "reserved", "instance": null, "volume_id": of });
        self.attachments.insert(id.clone(), listed.clone());
        let mut shown = listed;
        shown["connection_info"] = json!({ "driver_volume_type": "rbd", "name": format!("volumes/volume-{of}") });
        done(StatusCode::OK, json!({ "attachment": shown }))
    }

    fn detach(&mut self, id: &str) -> Response {
        let Some(attachment) = self.attachments.remove(id) else {
            let message = format!("Volume attachment could not be found with filter: attachment_id = {id}.");
            return fault(StatusCode::NOT_FOUND, "itemNotFound", &message);
        };
        if let Some(volume) = self.volumes.get_mut(attachment["volume_id"].as_str().unwrap()) {
            volume["status"] = json!("available");
        }
        done(StatusCode::OK, json!({ "attachments": [] }))
    }

    fn delete(&mut self, kind: &str, id: &str) -> Response {
        let has_children = match kind {
            "volume" => self.snapshots.values().any(|snapshot| snapshot["volume_id"] == id),
            _ => self.volumes.values().any(|volume| volume["snapshot_id"] == id),
        };
        let Some(thing) = self.things(kind).get_mut(id) else {
            return not_found(if kind == "volume" { "Volume" } else { "Snapshot" }, id);
        };
        let status = thing["status"].as_str().unwrap();
        if !matches!(status, "available" | "error") || has_children {
            let message =
                format!("Invalid {kind}: {kind} status must be available or error, and must not have children: {status}");
            return fault(StatusCode::BAD_REQUEST, "badRequest", &message);
        }
        thing["status"] = json!("deleting");
        self.shown.remove(id);
        (StatusCode::ACCEPTED, [("content-type", "text/html; charset=UTF-8")]).into_response()
    }

    fn merge(&mut self, id: &str, given: &Value) -> Response {
        let Some(volume) = self.volumes.get_mut(id) else { return not_found("Volume", id) };
        for (key, value) in given.as_object().unwrap() {
            volume[key] = value.clone();
        }
        done(StatusCode::OK, json!({ "volume": volume }))
    }

    fn set_metadata(&mut self, kind: &str, id: &str, given: &Value) -> Response {
        let Some(thing) = self.things(kind).get_mut(id) else { return not_found("Volume", id) };
        let metadata = thing["metadata"].as_object_mut().unwrap();
        metadata.extend(given.as_object().unwrap().clone());
        done(StatusCode::OK, json!({ "metadata": metadata.clone() }))
    }
}

/// A page, behind its marker, by the order of ids.
fn list(kind: &str, things: &BTreeMap<String, Value>, query: &str, page: usize) -> Response {
    let parts: BTreeMap<&str, &str> = query.split('&').filter_map(|part| part.split_once('=')).collect();
    let behind = things.iter().filter(|(id, _)| parts.get("marker").is_none_or(|marker| id.as_str() > *marker));
    let all: Vec<Value> = behind.map(|(_, thing)| thing.clone()).collect();
    let mut answer = Map::new();
    let size = page.min(parts.get("limit").map_or(page, |limit| limit.parse().unwrap()));
    if all.len() > size {
        answer.insert(format!("{kind}_links"), json!([{ "rel": "next", "href": "http://elsewhere.invalid/" }]));
    }
    answer.insert(kind.to_owned(), all.into_iter().take(size).collect());
    done(StatusCode::OK, Value::Object(answer))
}
