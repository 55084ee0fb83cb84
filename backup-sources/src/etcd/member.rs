//! Which member the snapshot comes from.

use std::cmp::Reverse;

use backup_core::error::codes as core_codes;
use backup_core::{Error, JobContext, Probe, Result, Revision};
use etcd_client::{Client, StatusResponse};
use futures::future::join_all;

use super::client::{call, connect};
use super::codes;
use super::config::EtcdConfig;

/// A member that answered, with a client of it alone.
pub(super) struct Member {
    pub(super) endpoint: String,
    pub(super) client: Client,
    pub(super) standing: Standing,
}

/// Where a member says it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) cluster: u64,
    pub(super) member: u64,
    pub(super) revision: u64,
    pub(super) version: String,
    pub(super) db_size: u64,
    pub(super) is_leader: bool,
    pub(super) is_learner: bool,
    pub(super) errors: Vec<String>,
}

impl Standing {
    /// The cluster's id as etcdctl prints it.
    pub(super) fn identity(&self) -> String {
        format!("{:x}", self.cluster)
    }

    pub(super) fn probe(&self) -> Probe {
        Probe::default()
            .identity(self.identity())
            .revision(Revision::exact(self.revision))
            .version(self.version.clone())
            .size_hint(self.db_size)
    }

    /// Alarms are told by every member about all members.
    fn is_corrupt(&self) -> bool {
        let id = self.member.to_string();
        self.errors.iter().any(|error| error.contains("CORRUPT") && error.contains(&id))
    }

    /// The member with the greatest of these is taken: one that is whole, without errors, ahead, and not busy leading.
    fn rank(&self) -> (bool, bool, u64, bool) {
        (!self.is_corrupt(), self.errors.is_empty(), self.revision, !self.is_leader)
    }

    fn read(status: &StatusResponse, endpoint: &str) -> Result<Self> {
        let header = status
            .header()
            .ok_or_else(|| Error::new(&codes::FAILED, format!("etcd at {endpoint} answered a status without a header")))?;
        Ok(Self {
            cluster: header.cluster_id(),
            member: header.member_id(),
            revision: u64::try_from(header.revision()).unwrap_or(0),
            version: status.version().to_owned(),
            db_size: u64::try_from(status.db_size()).unwrap_or(0),
            is_leader: status.leader() == header.member_id(),
            is_learner: status.is_learner(),
            errors: status.errors().to_vec(),
        })
    }
}

impl Member {
    /// Where this member stands now. The revision is that of its own applied state, as a serializable read gives it.
    pub(super) async fn standing_now(&mut self, cx: &JobContext, config: &EtcdConfig) -> Result<Standing> {
        ask(cx, config, &self.endpoint, &mut self.client).await
    }
}

async fn ask(cx: &JobContext, config: &EtcdConfig, endpoint: &str, client: &mut Client) -> Result<Standing> {
    let status = call(cx, config, endpoint, "asking the status of", client.status()).await?;
    Standing::read(&status, endpoint)
}

async fn reach(cx: &JobContext, config: &EtcdConfig, endpoint: &str) -> Result<Member> {
    let mut client = connect(cx, config, endpoint).await?;
    let standing = ask(cx, config, endpoint, &mut client).await?;
    Ok(Member { endpoint: endpoint.to_owned(), client, standing })
}

/// Asks all endpoints at once and takes the best member; what is wrong with the others becomes warnings.
///
/// # Errors
/// When none can be used: the error of the first. `input.invalid` when the endpoints belong to different clusters.
pub(super) async fn choose(cx: &JobContext, config: &EtcdConfig) -> Result<(Member, Vec<String>)> {
    let mut warnings = Vec::new();
    let mut usable: Vec<Member> = Vec::new();
    let mut first_error = None;
    for answer in join_all(config.endpoints.iter().map(|endpoint| reach(cx, config, endpoint))).await {
        match answer {
            Ok(member) if member.standing.is_learner => {
                warnings.push(format!("the member at {} is a learner and was not considered", member.endpoint));
            }
            Ok(member) => usable.push(member),
            Err(error) => {
                warnings.push(format!("a member was not considered: {error}"));
                first_error.get_or_insert(error);
            }
        }
    }
    // A cancel makes every member look unreachable.
    cx.check()?;
    one_cluster(&usable)?;
    usable.sort_by_key(|member| Reverse(member.standing.rank()));
    let Some(member) = usable.into_iter().next() else {
        return Err(first_error.unwrap_or_else(|| {
            Error::new(&core_codes::INPUT_INVALID, "all endpoints are learners; add one of a voting member")
        }));
    };
    for error in &member.standing.errors {
        warnings.push(format!("etcd at {} reports: {}", member.endpoint, error.trim()));
    }
    tracing::debug!(endpoint = member.endpoint, revision = member.standing.revision, "member chosen");
    Ok((member, warnings))
}

fn one_cluster(members: &[Member]) -> Result<()> {
    let Some((first, others)) = members.split_first() else { return Ok(()) };
    match others.iter().find(|other| other.standing.cluster != first.standing.cluster) {
        None => Ok(()),
        Some(other) => Err(Error::new(
            &core_codes::INPUT_INVALID,
            format!(
                "the endpoints belong to different clusters: {} to {}, {} to {}",
                first.endpoint,
                first.standing.identity(),
                other.endpoint,
                other.standing.identity()
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(revision: u64, is_leader: bool, errors: &[&str]) -> Standing {
        Standing {
            cluster: 0xab,
            member: 77,
            revision,
            version: "3.6.15".into(),
            db_size: 1,
            is_leader,
            is_learner: false,
            errors: errors.iter().map(|&error| error.to_owned()).collect(),
        }
    }

    #[test]
    fn the_best_member_is_whole_then_without_errors_then_ahead_then_a_follower() {
        let corrupt = standing(90, false, &["memberID:77 alarm:CORRUPT "]);
        let told = standing(20, false, &["memberID:5 alarm:CORRUPT "]);
        let behind = standing(10, false, &[]);
        let leader = standing(11, true, &[]);
        let follower = standing(11, false, &[]);
        let order = [&corrupt, &told, &behind, &leader, &follower];
        assert!(order.is_sorted_by(|a, b| a.rank() < b.rank()));
        assert_eq!(corrupt.identity(), "ab");
    }
}
