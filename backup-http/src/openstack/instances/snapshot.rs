//! A snapshot of all volumes of an instance.

use std::sync::Arc;

use backup_core::Result;

use super::order::SnapshotOrder as Order;
use crate::openstack::errors::Failure;
use crate::openstack::id::job_id;
use crate::openstack::record::{InstanceSnapshot, Member, Status};
use crate::openstack::{Caller, Inner, Principal, Resource, Role, Server, SnapshotOrder, why};

impl Inner {
    /// Takes an instance snapshot on, and answers with its id.
    ///
    /// # Cancel safety
    /// Not cancel safe: to be called from a task that nobody drops.
    pub(in crate::openstack) async fn create_instance_snapshot(
        self: &Arc<Self>,
        caller: Arc<Caller>,
        order: Order,
    ) -> Result<String, Failure> {
        let by = Principal::Caller(Arc::clone(&caller));
        let server = self.takeable_server(&by, &order.instance_id, "Instance").await?;
        let limit = self.limit(&by, Resource::InstanceSnapshots).await?;
        let lock = self.lock_project(&caller.project_id).await?;
        self.check_quota::<InstanceSnapshot>(&caller.project_id, limit, 1).await?;
        let record = InstanceSnapshot {
            id: self.new_id(),
            name: order.name,
            project_id: caller.project_id.clone(),
            instance_id: server.id.clone(),
            plan_id: order.plan_id,
            retention: order.retention,
            created_at: self.now(),
            updated_at: None,
            status: Status::Building,
            fail_reason: None,
            owner: Some(self.owner.name().to_owned()),
            members: Vec::new(),
            span_ms: None,
        };
        let (leave, _) = self.claim(&record.id);
        self.create_surely(&record).await?;
        drop(lock);
        tracing::info!(snapshot = record.id, instance = server.id, user = caller.user, "an instance snapshot was taken on");
        let (this, id) = (Arc::clone(self), record.id.clone());
        self.spawn(leave, async move { this.run_instance_snapshot(by, record, server).await });
        Ok(id)
    }

    async fn run_instance_snapshot(self: Arc<Self>, by: Principal, record: InstanceSnapshot, server: Server) {
        let (project, id) = (record.project_id.as_str(), record.id.as_str());
        let failed = self.take_instance_snapshot(&by, &record, &server).await.err();
        if let Some(reason) = &failed {
            tracing::error!(snapshot = id, reason, "an instance snapshot failed");
        }
        self.amend_surely::<InstanceSnapshot>(project, id, |record| {
            record.owner = None;
            if record.status != Status::Deleting {
                record.status = if failed.is_some() { Status::Error } else { Status::Active };
                record.fail_reason.clone_from(&failed);
            }
        })
        .await;
        match failed {
            Some(_) => self.disorder.notify_one(),
            None => self.retain::<InstanceSnapshot>(project, id).await,
        }
    }

    /// All of them, or none.
    async fn take_instance_snapshot(&self, by: &Principal, record: &InstanceSnapshot, server: &Server) -> Result<(), String> {
        let text = |error: backup_core::Error| why(&error);
        let _locks = self.lock_together(&server.id, &server.volumes).await.map_err(text)?;
        let job = job_id(&record.id).map_err(text)?;
        let order = |volume: &String| SnapshotOrder::new(volume, &record.id, Role::Kept, job.as_str());
        let orders: Vec<SnapshotOrder> = server.volumes.iter().map(order).collect();
        let (asked, span) = self.snapshot_together(by, &orders).await;
        let (mut members, mut faults) = (Vec::new(), Vec::new());
        for (asked, volume) in asked.into_iter().zip(&server.volumes) {
            match asked {
                Ok(snapshot) => members.push(Member { id: snapshot.id, volume_id: volume.clone() }),
                Err(error) => faults.push(format!("volume {volume}: {}", why(&error))),
            }
        }
        let noted = self.amend_surely::<InstanceSnapshot>(&record.project_id, &record.id, |record| {
            record.members.clone_from(&members);
            record.span_ms = Some(span);
        });
        if !noted.await {
            faults.push("the record could not be kept".to_owned());
        }
        if faults.is_empty() {
            for member in &members {
                if let Err(error) = self.await_snapshot(by, &member.id).await {
                    faults.push(format!("volume {}: {}", member.volume_id, why(&error)));
                }
            }
        }
        if faults.is_empty() {
            return Ok(());
        }
        let made: Vec<String> = members.iter().map(|member| member.id.clone()).collect();
        self.drop_snapshots(&record.project_id, &made).await;
        self.amend_surely::<InstanceSnapshot>(&record.project_id, &record.id, |record| record.members.clear()).await;
        Err(faults.join("; "))
    }
}
