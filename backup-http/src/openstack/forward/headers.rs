//! Which headers pass.

use axum::extract::Request;
use axum::http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, FORWARDED, HOST, InvalidHeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Body as _;

use super::Caller;
use super::connect::Address;

const X_AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

/// What concerns one connection only. The source: RFC 9110, 7.6.1, and RFC 9113, 8.2.2.
const ONE_CONNECTION: [HeaderName; 11] = [
    CONNECTION,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static("trailers"),
];

/// By what Keystone's middleware tells a service who calls, and proxies say for whom they ask: whoever calls us does not get to say it.
const WHO: [&str; 14] = [
    "x-service-",
    "x-identity-",
    "x-forwarded-",
    "x-user",
    "x-project-",
    "x-domain-",
    "x-tenant",
    "x-role",
    "x-is-admin-project",
    "x-authorization",
    "x-original-",
    "x-real-ip",
    "openstack-system-scope",
    "x-delegated-",
];

/// Leaves of a request's headers what is for the service, and names the caller's token and the service's host.
pub(super) fn of_request(headers: &mut HeaderMap, address: &Address, caller: &Caller) -> Result<(), InvalidHeaderValue> {
    leave_the_connection(headers);
    let dropped: Vec<HeaderName> = headers.keys().filter(|name| says_who(name.as_str())).cloned().collect();
    for name in [EXPECT, FORWARDED, HOST].into_iter().chain(dropped) {
        headers.remove(name);
    }
    let mut token = HeaderValue::from_str(caller.token.expose())?;
    token.set_sensitive(true);
    headers.insert(X_AUTH_TOKEN, token);
    headers.insert(HOST, HeaderValue::from_str(&address.authority)?);
    Ok(())
}

/// Leaves of an answer's headers what is for the client.
pub(super) fn of_answer(headers: &mut HeaderMap) {
    leave_the_connection(headers);
}

/// Says the length that the body has, if one was said: with two lengths or two ways to say it nobody knows where the next request begins.
pub(super) fn length(request: &mut Request, said: bool) {
    request.headers_mut().remove(CONTENT_LENGTH);
    if said && let Some(length) = request.body().size_hint().exact() {
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
}

fn leave_the_connection(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        // How long a body is concerns both connections.
        .filter(|name| *name != CONTENT_LENGTH)
        .collect();
    for name in ONE_CONNECTION.into_iter().chain(named) {
        headers.remove(name);
    }
}

fn says_who(name: &str) -> bool {
    name.contains('_') || WHO.iter().any(|start| name.starts_with(start))
}
