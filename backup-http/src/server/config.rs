//! Where a server listens, and under which limits.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};

use crate::limits::Limits;
#[cfg(feature = "tls")]
use crate::tls::TlsConfig;

/// What a [`Server`](super::Server) is made of.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The addresses to listen on; at least one.
    pub listen: Listen,
    /// The limits; sensible ones by default.
    pub limits: Limits,
    /// TLS; plain HTTP without it.
    #[cfg(feature = "tls")]
    pub tls: Option<TlsConfig>,
}

/// One address or several, `host:port` each; port 0 takes a free one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listen(pub Vec<String>);

impl ServerConfig {
    /// Plain HTTP on `address`, with the default limits.
    pub fn new(address: impl Into<Listen>) -> Self {
        Self { listen: address.into(), ..Self::default() }
    }

    /// Sets the limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets TLS, or none.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: impl Into<Option<TlsConfig>>) -> Self {
        self.tls = tls.into();
        self
    }
}

impl<T: Into<String>> From<T> for Listen {
    fn from(address: T) -> Self {
        Self(vec![address.into()])
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;
        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Listen;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an address `host:port`, or a list of them")
            }

            fn visit_str<E: serde::de::Error>(self, address: &str) -> Result<Listen, E> {
                checked(address).map_err(E::custom).map(|address| Listen(vec![address]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Listen, A::Error> {
                let mut addresses = Vec::new();
                while let Some(address) = list.next_element::<String>()? {
                    addresses.push(checked(&address).map_err(A::Error::custom)?);
                }
                match addresses.is_empty() {
                    true => Err(A::Error::custom("the list of addresses is empty")),
                    false => Ok(Listen(addresses)),
                }
            }
        }
        deserializer.deserialize_any(OneOrMore)
    }
}

/// A wrong port is found when the configuration is read, a wrong host when it is bound.
fn checked(address: &str) -> Result<String, String> {
    match address.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(address.to_owned()),
        _ => Err(format!("{address:?} is no address; write it as host:port, for example 127.0.0.1:8080")),
    }
}
