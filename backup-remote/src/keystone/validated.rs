//! What Keystone says about somebody else's token.

use backup_core::{Error, Result};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::catalogue::Catalogue;
use crate::codes;

/// Whose token it is, and what it is for. Holds no token.
///
/// The source of the format: Identity API v3, "Validate and show information for token".
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Validated {
    /// The user.
    pub user: Named,
    /// The project that the token is for; absent for a token that is for no project (but for a domain, the system, or nothing).
    #[serde(default)]
    pub project: Option<Named>,
    #[serde(default)]
    roles: Vec<Role>,
    #[serde(default, rename = "catalog")]
    catalogue: Catalogue,
    /// When the token ends, by Keystone's clock.
    pub expires_at: DateTime<Utc>,
}

/// A user or a project.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Named {
    /// The id.
    pub id: String,
    /// The name, which may be no more than unique in its domain.
    #[serde(default)]
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Role {
    name: String,
}

impl Validated {
    /// The names of the roles that the user has there.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.roles.iter().map(|role| role.name.as_str())
    }

    /// Whether one of the roles has exactly this name.
    pub fn has_role(&self, name: &str) -> bool {
        self.roles().any(|role| role == name)
    }

    /// The services as this token sees them: addresses hold its project's id where they hold one.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    pub(super) fn read(body: &Bytes) -> Result<Self> {
        #[derive(Deserialize)]
        struct Answer {
            token: Validated,
        }
        // The position is told, not the text.
        let read: Result<Answer, _> = serde_json::from_slice(body);
        read.map(|answer| answer.token)
            .map_err(|error| Error::new(&codes::ANSWER, format!("Keystone's answer about a token makes no sense: {error}")))
    }
}
