//! Comparing what a request brings with what is configured. The time it takes says nothing about the entries.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use backup_core::Digest;
use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::Principal;
use super::config::{AuthConfig, CertificateRule};
use crate::Peer;

/// Padded or not: clients differ.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The configured entries as digests: secrets of any length compare in the same time, and none is kept.
pub(super) struct Checker {
    basic: Vec<(Digest, String)>,
    bearer: Vec<(Digest, String)>,
    certificate: Option<CertificateRule>,
}

impl Checker {
    pub(super) fn new(config: &AuthConfig) -> Self {
        let joined = |user: &str, password: &str| Digest::of(format!("{user}:{password}").as_bytes());
        Self {
            // A name has no colon, so the joined text says both parts unmistakably, as it does on the wire.
            basic: config.basic.iter().map(|it| (joined(&it.user, it.password.expose()), it.user.clone())).collect(),
            bearer: config.bearer.iter().map(|it| (Digest::of(it.token.expose().as_bytes()), it.name.clone())).collect(),
            certificate: config.client_certificate.clone(),
        }
    }

    pub(super) fn principal(&self, headers: &HeaderMap, peer: Option<&Peer>) -> Option<Principal> {
        self.by_certificate(peer).or_else(|| self.by_header(headers))
    }

    fn by_header(&self, headers: &HeaderMap) -> Option<Principal> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        let (scheme, credentials) = value.to_str().ok()?.split_once(' ')?;
        let credentials = credentials.trim_matches(' ');
        if scheme.eq_ignore_ascii_case("basic") {
            let text = BASE64.decode(credentials).ok()?;
            find(&self.basic, &text).map(Principal::user)
        } else if scheme.eq_ignore_ascii_case("bearer") {
            find(&self.bearer, credentials.as_bytes()).map(Principal::token)
        } else {
            None
        }
    }

    fn by_certificate(&self, peer: Option<&Peer>) -> Option<Principal> {
        let certificate = peer?.certificate.as_deref()?;
        let mut names = certificate.common_names.iter().chain(&certificate.alternative_names);
        // Names in certificates are public: nothing is to be hidden by the time of this comparison.
        match self.certificate.as_ref()? {
            CertificateRule::Verified => Some(Principal::certificate(names.next().map_or("", String::as_str))),
            CertificateRule::Names(allowed) => names.find(|name| allowed.contains(name)).map(|name| Principal::certificate(name)),
        }
    }
}

/// The entry that `given` belongs to. Looks at every entry.
fn find<'a>(entries: &'a [(Digest, String)], given: &[u8]) -> Option<&'a str> {
    let given = Digest::of(given);
    let mut found = None;
    for (digest, name) in entries {
        if verify_slices_are_equal(digest.as_bytes(), given.as_bytes()).is_ok() {
            found = Some(name.as_str());
        }
    }
    found
}
