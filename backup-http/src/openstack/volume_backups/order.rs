//! A volume backup that is asked for.

use crate::openstack::body::Fields;
use crate::openstack::errors::Failure;

/// Characters of a text that is kept at most.
const LONGEST: usize = 255;

/// What the body of a request says.
#[derive(Debug, Clone, Default)]
pub(in crate::openstack) struct Order {
    pub(in crate::openstack) name: String,
    pub(in crate::openstack) volume_id: String,
    pub(in crate::openstack) incremental: bool,
    pub(in crate::openstack) plan_id: String,
    pub(in crate::openstack) retention: u64,
    pub(in crate::openstack) copy_zone: String,
    pub(in crate::openstack) copy_project: String,
    pub(in crate::openstack) property: String,
    pub(in crate::openstack) snapshot_id: String,
    /// With a zone it is one of that zone, whose data that one sends.
    pub(in crate::openstack) source_zone: String,
    pub(in crate::openstack) size: u64,
    pub(in crate::openstack) project_id: String,
    pub(in crate::openstack) volume_name: String,
    pub(in crate::openstack) volume_type: String,
}

impl Order {
    /// # Errors
    /// 422 for a wrong shape, 400 for a wrong value.
    pub(in crate::openstack) fn read(mut fields: Fields) -> Result<Self, Failure> {
        let (retention, size) = (fields.number("retention"), fields.number("size"));
        fields.number("usage");
        fields.list("snapshots");
        let order = Self {
            name: fields.required("name"),
            volume_id: fields.required("volume_id"),
            incremental: fields.flag("incremental"),
            plan_id: fields.text("plan_id"),
            retention: 0,
            copy_zone: fields.text("copy_zone"),
            copy_project: fields.text("copy_project"),
            property: fields.text("property"),
            snapshot_id: fields.text("snapshot_id"),
            source_zone: fields.text("source_zone"),
            size: 0,
            project_id: fields.text("project_id"),
            volume_name: fields.text("volume_name"),
            volume_type: fields.text("volume_type"),
        };
        fields.end()?;
        check_name(&order.name)?;
        for (name, text) in [
            ("plan_id", &order.plan_id),
            ("copy_zone", &order.copy_zone),
            ("copy_project", &order.copy_project),
            ("property", &order.property),
            ("snapshot_id", &order.snapshot_id),
            ("source_zone", &order.source_zone),
            ("volume_name", &order.volume_name),
            ("volume_type", &order.volume_type),
        ] {
            check_text(name, text)?;
        }
        check_copy(&order.copy_zone, &order.copy_project)?;
        Ok(Self { retention: count("retention", retention)?, size: count("size", size)?, ..order })
    }
}

/// A number that is not below zero; 0 when absent.
pub(in crate::openstack) fn count(name: &str, number: Option<i64>) -> Result<u64, Failure> {
    u64::try_from(number.unwrap_or(0)).map_err(|_| invalid(name))
}

fn invalid(name: &str) -> Failure {
    Failure::bad(format!("Argument {name} is invalid!"))
}

/// Letters, digits, `_`, `.` and `-`, the first one of the first three kinds.
pub(in crate::openstack) fn check_name(name: &str) -> Result<(), Failure> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let begins_well = !name.starts_with(['.', '-']);
    match (1..=48).contains(&name.len()) && begins_well && name.bytes().all(legal) {
        true => Ok(()),
        false => Err(invalid("name")),
    }
}

pub(in crate::openstack) fn check_text(name: &str, text: &str) -> Result<(), Failure> {
    match text.chars().count() <= LONGEST && !text.chars().any(char::is_control) {
        true => Ok(()),
        false => Err(invalid(name)),
    }
}

/// Nothing is sent to another zone: a copy that nobody makes must not be promised.
pub(in crate::openstack) fn check_copy(zone: &str, project: &str) -> Result<(), Failure> {
    match zone.is_empty() || project.is_empty() {
        true => Ok(()),
        false => Err(Failure::bad("Copy to another zone is not supported!")),
    }
}
