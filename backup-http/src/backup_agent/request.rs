//! What a client asks for.

use backup_core::Secret;

use super::stage::Operation;

/// A job as a client asks for it, checked. `Debug` shows no secret.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct JobRequest {
    /// What to do.
    pub operation: Operation,
    /// Its id: a plain file name, given by the client.
    pub id: String,
    /// Whether the scripts shall compress.
    pub compression: bool,
    /// What the scripts shall encrypt or decrypt with; `none` by convention for nothing.
    pub encryption_key: Secret,
    /// Where the backup goes or comes from.
    pub destination: Destination,
    /// Whether the scripts move the data by themselves: asked for, or so configured.
    pub skip_storage: bool,
    /// The name of the file to restore, a relative one that stays below its directory; empty for a backup.
    pub filename: String,
    /// The database.
    pub database: Database,
}

/// A database as the scripts know it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Database {
    /// Its host.
    pub host: String,
    /// The user.
    pub username: String,
    /// The password.
    pub password: Secret,
    /// The database itself.
    pub name: String,
    /// More variables for the scripts, each name once. Names and values
    /// are as the client sent them: [`AgentWork::prepare`](super::AgentWork::prepare) refuses those that must not be.
    pub parameters: Vec<(String, Secret)>,
}

/// A place outside.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Destination {
    /// A bucket.
    S3(S3Destination),
    /// A container.
    Swift(SwiftDestination),
}

/// A bucket of a server that speaks S3.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct S3Destination {
    /// The server as it was given, or as configured where it was not.
    pub endpoint: String,
    /// Whether to talk TLS with it.
    pub tls: bool,
    /// The region; empty for the usual one.
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// What stands before the file name in the key; may be empty.
    pub prefix: String,
    /// Who we are.
    pub access_key: Secret,
    /// How we prove it.
    pub secret_key: Secret,
}

/// A container of a Swift behind Keystone v3.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SwiftDestination {
    /// Keystone.
    pub auth_url: String,
    /// The domain of the user and of the project, by name.
    pub domain: String,
    /// The region; empty for the first one of Keystone's catalogue.
    pub region: String,
    /// The container.
    pub container: String,
    /// The project, by name.
    pub project: String,
    /// What stands before the file name in the object's name; may be empty.
    pub prefix: String,
    /// Who we are.
    pub username: String,
    /// How we prove it.
    pub password: Secret,
}

impl Destination {
    /// `S3` or `SWIFT`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::S3(_) => "S3",
            Self::Swift(_) => "SWIFT",
        }
    }

    /// What stands before the file name in the key.
    pub fn prefix(&self) -> &str {
        match self {
            Self::S3(s3) => &s3.prefix,
            Self::Swift(swift) => &swift.prefix,
        }
    }
}

impl S3Destination {
    /// The server's URL: the endpoint with the scheme that `tls` says, without a slash at its end.
    pub fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        let host = split_scheme(&self.endpoint).map_or(self.endpoint.as_str(), |(_, rest)| rest);
        format!("{scheme}://{}", host.trim_end_matches('/'))
    }

    /// Whether it is Amazon's own, where buckets are hosts. Everywhere else they are paths.
    pub fn is_amazon(&self) -> bool {
        let url = self.url();
        let host = url.split("://").nth(1).unwrap_or_default().split(['/', ':']).next().unwrap_or_default();
        let host = host.to_ascii_lowercase();
        ["amazonaws.com", "amazonaws.com.cn"].iter().any(|aws| host == *aws || host.ends_with(&format!(".{aws}")))
    }
}

/// The scheme of an endpoint, in lower case, and what follows it.
pub(super) fn split_scheme(endpoint: &str) -> Option<(String, &str)> {
    let (scheme, rest) = endpoint.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    matches!(scheme.as_str(), "http" | "https").then_some((scheme, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3(endpoint: &str, tls: bool) -> S3Destination {
        let text = String::new;
        let secret = Secret::default;
        let endpoint = endpoint.to_owned();
        S3Destination {
            endpoint,
            tls,
            region: text(),
            bucket: text(),
            prefix: text(),
            access_key: secret(),
            secret_key: secret(),
        }
    }

    #[test]
    fn an_endpoint_with_or_without_a_scheme_is_a_url() {
        for (endpoint, tls, url) in [
            ("localhost:9000", false, "http://localhost:9000"),
            ("127.0.0.1:9000", true, "https://127.0.0.1:9000"),
            ("http://custom.s3.endpoint", true, "https://custom.s3.endpoint"),
            ("HTTPS://h/", false, "http://h"),
        ] {
            assert_eq!(s3(endpoint, tls).url(), url, "{endpoint}");
        }
    }

    #[test]
    fn buckets_are_hosts_at_amazon_alone() {
        for endpoint in ["s3.amazonaws.com", "https://s3.eu-west-1.amazonaws.com:443", "S3.cn-north-1.amazonaws.com.cn"] {
            assert!(s3(endpoint, true).is_amazon(), "{endpoint}");
        }
        for endpoint in ["localhost:9000", "amazonaws.com.evil.org", "notamazonaws.com", ""] {
            assert!(!s3(endpoint, true).is_amazon(), "{endpoint}");
        }
    }
}
