//! Getting a token. The source of the format: Identity API v3, "Authentication and token management".

use std::time::Duration;

use backup_core::{Error, JobContext, Result, Secret};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::catalogue::Catalogue;
use super::codes;
use super::config::{Domain, Identity, KeystoneConfig, Project};
use super::token::Token;
use crate::http::Http;
use crate::{Call, Repeat};

/// A catalogue of a big cloud has some 100 KiB.
const ANSWER: u64 = 4 << 20;

/// Asks for a token.
pub(super) async fn login(http: &Http, cx: &JobContext, config: &KeystoneConfig) -> Result<Token> {
    let identity = config.identity()?;
    let received_at = cx.clock().monotonic();
    let answer = post(http, cx, config, &body(&identity, true)).await?;
    match answer.status() {
        StatusCode::CREATED | StatusCode::OK => read(answer, received_at),
        StatusCode::UNAUTHORIZED => Err(why_refused(http, cx, config, &identity).await),
        StatusCode::FORBIDDEN => {
            Err(Error::new(&codes::REFUSED, format!("{} is forbidden to log in at {}", identity.shown(), config.auth_url)))
        }
        status => Err(Error::new(
            &codes::ADDRESS,
            format!("{} answered {status} to a login; a Keystone v3 is expected there", config.auth_url),
        )),
    }
}

async fn post(http: &Http, cx: &JobContext, config: &KeystoneConfig, body: &Value) -> Result<Response<Bytes>> {
    // The catalogue belongs to the answer: it is what we need besides the token.
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("{}/auth/tokens", config.base()))
        .header(header::CONTENT_TYPE, "application/json")
        .body(vec![Bytes::from(body.to_string())])
        .map_err(|error| Error::new(&codes::CONFIG, format!("`auth-url` is no URL: {error}")))?;
    // A token too many is harmless.
    http.fetch(cx, &Call { changes: false, ..Call::changing("CreateToken", Repeat::Always) }, &request, ANSWER).await
}

fn body(identity: &Identity<'_>, scoped: bool) -> Value {
    match *identity {
        // Its scope is in it: Keystone refuses a scope beside it.
        Identity::ApplicationCredential { id, secret } => json!({ "auth": { "identity": {
            "methods": ["application_credential"],
            "application_credential": { "id": id, "secret": secret.expose() },
        } } }),
        Identity::Password { name, domain, password, project } => {
            let user = json!({ "name": name, "domain": domain.json(), "password": password.expose() });
            let scope = match project {
                _ if !scoped => json!("unscoped"),
                Project::Id(id) => json!({ "project": { "id": id } }),
                Project::Named(name, domain) => json!({ "project": { "name": name, "domain": domain.json() } }),
            };
            json!({ "auth": { "identity": { "methods": ["password"], "password": { "user": user } }, "scope": scope } })
        }
    }
}

fn read(answer: Response<Bytes>, received_at: Duration) -> Result<Token> {
    #[derive(Deserialize)]
    struct Answer {
        token: Body,
    }
    #[derive(Deserialize)]
    struct Body {
        expires_at: DateTime<Utc>,
        issued_at: DateTime<Utc>,
        #[serde(default)]
        catalog: Catalogue,
        project: Option<Named>,
    }
    #[derive(Deserialize)]
    struct Named {
        id: String,
    }
    let senseless = |what: String| Error::new(&crate::codes::ANSWER, format!("Keystone's answer makes no sense: {what}"));
    let id = answer.headers().get("x-subject-token").and_then(|value| value.to_str().ok());
    let Some(id) = id.map(Secret::from) else { return Err(senseless("it has no token".to_owned())) };
    // Its position is told, not its text.
    let read: Answer = serde_json::from_slice(answer.body()).map_err(|error| senseless(error.to_string()))?;
    let mut header = HeaderValue::from_str(id.expose()).map_err(|_| senseless("the token cannot be sent".to_owned()))?;
    header.set_sensitive(true);
    // By Keystone's own clock, so that a wrong one here does no harm.
    let lifetime = (read.token.expires_at - read.token.issued_at).to_std().unwrap_or_default();
    Ok(Token {
        header,
        received_at,
        lifetime,
        project_id: read.token.project.map(|project| project.id),
        catalogue: read.token.catalog,
    })
}

/// Keystone answers the same to a wrong password and to a wrong project: asks once more without the project to tell them apart.
async fn why_refused(http: &Http, cx: &JobContext, config: &KeystoneConfig, identity: &Identity<'_>) -> Error {
    let refused = || Error::new(&codes::REFUSED, format!("{} refused {}", config.auth_url, identity.shown()));
    let Identity::Password { project, .. } = identity else { return refused() };
    let unscoped = match post(http, cx, config, &body(identity, false)).await {
        Ok(answer) if answer.status().is_success() => answer,
        _ => return refused(),
    };
    let projects = projects(http, cx, config, &unscoped).await;
    let has = if projects.is_empty() { "none".to_owned() } else { projects.join(", ") };
    let wanted = match project {
        Project::Id(id) => format!("with the id {id}"),
        Project::Named(name, domain) => format!("`{name}` of the domain {}", domain.shown()),
    };
    Error::new(&codes::NO_PROJECT, format!("{} has no project {wanted} at {}; it has: {has}", identity.shown(), config.auth_url))
}

/// The names of the projects that a user has; empty when they cannot be had.
async fn projects(http: &Http, cx: &JobContext, config: &KeystoneConfig, unscoped: &Response<Bytes>) -> Vec<String> {
    #[derive(Deserialize)]
    struct Answer {
        projects: Vec<Named>,
    }
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    let Some(token) = unscoped.headers().get("x-subject-token") else { return Vec::new() };
    let mut token = token.clone();
    token.set_sensitive(true);
    let request =
        Request::builder().uri(format!("{}/auth/projects", config.base())).header("x-auth-token", token).body(Vec::new());
    let Ok(request) = request else { return Vec::new() };
    let Ok(answer) = http.fetch(cx, &Call::reading("ListProjects"), &request, ANSWER).await else { return Vec::new() };
    let read: Result<Answer, _> = serde_json::from_slice(answer.body());
    read.map(|read| read.projects.into_iter().map(|project| project.name).collect()).unwrap_or_default()
}

impl Identity<'_> {
    /// For messages: without a secret.
    fn shown(&self) -> String {
        match self {
            Self::Password { name, domain, .. } => format!("the user `{name}` of the domain {}", domain.shown()),
            Self::ApplicationCredential { id, .. } => format!("the application credential {id}"),
        }
    }
}

impl Domain<'_> {
    fn json(self) -> Value {
        match self {
            Self::Name(name) => json!({ "name": name }),
            Self::Id(id) => json!({ "id": id }),
        }
    }

    fn shown(self) -> String {
        match self {
            Self::Name(name) => format!("`{name}`"),
            Self::Id(id) => format!("with the id {id}"),
        }
    }
}

/// Whether a failed login says something about the credentials, which asking again does not change.
pub(super) fn settled(error: &Error) -> bool {
    error.code() == &codes::REFUSED || error.code() == &codes::NO_PROJECT
}
