//! Where backups go, as every program says it: the block `store:` of a configuration, or a URL.

#[cfg(all(test, feature = "fs"))]
mod tests;
#[cfg(any(feature = "nfs", feature = "s3", feature = "swift"))]
mod url;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use backup_core::error::codes;
use backup_core::{Error, JobContext, Result, Store};
use backup_remote::CallObserver;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};

#[cfg(feature = "fs")]
use crate::fs::{FsConfig, FsStore};
#[cfg(feature = "nfs")]
use crate::nfs::{NfsConfig, NfsStore};
#[cfg(feature = "s3")]
use crate::s3::{S3Config, S3Store};
#[cfg(feature = "swift")]
use crate::swift::{SwiftConfig, SwiftStore};
#[cfg(any(feature = "nfs", feature = "s3", feature = "swift"))]
pub(crate) use url::StoreUrl;

/// The kinds of store that a configuration can name.
const KINDS: &[&str] = &["fs", "s3", "swift", "nfs"];

/// Where backups go.
///
/// In a configuration it is a block with exactly one key, `store: { fs: { root: /var/lib/backup } }`; on a command line a URL,
/// `fs:///var/lib/backup`. `Display` gives that URL, without credentials.
///
/// # Behavior
/// The path of an `fs` URL is taken as it stands: nothing in it is unescaped. A URL holds no credentials; a store that needs some
/// takes them from the environment then, by the names that the store's own tools use. A kind that this build lacks is refused when
/// the configuration is read, not when the store is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[allow(clippy::large_enum_variant, reason = "a program has one, and its stores differ in how much they have to be told")]
pub enum StoreConfig {
    /// A directory of a local file system.
    #[cfg(feature = "fs")]
    Fs(FsConfig),
    /// A bucket of a server that speaks S3.
    #[cfg(feature = "s3")]
    S3(S3Config),
    /// A container of OpenStack Swift.
    #[cfg(feature = "swift")]
    Swift(SwiftConfig),
    /// A directory of an NFSv3 server, reached without a mount.
    #[cfg(feature = "nfs")]
    Nfs(NfsConfig),
}

/// How a store is opened.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct OpenOptions {
    /// Only to read: nothing is made or probed by writing, and a place that cannot be written is as good.
    pub read_only: bool,
    /// The place is somebody else's: nothing is written but the objects that are asked for, no test object, no notes of unfinished
    /// uploads, no container. What a test object would find out is then not relied on.
    pub guest: bool,
    /// Hears of every call to a remote store.
    pub observer: Option<Arc<dyn CallObserver>>,
}

impl OpenOptions {
    /// Sets [`OpenOptions::read_only`].
    #[must_use]
    pub fn read_only(mut self, yes: bool) -> Self {
        self.read_only = yes;
        self
    }

    /// Sets [`OpenOptions::guest`].
    #[must_use]
    pub fn guest(mut self, yes: bool) -> Self {
        self.guest = yes;
        self
    }

    /// Sets [`OpenOptions::observer`].
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn CallObserver>) -> Self {
        self.observer = Some(observer);
        self
    }
}

impl StoreConfig {
    /// The kind of store, as a block or a URL names it: `fs`, `s3`, `swift` or `nfs`.
    pub fn kind(&self) -> &'static str {
        match *self {
            #[cfg(feature = "fs")]
            Self::Fs(_) => "fs",
            #[cfg(feature = "s3")]
            Self::S3(_) => "s3",
            #[cfg(feature = "swift")]
            Self::Swift(_) => "swift",
            #[cfg(feature = "nfs")]
            Self::Nfs(_) => "nfs",
        }
    }

    /// Opens the store for reading and writing.
    ///
    /// # Errors
    /// Those of the store: a place that cannot be used is refused here, not at the first backup.
    ///
    /// # Cancel safety
    /// May be dropped; a directory that it made for the store stays.
    pub async fn open(&self, cx: &JobContext) -> Result<Arc<dyn Store>> {
        self.open_with(cx, &OpenOptions::default()).await
    }

    /// Opens an existing store for reading: makes nothing, and works where nothing can be written.
    ///
    /// # Errors
    /// Those of the store, also when it is not there.
    ///
    /// # Cancel safety
    /// May be dropped.
    pub async fn open_read_only(&self, cx: &JobContext) -> Result<Arc<dyn Store>> {
        self.open_with(cx, &OpenOptions::default().read_only(true)).await
    }

    /// Opens the store as the options say.
    ///
    /// # Errors
    /// As [`StoreConfig::open`] and [`StoreConfig::open_read_only`].
    ///
    /// # Cancel safety
    /// As theirs.
    pub async fn open_with(&self, cx: &JobContext, options: &OpenOptions) -> Result<Arc<dyn Store>> {
        cx.check()?;
        match *self {
            #[cfg(feature = "fs")]
            Self::Fs(ref config) => {
                opened(cx, config, if options.read_only { FsStore::open_read_only } else { FsStore::open }).await
            }
            #[cfg(feature = "s3")]
            Self::S3(ref config) => Ok(Arc::new(S3Store::open(cx, config, options).await?)),
            #[cfg(feature = "swift")]
            Self::Swift(ref config) => Ok(Arc::new(SwiftStore::open(cx, config, options).await?)),
            #[cfg(feature = "nfs")]
            Self::Nfs(ref config) => Ok(Arc::new(NfsStore::open(cx, config, options).await?)),
        }
    }
}

