//! Which endpoint is taken.

use serde_json::json;

use crate::keystone::{Catalogue, Interface};

fn catalogue() -> Catalogue {
    let endpoint = |interface, region, url| json!({ "interface": interface, "region_id": region, "url": url });
    serde_json::from_value(json!([
        { "type": "identity", "endpoints": [endpoint("public", "B", "http://keystone")] },
        { "type": "object-store", "endpoints": [
            endpoint("internal", "B", "http://b-internal/"),
            endpoint("public", "B", "http://b/"),
            endpoint("public", "A", "http://a/"),
        ] },
    ]))
    .unwrap()
}

#[test]
fn with_several_regions_one_has_to_be_named_unless_the_first_one_will_do() {
    let (catalogue, types) = (catalogue(), ["object-store"]);
    let error = catalogue.endpoint(&types, Interface::Public, None).unwrap_err();
    assert_eq!(error.code().name, "keystone.no_endpoint");
    assert!(error.to_string().contains("public in A") && error.to_string().contains("public in B"), "{error}");
    assert_eq!(catalogue.first_endpoint(&types, Interface::Public, None).unwrap(), "http://b");
    for (region, url) in [("A", "http://a"), ("B", "http://b")] {
        assert_eq!(catalogue.endpoint(&types, Interface::Public, Some(region)).unwrap(), url);
        assert_eq!(catalogue.first_endpoint(&types, Interface::Public, Some(region)).unwrap(), url);
    }
    let missing = catalogue.first_endpoint(&types, Interface::Public, Some("C")).unwrap_err();
    assert_eq!(missing.code().name, "keystone.no_endpoint");
    assert_eq!(catalogue.endpoint(&types, Interface::Internal, None).unwrap(), "http://b-internal");
}
