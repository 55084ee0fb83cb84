//! The way to BR through the program `br`.
//!
//! The program stands behind a gate until a note of its process group is on disk, so that whatever becomes of this process, what it
//! started is found again ([`notes`]). Its log comes to us instead of into a file, so that its progress can be read while it runs
//! ([`output`]); what of it is kept is bounded, and without secrets.

mod arguments;
mod home;
mod line;
mod notes;
mod output;
mod pd;
mod run;
#[cfg(test)]
mod tests;
mod version;

use backup_core::store::ExternalLocation;
use backup_core::{Error, JobContext, Result, async_trait};

use super::config::ProgramConfig;
use super::executor::{Cluster, Done, Executor, Order};
use super::{Tso, codes};
use arguments::Action;
use home::Seen;
use pd::Pd;

/// The program `br`, and PD for what has to be known before it is started.
#[derive(Debug)]
pub(super) struct ProgramExecutor {
    config: ProgramConfig,
    pd: Pd,
}

impl ProgramExecutor {
    /// Connects to nothing.
    ///
    /// # Errors
    /// `br.config`; `remote.config` when a TLS file cannot be used.
    pub(super) fn new(config: &ProgramConfig) -> Result<Self> {
        let wrong = |what: String| Err(Error::new(&codes::CONFIG, what));
        if config.notes.as_os_str().is_empty() {
            return wrong("the directory where running programs are noted is not set".to_owned());
        }
        if config.cert_file.is_some() != config.key_file.is_some() {
            return wrong("`cert-file` and `key-file` are given together or not at all".to_owned());
        }
        let unfit = |address: &&String| address.is_empty() || address.contains(|c: char| c == ',' || c.is_whitespace());
        if let Some(address) = config.pd.iter().find(unfit) {
            return wrong(format!("`pd` holds {address:?}, which is no `host:port`"));
        }
        Ok(Self { config: config.clone(), pd: Pd::new(config)? })
    }
}

#[async_trait]
impl Executor for ProgramExecutor {
    /// What PD does not tell is `None`; a PD that is not there is reported by `br` itself.
    async fn identify(&self, cx: &JobContext) -> Result<Cluster> {
        let (id, stores) = (self.pd.cluster_id(cx).await?, self.pd.stores(cx).await?);
        // What a backup may be restored into depends on the oldest TiKV, which is also what BR asks.
        let version = match version::oldest(&stores) {
            Some(version) => Some(version.to_string()),
            None => self.pd.version(cx).await?,
        };
        Ok(Cluster { id, version })
    }

    async fn gc_safe_point(&self, cx: &JobContext) -> Result<Option<Tso>> {
        self.pd.gc_safe_point(cx).await
    }

    async fn backup(&self, cx: &JobContext, order: &Order) -> Result<Done> {
        run::run(self, cx, Action::Backup, order).await
    }

    async fn restore(&self, cx: &JobContext, order: &Order) -> Result<Done> {
        run::run(self, cx, Action::Restore, order).await
    }

    async fn end_leftovers(&self, cx: &JobContext, location: &ExternalLocation) -> Result<usize> {
        let (mut ended, mut elsewhere) = (0, Vec::new());
        for left in notes::left(&self.config.notes, &location.url).await? {
            if left.seen == Seen::Elsewhere {
                elsewhere.push(format!("{} ({})", left.note.path().display(), left.home));
                continue;
            }
            if let Some(group) = left.group.as_ref().filter(|group| left.seen == Seen::Here && group.runs()) {
                group.end(cx, self.config.grace).await;
                if group.runs() {
                    let what = format!("a `br` that was left working on {} does not end", location.url);
                    return Err(Error::new(&codes::FAILED, what));
                }
                ended += 1;
            }
            left.note.remove().await?;
        }
        if elsewhere.is_empty() {
            return Ok(ended);
        }
        let what = format!(
            "whether a `br` still works on {} cannot be seen from here; noted are {}",
            location.url,
            elsewhere.join(", ")
        );
        Err(Error::new(&codes::LEFT_ELSEWHERE, what))
    }
}
