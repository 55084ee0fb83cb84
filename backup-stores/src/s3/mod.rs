#![doc = include_str!("docs.md")]

mod bucket;
pub mod codes;
mod config;
mod credentials;
mod delete;
mod error;
mod list;
mod lock;
mod multipart;
mod names;
mod notes;
mod parts;
mod probe;
mod put;
mod read;
mod settle;
mod sweep;
mod transport;
mod wire;
mod writer;
mod xml;

use std::sync::Arc;

use backup_core::event::Event;
use backup_core::store::{
    Capabilities, DeleteReport, ExternalLocation, ListOptions, NativePlace, ObjectRead, PutOptions, ReadOptions, SweepOptions,
    SweepReport, WriteOptions,
};
use backup_core::{
    Bytes, JobContext, KeyPrefix, ObjectKey, ObjectMeta, ObjectWriter, Result, ResultExt, Secret, Store, async_trait,
};
use backup_remote::Calls;
use backup_remote::http::{Http, HttpOptions};
use futures::stream::BoxStream;
use opendal::raw::Servicer;
use opendal::{Operator, services};

use crate::config::OpenOptions;
use bucket::Bucket;
use config::refused;
pub use config::{AssumeRole, CredentialSource, LockMode, S3Config, ServerSideEncryption};
use names::Names;
use wire::Wire;

/// A bucket of a server that speaks S3, as a [`Store`]. Cheap to clone; see the [module](self) for what it promises.
#[derive(Debug, Clone)]
pub struct S3Store {
    bucket: Arc<Bucket>,
    external: Option<ExternalLocation>,
    name: String,
}

impl S3Store {
    /// Opens the store. Unless it is opened to read only, a test object is written and removed to find out what the server does; a server
    /// that cannot decide races is used by the weaker protocol that the [module](self) describes, with a warning.
    ///
    /// # Errors
    /// `s3.config`, `s3.no_bucket`, `s3.credentials`, `s3.region`, `s3.clock`, `s3.no_lock`, `store.denied`, `remote.unreachable`.
    ///
    /// # Cancel safety
    /// May be dropped; the test object is then removed by a sweep.
    pub async fn open(cx: &JobContext, config: &S3Config, options: &OpenOptions) -> Result<Self> {
        let opened = Self::connect(cx, config, options).await;
        opened.context(|| format!("opening the store {config}"))
    }

    async fn connect(cx: &JobContext, config: &S3Config, options: &OpenOptions) -> Result<Self> {
        let place = Place::of(config)?;
        let calls = Calls::observed("S3", config.requests.clone(), options.observer.clone());
        let http = Http::new(calls, &HttpOptions::default().ca_file(config.ca_file.clone()))?;
        let signer = credentials::signer(cx, config, &place.region, &http)?;
        let wire = Wire::new(http, signer, place.url.clone());
        let mut bucket = Bucket::new(wire, place.service(config)?, Names::new(&config.prefix)?, config)?;
        if options.guest {
            bucket.found = probe::Found::unknown();
            bucket.notes = false;
        } else if options.read_only {
            probe::readable(&bucket, cx).await?;
        } else {
            bucket.found = probe::probe(&bucket, cx).await?;
            warn(cx, config, &bucket.found);
        }
        let external = place.external(config, &bucket.names);
        Ok(Self { bucket: Arc::new(bucket), external, name: config.bucket.clone() })
    }
}

fn warn(cx: &JobContext, config: &S3Config, found: &probe::Found) {
    tracing::debug!(store = %config, ?found, "what the server does");
    let lacking = [
        (
            found.conditional,
            "has no conditional writes (If-None-Match): of two programs that write the same key at the same instant the later one wins unnoticed",
        ),
        (
            found.conditional_multipart || !found.conditional,
            "has no conditional writes of big objects (If-None-Match on CompleteMultipartUpload): two programs that write the same key at the same instant are not kept apart",
        ),
        (found.checksum, "does not check the checksums of what it is sent: bytes damaged on the way are only found by a verify"),
    ];
    for (_, what) in lacking.into_iter().filter(|(does, _)| !does) {
        cx.event(Event::Warning(format!("the server of {config} {what}")));
    }
    if !found.removes {
        let what = "may not delete objects: whoever holds these credentials can back up, and neither retention nor the janitor can remove anything";
        cx.event(Event::Warning(format!("the credentials of {config} {what}")));
    }
}

/// Where the bucket is.
struct Place {
    region: String,
    /// The server, without the bucket and without a final slash.
    endpoint: String,
    /// The bucket's URL.
    url: String,
    path_style: bool,
}

