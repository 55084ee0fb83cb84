//! From what is kept to what is answered.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use backup_core::zone::Zone;
use serde::Serialize;

use super::dto::{BackupRecord, Envelope, Mebibytes, Page, WorkflowInfo};
use super::record::Record;
use super::time::{self, rfc3339_nano};
use super::workflow::Workflow;

/// An answer with a body of JSON.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => (status, [(CONTENT_TYPE, "application/json; charset=utf-8")], body).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// A success.
pub(super) fn ok(data: impl Serialize) -> Response {
    json(StatusCode::OK, &Envelope { code: 0, message: "OK".to_owned(), data, page: None })
}

/// A success with a part of a list.
pub(super) fn listed(data: impl Serialize, page: Page) -> Response {
    json(StatusCode::OK, &Envelope { code: 0, message: "OK".to_owned(), data, page: Some(page) })
}

/// A record as the documents show it.
pub(super) fn record(zone: Zone, record: Record) -> BackupRecord {
    BackupRecord {
        id: record.id.to_string(),
        cluster_id: record.cluster,
        backup_type: record.kind,
        backup_method: "physical",
        backup_mode: record.mode,
        file_path: record.path,
        size: Mebibytes(record.size),
        backup_tso: record.tso.to_string(),
        status: record.status,
        start_time: rfc3339_nano(zone, record.started_at),
        end_time: rfc3339_nano(zone, record.ended_at),
        create_time: rfc3339_nano(zone, record.created_at),
        update_time: rfc3339_nano(zone, record.updated_at),
        delete_time: time::ZERO,
        message: record.message,
    }
}

/// A backup as a workflow.
pub(super) fn backup_workflow(zone: Zone, record: Record, step: Option<String>) -> WorkflowInfo {
    let id = record.id.to_string();
    WorkflowInfo {
        id: id.clone(),
        name: "BackupCluster",
        biz_id: record.cluster,
        biz_type: "cluster",
        backup_id: id,
        status: record.status,
        step,
        message: record.message,
        create_time: rfc3339_nano(zone, record.created_at),
        update_time: rfc3339_nano(zone, record.updated_at),
        delete_time: time::ZERO,
    }
}

/// A restore as a workflow.
pub(super) fn restore_workflow(zone: Zone, workflow: Workflow, step: Option<String>) -> WorkflowInfo {
    WorkflowInfo {
        id: workflow.id.to_string(),
        name: "RestoreCluster",
        biz_id: workflow.cluster,
        biz_type: "cluster",
        backup_id: workflow.record.to_string(),
        status: workflow.status,
        step,
        message: workflow.message,
        create_time: rfc3339_nano(zone, workflow.created_at),
        update_time: rfc3339_nano(zone, workflow.updated_at),
        delete_time: time::ZERO,
    }
}
