//! Real ministack with signatures checked, and botocore, the client under Amazon's own tools.

use std::path::Path;
use std::process::Command;

use crate::ministack::{Ministack, tool};
use crate::place::{Remote, run};

const FETCH: &str = "\
import os, sys, botocore.session
endpoint, bucket, key, file = sys.argv[1:]
client = botocore.session.get_session().create_client('s3', endpoint_url=endpoint, region_name='us-east-1')
with open(file, 'wb') as out:
    for piece in client.get_object(Bucket=bucket, Key=key)['Body'].iter_chunks(1 << 20):
        out.write(piece)
";

struct S3 {
    server: Ministack,
    bucket: String,
}

impl Remote for S3 {
    fn block(&self, prefix: &str) -> String {
        // JSON is YAML.
        serde_json::json!({ "s3": self.server.block(&self.bucket, prefix) }).to_string()
    }

    fn is_bucket(&self) -> bool {
        true
    }

    fn fetch(&self, prefix: &str, key: &str, file: &Path) {
        let mut command = Command::new(tool("ministack/bin/python").unwrap());
        command.env_clear().env("AWS_ACCESS_KEY_ID", &self.server.key).env("AWS_SECRET_ACCESS_KEY", &self.server.secret);
        command.args(["-c", FETCH, &self.server.endpoint, &self.bucket, &format!("{prefix}/{key}")]).arg(file);
        run(&mut command);
    }

    fn secrets(&self) -> Vec<String> {
        vec![self.server.secret.clone()]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s3() {
    if let Some(server) = Ministack::start() {
        let bucket = server.bucket(false);
        crate::both_servers(&S3 { server, bucket }).await;
    }
}
