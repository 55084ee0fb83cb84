//! A small object in one step.

use backup_core::{Bytes, Effect, JobContext, ObjectMeta, Result};

use super::publish::{publish, refuse_taken};
use super::temp::Temp;
use super::tree::Tree;
use crate::files::KeyPath;
use crate::files::Owner;

pub(super) fn put(tree: &Tree, cx: &JobContext, key: &KeyPath, body: &Bytes, if_absent: bool) -> Result<ObjectMeta> {
    if if_absent {
        refuse_taken(tree, key)?;
    }
    let temp = Temp::create(tree, cx.environment().random.next_u64(), &Owner::Put)?;
    let stored = store(tree, cx, &temp, key, body, if_absent);
    if stored.as_ref().is_err_and(|error| error.effect() == Effect::None) {
        temp.discard(tree);
    }
    stored
}

fn store(tree: &Tree, cx: &JobContext, temp: &Temp, key: &KeyPath, body: &Bytes, if_absent: bool) -> Result<ObjectMeta> {
    temp.write_all(tree, body)?;
    let sealed = temp.seal(tree, body.len() as u64)?;
    cx.check()?;
    publish(tree, temp, &sealed, key, if_absent)?;
    Ok(ObjectMeta::new(key.key().clone(), sealed.size).modified(sealed.modified))
}
