//! Between the words of the dialect and those of the source.

use backup_http::openstack as dialect;
use backup_sources::cinder;
use chrono::{DateTime, NaiveDateTime, Utc};

pub(super) fn volume(volume: cinder::Volume) -> dialect::Volume {
    let mut converted = dialect::Volume::new(volume.id, volume.status, volume.size);
    converted.name = volume.name;
    converted.volume_type = volume.volume_type.unwrap_or_default();
    converted.bootable = volume.bootable;
    converted.metadata = volume.metadata;
    converted.attachments = volume
        .attachments
        .into_iter()
        .map(|attachment| attachment.server_id.map_or_else(dialect::Attachment::default, dialect::Attachment::to_server))
        .collect();
    converted
}

pub(super) fn snapshot(snapshot: cinder::Snapshot) -> dialect::Snapshot {
    let made = snapshot.created_at.as_deref().and_then(time);
    let converted = dialect::Snapshot::new(snapshot.id, snapshot.volume_id, snapshot.status).name(snapshot.name);
    match made {
        Some(time) => converted.created_at(time),
        None => converted,
    }
}

/// Cinder says it in UTC, without a zone.
fn time(text: &str) -> Option<DateTime<Utc>> {
    text.trim_end_matches('Z').parse::<NaiveDateTime>().ok().map(|time| time.and_utc())
}

pub(super) fn role_of(role: dialect::Role) -> cinder::Role {
    match role {
        dialect::Role::Temporary => cinder::Role::Temporary,
        dialect::Role::Base => cinder::Role::Base,
        dialect::Role::Restoring => cinder::Role::Restoring,
        dialect::Role::Kept => cinder::Role::Kept,
    }
}

/// What the dialect looks after. A volume of somebody's that is being set back is known by its own record, which is taken up again.
pub(super) fn leftover(leftover: &cinder::Leftover) -> Option<dialect::Leftover> {
    let role = match leftover.role {
        cinder::Role::Temporary => dialect::Role::Temporary,
        cinder::Role::Base => dialect::Role::Base,
        cinder::Role::Restoring | cinder::Role::Restored => dialect::Role::Restoring,
        cinder::Role::Kept => dialect::Role::Kept,
        _ => return None,
    };
    let kind = match leftover.kind {
        cinder::LeftoverKind::Volume => dialect::LeftoverKind::Volume,
        cinder::LeftoverKind::Snapshot => dialect::LeftoverKind::Snapshot,
    };
    Some(dialect::Leftover::new(kind, leftover.id.as_str(), role, leftover.job.as_str()))
}

pub(super) fn new_volume(order: &dialect::VolumeOrder) -> cinder::NewVolume {
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    cinder::NewVolume {
        name: given(&order.name),
        description: None,
        volume_type: given(&order.volume_type),
        size: Some(order.size),
        bootable: Some(order.bootable),
        metadata: order.metadata.clone(),
        availability_zone: given(&order.availability_zone),
    }
}
