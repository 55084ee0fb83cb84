//! Tokens, and what they may do.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Method};
use backup_core::{Digest, Error, Result, Secret};
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::errors::{EXPIRED, FORBIDDEN, Failure, UNAUTHORIZED};
use crate::codes;

/// A token, whose it is, and what it may do.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct Token {
    /// The token itself.
    pub token: Secret,
    /// Who holds it, for the log.
    pub user: String,
    /// What it may do.
    pub role: Role,
    /// From when on it counts no longer; never when absent.
    #[serde(default)]
    pub expires: Option<DateTime<Utc>>,
}

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Everything.
    Admin,
    /// Read.
    ReadOnly,
}

impl Token {
    /// A token that does not expire.
    pub fn new(token: impl Into<Secret>, user: impl Into<String>, role: Role) -> Self {
        Self { token: token.into(), user: user.into(), role, expires: None }
    }

    /// Sets from when on it counts no longer.
    #[must_use]
    pub fn expires(mut self, at: DateTime<Utc>) -> Self {
        self.expires = Some(at);
        self
    }
}

/// The tokens as digests: secrets of any length compare in the same time, and none is kept.
#[derive(Debug, Clone)]
pub(super) struct Tokens(Arc<[Known]>);

#[derive(Debug)]
struct Known {
    digest: Digest,
    user: String,
    role: Role,
    expires: Option<DateTime<Utc>>,
}

impl Tokens {
    /// # Errors
    /// `http.config_invalid` for tokens that nobody could send, or none at all.
    pub(super) fn new(tokens: &[Token]) -> Result<Self> {
        let refuse = |why: String| Err(Error::new(&codes::CONFIG_INVALID, format!("tokens: {why}")));
        if tokens.is_empty() {
            return refuse("there is none, and nobody could ask for anything".to_owned());
        }
        let mut known: Vec<Known> = Vec::new();
        for (index, token) in tokens.iter().enumerate() {
            let text = token.token.expose();
            if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                return refuse(format!("[{index}].token is empty or holds something other than visible ASCII characters"));
            }
            let digest = Digest::of(text.as_bytes());
            if known.iter().any(|other| other.digest == digest) {
                return refuse(format!("[{index}].token is there twice"));
            }
            known.push(Known { digest, user: token.user.clone(), role: token.role, expires: token.expires });
        }
        Ok(Self(known.into()))
    }

    /// Whether this request may be made. What it brings is never repeated.
    pub(super) fn check(&self, method: &Method, headers: &HeaderMap, now: DateTime<Utc>) -> Result<(), Failure> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let value = match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok().and_then(|value| value.strip_prefix("Bearer ")),
            _ => None,
        };
        let given = value.filter(|token| !token.is_empty() && !token.starts_with(' '));
        let given = given.ok_or_else(|| UNAUTHORIZED.because("there is no `Authorization: Bearer <token>`"))?;
        let given = Digest::of(given.as_bytes());
        let mut found = None;
        // Each is looked at, so that the time says nothing about them.
        for known in self.0.iter() {
            if verify_slices_are_equal(known.digest.as_bytes(), given.as_bytes()).is_ok() {
                found = Some(known);
            }
        }
        let known = found.ok_or_else(|| UNAUTHORIZED.because("the token is not known"))?;
        if known.expires.is_some_and(|expires| expires <= now) {
            return Err(EXPIRED.because("the token counts no longer"));
        }
        if known.role == Role::ReadOnly && method != Method::GET {
            tracing::warn!(user = known.user, %method, "refused: the token may only read");
            return Err(FORBIDDEN.because("this token may only read"));
        }
        tracing::debug!(user = known.user, %method, "let in");
        Ok(())
    }
}
