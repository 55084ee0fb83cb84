//! The error codes of the service.

crate::error_codes! {
    BUSY = "service.busy", Unavailable, Later,
        "The service runs or queues as many jobs as it may.", "Try again when one has ended, or raise the limit.";
    STOPPING = "service.stopping", Unavailable, Later,
        "The service is being stopped and takes no more jobs.", "Ask the next one that is started.";
    JOB_EXISTS = "job.exists", AlreadyExists, Never,
        "A job of that id was submitted before.", "Look at that job, or choose another id.";
    JOB_NOT_FOUND = "job.not_found", NotFound, Never,
        "There is no such job.", "List the jobs; finished ones are kept for a limited time.";
    NO_SOURCE = "service.no_source", Unsupported, Never,
        "The target has no source: it is only read.", "Give the target a source, or use one that has it.";
    NO_TARGET = "service.no_target", NotFound, Never,
        "The service has no target of that name.", "Check the set's name.";
}
