//! A client, a proxy, a server.

use std::sync::Arc;
use std::time::Duration;

use backup_core::testkit::{VirtualClock, test_context, test_environment};
use backup_core::{JobContext, Result};
use bytes::Bytes;
use http::{Method, Request, Response};

use crate::http::{Body, Http, HttpOptions};
use crate::test_server::Server;
use crate::testkit::FaultyProxy;
use crate::{Call, CallLimits, CallObserver, Calls, Repeat};

pub(super) struct Site {
    pub(super) server: Server,
    pub(super) proxy: FaultyProxy,
    pub(super) clock: Arc<VirtualClock>,
    pub(super) cx: JobContext,
    pub(super) http: Http,
}

impl Site {
    /// Pauses between attempts pass by themselves; the time limit of attempts and the stall limit wait for the test.
    pub(super) async fn new() -> Self {
        Self::with(CallLimits::default(), |_| None).await
    }

    /// With these limits, but three attempts, and an observer.
    pub(super) async fn with(limits: CallLimits, observer: impl FnOnce(&JobContext) -> Option<Arc<dyn CallObserver>>) -> Self {
        let (server, proxy) = Server::proxied().await;
        let (environment, clock) = test_environment(1);
        clock.auto_advance_up_to(Duration::from_secs(25));
        let cx = test_context(&environment);
        let calls = Calls::observed("s3", CallLimits { attempts: 3, ..limits }, observer(&cx));
        let http = Http::new(calls, &HttpOptions::default()).unwrap();
        Self { server, proxy, clock, cx, http }
    }

    pub(super) fn request(&self, method: Method, path: &str, body: &[&'static str]) -> Request<Vec<Bytes>> {
        let body = body.iter().map(|piece| Bytes::from_static(piece.as_bytes())).collect();
        Request::builder().method(method).uri(format!("{}{path}", self.proxy.url())).body(body).unwrap()
    }

    pub(super) async fn get(&self, path: &str) -> Result<Response<Body>> {
        self.http.open(&self.cx, &Call::reading("Get"), &self.request(Method::GET, path, &[])).await
    }

    pub(super) async fn fetch(&self, path: &str) -> Result<Response<Bytes>> {
        self.http.fetch(&self.cx, &Call::reading("Get"), &self.request(Method::GET, path, &[]), 1 << 20).await
    }

    pub(super) async fn put(&self, repeat: Repeat) -> Result<Response<Bytes>> {
        let request = self.request(Method::PUT, "/key?part=1", &["some ", "pieces"]);
        self.http.fetch(&self.cx, &Call::changing("Put", repeat), &request, 1 << 20).await
    }
}
