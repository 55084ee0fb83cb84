//! Who we are to Keystone, as every configuration says it.

use std::path::PathBuf;

use backup_core::{Error, Result, Secret};
use serde::Deserialize;

use super::codes;

/// Who we are to Keystone: a user with a password in a project, or an application credential.
///
/// Used as it stands for a block `keystone:`; a store's block has the same keys among its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct KeystoneConfig {
    /// Keystone's address; `/v3` is added when it is missing.
    pub auth_url: String,
    /// The user's name.
    #[serde(default)]
    pub username: Option<String>,
    /// The user's password.
    #[serde(default)]
    pub password: Option<Secret>,
    /// The name of the user's domain; `Default` when neither it nor its id is given.
    #[serde(default)]
    pub user_domain: Option<String>,
    /// The id of the user's domain.
    #[serde(default)]
    pub user_domain_id: Option<String>,
    /// The name of the project to work in.
    #[serde(default)]
    pub project: Option<String>,
    /// Its id, which needs no domain.
    #[serde(default)]
    pub project_id: Option<String>,
    /// The name of the project's domain; `Default` when neither it nor its id is given.
    #[serde(default)]
    pub project_domain: Option<String>,
    /// The id of the project's domain.
    #[serde(default)]
    pub project_domain_id: Option<String>,
    /// An application credential, instead of user and project, which it stands for.
    #[serde(default)]
    pub application_credential_id: Option<String>,
    /// Its secret.
    #[serde(default)]
    pub application_credential_secret: Option<Secret>,
    /// The region whose endpoints are used; may be left out where the catalogue has only one.
    #[serde(default)]
    pub region: Option<String>,
    /// For a program whose users name no region: with several and none given, the first one of the catalogue is used. No key of a
    /// configuration.
    #[serde(skip)]
    pub first_region: bool,
    /// Which of a service's addresses is used.
    #[serde(default)]
    pub interface: Interface,
    /// Certificates of authorities to trust besides the system's, as PEM.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// Which of a service's addresses is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Interface {
    /// The one for everybody.
    #[default]
    Public,
    /// The one inside of the data centre.
    Internal,
    /// The operators' one.
    Admin,
}

impl Interface {
    /// Its word in the catalogue.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Admin => "admin",
        }
    }
}

impl KeystoneConfig {
    /// Credentials by the names that OpenStack's own tools use in the environment: `OS_AUTH_URL`, `OS_USERNAME`, `OS_PASSWORD`,
    /// `OS_PROJECT_NAME`, `OS_REGION_NAME` and so on. `variable` looks one up.
    ///
    /// # Errors
    /// `keystone.config` when something is missing; the message names the variable.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let Some(auth_url) = set("OS_AUTH_URL") else {
            return Err(refused("OS_AUTH_URL is not set: credentials are taken from the environment here".to_owned()));
        };
        let interface = match set("OS_INTERFACE").map(|value| value.trim_end_matches("URL").to_owned()).as_deref() {
            None | Some("public") => Interface::Public,
            Some("internal") => Interface::Internal,
            Some("admin") => Interface::Admin,
            Some(_) => return Err(refused("OS_INTERFACE is none of public, internal, admin".to_owned())),
        };
        let config = Self {
            auth_url,
            username: set("OS_USERNAME"),
            password: set("OS_PASSWORD").map(Secret::from),
            user_domain: set("OS_USER_DOMAIN_NAME"),
            user_domain_id: set("OS_USER_DOMAIN_ID"),
            project: set("OS_PROJECT_NAME"),
            project_id: set("OS_PROJECT_ID"),
            project_domain: set("OS_PROJECT_DOMAIN_NAME"),
            project_domain_id: set("OS_PROJECT_DOMAIN_ID"),
            application_credential_id: set("OS_APPLICATION_CREDENTIAL_ID"),
            application_credential_secret: set("OS_APPLICATION_CREDENTIAL_SECRET").map(Secret::from),
            region: set("OS_REGION_NAME"),
            first_region: false,
            interface,
            ca_file: set("OS_CACERT").map(PathBuf::from),
        };
        config.identity()?;
        Ok(config)
    }

    /// The address of the API, without a final slash.
    pub(super) fn base(&self) -> String {
        let base = self.auth_url.trim_end_matches('/');
        if base.ends_with("/v3") { base.to_owned() } else { format!("{base}/v3") }
    }

    /// Which kind of credentials these are.
    pub(super) fn identity(&self) -> Result<Identity<'_>> {
        let missing = |what: &str| {
            Err(refused(format!(
                "`{what}` is missing: give a user with password and project, or an application credential with its secret"
            )))
        };
        if let Some(id) = &self.application_credential_id {
            let Some(secret) = &self.application_credential_secret else { return missing("application-credential-secret") };
            // It has its user and project in it; Keystone refuses to hear them again.
            if self.username.is_some() || self.password.is_some() || self.project.is_some() || self.project_id.is_some() {
                return Err(refused("an application credential stands for a user in a project: give no `username`, `password` or `project` beside it".to_owned()));
            }
            return Ok(Identity::ApplicationCredential { id, secret });
        }
        let Some(name) = &self.username else { return missing("username") };
        let Some(password) = &self.password else { return missing("password") };
        let project = match (&self.project, &self.project_id) {
            (_, Some(id)) => Project::Id(id),
            (Some(name), None) => Project::Named(name, domain(&self.project_domain, &self.project_domain_id)),
            (None, None) => return missing("project"),
        };
        Ok(Identity::Password { name, domain: domain(&self.user_domain, &self.user_domain_id), password, project })
    }
}

fn domain<'a>(name: &'a Option<String>, id: &'a Option<String>) -> Domain<'a> {
    match (name, id) {
        (_, Some(id)) => Domain::Id(id),
        (name, None) => Domain::Name(name.as_deref().unwrap_or("Default")),
    }
}

fn refused(what: String) -> Error {
    Error::new(&codes::CONFIG, what)
}

/// The kinds of credentials.
pub(super) enum Identity<'a> {
    Password { name: &'a str, domain: Domain<'a>, password: &'a Secret, project: Project<'a> },
    ApplicationCredential { id: &'a str, secret: &'a Secret },
}

#[derive(Clone, Copy)]
pub(super) enum Domain<'a> {
    Name(&'a str),
    Id(&'a str),
}

#[derive(Clone, Copy)]
pub(super) enum Project<'a> {
    Named(&'a str, Domain<'a>),
    Id(&'a str),
}
