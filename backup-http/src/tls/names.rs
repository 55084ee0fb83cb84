//! The names in a client certificate (RFC 5280).

use std::net::IpAddr;

use rustls_pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::peer::PeerCertificate;

/// The names of a certificate that rustls has verified. Names that cannot be read are left out: they let nobody in.
pub(super) fn of(certificate: &CertificateDer<'_>) -> PeerCertificate {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return PeerCertificate::default() };
    let common_names = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok()).map(str::to_owned);
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let alternative_names = alternative.iter().flat_map(|extension| &extension.value.general_names).filter_map(text);
    PeerCertificate { common_names: common_names.collect(), alternative_names: alternative_names.collect() }
}

fn text(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(text) | GeneralName::RFC822Name(text) | GeneralName::URI(text) => Some((*text).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
        _ => None,
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes).map(IpAddr::from).or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}
