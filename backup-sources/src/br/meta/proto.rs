//! The messages of `backupmeta` that are decoded as a whole (kvproto `brpb.proto`, package `backup`). The big ones around them are read
//! as a stream, see [`super::walk`]. Fields that nobody here needs are not named; they are skipped.

use prost::Message;

/// A file of the backup: an SST, or a file of metadata.
#[derive(Clone, PartialEq, Message)]
pub(super) struct File {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) sha256: Vec<u8>,
    #[prost(uint64, tag = "7")]
    pub(super) crc64xor: u64,
    #[prost(uint64, tag = "8")]
    pub(super) total_kvs: u64,
    #[prost(uint64, tag = "9")]
    pub(super) total_bytes: u64,
    #[prost(uint64, tag = "11")]
    pub(super) size: u64,
    #[prost(bytes = "vec", tag = "12")]
    pub(super) cipher_iv: Vec<u8>,
}

/// A file with statistics of tables. Short statistics lie in the index itself, which then has no name.
#[derive(Clone, PartialEq, Message)]
pub(super) struct StatsFile {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) sha256: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    pub(super) cipher_iv: Vec<u8>,
}
