//! What the dialect runs: staged scripts, and transfers to and from the stores of the requests.

use std::path::PathBuf;
use std::sync::Arc;

use backup_core::budget::MemoryBudget;
use backup_core::{Result, async_trait};
use backup_http::backup_agent::{AgentWork, Interrupted, JobRequest, Operation, Run};
use backup_sources::script::{LogLimits, Parameters, Plan, Request, interrupted};

use backup_stores::OpenOptions;

use super::config::Config;
use super::failures;
use super::job::{ScriptJob, Stores, Undo};
use super::place;

/// Bytes that are kept of the start and of the end of each stream of a script.
const LOG: usize = 256 << 10;

/// The scripts and what their jobs need.
#[derive(Debug)]
pub struct Scripts {
    config: Arc<Config>,
    running: PathBuf,
    stores: Stores,
}

impl Scripts {
    /// The scripts that a configuration names. Stores are opened with these options.
    pub fn new(config: Arc<Config>, options: OpenOptions) -> Self {
        let memory = MemoryBudget::new(config.upload_memory);
        Self { running: config.running(), config, stores: Stores { options, memory } }
    }

    /// What a job runs.
    fn plan(&self, request: &JobRequest) -> Result<Plan> {
        let database = &request.database;
        let mut parameters = Parameters::default();
        for (name, value) in &database.parameters {
            parameters.insert(name, value.clone(), place::RESERVED)?;
        }
        let mut staged = Request::new(
            &request.id,
            &database.host,
            &database.username,
            database.password.clone(),
            &database.name,
            &request.filename,
        );
        staged.compression = request.compression;
        staged.encryption_key = request.encryption_key.clone();
        staged.parameters = parameters;
        staged.secrets_in = self.config.secrets_in;
        Ok(self.limited(staged, request))
    }

    fn limited(&self, staged: Request, request: &JobRequest) -> Plan {
        let mut plan = staged.plan(failures::operation(request.operation), &self.config.scripts);
        // Backups and restores have ids of their own, and share the directory of records.
        plan.id = record_name(request.operation, &request.id);
        plan.time_limit = self.config.script_timeout;
        plan.log = LogLimits::new(LOG, LOG);
        plan.state_directory = Some(self.running.clone());
        if request.skip_storage {
            let variables = place::variables(&request.destination);
            plan.environment.extend(variables.into_iter().map(|(name, value)| (name.to_owned(), value)));
        }
        plan.secrets.extend(place::secrets(&request.destination));
        plan
    }
}

fn record_name(operation: Operation, id: &str) -> String {
    format!("{}-{id}", operation.as_str())
}

#[async_trait]
impl AgentWork for Scripts {
    fn prepare(&self, request: JobRequest) -> Result<Arc<dyn Run>> {
        let plan = self.plan(&request)?;
        if !request.skip_storage {
            // What could not be a key is refused before anything is done for it.
            place::key(&request.destination, if request.filename.is_empty() { "file" } else { &request.filename })?;
        }
        Ok(Arc::new(ScriptJob::new(Arc::clone(&self.config), self.stores.clone(), plan, request)))
    }

    async fn interrupted(&self) -> Result<Vec<Interrupted>> {
        let mut jobs = Vec::new();
        for job in interrupted(&self.running)? {
            let named = [Operation::Backup, Operation::Restore]
                .into_iter()
                .find_map(|operation| Some((operation, job.id().strip_prefix(&record_name(operation, ""))?.to_owned())));
            match named {
                Some((operation, id)) => {
                    jobs.push(Interrupted::new(operation, id, Arc::new(Undo::new(job, self.stores.options.clone()))))
                }
                None => {
                    tracing::warn!(record = job.id(), "this record of a running job is none of the agent's; it is left alone")
                }
            }
        }
        Ok(jobs)
    }
}
