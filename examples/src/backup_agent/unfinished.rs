//! Uploads that a crash leaves unfinished in the client's bucket or container: noted in the job's record before their first byte, and given
//! up at the next start.

use std::time::Duration;

use backup_core::error::codes;
use backup_core::store::UploadNotes;
use backup_core::{Error, JobContext, ObjectKey, Result, ResultExt, Secret, async_trait};
use backup_sources::script::Notebook;
use backup_stores::{OpenOptions, StoreConfig};
use serde::{Deserialize, Serialize};
use serde_json::Value;
#[cfg(any(test, feature = "s3", feature = "swift"))]
use serde_json::json;

use super::place;

/// How long giving up one upload may take.
const LIMIT: Duration = Duration::from_secs(60);

/// A note. It holds the credentials of the place, as the record that it stands in holds those of the scripts.
#[derive(Serialize, Deserialize)]
struct Note {
    /// As a block `store:` of a configuration has it.
    place: Value,
    key: ObjectKey,
    upload: String,
}

/// Notes the uploads of one object.
#[derive(Debug)]
pub(super) struct Noting {
    notebook: Notebook,
    place: Value,
    key: ObjectKey,
}

impl Noting {
    pub(super) fn new(notebook: Notebook, place: &StoreConfig, key: &ObjectKey) -> Self {
        Self { notebook, place: block(place), key: key.clone() }
    }
}

#[async_trait]
impl UploadNotes for Noting {
    async fn began(&self, upload: &str) -> Result<()> {
        let note = Note { place: self.place.clone(), key: self.key.clone(), upload: upload.to_owned() };
        let unwritable = |error| Error::new(&codes::INTERNAL, "a note cannot be written").with_source(error);
        self.notebook.note(&Secret::new(serde_json::to_string(&note).map_err(unwritable)?)).await
    }
}

/// Gives up the uploads that a dead job noted. Those that it finished are fine. What could not be given up, and why.
pub(super) async fn give_up(cx: &JobContext, notes: &[Secret], options: &OpenOptions) -> Vec<Error> {
    let mut left = Vec::new();
    for note in notes {
        // Neither the text nor the error may show what stands in it.
        let Ok(note) = serde_json::from_str::<Note>(note.expose()) else {
            tracing::warn!("a note of an interrupted job cannot be understood");
            continue;
        };
        let Note { place, key, upload } = note;
        let given_up = give_up_one(&cx.with_limit(LIMIT), place, &key, &upload, options).await;
        match given_up.context(|| format!("an unfinished upload of `{key}` stays behind ({upload})")) {
            Ok(()) => tracing::info!(%key, upload, "what an interrupted upload left behind was removed"),
            Err(error) => left.push(error),
        }
    }
    left
}

async fn give_up_one(cx: &JobContext, place: Value, key: &ObjectKey, upload: &str, options: &OpenOptions) -> Result<()> {
    let store = place::open(cx, &config(place)?, options).await?;
    store.give_up(cx, key, upload).await
}

fn config(block: Value) -> Result<StoreConfig> {
    let unreadable = |_| Error::new(&codes::INTERNAL, "the place that a note names cannot be understood");
    match serde_json::from_value(block).map_err(unreadable)? {
        #[cfg(feature = "swift")]
        StoreConfig::Swift(mut swift) => {
            swift.first_region = true;
            Ok(StoreConfig::Swift(swift))
        }
        config => Ok(config),
    }
}

#[cfg(any(feature = "s3", feature = "swift"))]
fn secret(secret: &Option<Secret>) -> Option<&str> {
    secret.as_ref().map(Secret::expose)
}

/// A place as a configuration has it.
fn block(place: &StoreConfig) -> Value {
    match place {
        #[cfg(feature = "s3")]
        StoreConfig::S3(s3) => json!({ "s3": {
            "endpoint": s3.endpoint, "region": s3.region, "path-style": s3.path_style, "bucket": s3.bucket,
            "access-key-id": secret(&s3.access_key_id), "secret-access-key": secret(&s3.secret_access_key),
        }}),
        #[cfg(feature = "swift")]
        StoreConfig::Swift(swift) => json!({ "swift": {
            "auth-url": swift.auth_url, "username": swift.username, "password": secret(&swift.password),
            "user-domain": swift.user_domain, "project": swift.project, "project-domain": swift.project_domain,
            "region": swift.region, "container": swift.container,
        }}),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(all(feature = "s3", feature = "swift"))]
    #[test]
    fn a_noted_place_is_read_as_it_was() {
        let mut s3 = backup_stores::s3::S3Config::new("bucket");
        s3.endpoint = Some("https://s3.example".to_owned());
        s3.region = Some("r".to_owned());
        s3.path_style = Some(true);
        s3.access_key_id = Some("a-key".into());
        s3.secret_access_key = Some("a-secret".into());
        let mut swift = backup_stores::swift::SwiftConfig::default();
        swift.auth_url = "https://keystone.example/v3".to_owned();
        (swift.username, swift.password) = (Some("u".to_owned()), Some("p".into()));
        (swift.user_domain, swift.project, swift.project_domain) =
            (Some("d".to_owned()), Some("t".to_owned()), Some("d".to_owned()));
        swift.container = "c".to_owned();
        swift.first_region = true;
        for place in [StoreConfig::S3(s3), StoreConfig::Swift(swift)] {
            assert_eq!(config(block(&place)).unwrap(), place);
        }
    }

    #[test]
    fn a_note_that_cannot_be_read_is_not_shown() {
        let error = config(json!({ "s3": { "secret-access-key": "hush" } })).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hush"));
    }
}
