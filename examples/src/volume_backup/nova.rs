//! The little that is asked of Nova. The source of the format: Compute API v2.1, "Show Server Details".

use backup_core::{Error, JobContext, Result};
use backup_http::openstack::Server;
use backup_remote::Call;
use backup_remote::http::http::{Request, StatusCode};
use backup_remote::keystone::Service;
use backup_sources::cinder::check_id;
use serde::Deserialize;

use super::codes;

/// An instance with many addresses has some 10 KiB.
const ANSWER: u64 = 4 << 20;

#[derive(Deserialize)]
struct Shown {
    server: Instance,
}

#[derive(Deserialize)]
struct Instance {
    id: String,
    #[serde(default)]
    name: Option<String>,
    status: String,
    #[serde(default, rename = "os-extended-volumes:volumes_attached")]
    volumes: Vec<Attached>,
}

#[derive(Deserialize)]
struct Attached {
    id: String,
}

/// Shows an instance; nothing when there is none of that id, or none that may be seen.
pub(super) async fn server(cx: &JobContext, nova: &Service, id: &str) -> Result<Option<Server>> {
    let path = format!("{}/servers/{}", nova.url(), check_id("server", id)?);
    let request = Request::builder().uri(path).header("accept", "application/json").body(Vec::new());
    let request = request.map_err(|error| Error::new(&codes::NOVA_FAILED, format!("Nova's endpoint is no URL: {error}")))?;
    let answer = nova.fetch(cx, &Call::reading("ShowServer"), request, ANSWER).await?;
    match answer.status() {
        StatusCode::OK => {
            let shown: Shown = serde_json::from_slice(answer.body()).map_err(|error| {
                Error::new(&codes::NOVA_FAILED, format!("Nova's answer about the instance {id} makes no sense: {error}"))
            })?;
            let Instance { id, name, status, volumes } = shown.server;
            let name = name.unwrap_or_default();
            Ok(Some(Server::new(id, name, status).volumes(volumes.into_iter().map(|volume| volume.id))))
        }
        StatusCode::NOT_FOUND => Ok(None),
        status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            Err(Error::new(&codes::NOVA_DENIED, format!("showing the instance {id}: Nova answered {status}")))
        }
        status => Err(Error::new(&codes::NOVA_FAILED, format!("showing the instance {id}: Nova answered {status}"))),
    }
}
