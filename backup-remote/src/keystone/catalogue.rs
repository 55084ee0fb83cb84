//! Which services there are, and where.

use std::collections::BTreeSet;

use backup_core::{Error, Result};
use serde::Deserialize;

use super::codes;
use super::config::Interface;

/// The services of a cloud, as a token brings them along.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Catalogue {
    services: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Entry {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    endpoints: Vec<Endpoint>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Endpoint {
    interface: String,
    #[serde(default)]
    region: Option<String>,
    #[serde(default)]
    region_id: Option<String>,
    url: String,
}

impl Endpoint {
    fn region(&self) -> &str {
        self.region_id.as_deref().or(self.region.as_deref()).unwrap_or_default()
    }
}

impl Catalogue {
    /// The address of a service, without a final slash: the first of `types` that has one (a service goes by several names over the
    /// years, as Cinder by `block-storage` and `volumev3`).
    ///
    /// # Errors
    /// `keystone.no_endpoint`, with what there is; also when several regions have one and none is asked for.
    pub fn endpoint(&self, types: &[&str], interface: Interface, region: Option<&str>) -> Result<&str> {
        self.find(types, interface, region, false)
    }

    /// As [`Catalogue::endpoint`], but with several regions and none asked for the first one that the catalogue names.
    ///
    /// # Errors
    /// `keystone.no_endpoint`, with what there is.
    pub fn first_endpoint(&self, types: &[&str], interface: Interface, region: Option<&str>) -> Result<&str> {
        self.find(types, interface, region, true)
    }

    /// The id of the service that is *named* so, whatever its type: what unified limits are kept by.
    pub fn service_id(&self, name: &str) -> Option<&str> {
        self.services.iter().find(|service| service.name.as_deref() == Some(name))?.id.as_deref()
    }

    fn find(&self, types: &[&str], interface: Interface, region: Option<&str>, first_region: bool) -> Result<&str> {
        let mut found: Option<&Endpoint> = None;
        for kind in types {
            for endpoint in self.of(kind).filter(|endpoint| endpoint.interface == interface.as_str()) {
                if region.is_some_and(|region| region != endpoint.region()) {
                    continue;
                }
                match found {
                    Some(first) if !first_region && first.region() != endpoint.region() => {
                        return Err(self.without(types, interface, region, "more than one"));
                    }
                    Some(_) => {}
                    None => found = Some(endpoint),
                }
            }
            if let Some(endpoint) = found {
                return Ok(endpoint.url.trim_end_matches('/'));
            }
        }
        Err(self.without(types, interface, region, "no"))
    }

    fn of<'a>(&'a self, kind: &str) -> impl Iterator<Item = &'a Endpoint> {
        self.services.iter().filter(move |service| service.kind == kind).flat_map(|service| &service.endpoints)
    }

    fn without(&self, types: &[&str], interface: Interface, region: Option<&str>, count: &str) -> Error {
        let there: BTreeSet<String> = types
            .iter()
            .flat_map(|kind| self.of(kind).map(move |endpoint| format!("{kind} {} in {}", endpoint.interface, endpoint.region())))
            .collect();
        let there = if there.is_empty() {
            let kinds: BTreeSet<&str> = self.services.iter().map(|service| service.kind.as_str()).collect();
            format!("the services are: {}", kinds.into_iter().collect::<Vec<_>>().join(", "))
        } else {
            format!("there are: {}", there.into_iter().collect::<Vec<_>>().join(", "))
        };
        let wanted = types.join(" or ");
        let place = region.map_or_else(|| "any region".to_owned(), |region| format!("the region {region}"));
        Error::new(
            &codes::NO_ENDPOINT,
            format!(
                "the catalogue has {count} endpoint of the type {wanted} and the interface {} in {place}; {there}",
                interface.as_str()
            ),
        )
    }
}
