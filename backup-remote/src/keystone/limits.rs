//! How much a project may have. The source of the format: Identity API v3, "Unified limits".

use backup_core::{Error, JobContext, Result, Secret};
use http::{HeaderValue, Request, StatusCode, header::HeaderName};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Keystone, codes};
use crate::Call;

const X_AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
const ANSWER: u64 = 1 << 20;

#[derive(Deserialize)]
struct Limits {
    limits: Vec<Limit>,
}

#[derive(Deserialize)]
struct Limit {
    resource_name: String,
    project_id: Option<String>,
    region_id: Option<String>,
    resource_limit: i64,
}

#[derive(Deserialize)]
struct Registered {
    registered_limits: Vec<RegisteredLimit>,
}

#[derive(Deserialize)]
struct RegisteredLimit {
    resource_name: String,
    region_id: Option<String>,
    default_limit: i64,
}

impl Keystone {
    /// How many of a `resource` of a service the project `project_id` may have: its own limit, else the registered one; nothing when
    /// there is none, and `u64::MAX` for a negative one, which means that it may have as many as it likes. `region` is the region whose limits count before those of no region; those of other regions do
    /// not count.
    ///
    /// `token` is one of the project itself: to another project's member Keystone does not show the limits.
    ///
    /// # Errors
    /// `keystone.refused` when the token is not taken (another time it may be), `keystone.address`, `remote.answer`; those of
    /// [`Http::fetch`](crate::http::Http::fetch).
    ///
    /// # Cancel safety
    /// Cancel safe; it changes nothing.
    pub async fn limit(
        &self,
        cx: &JobContext,
        token: &Secret,
        service_id: &str,
        resource: &str,
        region: Option<&str>,
        project_id: &str,
    ) -> Result<Option<u64>> {
        // The filters save bytes only; what is answered is looked through all the same.
        let query = format!("service_id={}&resource_name={}", escaped(service_id), escaped(resource));
        let own: Limits = self.ask(cx, token, &format!("limits?{query}&project_id={}", escaped(project_id))).await?;
        let own = own.limits.into_iter().filter(|limit| limit.resource_name == resource);
        let own = own.filter(|limit| limit.project_id.as_deref() == Some(project_id));
        if let Some(limit) = nearest(own.map(|limit| (limit.region_id, limit.resource_limit)), region) {
            return Ok(Some(meant(limit)));
        }
        let registered: Registered = self.ask(cx, token, &format!("registered_limits?{query}")).await?;
        let registered = registered.registered_limits.into_iter().filter(|limit| limit.resource_name == resource);
        let limit = nearest(registered.map(|limit| (limit.region_id, limit.default_limit)), region);
        Ok(limit.map(meant))
    }

    async fn ask<T: DeserializeOwned>(&self, cx: &JobContext, token: &Secret, what: &str) -> Result<T> {
        let config = self.config();
        let refused = || Error::new(&codes::REFUSED, format!("{} does not show limits to this token", config.auth_url));
        let mut header = HeaderValue::from_str(token.expose()).map_err(|_| refused())?;
        header.set_sensitive(true);
        let request = Request::builder().uri(format!("{}/{what}", config.base())).header(X_AUTH_TOKEN, header).body(Vec::new());
        let request = request.map_err(|error| Error::new(&codes::CONFIG, format!("`auth-url` is no URL: {error}")))?;
        let answer = self.shared.http.fetch(cx, &Call::reading("ListLimits"), &request, ANSWER).await?;
        match answer.status() {
            StatusCode::OK => serde_json::from_slice(answer.body()).map_err(|error| {
                Error::new(&crate::codes::ANSWER, format!("Keystone's answer about limits makes no sense: {error}"))
            }),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(refused()),
            status => Err(Error::new(
                &codes::ADDRESS,
                format!("{} answered {status} to a question about limits; a Keystone v3 is expected there", config.auth_url),
            )),
        }
    }
}

fn meant(limit: i64) -> u64 {
    u64::try_from(limit).unwrap_or(u64::MAX)
}

/// The limit of the region, else the one of no region.
fn nearest(limits: impl Iterator<Item = (Option<String>, i64)>, region: Option<&str>) -> Option<i64> {
    let mut anywhere = None;
    for (of, limit) in limits {
        match of.as_deref() {
            None => anywhere = Some(limit),
            // Who names no region has one only.
            of if region.is_none() || of == region => return Some(limit),
            _ => {}
        }
    }
    anywhere
}

/// For a query: everything but what needs no escape.
fn escaped(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}
