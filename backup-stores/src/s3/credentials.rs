//! Where credentials come from, and roles taken on with them.

use std::sync::Arc;
use std::time::Duration;

use backup_core::event::TracingObserver;
use backup_core::{Bytes, JobContext, Result, Secret};
use backup_remote::http::Http;
use backup_remote::{Call, Repeat};
use http::{Method, Request, header};
use percent_encoding::utf8_percent_encode;
use reqsign_aws_v4::{
    AssumeRoleWithWebIdentityCredentialProvider, Credential, ECSCredentialProvider, EnvCredentialProvider,
    IMDSv2CredentialProvider, ProfileCredentialProvider, RequestSigner, StaticCredentialProvider,
};
use reqsign_core::{Context, Error, FileRead, HttpSend, OsEnv, ProvideCredential, ProvideCredentialChain, Signer};
use serde::Deserialize;

use super::config::{AssumeRole, CredentialSource, S3Config, refused};
use super::error::Refusal;
use super::names::QUERY;
use super::xml::document;

/// How long getting credentials may take.
const LIMIT: Duration = Duration::from_secs(60);
/// The longest answer of a service that gives credentials.
const ANSWER: u64 = 1 << 20;

/// What signs requests, with credentials that are renewed ahead of their end, by one request at a time.
///
/// # Errors
/// `s3.config` when what the configured source needs is missing.
pub(super) fn signer(cx: &JobContext, config: &S3Config, region: &str, http: &Http) -> Result<Signer<Credential>> {
    let own = JobContext::new(cx.environment().clone(), Arc::new(TracingObserver));
    let sender = Sender { http: http.clone(), cx: own };
    let context = Context::new().with_http_send(sender.clone()).with_file_read(Files).with_env(OsEnv);
    let providers = providers(config)?;
    let for_s3 = RequestSigner::new("s3", region);
    let Some(role) = &config.assume_role else {
        return Ok(Signer::new(context, providers, for_s3));
    };
    let endpoint = match &role.endpoint {
        Some(endpoint) => endpoint.trim_end_matches('/').to_owned(),
        None => format!("https://sts.{region}.amazonaws.com"),
    };
    let signer = Signer::new(context.clone(), providers, RequestSigner::new("sts", region));
    Ok(Signer::new(context, Role { role: role.clone(), endpoint, signer, sender }, for_s3))
}

fn providers(config: &S3Config) -> Result<ProvideCredentialChain<Credential>> {
    let chain = ProvideCredentialChain::new();
    let given = config.access_key_id.is_some() || config.secret_access_key.is_some() || config.session_token.is_some();
    if given && config.credentials != CredentialSource::Static {
        return Err(refused("`access-key-id` and its secret are for `credentials: static`; take them out, or the other source"));
    }
    if config.profile.is_some() && config.credentials != CredentialSource::Profile {
        return Err(refused("`profile` is for `credentials: profile`"));
    }
    Ok(match config.credentials {
        CredentialSource::Static => {
            let text =
                |secret: &Option<Secret>| secret.as_ref().map(Secret::expose).filter(|text| !text.is_empty()).map(str::to_owned);
            let (Some(key), Some(secret)) = (text(&config.access_key_id), text(&config.secret_access_key)) else {
                return Err(refused(
                    "`access-key-id` and `secret-access-key` are missing; give both, or say with `credentials:` where they come from",
                ));
            };
            let keys = StaticCredentialProvider::new(&key, &secret);
            chain.push(match text(&config.session_token) {
                Some(token) => keys.with_session_token(&token),
                None => keys,
            })
        }
        CredentialSource::Environment => chain.push(EnvCredentialProvider::new()),
        CredentialSource::Profile => {
            let provider = ProfileCredentialProvider::new();
            chain.push(match &config.profile {
                Some(name) => provider.with_profile(name),
                None => provider,
            })
        }
        CredentialSource::Instance => chain
            .push(AssumeRoleWithWebIdentityCredentialProvider::new())
            .push(ECSCredentialProvider::new())
            .push(IMDSv2CredentialProvider::new()),
    })
}

/// Sends what providers ask of metadata and token services.
#[derive(Debug, Clone)]
struct Sender {
    http: Http,
    cx: JobContext,
}

impl HttpSend for Sender {
    async fn http_send(&self, request: Request<Bytes>) -> reqsign_core::Result<http::Response<Bytes>> {
        let call = match request.method() == Method::GET {
            true => Call::reading("Credentials"),
            false => Call::changing("Credentials", Repeat::Always),
        };
        let cx = self.cx.with_limit(LIMIT);
        let answer = self.http.fetch(&cx, &call, &request.map(|body| vec![body]), ANSWER).await;
        answer.map_err(|error| Error::unexpected(error.to_string()).set_retryable(true))
    }
}

/// Reads the files of profiles and tokens.
#[derive(Debug)]
struct Files;

impl FileRead for Files {
    async fn file_read(&self, path: &str) -> reqsign_core::Result<Vec<u8>> {
        let name = path.to_owned();
        let read = tokio::task::spawn_blocking(move || std::fs::read(name)).await;
        read.map_err(std::io::Error::other)
            .and_then(|read| read)
            .map_err(|error| Error::config_invalid(format!("{path} cannot be read: {error}")))
    }
}

/// A role, taken on at a security token service.
#[derive(Debug)]
struct Role {
    role: AssumeRole,
    endpoint: String,
    signer: Signer<Credential>,
    sender: Sender,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    assume_role_result: Assumed,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Assumed {
    credentials: Granted,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Granted {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    expiration: String,
}

impl ProvideCredential for Role {
    type Credential = Credential;

    async fn provide_credential(&self, _: &Context) -> reqsign_core::Result<Option<Credential>> {
        let name = self.role.session_name.as_deref().unwrap_or("backup");
        let mut form = vec![
            ("Action", "AssumeRole"),
            ("Version", "2011-06-15"),
            ("RoleArn", &self.role.role_arn),
            ("RoleSessionName", name),
        ];
        form.extend(self.role.external_id.as_ref().map(|id| ("ExternalId", id.expose())));
        let form: Vec<_> =
            form.into_iter().map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, QUERY))).collect();
        let body = Bytes::from(form.join("&"));
        let request = Request::post(format!("{}/", self.endpoint))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("x-amz-content-sha256", reqsign_core::hash::hex_sha256(&body))
            .body(body)
            .map_err(|error| Error::config_invalid(format!("the endpoint of `assume-role` is no URL: {error}")))?;
        let (mut parts, body) = request.into_parts();
        self.signer.sign(&mut parts, None).await?;
        parts.headers.remove(header::HOST);
        let answer = self.sender.http_send(Request::from_parts(parts, body)).await?;
        if !answer.status().is_success() {
            let refusal = document::<Refused>(answer.body()).map(|refused| refused.error).unwrap_or_default();
            let text = refusal.error(answer.status(), answer.headers()).to_string();
            return Err(Error::permission_denied(format!("taking on the role {}: {text}", self.role.role_arn)));
        }
        let granted: Answer = document(answer.body()).map_err(|error| Error::unexpected(error.to_string()))?;
        let granted = granted.assume_role_result.credentials;
        Ok(Some(Credential {
            access_key_id: granted.access_key_id,
            secret_access_key: granted.secret_access_key,
            session_token: Some(granted.session_token),
            expires_in: Some(granted.expiration.parse()?),
        }))
    }
}

/// The error document of the token service.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Refused {
    error: Refusal,
}
