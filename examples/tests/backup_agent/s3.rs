//! A bucket of a real S3 server.

use serde_json::{Value, json};

use crate::ministack::Ministack;

pub struct Bucket {
    pub server: &'static Ministack,
    pub name: String,
}

impl Bucket {
    /// A new bucket, or nothing when there is no server.
    pub fn new() -> Option<Self> {
        let server = Ministack::shared()?;
        Some(Self { server, name: server.bucket(false) })
    }

    pub fn destination(&self, prefix: &str) -> Value {
        let Ministack { endpoint, key, secret, .. } = self.server;
        json!({ "type": "S3", "bucket": self.name, "endpoint": endpoint, "authKey": key, "authSecret": secret, "filenamePrefix": prefix })
    }

    pub fn names(&self) -> Vec<String> {
        self.server.names(&self.name, "")
    }

    pub fn head(&self, key: &str) -> Value {
        self.server.s3("head_object", json!({ "Bucket": self.name, "Key": key }))
    }

    /// Puts an object that is not the agent's.
    pub fn put(&self, key: &str, text: &str) {
        let put = self.server.s3("put_object", json!({ "Bucket": self.name, "Key": key, "Body": text }));
        assert_eq!(put["error"], Value::Null, "{put}");
    }
}
