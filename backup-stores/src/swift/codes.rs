//! The error catalogue of the Swift store.

backup_core::error_codes! {
    NO_CONTAINER = "swift.no_container", NotFound, Never,
        "The container is not there.", "Check `container` and `project`; opened for writing, a store makes it.";
    NO_LARGE_OBJECTS = "swift.no_large_objects", Unsupported, Never,
        "The cluster does not offer static large objects.", "Ask the operator to enable `slo`; objects above one segment need it.";
    CHECKSUM = "swift.checksum", Corrupt, Later,
        "What Swift received or stored is not what was sent.", "Try again; when it repeats, look at what lies between here and Swift.";
    SEGMENTS_MISSING = "swift.segments_missing", Corrupt, Never,
        "Segments of a large object are missing or changed.", "Use another backup; find out who removed segments from the container of segments.";
    SWEPT = "swift.swept", Conflict, Later,
        "The segments of this write were removed as left-overs before it was finished.", "Nothing was stored: write the object again; no sweep may consider a running job dead.";
}
