//! The configuration block `store: { nfs: … }`, and its URL.

use std::fmt;
use std::os::unix::fs::MetadataExt;

use backup_core::error::codes;
use backup_core::{Error, Result};
use backup_remote::CallLimits;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Deserialize;

use crate::config::StoreUrl;

/// What would end the path of a URL, or change it.
const NOT_IN_PATH: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'<').add(b'>').add(b'?').add(b'`').add(b'\\');
/// What would end a value in a query besides.
const NOT_IN_QUERY: &AsciiSet = &NOT_IN_PATH.add(b'&').add(b'+').add(b'=');

/// Where a [`NfsStore`](super::NfsStore) lives.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct NfsConfig {
    /// The server: a name or an address.
    pub server: String,
    /// The path of the export, as `showmount -e` shows it.
    pub export: String,
    /// The directory below the export that holds the objects; the export itself when empty.
    #[serde(default)]
    pub root: String,
    /// Who the server shall take us for; this process's user when absent.
    #[serde(default)]
    pub uid: Option<u32>,
    /// The group besides; this process's group when absent.
    #[serde(default)]
    pub gid: Option<u32>,
    /// The port of NFS; the portmapper is asked when absent.
    #[serde(default)]
    pub nfs_port: Option<u16>,
    /// The port of the MOUNT protocol; the portmapper is asked when absent.
    #[serde(default)]
    pub mount_port: Option<u16>,
    /// The port of the portmapper.
    #[serde(default = "portmapper_port")]
    pub portmapper_port: u16,
    /// Connections, and so calls under way at the same time.
    #[serde(default = "connections")]
    pub connections: usize,
    /// Send from a port below 1024, which needs the right to do so (root, or `CAP_NET_BIND_SERVICE`): exports with `secure` ask for it.
    #[serde(default)]
    pub privileged_port: bool,
    /// How calls are limited; of `parallel` never more than `connections` are used.
    #[serde(default)]
    pub requests: CallLimits,
    /// `export` is the whole path of a URL, of which nobody said where the export ends.
    #[serde(skip)]
    pub(super) undivided: bool,
}

fn portmapper_port() -> u16 {
    111
}

fn connections() -> usize {
    4
}

impl NfsConfig {
    /// The directory `root` (empty for the export itself) of the export `export`, everything else by default.
    pub fn new(server: impl Into<String>, export: impl Into<String>, root: impl Into<String>) -> Self {
        Self {
            server: server.into(),
            export: export.into(),
            root: root.into(),
            uid: None,
            gid: None,
            nfs_port: None,
            mount_port: None,
            portmapper_port: portmapper_port(),
            connections: connections(),
            privileged_port: false,
            requests: CallLimits::default(),
            undivided: false,
        }
    }

    /// Sets the ports of NFS and of MOUNT, so that no portmapper is needed.
    #[must_use]
    pub fn ports(mut self, nfs: u16, mount: u16) -> Self {
        (self.nfs_port, self.mount_port) = (Some(nfs), Some(mount));
        self
    }

    /// Sets who the server shall take us for.
    #[must_use]
    pub fn user_and_group(mut self, uid: u32, gid: u32) -> Self {
        (self.uid, self.gid) = (Some(uid), Some(gid));
        self
    }

    /// Sets how calls are limited.
    #[must_use]
    pub fn requests(mut self, limits: CallLimits) -> Self {
        self.requests = limits;
        self
    }

    /// Reads a URL: `nfs://server[:nfs-port]/export/root?parameters`.
    pub(crate) fn from_url(mut url: StoreUrl) -> Result<Self> {
        // An address of version 6 stands in brackets.
        let server = url.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let path = url.path().to_owned();
        let mut config = Self::new(server, path.trim_end_matches('/'), "");
        match url.take("export") {
            None => config.undivided = true,
            Some(export) => {
                let below =
                    path.strip_prefix(export.trim_end_matches('/')).filter(|rest| rest.is_empty() || rest.starts_with('/'));
                let Some(root) = below else {
                    return Err(Error::new(&codes::INPUT_INVALID, "the path of an nfs URL begins with its `export`"));
                };
                config.root = root.trim_matches('/').to_owned();
                config.export = export;
            }
        }
        config.nfs_port = match (url.port(), url.take_as("nfs-port")?) {
            (Some(_), Some(_)) => return Err(Error::new(&codes::INPUT_INVALID, "the nfs URL gives the port of NFS twice")),
            (port, named) => port.or(named),
        };
        config.mount_port = url.take_as("mount-port")?;
        config.portmapper_port = url.take_as("portmapper-port")?.unwrap_or(config.portmapper_port);
        config.connections = url.take_as("connections")?.unwrap_or(config.connections);
        config.privileged_port = url.take_as("privileged-port")?.unwrap_or(config.privileged_port);
        (config.uid, config.gid) = (url.take_as("uid")?, url.take_as("gid")?);
        url.finish()?;
        config.check()?;
        Ok(config)
    }

    /// Refuses what can never work.
    pub(super) fn check(&self) -> Result<()> {
        let refused = |what: &str| Err(Error::new(&codes::INPUT_INVALID, format!("the nfs store {what}")));
        if self.server.is_empty() {
            return refused("needs a `server`; a URL reads like nfs://server/export/root");
        }
        if !self.export.starts_with('/') {
            return refused("needs an `export` that begins with a slash");
        }
        let leaves = |path: &str| path.split('/').any(|name| matches!(name, "." | "..")) || path.contains('\0');
        if leaves(&self.root) || leaves(&self.export) {
            return refused("has an `export` or a `root` with a name `.` or `..`");
        }
        if self.connections == 0 {
            return refused("needs one of `connections` at least");
        }
        Ok(())
    }

    /// The names on the way from the export to the root.
    pub(super) fn path_of_root(&self) -> impl Iterator<Item = &str> {
        self.root.split('/').filter(|name| !name.is_empty())
    }

    pub(super) fn user(&self) -> u32 {
        self.uid.unwrap_or_else(|| of_this_process(MetadataExt::uid))
    }

    pub(super) fn group(&self) -> u32 {
        self.gid.unwrap_or_else(|| of_this_process(MetadataExt::gid))
    }
}

/// The kernel gives a process's directory there to its effective user.
fn of_this_process(which: impl Fn(&std::fs::Metadata) -> u32) -> u32 {
    std::fs::metadata("/proc/self").map_or(0, |metadata| which(&metadata))
}

impl fmt::Display for NfsConfig {
    /// The URL that reads back as the same place.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bracketed = self.server.contains(':');
        let (open, close) = if bracketed { ("[", "]") } else { ("", "") };
        write!(f, "nfs://{open}{}{close}", self.server)?;
        if let Some(port) = self.nfs_port {
            write!(f, ":{port}")?;
        }
        write!(f, "{}", utf8_percent_encode(self.export.trim_end_matches('/'), NOT_IN_PATH))?;
        for name in self.path_of_root() {
            write!(f, "/{}", utf8_percent_encode(name, NOT_IN_PATH))?;
        }
        let export = (!self.undivided).then(|| utf8_percent_encode(&self.export, NOT_IN_QUERY).to_string());
        let number = |value: Option<u32>| value.map(|value| value.to_string());
        let parameters = [
            ("export", export),
            ("mount-port", number(self.mount_port.map(u32::from))),
            ("uid", number(self.uid)),
            ("gid", number(self.gid)),
        ];
        let given = parameters.into_iter().filter_map(|(name, value)| Some((name, value?)));
        for (n, (name, value)) in given.enumerate() {
            write!(f, "{}{name}={value}", if n == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}
