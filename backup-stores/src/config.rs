//! Where backups go, as every program says it: the block `store:` of a configuration, or a URL.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use backup_core::error::codes;
use backup_core::{Error, JobContext, Result, Store};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};

#[cfg(feature = "fs")]
use crate::fs::{FsConfig, FsStore};

/// The kinds of store that a configuration can name.
const KINDS: &[&str] = &["fs", "s3", "swift", "nfs"];

/// Where backups go.
///
/// In a configuration it is a block with exactly one key, `store: { fs: { root: /var/lib/backup } }`; on a command line a URL,
/// `fs:///var/lib/backup`. `Display` gives that URL, without credentials.
///
/// # Behavior
/// The path of an `fs` URL is taken as it stands: nothing in it is unescaped. A kind that this version or this build lacks is
/// refused when the configuration is read, not when the store is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreConfig {
    /// A directory of a local file system.
    #[cfg(feature = "fs")]
    Fs(FsConfig),
}

impl StoreConfig {
    /// Opens the store for reading and writing.
    ///
    /// # Errors
    /// Those of the store: a place that cannot be used is refused here, not at the first backup.
    ///
    /// # Cancel safety
    /// May be dropped; a directory that it made for the store stays.
    pub async fn open(&self, cx: &JobContext) -> Result<Arc<dyn Store>> {
        cx.check()?;
        match *self {
            #[cfg(feature = "fs")]
            Self::Fs(ref config) => opened(cx, config, FsStore::open).await,
        }
    }

    /// Opens an existing store for reading: makes nothing, and works where nothing can be written.
    ///
    /// # Errors
    /// Those of the store, also when it is not there.
    ///
    /// # Cancel safety
    /// May be dropped.
    pub async fn open_read_only(&self, cx: &JobContext) -> Result<Arc<dyn Store>> {
        cx.check()?;
        match *self {
            #[cfg(feature = "fs")]
            Self::Fs(ref config) => opened(cx, config, FsStore::open_read_only).await,
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
            #[cfg(not(feature = "fs"))]
            _ => write!(f, "none"),
        }
    }
}

impl FromStr for StoreConfig {
    type Err = Error;

    /// Reads a URL. No error quotes it, for it may hold credentials.
    fn from_str(url: &str) -> Result<Self> {
        let refused = |what: String| Error::new(&codes::INPUT_INVALID, what);
        let Some((kind, path)) = url.split_once("://") else {
            return Err(refused("the store is no URL; one reads like fs:///var/lib/backup".to_owned()));
        };
        match kind {
            #[cfg(feature = "fs")]
            "fs" if path.starts_with('/') => Ok(Self::Fs(FsConfig::new(path))),
            #[cfg(feature = "fs")]
            "fs" => Err(refused("an fs store needs an absolute path, with three slashes: fs:///var/lib/backup".to_owned())),
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
    match kind {
        "fs" => format!("this build lacks the store `{kind}`; build it with the feature `{kind}` of backup-stores"),
        _ => format!("the store `{kind}` is not yet implemented; this version has `fs`"),
    }
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

#[cfg(all(test, feature = "fs"))]
mod tests {
    use backup_core::Environment;
    use backup_core::event::TracingObserver;

    use super::*;

    fn block(json: &str) -> Result<StoreConfig, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn a_block_and_a_url_say_the_same_and_read_like_the_url() {
        let config = block(r#"{"fs": {"root": "/var/lib/my backups"}}"#).unwrap();
        assert_eq!(config, "fs:///var/lib/my backups".parse().unwrap());
        assert_eq!(config.to_string(), "fs:///var/lib/my backups");
    }

    #[test]
    fn a_block_has_exactly_one_kind() {
        for (json, why) in [
            ("{}", "exactly one of fs, s3, swift, nfs; none is given"),
            (r#"{"fs": {"root": "/a"}, "nfs": {}}"#, "`fs` and `nfs` are both given"),
            (r#"{"fz": {}}"#, "unknown field `fz`, expected one of `fs`"),
            (r#"{"fs": {"root": "/a"}, "rooot": 1}"#, "unknown field `rooot`"),
            (r#"{"fs": {"rooot": "/a"}}"#, "unknown field `rooot`, expected `root`"),
            (r#"{"fs": {}}"#, "missing field `root`"),
            (r#""fs:///a""#, "expected a block"),
        ] {
            let error = block(json).unwrap_err();
            assert!(error.contains(why), "{json}: {error}");
        }
    }

    #[test]
    fn a_kind_that_is_not_there_yet_is_said_to_be_so() {
        for kind in ["s3", "swift", "nfs"] {
            let error = block(&format!(r#"{{"{kind}": {{"anything": 1}}}}"#)).unwrap_err();
            assert!(error.contains("not yet"), "{error}");
            let error = format!("{kind}://user:secret@host/bucket").parse::<StoreConfig>().unwrap_err().to_string();
            assert!(error.contains("not yet") && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn what_is_no_url_of_a_store_is_refused_with_an_example() {
        for (url, why) in [
            ("/var/lib/backup", "fs:///var/lib/backup"),
            ("fs://relative/path", "absolute path"),
            ("fs://", "absolute path"),
            ("ftp://user:secret@host/", "ftp:// is no kind of store"),
        ] {
            let error = url.parse::<StoreConfig>().unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains("secret"), "{url}: {error}");
        }
    }

    #[tokio::test]
    async fn reading_makes_nothing_and_writing_makes_the_root() {
        let cx = JobContext::new(Environment::default(), Arc::new(TracingObserver));
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("backups");
        let config: StoreConfig = format!("fs://{}", root.display()).parse().unwrap();
        config.open_read_only(&cx).await.unwrap_err();
        assert!(!root.exists());
        config.open(&cx).await.unwrap();
        assert!(root.is_dir());
        config.open_read_only(&cx).await.unwrap();
    }
}
