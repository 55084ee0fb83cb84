use crate::etcd_backup::openapi;

#[test]
fn every_operation_is_described() {
    let document = serde_json::to_value(openapi()).unwrap();
    for (path, method) in [("/api/v1/backup", "get"), ("/api/v1/backup", "post"), ("/api/v1/backup/{filename}", "get")] {
        assert!(document["paths"][path][method]["responses"]["500"].is_object(), "{method} {path}: {document}");
    }
    for schema in ["Saved", "Failure"] {
        assert!(document["components"]["schemas"][schema]["required"].is_array(), "{schema}");
    }
}
