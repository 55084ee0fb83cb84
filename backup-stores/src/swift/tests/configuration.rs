//! Blocks and URLs.

use crate::config::StoreUrl;
use crate::swift::SwiftConfig;

const BLOCK: &str = r#"{"auth-url": "http://127.0.0.1:5000/v3", "username": "u", "password": "hidden", "user-domain": "Default",
    "project": "t", "project-domain": "Default", "region": "RegionOne", "container": "c", "prefix": "p"}"#;

fn environment(name: &str) -> Option<String> {
    let value = match name {
        "OS_AUTH_URL" => "http://127.0.0.1:5000/v3",
        "OS_USERNAME" => "u",
        "OS_PASSWORD" => "hidden",
        "OS_USER_DOMAIN_NAME" | "OS_PROJECT_DOMAIN_NAME" => "Default",
        "OS_PROJECT_NAME" => "t",
        "OS_REGION_NAME" => "RegionOne",
        _ => return None,
    };
    Some(value.to_owned())
}

#[test]
fn a_block_and_a_url_say_the_same_and_neither_shows_a_secret() {
    let block: SwiftConfig = serde_json::from_str(BLOCK).unwrap();
    let url = StoreUrl::parse("swift://c/p").and_then(|url| SwiftConfig::from_url_in(url, environment)).unwrap();
    assert_eq!(block, url);
    assert_eq!(block.to_string(), "swift://c/p");
    assert!(!format!("{block:?} {block}").contains("hidden"), "{block:?}");
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let typo = BLOCK.replace("\"prefix\"", "\"prefiks\"");
    let error = serde_json::from_str::<SwiftConfig>(&typo).unwrap_err().to_string();
    assert!(error.contains("unknown field `prefiks`"), "{error}");
    for (url, why) in [
        ("swift://c/p?regin=x", "regin"),
        ("swift://c:1/p", "port"),
        ("swift://c/a/../../b//c", "empty segment"),
        ("swift:///p", "container"),
    ] {
        let error = StoreUrl::parse(url).and_then(|url| SwiftConfig::from_url_in(url, environment)).unwrap_err().to_string();
        assert!(error.contains(why), "{url}: {error}");
    }
    let error = StoreUrl::parse("swift://c/p").and_then(|url| SwiftConfig::from_url_in(url, |_| None)).unwrap_err();
    assert!(error.to_string().contains("OS_AUTH_URL"), "{error}");
}
