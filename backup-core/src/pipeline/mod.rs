//! How an artifact's bytes get from the source to the store.
//!
//! ```text
//! source ─ chunks ─┬─ hash of the plaintext
//!                  └─ encode (parallel, in order) ─┬─ hash of the stored bytes
//!                                                  ├─ hash of each 4 MiB block
//!                                                  └─ store writer
//! ```
//! Each artifact runs as one task that owns the store's writer: whatever happens to the source's end, the task aborts
//! the writer. Where nothing is encoded the two whole hashes are one.

mod lanes;
mod memory;
mod task;
mod writer;

pub(crate) use memory::{JobMemory, working_set};
pub(crate) use task::{PipelineOptions, spawn};
pub(crate) use writer::PipelineWriter;
