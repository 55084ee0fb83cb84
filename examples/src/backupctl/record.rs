//! `record`: what Cinder has to be told so that it knows a backup that lies here.

use super::arguments::RecordOf;
use super::failure::Failure;
use super::session::Session;

#[cfg(not(feature = "cinder"))]
pub(super) async fn run(_: &Session, _: RecordOf) -> Result<(), Failure> {
    Err(Failure::usage("this backupctl was built without volumes: build it with --features cinder"))
}

#[cfg(feature = "cinder")]
pub(super) async fn run(session: &Session, of: RecordOf) -> Result<(), Failure> {
    use backup_core::source::BackupReader;
    use backup_sources::cinder::format::Record;
    use serde_json::json;

    use super::output::note;

    let cx = session.context();
    let work = async {
        let repository = session.place.read_only(&cx).await?;
        let info = session.place.find(&cx, &repository, &of.backup.set, &of.backup.id).await?;
        let backup = repository.open(&cx, &info.set, &info.id).await?;
        // Cinder wants to know those first that this one builds on.
        let parents = backup.parents(&cx).await?;
        let mut records = Vec::new();
        for reader in parents.iter().map(|parent| &**parent).chain([&backup as &dyn BackupReader]) {
            let record = Record::of(&cx, reader).await?;
            let record = match &of.root {
                Some(root) => record.below(root)?,
                None => record,
            };
            records.push((reader.manifest().id.clone(), record));
        }
        Ok(records)
    };
    let records = session.job("reading", &cx, work).await?;
    let mut documents = Vec::new();
    for (id, record) in &records {
        let (service, url) = record.encode()?;
        let command = format!("cinder backup-import {service} {url}");
        session.output.line(&command);
        documents.push(json!({
            "id": id,
            "backup_id": record.id,
            "backup_service": service,
            "backup_url": url,
            "command": command,
            "record": record,
        }));
    }
    session.output.document(&json!({ "set": of.backup.set, "import": documents }));
    if let Some((_, last)) = records.last() {
        note(&format!(
            "Run as an admin, in the project that the backup shall belong to, in this order; then: cinder backup-restore {}",
            last.id
        ));
    }
    Ok(())
}
