//! Durations as text: `30m`, `1d12h`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::retention::Age;

pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    Age::from_secs(duration.as_secs()).serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    Age::deserialize(deserializer).map(|age| Duration::from_secs(age.as_secs()))
}
