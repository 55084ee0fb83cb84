//! What of an attachment's `connection_info` tells where a file or a device is.

use backup_core::{Error, Result};
use serde::Deserialize;

use super::{Place, codes};

/// The fields that are read; everything else is left alone.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Connection {
    pub(super) driver_volume_type: Option<String>,
    /// The share: `host:/path`.
    pub(super) export: Option<String>,
    /// The file on it.
    pub(super) name: Option<String>,
    pub(super) format: Option<String>,
    pub(super) device_path: Option<String>,
}

/// How the bytes of a volume lie in its file. Told by Cinder, never by the file: a guest writes what it likes into a raw one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Raw,
    Qcow2,
}

impl Connection {
    /// The connection of a place, which is one of the driver `wanted`.
    pub(super) fn of(place: &Place, wanted: &str) -> Result<Self> {
        let volume = &place.volume;
        let value = place.connection.clone();
        let value = value.ok_or_else(|| {
            Error::new(&codes::NOT_THERE, format!("the volume {volume} is not attached; `{wanted}` needs that"))
        })?;
        let unknown = |error| {
            Error::new(&codes::UNREADABLE, format!("the connection of volume {volume} is not understood")).with_source(error)
        };
        let connection: Self = serde_json::from_value(value).map_err(unknown)?;
        match &connection.driver_volume_type {
            Some(driver) if driver != wanted => {
                Err(Error::new(&codes::NOT_THERE, format!("the volume {volume} is reached by `{driver}`, not by `{wanted}`")))
            }
            _ => Ok(connection),
        }
    }

    pub(super) fn format(&self, volume: &str) -> Result<Option<Format>> {
        match self.format.as_deref() {
            None => Ok(None),
            Some("raw") => Ok(Some(Format::Raw)),
            Some("qcow2") => Ok(Some(Format::Qcow2)),
            Some(other) => Err(Error::new(
                &codes::UNREADABLE,
                format!("the volume {volume} has the format {other:?}; raw and qcow2 are read"),
            )),
        }
    }
}

/// What a connection lacks.
pub(super) fn lacks(volume: &str, field: &str) -> Error {
    Error::new(&codes::UNREADABLE, format!("the connection of volume {volume} does not tell its `{field}`"))
}
