//! Microversions, and how the newest one is found.

use std::fmt;
use std::str::FromStr;

use backup_core::{Error, Result};
use serde::Deserialize;

use super::super::codes;

/// A version of Cinder's API: `3.54`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Microversion {
    major: u32,
    minor: u32,
}

impl Microversion {
    /// What every call has that needs no more.
    pub const BASE: Self = Self::v3(0);
    /// Attachments.
    pub const ATTACHMENTS: Self = Self::v3(27);
    /// Volumes are set back to their latest snapshot by Cinder itself.
    pub const REVERT: Self = Self::v3(40);
    /// Attachments are completed.
    pub const COMPLETE: Self = Self::v3(44);
    /// Attachments have a mode of their own.
    pub const ATTACH_MODE: Self = Self::v3(54);

    /// `3.minor`.
    pub const fn v3(minor: u32) -> Self {
        Self { major: 3, minor }
    }

    /// The number behind the point.
    pub fn minor(self) -> u32 {
        self.minor
    }
}

impl fmt::Display for Microversion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for Microversion {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (major, minor) = text.split_once('.').ok_or(())?;
        Ok(Self { major: major.parse().map_err(|_| ())?, minor: minor.parse().map_err(|_| ())? })
    }
}

/// The newest microversion that a document of versions has of the API 3. Source of the format: Block Storage API v3, "List All Api Versions".
pub(super) fn newest(body: &[u8]) -> Result<Microversion> {
    #[derive(Deserialize)]
    struct Answer {
        versions: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        id: String,
        #[serde(default)]
        version: Option<String>,
    }
    let none = |why: String| Error::new(&codes::ADDRESS, why);
    let answer: Answer =
        serde_json::from_slice(body).map_err(|error| none(format!("the list of its API's versions makes no sense: {error}")))?;
    let third = answer.versions.into_iter().find(|entry| entry.id.starts_with("v3"));
    let third = third.ok_or_else(|| none("it has no API of the version 3".to_owned()))?;
    // Without microversions there is nothing but the first of them.
    Ok(third.version.and_then(|version| version.parse().ok()).unwrap_or(Microversion::BASE))
}

/// Where the API is: the root of the version 3, with a final slash, and everything of a project, without one. The endpoint of a catalogue may
/// end in `/v3/<project>`, `/v3`, or before that.
pub(super) fn addresses(endpoint: &str, project: &str) -> Result<(String, String)> {
    let endpoint = endpoint.trim_end_matches('/');
    if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
        return Err(Error::new(&codes::ADDRESS, "the endpoint of Cinder is no address of HTTP"));
    }
    let segments: Vec<&str> = endpoint.split('/').collect();
    let version = segments.iter().skip(3).position(|segment| is_version(segment)).map(|at| at + 3);
    let root = match version {
        Some(at) if segments.get(at) == Some(&"v3") => segments.iter().take(at + 1).copied().collect::<Vec<_>>().join("/"),
        Some(_) => {
            let text = format!("the endpoint of Cinder is one of an API older than version 3: {endpoint}");
            return Err(Error::new(&codes::VERSION, text));
        }
        None => format!("{endpoint}/v3"),
    };
    Ok((format!("{root}/"), format!("{root}/{project}")))
}

fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}
