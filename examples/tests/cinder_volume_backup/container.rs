//! A container of the real Swift, behind the back of the server that keeps backups there.

use backup_core::testkit::test_context;
use backup_core::{Environment, JobContext};
use backup_remote::http::http::{Method, Request};
use backup_remote::http::{Http, HttpOptions};
use backup_remote::keystone::{Keystone, Service};
use backup_remote::{Call, CallLimits, Calls, Repeat};
use serde_json::Value;

use crate::openstack::OpenStack;

pub struct Container {
    swift: Service,
    name: String,
    cx: JobContext,
    /// The block `store`.
    pub store: String,
}

impl Container {
    pub async fn new(stack: &OpenStack, name: String) -> Self {
        let cx = test_context(&Environment::default());
        let http = Http::new(Calls::new("test", CallLimits::default()), &HttpOptions::default()).unwrap();
        let ours = stack.keystone("backup", "service");
        let store = format!(
            "swift: {{ auth-url: '{}', username: backup, password: '{}', project: service, region: RegionOne, container: {name} }}",
            ours.auth_url,
            stack.password()
        );
        let swift = Keystone::new(http.clone(), ours).unwrap().service(&cx, http, &["object-store"]).await.unwrap();
        Self { swift, name, cx, store }
    }

    async fn call(&self, method: Method, path: &str, body: Vec<u8>) -> Vec<u8> {
        let request = Request::builder().method(method.clone()).uri(format!("{}/{}{path}", self.swift.url(), self.name));
        let request = request.body(vec![body.into()]).unwrap();
        let answer = self.swift.fetch(&self.cx, &Call::changing("Test", Repeat::Always), request, 64 << 20).await.unwrap();
        assert!(answer.status().is_success(), "{method} {path}: {}", answer.status());
        answer.into_body().to_vec()
    }

    /// The one object whose name ends so.
    pub async fn object(&self, ending: &str) -> String {
        let names = self.names().await;
        let mut found = names.into_iter().filter(|name| name.ends_with(ending));
        let (first, second) = (found.next(), found.next());
        assert!(second.is_none(), "{first:?} and {second:?}");
        first.unwrap_or_else(|| panic!("nothing ends with {ending}"))
    }

    pub async fn names(&self) -> Vec<String> {
        let listed: Value = serde_json::from_slice(&self.call(Method::GET, "?format=json", Vec::new()).await).unwrap();
        listed.as_array().unwrap().iter().map(|object| object["name"].as_str().unwrap().to_owned()).collect()
    }

    pub async fn get(&self, name: &str) -> Vec<u8> {
        self.call(Method::GET, &format!("/{name}"), Vec::new()).await
    }

    pub async fn put(&self, name: &str, body: Vec<u8>) {
        self.call(Method::PUT, &format!("/{name}"), body).await;
    }

    pub async fn delete(&self, name: &str) {
        self.call(Method::DELETE, &format!("/{name}"), Vec::new()).await;
    }

    /// Removes it with all that is in it.
    pub async fn remove(self) {
        for name in self.names().await {
            self.delete(&name).await;
        }
        self.call(Method::DELETE, "", Vec::new()).await;
    }
}