impl Place {
    fn of(config: &S3Config) -> Result<Self> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if config.bucket.is_empty() || !config.bucket.chars().all(plain) {
            return Err(refused(format!("`bucket` is no bucket's name: {:?}", config.bucket)));
        }
        let region = config.region.clone().unwrap_or_else(|| "us-east-1".to_owned());
        let endpoint = config.endpoint.clone().unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        let Some((scheme @ ("http" | "https"), host)) = endpoint.split_once("://") else {
            return Err(refused(format!(
                "`endpoint` needs a scheme, http:// or https://: {}",
                endpoint.chars().take(80).collect::<String>()
            )));
        };
        let bad = |_| refused("`endpoint` is no URL of a server");
        let parsed = url::Url::parse(&endpoint).map_err(bad)?;
        if !parsed.username().is_empty() || parsed.password().is_some() || parsed.query().is_some() || parsed.fragment().is_some()
        {
            return Err(refused("`endpoint` is the URL of a server alone, without user, password or parameters"));
        }
        let path_style = config.path_style.unwrap_or(config.endpoint.is_some() || config.bucket.contains('.'));
        let url = match path_style {
            true => format!("{endpoint}/{}", config.bucket),
            false if config.bucket.contains('.') => {
                return Err(refused(
                    "a bucket with a dot in its name needs `path-style: true`: no certificate covers its host name",
                ));
            }
            false => format!("{scheme}://{}.{host}", config.bucket),
        };
        Ok(Self { region, endpoint, url, path_style })
    }

    /// opendal's service for the whole bucket. It signs nothing and reads nothing from the surroundings: our transport does that.
    fn service(&self, config: &S3Config) -> Result<Servicer> {
        let builder = services::S3::default()
            .bucket(&config.bucket)
            .endpoint(&self.endpoint)
            .region(&self.region)
            .disable_config_load()
            .disable_ec2_metadata()
            .skip_signature();
        let builder = if self.path_style { builder } else { builder.enable_virtual_host_style() };
        let operator = Operator::new(builder).map_err(|error| refused("the S3 service cannot be set up").with_source(error))?;
        Ok(operator.base_service().clone())
    }

    /// The parameters are those that BR and its relatives know, so that they can write beside us.
    fn external(&self, config: &S3Config, names: &Names) -> Option<ExternalLocation> {
        let prefix = names.under(&KeyPrefix::root());
        let mut location = ExternalLocation::new(format!("s3://{}/{prefix}", config.bucket))
            .parameter("endpoint", &self.endpoint)
            .parameter("region", &self.region)
            .parameter("force-path-style", self.path_style.to_string());
        let secrets = [
            ("access-key", &config.access_key_id),
            ("secret-access-key", &config.secret_access_key),
            ("session-token", &config.session_token),
        ];
        for (name, secret) in secrets {
            if let Some(secret) = secret {
                location = location.parameter(name, Secret::expose(secret));
            }
        }
        Some(location)
    }
}

#[async_trait]
impl Store for S3Store {
    fn capabilities(&self) -> Capabilities {
        let found = &self.bucket.found;
        Capabilities::default().conditional_create(found.conditional && found.conditional_multipart).retention_lock(found.lock)
    }

    fn writer_memory(&self, size_hint: Option<u64>) -> u64 {
        self.bucket.parts(size_hint).memory()
    }

    async fn put(&self, cx: &JobContext, key: &ObjectKey, body: Bytes, options: PutOptions) -> Result<ObjectMeta> {
        let stamp = self.bucket.stamp(cx, cx.job(), options.retain_until);
        put::put(&self.bucket, cx, key, vec![body], &stamp, options.if_absent).await
    }

    async fn writer(&self, cx: &JobContext, key: &ObjectKey, options: WriteOptions) -> Result<Box<dyn ObjectWriter>> {
        Ok(Box::new(writer::S3Writer::open(Arc::clone(&self.bucket), cx, key, options)?))
    }

    async fn give_up(&self, cx: &JobContext, key: &ObjectKey, upload: &str) -> Result<()> {
        let (wire, name) = (self.bucket.wire.clone(), self.bucket.names.object(key));
        multipart::Upload { wire, name, id: upload.to_owned() }.abort(cx).await
    }

    async fn read(&self, cx: &JobContext, key: &ObjectKey, options: ReadOptions) -> Result<ObjectRead> {
        read::read(&self.bucket, cx, key, options).await
    }

    async fn head(&self, cx: &JobContext, key: &ObjectKey) -> Result<ObjectMeta> {
        Ok(self.bucket.stat(cx, key).await?.meta)
    }

    fn list(&self, cx: &JobContext, prefix: &KeyPrefix, options: ListOptions) -> BoxStream<'static, Result<ObjectMeta>> {
        list::list(Arc::clone(&self.bucket), cx.clone(), prefix.clone(), options.start_after)
    }

    async fn delete(&self, cx: &JobContext, keys: &[ObjectKey]) -> Result<DeleteReport> {
        delete::delete(&self.bucket, cx, keys).await
    }

    async fn sweep(&self, cx: &JobContext, options: SweepOptions) -> Result<SweepReport> {
        sweep::sweep(&self.bucket, cx, &options).await
    }

    fn native_place(&self, prefix: &KeyPrefix) -> Option<NativePlace> {
        Some(NativePlace::new("s3", self.name.as_str(), self.bucket.names.under(prefix)))
    }

    fn external_location(&self, prefix: &KeyPrefix) -> Option<ExternalLocation> {
        let mut location = self.external.clone()?;
        location.url.push_str(prefix.as_str());
        Some(location)
    }
}
