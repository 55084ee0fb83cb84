//! What a list is asked for.

use axum::http::Uri;
use serde_json::json;

use super::body::truth;
use super::errors::{Failure, shown};
use super::record::Kept;
use super::{Caller, Inner};

/// Objects of a page at most.
const LONGEST: usize = 1000;

/// A list that is asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    name: Option<String>,
    all_projects: bool,
    limit: Option<usize>,
    marker: Option<String>,
}

impl Query {
    /// Parameters that nobody knows are ignored; of one that is there more than once the last one counts.
    ///
    /// # Errors
    /// 422 for what is no truth value or no number, 400 for a limit that is out of range.
    pub(super) fn read(uri: &Uri) -> Result<Self, Failure> {
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri);
        let pairs = pairs.map(|query| query.0).map_err(|_| Failure::bad("The query cannot be read!"))?;
        let (mut query, mut faults) = (Self::default(), Vec::new());
        let mut fault = |name: &str, kind: &str, text: &str| {
            faults.push(json!({ "type": kind, "loc": ["query", name], "msg": text }));
        };
        for (name, value) in pairs {
            match name.as_str() {
                "name" => query.name = Some(value),
                "marker" => query.marker = Some(value),
                "all_projects" => match truth(&value) {
                    Some(yes) => query.all_projects = yes,
                    None => fault("all_projects", "bool_parsing", "Input should be a valid boolean, unable to interpret input"),
                },
                "limit" => match value.parse::<i64>() {
                    Ok(limit) => query.limit = Some(usize::try_from(limit).unwrap_or(0)),
                    Err(_) => {
                        fault("limit", "int_parsing", "Input should be a valid integer, unable to parse string as an integer")
                    }
                },
                _ => {}
            }
        }
        if !faults.is_empty() {
            return Err(Failure::shape(faults));
        }
        match query.limit {
            Some(limit) if limit == 0 || limit > LONGEST => {
                Err(Failure::bad(format!("Argument limit is invalid! It is from 1 to {LONGEST}.")))
            }
            _ => Ok(query),
        }
    }
}

impl Inner {
    /// The part of the list that is asked for, the newest first: of the caller's project, or for an administrator who says so of all.
    pub(super) async fn list<R: Kept>(&self, caller: &Caller, query: &Query) -> Result<Vec<R>, Failure> {
        let everything = caller.is_admin && query.all_projects;
        let project = (!everything).then_some(caller.project_id.as_str());
        let mut all = self.all::<R>(project).await.map_err(|error| Failure::internal(&error))?;
        if let Some(name) = &query.name {
            all.retain(|record| record.name() == name);
        }
        if let Some(marker) = &query.marker {
            let found = all.iter().position(|record| record.id() == marker);
            let at = found.ok_or_else(|| Failure::bad(format!("Marker {} is not found!", shown(marker))))?;
            all.drain(..=at);
        }
        all.truncate(query.limit.unwrap_or(usize::MAX));
        Ok(all)
    }
}
