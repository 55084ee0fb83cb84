//! Real Swift with Keystone, and Swift's own client.

use std::path::Path;

use crate::openstack::OpenStack;
use crate::place::Remote;

struct Swift {
    servers: OpenStack,
    container: String,
}

impl Remote for Swift {
    fn block(&self, prefix: &str) -> String {
        let keystone = self.servers.keystone();
        let block = serde_json::json!({
            "auth-url": keystone.auth_url, "username": keystone.username, "password": self.servers.password(),
            "user-domain": keystone.user_domain, "project": keystone.project, "project-domain": keystone.project_domain,
            "region": keystone.region, "container": self.container, "prefix": prefix,
        });
        // JSON is YAML.
        serde_json::json!({ "swift": block }).to_string()
    }

    fn is_bucket(&self) -> bool {
        true
    }

    fn fetch(&self, prefix: &str, key: &str, file: &Path) {
        let name = format!("{prefix}/{key}");
        let output = self.servers.client(&["download", &self.container, &name, "--output", file.to_str().unwrap()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn secrets(&self) -> Vec<String> {
        vec![self.servers.password()]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn swift() {
    if let Some(servers) = OpenStack::wanted().await {
        let container = servers.container("etcd");
        crate::both_servers(&Swift { servers, container }).await;
    }
}
