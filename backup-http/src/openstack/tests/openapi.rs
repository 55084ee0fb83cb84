use crate::openstack::openapi;

#[test]
fn every_operation_is_described() {
    let document = serde_json::to_value(openapi()).unwrap();
    for (path, methods) in [
        ("/v1/volume", &["post"][..]),
        ("/v1/volume/{id}/action", &["post"]),
        ("/v1/volume/backup", &["get", "post"]),
        ("/v1/volume/backup/{id}", &["get", "put", "delete"]),
        ("/v1/volume/backup/{id}/action", &["post"]),
        ("/v1/volume/backup/{id}/snapshot", &["get", "post"]),
        ("/v1/volume/backup/{id}/snapshot/{snapshot}", &["delete"]),
        ("/v1/instance/{id}/action", &["post"]),
        ("/v1/instance/snapshot", &["get", "post"]),
        ("/v1/instance/snapshot/{id}", &["get", "delete"]),
        ("/v1/instance/backup", &["get", "post"]),
        ("/v1/instance/backup/{id}", &["get", "put", "delete"]),
        ("/v1/instance/backup/{id}/action", &["post"]),
    ] {
        for method in methods {
            assert!(document["paths"][path][method]["responses"].is_object(), "{method} {path}");
        }
    }
    assert_eq!(document["components"]["securitySchemes"]["token"]["name"], "X-Auth-Token");
}