#[cfg(feature = "fs")]
async fn opened(cx: &JobContext, config: &FsConfig, open: fn(FsConfig) -> Result<FsStore>) -> Result<Arc<dyn Store>> {
    let config = config.clone();
    cx.run(async {
        let opened = tokio::task::spawn_blocking(move || open(config)).await;
        let ended_early = |error| Error::new(&codes::INTERNAL, "opening the store ended early").with_source(error);
        Ok(Arc::new(opened.map_err(ended_early)??) as Arc<dyn Store>)
    })
    .await
}

impl fmt::Display for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            #[cfg(feature = "fs")]
            Self::Fs(ref config) => write!(f, "fs://{}", config.root.display()),
            #[cfg(feature = "s3")]
            Self::S3(ref config) => config.fmt(f),
            #[cfg(feature = "swift")]
            Self::Swift(ref config) => config.fmt(f),
            #[cfg(feature = "nfs")]
            Self::Nfs(ref config) => config.fmt(f),
            #[cfg(not(any(feature = "fs", feature = "nfs", feature = "s3", feature = "swift")))]
            _ => write!(f, "none"),
        }
    }
}

impl FromStr for StoreConfig {
    type Err = Error;

    /// Reads a URL. No error quotes it, for it may hold credentials.
    fn from_str(url: &str) -> Result<Self> {
        let refused = |what: String| Error::new(&codes::INPUT_INVALID, what);
        let Some((kind, _)) = url.split_once("://") else {
            return Err(refused("the store is no URL; one reads like fs:///var/lib/backup".to_owned()));
        };
        match kind {
            #[cfg(feature = "fs")]
            "fs" => match url.strip_prefix("fs://").filter(|path| path.starts_with('/')) {
                Some(path) => Ok(Self::Fs(FsConfig::new(path))),
                None => Err(refused("an fs store needs an absolute path, with three slashes: fs:///var/lib/backup".to_owned())),
            },
            #[cfg(feature = "s3")]
            "s3" => StoreUrl::parse(url).and_then(S3Config::from_url).map(Self::S3),
            #[cfg(feature = "swift")]
            "swift" => StoreUrl::parse(url).and_then(SwiftConfig::from_url).map(Self::Swift),
            #[cfg(feature = "nfs")]
            "nfs" => StoreUrl::parse(url).and_then(NfsConfig::from_url).map(Self::Nfs),
            known if KINDS.contains(&known) => Err(refused(lacking(known))),
            other => {
                let other: String = other.chars().take(20).collect();
                Err(refused(format!("{other}:// is no kind of store; there are {}", KINDS.join(", "))))
            }
        }
    }
}

/// Why a kind of store that the documentation knows cannot be used here.
fn lacking(kind: &str) -> String {
    format!("this build lacks the store `{kind}`; build it with the feature `{kind}` of backup-stores")
}

impl<'de> Deserialize<'de> for StoreConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Block)
    }
}

struct Block;

impl<'de> Visitor<'de> for Block {
    type Value = StoreConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a block with exactly one of {}", KINDS.join(", "))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<StoreConfig, A::Error> {
        let one = || format!("a store is exactly one of {}", KINDS.join(", "));
        let Some(kind) = map.next_key::<String>()? else {
            return Err(A::Error::custom(format!("{}; none is given", one())));
        };
        let store = match kind.as_str() {
            #[cfg(feature = "fs")]
            "fs" => StoreConfig::Fs(map.next_value()?),
            #[cfg(feature = "s3")]
            "s3" => StoreConfig::S3(map.next_value()?),
            #[cfg(feature = "swift")]
            "swift" => StoreConfig::Swift(map.next_value()?),
            #[cfg(feature = "nfs")]
            "nfs" => StoreConfig::Nfs(map.next_value()?),
            known if KINDS.contains(&known) => return Err(A::Error::custom(lacking(known))),
            other => return Err(A::Error::unknown_field(other, KINDS)),
        };
        match map.next_key::<String>()? {
            None => Ok(store),
            Some(second) if KINDS.contains(&second.as_str()) => {
                Err(A::Error::custom(format!("{}; `{kind}` and `{second}` are both given", one())))
            }
            Some(other) => Err(A::Error::unknown_field(&other, KINDS)),
        }
    }
}
