//! `pin` and `unpin`.

use serde_json::json;

use super::arguments::{Backup, Pin, Unpin};
use super::failure::Failure;
use super::session::Session;

pub(super) async fn pin(session: &Session, pin: Pin) -> Result<(), Failure> {
    set(session, &pin.backup, Some(&pin.reason)).await
}

pub(super) async fn unpin(session: &Session, unpin: Unpin) -> Result<(), Failure> {
    set(session, &unpin.backup, None).await
}

async fn set(session: &Session, backup: &Backup, reason: Option<&str>) -> Result<(), Failure> {
    let cx = session.context();
    let work = async {
        let repository = session.place.writable(&cx).await?;
        let info = session.place.find(&cx, &repository, &backup.set, &backup.id).await?;
        match reason {
            Some(reason) => repository.pin(&cx, &info.set, &info.id, reason).await?,
            None => repository.unpin(&cx, &info.set, &info.id).await?,
        }
        Ok(info)
    };
    let info = session.job("pinning", &cx, work).await?;
    let pinned = reason.is_some();
    session.output.document(&json!({ "set": info.set, "id": info.id, "pinned": pinned }));
    session.output.line(&match (pinned, info.pinned) {
        (true, true) => format!("{} of {} was pinned before and stays so", info.id, info.set),
        (true, false) => format!("{} of {} is pinned: retention leaves it alone", info.id, info.set),
        (false, true) => format!("{} of {} is pinned no more", info.id, info.set),
        (false, false) => format!("{} of {} was not pinned", info.id, info.set),
    });
    Ok(())
}
