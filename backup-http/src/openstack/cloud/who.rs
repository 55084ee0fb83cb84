//! Who asks.

use std::sync::Arc;

use backup_core::Secret;
use chrono::{DateTime, Utc};

/// Who asks, as Keystone says it of the token.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Caller {
    /// The token that was shown.
    pub token: Secret,
    /// The project that the token is for; letters, digits, `_`, `-` and `.`, at most 64.
    pub project_id: String,
    /// What that project is called.
    pub project_name: Option<String>,
    /// The user's id, for the log.
    pub user: String,
    /// The names of the roles.
    pub roles: Vec<String>,
    /// Whether one of the roles is the administrator's.
    pub is_admin: bool,
    /// Until when the token counts.
    pub expires: DateTime<Utc>,
    /// Where the caller's catalogue has the volume service: with a version, and the project where that belongs into it.
    pub volume_endpoint: Option<String>,
    /// Where the caller's catalogue has the compute service.
    pub compute_endpoint: Option<String>,
}

impl Caller {
    /// A caller without roles, names and endpoints.
    pub fn new(token: impl Into<Secret>, project_id: impl Into<String>, user: impl Into<String>, expires: DateTime<Utc>) -> Self {
        Self {
            token: token.into(),
            project_id: project_id.into(),
            project_name: None,
            user: user.into(),
            roles: Vec::new(),
            is_admin: false,
            expires,
            volume_endpoint: None,
            compute_endpoint: None,
        }
    }

    /// Sets [`Caller::project_name`].
    #[must_use]
    pub fn project_name(mut self, name: impl Into<String>) -> Self {
        self.project_name = Some(name.into());
        self
    }

    /// Sets [`Caller::roles`]; the role `admin` makes an administrator.
    #[must_use]
    pub fn roles(mut self, roles: impl IntoIterator<Item = String>) -> Self {
        self.roles = roles.into_iter().collect();
        self.is_admin = self.roles.iter().any(|role| role == "admin");
        self
    }

    /// Sets [`Caller::volume_endpoint`].
    #[must_use]
    pub fn volume_endpoint(mut self, url: impl Into<String>) -> Self {
        self.volume_endpoint = Some(url.into());
        self
    }

    /// Sets [`Caller::compute_endpoint`].
    #[must_use]
    pub fn compute_endpoint(mut self, url: impl Into<String>) -> Self {
        self.compute_endpoint = Some(url.into());
        self
    }
}

/// On whose behalf something is done.
#[derive(Debug, Clone)]
pub enum Principal {
    /// With the caller's token, while a request lasts and for the work that it began.
    Caller(Arc<Caller>),
    /// As ourselves, for the project of this id: what is left to do when nobody is there any more.
    Project(String),
}

impl Principal {
    /// The project.
    pub fn project(&self) -> &str {
        match self {
            Self::Caller(caller) => &caller.project_id,
            Self::Project(project) => project,
        }
    }
}
