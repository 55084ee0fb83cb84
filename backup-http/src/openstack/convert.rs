//! From what is kept to what is answered.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::dto::{
    InstanceBackupMember, InstanceBackupShown, InstanceSnapshotMember, InstanceSnapshotShown, SnapshotShown, VolumeBackupShown,
};
use super::record::{InstanceBackup, InstanceSnapshot, VolumeBackup};

/// An answer with a body of JSON.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => (status, [(CONTENT_TYPE, "application/json")], body).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// UTC to the second, without a zone.
pub(super) fn time(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%S").to_string()
}

pub(super) fn volume_backup(record: VolumeBackup) -> VolumeBackupShown {
    VolumeBackupShown {
        id: record.id,
        name: record.name,
        project_id: record.project_id,
        volume_id: record.volume_id,
        volume_name: record.volume_name,
        volume_type: record.volume_type,
        size: record.size,
        source_zone: record.source_zone,
        plan_id: record.plan_id,
        property: record.property,
        incremental: record.incremental,
        snapshot_id: record.snapshot_id,
        copy_zone: record.copy_zone,
        copy_project: record.copy_project,
        copy_id: record.copy_id,
        time_create: time(record.created_at),
        time_update: record.updated_at.map(time),
        deleted: false,
        status: record.status,
        retention: record.retention,
        fail_reason: record.fail_reason,
        links: record.links.len(),
    }
}

pub(super) fn snapshots(record: VolumeBackup) -> Vec<SnapshotShown> {
    let (volume, backup) = (record.volume_id, record.id);
    let shown = |row: super::record::SnapshotRow| SnapshotShown {
        id: row.id,
        snapshot_id: row.snapshot_id,
        snapshot_name: row.name,
        snapshot_timestamp: row.timestamp,
        volume_id: volume.clone(),
        volume_backup_id: backup.clone(),
    };
    record.snapshots.into_iter().map(shown).collect()
}

/// With its members when it is shown alone.
pub(super) fn instance_backup(record: InstanceBackup, alone: bool) -> InstanceBackupShown {
    let id = record.id.clone();
    let member = |member: super::record::Member| InstanceBackupMember {
        id: member.id,
        volume_id: member.volume_id,
        instance_backup_id: id.clone(),
    };
    InstanceBackupShown {
        volume_backups: alone.then(|| record.members.into_iter().map(member).collect()),
        id: record.id,
        name: record.name,
        project_id: record.project_id,
        instance_id: record.instance_id,
        instance_name: record.instance_name,
        source_zone: record.source_zone,
        plan_id: record.plan_id,
        incremental: record.incremental,
        copy_zone: record.copy_zone,
        copy_project: record.copy_project,
        copy_id: None,
        time_create: time(record.created_at),
        time_update: record.updated_at.map(time),
        deleted: false,
        status: record.status,
        retention: record.retention,
        fail_reason: record.fail_reason,
        snapshot_span_ms: record.span_ms,
        one_point: false,
    }
}

/// With its members when it is shown alone.
pub(super) fn instance_snapshot(record: InstanceSnapshot, alone: bool) -> InstanceSnapshotShown {
    let id = record.id.clone();
    let member = |member: super::record::Member| InstanceSnapshotMember {
        id: member.id,
        volume_id: member.volume_id,
        instance_snapshot_id: id.clone(),
    };
    InstanceSnapshotShown {
        volume_snapshots: alone.then(|| record.members.into_iter().map(member).collect()),
        id: record.id,
        name: record.name,
        project_id: record.project_id,
        instance_id: record.instance_id,
        plan_id: record.plan_id,
        time_create: time(record.created_at),
        time_update: record.updated_at.map(time),
        deleted: false,
        status: record.status,
        retention: record.retention,
        fail_reason: record.fail_reason,
        snapshot_span_ms: record.span_ms,
        one_point: false,
    }
}
