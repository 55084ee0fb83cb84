//! Requests, by route.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::extract::MatchedPath;
use axum::http::{Method, Request, Response};
use backup_core::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tokio::time::Instant;
use tower::{Layer, Service};

/// Seconds, until the answer's head.
const DURATIONS: [f64; 8] = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: String,
    method: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

#[derive(Debug, Clone)]
pub(super) struct HttpFamilies {
    answered: Family<Answered, Counter>,
    durations: Family<Route, Histogram>,
    bytes: Family<Route, Counter>,
    in_flight: Gauge,
}

impl HttpFamilies {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let families = Self {
            answered: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(DURATIONS)),
            bytes: Family::default(),
            in_flight: Gauge::default(),
        };
        registry.register("http_requests", "Answered requests by route pattern", families.answered.clone());
        registry.register("http_request_duration_seconds", "Time until the head of the answer", families.durations.clone());
        registry.register(
            "http_response_bytes",
            "Bytes of answers that were handed out, downloads above all",
            families.bytes.clone(),
        );
        registry.register("http_requests_in_flight", "Requests whose answer has not ended", families.in_flight.clone());
        families
    }
}

/// The layer that measures requests; put it on a router by `Router::layer`, so that it sees the route's pattern. A path
/// without a route counts as `unmatched`, an unknown method as `other`.
#[derive(Debug, Clone)]
pub struct HttpMetrics(HttpFamilies);

impl HttpMetrics {
    pub(super) fn new(families: HttpFamilies) -> Self {
        Self(families)
    }
}

impl<S> Layer<S> for HttpMetrics {
    type Service = Measured<S>;

    fn layer(&self, inner: S) -> Measured<S> {
        Measured { inner, families: self.0.clone() }
    }
}

/// The service that [`HttpMetrics`] makes.
#[derive(Debug, Clone)]
pub struct Measured<S> {
    inner: S,
    families: HttpFamilies,
}

fn name(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| method == known).unwrap_or("other")
}

impl<S> Service<Request<Body>> for Measured<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = MeasuredFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
        let measure = Measure {
            route,
            method: name(request.method()),
            started: Instant::now(),
            in_flight: InFlight::new(&self.families.in_flight),
        };
        MeasuredFuture { inner: self.inner.call(request), families: self.families.clone(), measure: Some(measure) }
    }
}

struct Measure {
    route: String,
    method: &'static str,
    started: Instant,
    in_flight: InFlight,
}

struct InFlight(Gauge);

impl InFlight {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

pin_project! {
    /// The future of [`Measured`].
    pub struct MeasuredFuture<F> {
        #[pin]
        inner: F,
        families: HttpFamilies,
        measure: Option<Measure>,
    }
}

impl<F> std::fmt::Debug for MeasuredFuture<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MeasuredFuture").finish_non_exhaustive()
    }
}

impl<F, E> Future for MeasuredFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = Result<Response<Body>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.inner.poll(cx))?;
        let Some(Measure { route, method, started, in_flight }) = this.measure.take() else { return Poll::Ready(Ok(answer)) };
        let status = answer.status().as_u16();
        this.families.answered.get_or_create(&Answered { route: route.clone(), method, status }).inc();
        let route = Route { route };
        this.families.durations.get_or_create(&route).observe(started.elapsed().as_secs_f64());
        let bytes = this.families.bytes.get_or_create_owned(&route);
        Poll::Ready(Ok(answer.map(|inner| Body::new(CountedBody { inner, bytes, _in_flight: in_flight }))))
    }
}

/// An answer's body that counts what it hands out.
struct CountedBody {
    inner: Body,
    bytes: Counter,
    _in_flight: InFlight,
}

impl HttpBody for CountedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let next = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if let Some(data) = next.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
            self.bytes.inc_by(data.len() as u64);
        }
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
