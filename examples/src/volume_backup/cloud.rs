//! The dialect's cloud: Keystone, Cinder and Nova.

use std::fmt;
use std::sync::Arc;

use backup_core::{Error, JobContext, RestoreTarget, Result, Secret, Source, async_trait};
use backup_http::openstack::{
    Caller, Cloud, Leftover, Principal, Resource, Server, Snapshot, SnapshotOrder, SourceOrder, Volume, VolumeOrder,
};
use backup_remote::http::Http;
use backup_remote::keystone::{Keystone, Service, Validated, Validator};
use backup_sources::cinder::access::VolumeAccess;
use backup_sources::cinder::{self, Cinder, CinderSource, CreateVolume, Mark, NewSnapshot, SourceOptions, Target};
use serde_json::json;

use super::quotas::Quotas;
use super::{codes, convert, nova};

/// By what catalogues call Cinder, the newest name first, and Nova.
const VOLUME: [&str; 3] = ["block-storage", "volumev3", "block-store"];
const COMPUTE: [&str; 1] = ["compute"];

/// The cloud.
pub(super) struct RealCloud {
    pub(super) keystone: Keystone,
    pub(super) validator: Validator,
    /// How Nova is called.
    pub(super) http: Http,
    /// As our own user.
    pub(super) cinder: Cinder,
    pub(super) access: Arc<dyn VolumeAccess>,
    pub(super) options: SourceOptions,
    pub(super) quotas: Quotas,
}

impl RealCloud {
    /// Cinder, on somebody's behalf. What is done without a caller is done as ourselves: an administrator sees all projects.
    fn cinder(&self, by: &Principal) -> Result<Cinder> {
        let Principal::Caller(caller) = by else { return Ok(self.cinder.clone()) };
        let none = || Error::new(&backup_remote::keystone::codes::NO_ENDPOINT, "the caller's catalogue has no volume service");
        self.cinder.for_caller(cinder::Caller {
            token: caller.token.clone(),
            project_id: caller.project_id.clone(),
            endpoint: caller.volume_endpoint.clone().ok_or_else(none)?,
        })
    }

    async fn nova(&self, cx: &JobContext, by: &Principal) -> Result<Service> {
        let Principal::Caller(caller) = by else { return self.keystone.service(cx, self.http.clone(), &COMPUTE).await };
        let none = || Error::new(&backup_remote::keystone::codes::NO_ENDPOINT, "the caller's catalogue has no compute service");
        let endpoint = caller.compute_endpoint.as_deref().ok_or_else(none)?;
        self.keystone.on_behalf(self.http.clone(), endpoint, &caller.token)
    }

    fn of(&self, by: &Principal) -> Result<CinderSource> {
        CinderSource::new(self.cinder(by)?, Arc::clone(&self.access), self.options.clone())
    }

    fn caller(&self, token: &Secret, said: &Validated) -> Option<Caller> {
        let project = said.project.as_ref()?;
        let mut caller = Caller::new(token.clone(), project.id.as_str(), said.user.id.as_str(), said.expires_at)
            .project_name(project.name.as_str())
            .roles(said.roles().map(str::to_owned));
        let config = self.keystone.config();
        let endpoint = |types: &[&str]| {
            let found = said.catalogue().endpoint(types, config.interface, config.region.as_deref());
            found.map(str::to_owned).ok()
        };
        caller.volume_endpoint = endpoint(&VOLUME);
        caller.compute_endpoint = endpoint(&COMPUTE);
        Some(caller)
    }
}

#[async_trait]
impl Cloud for RealCloud {
    async fn validate(&self, cx: &JobContext, token: &Secret) -> Result<Option<Caller>> {
        let said = self.validator.validate(cx, token).await?;
        Ok(said.and_then(|said| self.caller(token, &said)))
    }

    async fn volume(&self, cx: &JobContext, by: &Principal, id: &str) -> Result<Option<Volume>> {
        Ok(found(self.cinder(by)?.volume(cx, id).await)?.map(convert::volume))
    }

    async fn has_volume_type(&self, cx: &JobContext, by: &Principal, volume_type: &str) -> Result<bool> {
        let types = self.cinder(by)?.volume_types(cx).await?;
        Ok(types.iter().any(|known| known.name == volume_type || known.id == volume_type))
    }

    async fn server(&self, cx: &JobContext, by: &Principal, id: &str) -> Result<Option<Server>> {
        nova::server(cx, &self.nova(cx, by).await?, id).await
    }

    async fn snapshot(&self, cx: &JobContext, by: &Principal, id: &str) -> Result<Option<Snapshot>> {
        let snapshot = found(self.cinder(by)?.snapshot(cx, id).await)?;
        Ok(snapshot.filter(|snapshot| !matches!(snapshot.status.as_str(), "deleting" | "deleted")).map(convert::snapshot))
    }

    async fn create_snapshot(&self, cx: &JobContext, by: &Principal, order: &SnapshotOrder) -> Result<Snapshot> {
        let mark = Mark::of_job(cx, &self.options.owner, &order.job, convert::role_of(order.role))?;
        let snapshot = NewSnapshot { volume_id: order.volume_id.clone(), name: order.name.clone(), ..NewSnapshot::default() };
        self.cinder(by)?.make_snapshot(cx, &mark, snapshot).await.map(convert::snapshot)
    }

