//! A cloud with something of the test in between: a region of the catalogue that one test has to itself.

use backup_remote::http::http::Method;
use backup_remote::testkit::FaultyProxy;
use serde_json::{Value, json};

use crate::swift::OpenStack as Administrator;

/// A region. Tokens are the same in all.
pub struct Region {
    pub name: String,
    administrator: Administrator,
    /// Paths at Keystone, in the order in which they were made.
    made: Vec<String>,
}

impl Region {
    pub async fn new() -> Self {
        let administrator = Administrator::wanted().await.unwrap();
        let name = administrator.container("region");
        let mut region = Self { name, administrator, made: Vec::new() };
        let body = json!({ "region": { "id": region.name } });
        region.make("regions", body, "/region/id").await;
        region
    }

    async fn make(&mut self, all: &str, body: Value, id: &str) {
        let made = self.administrator.administer(Method::POST, &format!("/{all}"), Some(body)).await;
        assert!(made.status.is_success(), "{made:?}");
        self.made.push(format!("/{all}/{}", made.json().pointer(id).unwrap().as_str().unwrap()));
    }

    async fn service(&self, kind: &str) -> String {
        let services = self.administrator.administer(Method::GET, &format!("/services?type={kind}"), None).await.json();
        services["services"][0]["id"].as_str().unwrap().to_owned()
    }

    /// A service is there by this address.
    pub async fn put(&mut self, kind: &str, url: &str) {
        let service = self.service(kind).await;
        let endpoint = json!({ "service_id": service, "interface": "public", "region_id": self.name, "url": url });
        self.make("endpoints", json!({ "endpoint": endpoint }), "/endpoint/id").await;
    }

    /// How much of a resource of the backup service projects may have here, and some of them.
    pub async fn limit(&mut self, resource: &str, each: u64, own: &[(&str, u64)]) {
        let service = self.service("cms-backup").await;
        let limit = json!({ "service_id": service, "region_id": self.name, "resource_name": resource, "default_limit": each });
        self.make("registered_limits", json!({ "registered_limits": [limit] }), "/registered_limits/0/id").await;
        for (project, most) in own {
            let limit = json!({
                "service_id": service, "region_id": self.name, "resource_name": resource, "project_id": project, "resource_limit": most,
            });
            self.make("limits", json!({ "limits": [limit] }), "/limits/0/id").await;
        }
    }

    /// The real service is there, behind a proxy.
    pub async fn proxy(&mut self, kind: &str) -> FaultyProxy {
        let path = format!("/endpoints?service_id={}&interface=public&region_id=RegionOne", self.service(kind).await);
        let found = self.administrator.administer(Method::GET, &path, None).await.json();
        let url = found["endpoints"][0]["url"].as_str().unwrap().to_owned();
        let (host, path) = url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).unwrap();
        let proxy = FaultyProxy::http(host).await;
        self.put(kind, &format!("{}/{path}", proxy.url())).await;
        proxy
    }

    /// Takes it out of the catalogue.
    pub async fn remove(self) {
        for path in self.made.iter().rev() {
            let gone = self.administrator.administer(Method::DELETE, path, None).await;
            assert!(gone.status.is_success(), "{path}: {gone:?}");
        }
    }
}
