//! The error codes of staged scripts.

backup_core::error_codes! {
    MISSING = "script.missing", Source, Never,
        "No script was found for a stage.", "Put one into the directory of the scripts, under the stage's name; one that has nothing to do ends with 0.";
    NO_FILE = "script.no_file", Source, Never,
        "The backup script left no file in the job's directory.", "Let it write exactly one file there, and fail when it cannot.";
    SEVERAL_FILES = "script.several_files", Source, Never,
        "The backup script left more than one file in the job's directory.", "Let it leave exactly one, for example a tar file of all of them.";
    UNFIT_FILE = "script.unfit_file", Source, Never,
        "What the backup script left in the job's directory is not a plain file of this program's own user.", "Let it write a regular file whose name does not start with a dot: no directory, no link, no pipe.";
    FILE_CHANGED = "script.file_changed", Source, Later,
        "The file of the backup script changed while it was read.", "Wait in the script for all that it starts; leave no process behind that goes on writing.";
    PARAMETER = "script.parameter", InvalidInput, Never,
        "A parameter cannot be handed to a script.", "Give it a name of letters, digits and `_` that means nothing to a shell or a loader, and a value without zero bytes, 128 KiB at most.";
    RECORD = "script.record", Unavailable, Later,
        "The record of a running job could not be written or read.", "Check the state directory: space, owner and mode.";
    RUNNING = "script.running", Conflict, Later,
        "A job of this name runs, or was interrupted and not recovered yet.", "Wait for its end; after a crash `recover` comes before new jobs.";
}
