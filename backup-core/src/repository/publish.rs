//! The step that makes a backup exist.

use super::create::{Creation, create};
use crate::context::JobContext;
use crate::error::{Error, Result, codes};
use crate::layout;
use crate::manifest::Manifest;
use crate::record::{self, Aborted, Record};
use crate::store::Store;

/// Puts the manifest at its key unless something is there.
///
/// # Errors
/// `publish.aborted` when a cleaner was faster: nothing of this backup may be touched any more, for the cleaner does.
/// `publish.unsettled` (effect unknown): the janitor settles it. Anything else with effect none: nothing was published.
pub(crate) async fn publish(store: &dyn Store, cx: &JobContext, manifest: &Manifest) -> Result<()> {
    let key = layout::manifest_key(&manifest.set, &manifest.id)?;
    match create(store, cx, &key, &record::seal(manifest)?, manifest.retain_until).await? {
        Creation::Created => Ok(()),
        Creation::Taken(found) => Err(match record::check(&found) {
            Ok(members) if record::format_of(&members) == Aborted::FORMAT => Error::new(
                &codes::PUBLISH_ABORTED,
                format!("backup {} was given up by a cleaner before it was published", manifest.id),
            ),
            _ => Error::new(&codes::PUBLISH_CONFLICT, format!("{key} holds another record")),
        }),
    }
}