    async fn await_snapshot(&self, cx: &JobContext, by: &Principal, id: &str) -> Result<()> {
        self.cinder(by)?.wait_for_snapshot(cx, id, self.options.patience).await.map(drop)
    }

    async fn delete_snapshot(&self, cx: &JobContext, by: &Principal, id: &str) -> Result<()> {
        let cinder = self.cinder(by)?;
        if cinder.delete_snapshot(cx, id).await? {
            cinder.wait_until_snapshot_gone(cx, id, self.options.patience).await?;
        }
        Ok(())
    }

    async fn limit(&self, cx: &JobContext, by: &Principal, resource: Resource) -> Result<Option<u64>> {
        let own = self.quotas.of(resource);
        let Principal::Caller(caller) = by else { return Ok(own) };
        if !self.quotas.keystone {
            return Ok(own);
        }
        let over = || Error::new(&codes::LIMITS_UNKNOWN, "the token has ended while the limits of the project were looked up");
        let said = self.validator.validate(cx, &caller.token).await?.ok_or_else(over)?;
        let Some(service) = said.catalogue().service_id(&self.quotas.service) else { return Ok(own) };
        let region = self.keystone.config().region.as_deref();
        let limit = self.keystone.limit(cx, &caller.token, service, resource.as_str(), region, &caller.project_id).await?;
        Ok(limit.or(own))
    }

    fn keeps_bases(&self) -> bool {
        // Elsewhere nobody can tell what changed since it: everything is read and compared.
        self.access.reads_snapshots()
    }

    fn source(&self, by: &Principal, order: SourceOrder) -> Result<Arc<dyn Source>> {
        let mut source = self.of(by)?.volume(&order.volume.id)?.backup_id(&order.backup_id)?.named(order.name, None);
        if let Some(snapshot) = &order.snapshot {
            source = source.snapshot(snapshot)?;
        }
        if let Some(parent) = order.parent {
            source = source.incremental(parent.reader, parent.base.as_deref())?;
        }
        Ok(Arc::new(source.keep_snapshot(order.keep_base && self.keeps_bases())))
    }

    async fn create_volume(&self, cx: &JobContext, by: &Principal, order: &VolumeOrder) -> Result<String> {
        let mark = Mark::of_job(cx, &self.options.owner, &order.job, cinder::Role::Restoring)?;
        let new = convert::new_volume(order);
        let volume = CreateVolume {
            size: order.size,
            name: new.name,
            volume_type: new.volume_type,
            availability_zone: new.availability_zone,
            ..CreateVolume::default()
        };
        Ok(self.cinder(by)?.make_volume(cx, &mark, volume).await?.id)
    }

    fn restorer(&self, by: &Principal, volume_id: &str, order: &VolumeOrder) -> Result<(Arc<dyn Source>, RestoreTarget)> {
        let mut target = Target::default();
        target.volume_id = Some(volume_id.to_owned());
        target.new = Some(convert::new_volume(order));
        let target = RestoreTarget::new(json!(target));
        Ok((Arc::new(self.of(by)?), target))
    }

    async fn is_restored(&self, cx: &JobContext, by: &Principal, volume_id: &str) -> Result<bool> {
        self.of(by)?.is_restored(cx, volume_id).await
    }

    async fn settle_restored(
        &self,
        cx: &JobContext,
        by: &Principal,
        volume_id: &str,
        order: &VolumeOrder,
        failed: Option<&str>,
    ) -> Result<()> {
        self.of(by)?.settle_volume(cx, volume_id, &convert::new_volume(order), failed).await
    }

    async fn rollback(&self, cx: &JobContext, by: &Principal, volume: &Volume, snapshot: &Snapshot) -> Result<()> {
        self.of(by)?.rollback(cx, &volume.id, &snapshot.id).await
    }

    async fn end_rollback(&self, cx: &JobContext, by: &Principal, volume_id: &str, failed: Option<&str>) -> Result<bool> {
        self.of(by)?.end_rollback(cx, volume_id, failed).await
    }

    async fn mark_volume(&self, cx: &JobContext, by: &Principal, volume_id: &str, why: &str) -> Result<()> {
        self.cinder(by)?.mark_failed(cx, volume_id, why).await
    }

    async fn leftovers(&self, cx: &JobContext) -> Result<Vec<Leftover>> {
        let all = self.cinder.leftovers(cx, &self.options.owner).await?;
        Ok(all.iter().filter_map(convert::leftover).collect())
    }

    async fn remove_leftover(&self, cx: &JobContext, leftover: &Leftover) -> Result<()> {
        // Looked for once more: a volume that is whole by now is given back, not deleted.
        let all = self.cinder.leftovers(cx, &self.options.owner).await?;
        match all.iter().find(|found| found.id == leftover.id) {
            Some(found) => self.cinder.remove_leftover(cx, found).await,
            None => Ok(()),
        }
    }
}

/// Nothing for what Cinder does not have.
fn found<T>(shown: Result<T>) -> Result<Option<T>> {
    match shown {
        Ok(thing) => Ok(Some(thing)),
        Err(error) if error.code() == &cinder::codes::NOT_FOUND => Ok(None),
        Err(error) => Err(error),
    }
}

impl fmt::Debug for RealCloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RealCloud").field("keystone", &self.keystone).field("access", &self.access.kind()).finish_non_exhaustive()
    }
}
