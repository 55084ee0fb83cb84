//! What PD tells of a cluster over HTTP (`/pd/api/v1` of tikv/pd). No backup depends on an answer: where none comes, `br` itself will say
//! what is wrong.

use backup_core::{Error, JobContext, Result};
use backup_remote::http::http::{Method, Request};
use backup_remote::http::{Http, HttpOptions};
use backup_remote::{Call, CallLimits, Calls};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::version::Store;
use crate::br::config::ProgramConfig;
use crate::br::{Tso, codes};

/// Bytes of an answer: thousands of stores.
const ANSWER: u64 = 16 << 20;

/// PD, at its addresses.
#[derive(Debug)]
pub(super) struct Pd {
    http: Http,
    bases: Vec<String>,
}

#[derive(Deserialize)]
struct ClusterAnswer {
    id: u64,
}

#[derive(Deserialize)]
struct VersionAnswer {
    version: String,
}

#[derive(Deserialize)]
struct SafePointAnswer {
    gc_safe_point: u64,
}

#[derive(Deserialize)]
struct StoresAnswer {
    #[serde(default)]
    stores: Vec<StoreAnswer>,
}

#[derive(Deserialize)]
struct StoreAnswer {
    store: Store,
}

impl Pd {
    pub(super) fn new(config: &ProgramConfig) -> Result<Self> {
        // There are several of them, and an answer is a convenience: no long waits.
        let mut limits = CallLimits::default();
        (limits.attempts, limits.timeout_secs, limits.stall_secs) = (2, 10, 5);
        let identity = config.cert_file.clone().zip(config.key_file.clone());
        let options = HttpOptions::default().ca_file(config.ca_file.clone()).identity_files(identity);
        let scheme = if config.ca_file.is_some() { "https" } else { "http" };
        let http = Http::new(Calls::new("pd", limits), &options).map_err(|error| error.context("the TLS files of PD"))?;
        Ok(Self { http, bases: config.pd.iter().map(|address| format!("{scheme}://{address}/pd/api/v1")).collect() })
    }

    pub(super) async fn cluster_id(&self, cx: &JobContext) -> Result<Option<String>> {
        let answer: Option<ClusterAnswer> = self.hear(cx, "GetCluster", "/cluster").await?;
        Ok(answer.map(|answer| answer.id.to_string()))
    }

    /// Its own version.
    pub(super) async fn version(&self, cx: &JobContext) -> Result<Option<String>> {
        let answer: Option<VersionAnswer> = self.hear(cx, "GetVersion", "/version").await?;
        Ok(answer.map(|answer| answer.version.trim_start_matches('v').to_owned()))
    }

    /// The stores, TiFlash's and removed ones too; none when it does not answer.
    pub(super) async fn stores(&self, cx: &JobContext) -> Result<Vec<Store>> {
        let answer: Option<StoresAnswer> = self.hear(cx, "GetStores", "/stores").await?;
        Ok(answer.into_iter().flat_map(|answer| answer.stores).map(|entry| entry.store).collect())
    }

    /// `None` when PD answers and does not tell.
    ///
    /// # Errors
    /// `br.unreachable` when no address answers.
    pub(super) async fn gc_safe_point(&self, cx: &JobContext) -> Result<Option<Tso>> {
        let answer: Option<SafePointAnswer> = self.ask(cx, "GetGCSafePoint", "/gc/safepoint").await?;
        Ok(answer.map(|answer| Tso(answer.gc_safe_point)))
    }

    /// The first good answer, where an answer is a convenience.
    async fn hear<T: DeserializeOwned>(&self, cx: &JobContext, operation: &'static str, path: &str) -> Result<Option<T>> {
        match self.ask(cx, operation, path).await {
            Err(error) if *error.code() == codes::UNREACHABLE => Ok(None),
            heard => heard,
        }
    }

    /// The first good answer of one of them; `None` when what they say is no good.
    ///
    /// # Errors
    /// `br.unreachable` when none of them says anything.
    async fn ask<T: DeserializeOwned>(&self, cx: &JobContext, operation: &'static str, path: &str) -> Result<Option<T>> {
        let mut silent = Vec::new();
        for base in &self.bases {
            let url = format!("{base}{path}");
            let request = Request::builder().method(Method::GET).uri(&url).body(Vec::new());
            let request = request.map_err(|error| Error::new(&codes::CONFIG, format!("no URL {url:?}: {error}")))?;
            match self.http.fetch(cx, &Call::reading(operation), &request, ANSWER).await {
                Ok(answer) if answer.status().is_success() => match serde_json::from_slice(answer.body()) {
                    Ok(answer) => return Ok(Some(answer)),
                    Err(error) => tracing::debug!(url, %error, "PD's answer is not understood"),
                },
                Ok(answer) => tracing::debug!(url, status = %answer.status(), "PD does not answer this"),
                Err(error) => {
                    cx.check()?;
                    tracing::debug!(url, %error, "PD does not answer");
                    silent.push(error);
                }
            }
        }
        match silent.pop() {
            Some(last) if silent.len() + 1 == self.bases.len() => {
                let what = format!("none of the {} addresses of PD answered", self.bases.len());
                Err(Error::new(&codes::UNREACHABLE, what).with_source(last))
            }
            _ => Ok(None),
        }
    }
}
