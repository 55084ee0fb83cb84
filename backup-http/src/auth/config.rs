//! Who may ask, as a configuration says it.

use backup_core::{Error, Result, Secret};
use serde::Deserialize;

use crate::codes;

/// The optional `auth` block. A request is let in when any of the configured ways accepts it.
///
/// ```yaml
/// auth:
///   basic: [{ user: ops, password: "…" }]
///   bearer: [{ name: ci, token: "…" }]
///   client-certificate: { names: [backup.example.org] }   # or: client-certificate: verified
///   exempt: [/healthz]
/// ```
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct AuthConfig {
    /// Users with a password (RFC 7617).
    pub basic: Vec<BasicUser>,
    /// Tokens (RFC 6750).
    pub bearer: Vec<BearerToken>,
    /// Client certificates; needs `tls` with a `client-ca-file`.
    pub client_certificate: Option<CertificateRule>,
    /// Paths that anyone may ask, compared byte by byte; `/healthz` by default, for probes.
    pub exempt: Vec<String>,
    /// The realm named to clients; `backup` by default.
    pub realm: String,
}

/// A user of Basic authentication.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct BasicUser {
    /// The name; it holds no colon.
    pub user: String,
    /// The password.
    pub password: Secret,
}

/// A token of Bearer authentication.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct BearerToken {
    /// Who holds it, for the log.
    pub name: String,
    /// The token itself.
    pub token: Secret,
}

/// Which client certificates are let in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CertificateRule {
    /// Each one that the client CA signed.
    Verified,
    /// Those of which a common name or a subject alternative name is one of these, byte by byte.
    Names(Vec<String>),
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            basic: Vec::new(),
            bearer: Vec::new(),
            client_certificate: None,
            exempt: vec!["/healthz".into()],
            realm: "backup".into(),
        }
    }
}

impl BasicUser {
    /// A user and a password.
    pub fn new(user: impl Into<String>, password: impl Into<Secret>) -> Self {
        Self { user: user.into(), password: password.into() }
    }
}

impl BearerToken {
    /// A token, and who holds it.
    pub fn new(name: impl Into<String>, token: impl Into<Secret>) -> Self {
        Self { name: name.into(), token: token.into() }
    }
}

impl AuthConfig {
    /// # Errors
    /// `http.config_invalid`, which names the setting and never shows a secret.
    pub(super) fn check(&self) -> Result<()> {
        let refuse = |why: String| Err(Error::new(&codes::CONFIG_INVALID, format!("auth: {why}")));
        if self.basic.is_empty() && self.bearer.is_empty() && self.client_certificate.is_none() {
            return refuse("no way to authenticate is configured; leave the block out to let everybody in".into());
        }
        for (index, entry) in self.basic.iter().enumerate() {
            if entry.user.is_empty() || entry.user.contains(':') || entry.user.chars().any(char::is_control) {
                return refuse(format!("basic[{index}].user is empty or holds a colon or a control character"));
            }
            if entry.password.is_empty() {
                return refuse(format!("basic[{index}].password is empty"));
            }
            if self.basic.iter().take(index).any(|other| other.user == entry.user) {
                return refuse(format!("basic: user `{}` is there twice", entry.user));
            }
        }
        for (index, entry) in self.bearer.iter().enumerate() {
            let token = entry.token.expose();
            if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                return refuse(format!("bearer[{index}].token is empty or holds something other than visible ASCII characters"));
            }
        }
        if let Some(CertificateRule::Names(names)) = &self.client_certificate
            && (names.is_empty() || names.iter().any(String::is_empty))
        {
            return refuse(
                "client-certificate.names is empty or holds an empty name; say `client-certificate: verified` for all".into(),
            );
        }
        if let Some(path) = self.exempt.iter().find(|path| !path.starts_with('/')) {
            return refuse(format!("exempt: `{path}` does not begin with a slash"));
        }
        if self.realm.chars().any(|c| !(c == ' ' || c.is_ascii_graphic()) || c == '"' || c == '\\') {
            return refuse("realm holds something other than plain ASCII characters".into());
        }
        Ok(())
    }
}
