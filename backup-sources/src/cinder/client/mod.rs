//! A client of Cinder's API. Source of the formats: Block Storage API v3, as Cinder 21 (Zed) answers.
//!
//! ```text
//! request.rs       how a request is sent, and its answer read
//! version.rs       microversions, and addresses
//! page.rs          lists, page by page
//! wait.rs          waiting until something is in a state, or gone
//! volumes.rs       snapshots.rs  attachments.rs  types.rs  backups.rs
//! ```

mod attachments;
mod backups;
mod error;
mod id;
mod page;
mod request;
mod snapshots;
mod types;
mod version;
mod volumes;
mod wait;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use backup_core::{JobContext, Result, Secret};
use backup_remote::Calls;
use backup_remote::http::{Http, HttpOptions};
use backup_remote::keystone::{Keystone, Service};
use tokio::sync::OnceCell;

pub use attachments::{Attachment, AttachmentSummary, Mode};
pub use backups::{Backup, BackupRecord, CreateBackup};
pub use id::{check_id, new_id};
pub use snapshots::{NewSnapshot, Snapshot};
pub use types::VolumeType;
pub use version::Microversion;
pub(super) use volumes::GIB;
pub use volumes::{CreateVolume, Volume, VolumeAttachment, VolumeFilter};
pub use wait::Patience;
pub(super) use wait::gone;

use super::config::{CinderConfig, Connector};

/// The names by which catalogues have Cinder.
const TYPES: [&str; 3] = ["block-storage", "volumev3", "block-store"];

/// A client of Cinder. Cheap to clone; clones share connections, limits, and our token.
///
/// # Behavior
/// It acts as our own user, or, by [`Cinder::for_caller`], as somebody whose token we were given. Each call names the lowest microversion that
/// has what it needs; what Cinder has is asked once. A call that changes nothing is repeated while Cinder is restarting; one that makes
/// something is not, once it may have reached Cinder: its error has the effect `unknown` then, and whoever made it looks for what it made.
///
/// A limit of the rate (413 with `Retry-After`) is waited for; a quota that is used up is an error at once.
///
/// # Errors
/// Of every call: `cinder.not_found`, `cinder.denied`, `cinder.refused`, `cinder.state`, `cinder.quota`, `cinder.version`, `cinder.busy`,
/// `cinder.failed`; `cinder.id` for what is no UUID, before anything is sent; those of Keystone, of [`Http::fetch`] and of the context.
///
/// # Cancel safety
/// Ended by the context at once. A call that changes something has an unknown effect then.
#[derive(Clone)]
pub struct Cinder {
    shared: Arc<Shared>,
}

struct Shared {
    keystone: Keystone,
    http: Http,
    connector: Connector,
    caller: Option<Caller>,
    ready: OnceCell<Ready>,
    /// The newest microversion, by the root of an API.
    newest: Newest,
}

type Newest = Arc<Mutex<BTreeMap<String, Microversion>>>;

/// What is known once Cinder was asked.
struct Ready {
    service: Service,
    /// Everything of the project lies below it.
    base: String,
    project: String,
    newest: Microversion,
}

/// Somebody for whom we act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// His token, scoped to the project.
    pub token: Secret,
    /// The project.
    pub project_id: String,
    /// Cinder's endpoint in his catalogue.
    pub endpoint: String,
}

impl Cinder {
    /// A client that acts as our own user, in the project of its credentials. Connects to nothing.
    ///
    /// # Errors
    /// `keystone.config`; `remote.config` for a file of certificates that cannot be used.
    pub fn new(config: CinderConfig) -> Result<Self> {
        let options = HttpOptions::default().ca_file(config.keystone.ca_file.clone());
        let http = |service: &str| Http::new(Calls::new(service, config.requests.clone()), &options);
        let keystone = Keystone::new(http("keystone")?, config.keystone.clone())?;
        Ok(Self::with(keystone, http("cinder")?, config.connector))
    }

    /// The same, over a client of Keystone and one of HTTP that are there already.
    pub fn with(keystone: Keystone, http: Http, connector: Connector) -> Self {
        let (ready, newest) = (OnceCell::new(), Newest::default());
        Self { shared: Arc::new(Shared { keystone, http, connector, caller: None, ready, newest }) }
    }

    /// A client that acts for a caller: every call carries his token, and ours beside it as the service's, so that a job goes on when his
    /// token ends. Connects to nothing.
    ///
    /// # Errors
    /// `cinder.id` for a project that is none; `cinder.address`, `cinder.version` for an endpoint that is none; `keystone.refused` for a text
    /// that is no token.
    pub fn for_caller(&self, caller: Caller) -> Result<Self> {
        id::check_project(&caller.project_id)?;
        version::addresses(&caller.endpoint, &caller.project_id)?;
        let Shared { keystone, http, connector, newest, .. } = &*self.shared;
        keystone.on_behalf(http.clone(), &caller.endpoint, &caller.token)?;
        Ok(Self {
            shared: Arc::new(Shared {
                keystone: keystone.clone(),
                http: http.clone(),
                connector: connector.clone(),
                caller: Some(caller),
                ready: OnceCell::new(),
                newest: Arc::clone(newest),
            }),
        })
    }

    /// Keystone, as our own user.
    pub fn keystone(&self) -> &Keystone {
        &self.shared.keystone
    }

    /// The newest microversion that Cinder has.
    ///
    /// # Errors
    /// `cinder.address`; `keystone.no_endpoint`; as every call.
    pub async fn newest(&self, cx: &JobContext) -> Result<Microversion> {
        Ok(self.ready(cx).await?.newest)
    }

    /// The project that it works in.
    ///
    /// # Errors
    /// As [`Cinder::newest`].
    pub async fn project(&self, cx: &JobContext) -> Result<String> {
        Ok(self.ready(cx).await?.project.clone())
    }

    async fn ready(&self, cx: &JobContext) -> Result<&Ready> {
        self.shared.ready.get_or_try_init(|| self.connect(cx)).await
    }

    async fn connect(&self, cx: &JobContext) -> Result<Ready> {
        let Shared { keystone, http, caller, newest, .. } = &*self.shared;
        let (service, project) = match caller {
            Some(caller) => (keystone.on_behalf(http.clone(), &caller.endpoint, &caller.token)?, caller.project_id.clone()),
            None => {
                let token = keystone.token(cx).await?;
                let project = token.project_id().unwrap_or_default();
                (keystone.service(cx, http.clone(), &TYPES).await?, id::check_project(project)?.to_owned())
            }
        };
        let (root, base) = version::addresses(service.url(), &project)?;
        let known = newest.lock().unwrap_or_else(PoisonError::into_inner).get(&root).copied();
        let newest = match known {
            Some(known) => known,
            None => {
                let found = request::newest(cx, &service, &root).await?;
                newest.lock().unwrap_or_else(PoisonError::into_inner).insert(root, found);
                found
            }
        };
        Ok(Ready { service, base, project, newest })
    }
}

impl fmt::Debug for Cinder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { keystone, caller, .. } = &*self.shared;
        f.debug_struct("Cinder").field("keystone", keystone).field("caller", caller).finish_non_exhaustive()
    }
}
