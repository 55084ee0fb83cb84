//! The record of what was asked of a store.

/// A kind of store operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OpKind {
    /// `put`.
    Put,
    /// `writer`: opening one.
    Open,
    /// `write` of a writer.
    Write,
    /// `finish` of a writer.
    Finish,
    /// `abort` of a writer.
    Abort,
    /// `read`; its body is no operation of its own.
    Read,
    /// `head`.
    Head,
    /// One page of `list`; the key is the prefix.
    List,
    /// One key of `delete`.
    Delete,
    /// `sweep`; without a key.
    Sweep,
}

/// One operation of the trace.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Op {
    /// The process, counted from 0.
    pub process: usize,
    /// Its how manieth operation, counted from 1.
    pub number: u64,
    /// What it was.
    pub kind: OpKind,
    /// The object's key, or the prefix of a listing.
    pub key: String,
}

/// When exactly a process dies at an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CrashMode {
    /// The operation does not take effect.
    BeforeEffect,
    /// The operation takes effect, and nobody hears of it.
    AfterEffect,
}

impl CrashMode {
    /// Both, for loops.
    pub const ALL: [Self; 2] = [Self::BeforeEffect, Self::AfterEffect];
}
