//! Attachments: the right to reach the bytes of a volume, and how.

use backup_core::{JobContext, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use super::page::{Listed, escaped};
use super::request::Ask;
use super::{Cinder, Microversion, check_id};

/// What may be done through an attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Reading alone.
    ReadOnly,
    /// Reading and writing.
    ReadWrite,
}

impl Mode {
    /// Its word at Cinder.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "ro",
            Self::ReadWrite => "rw",
        }
    }
}

/// An attachment, as Cinder shows it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct Attachment {
    /// Its id.
    pub id: String,
    /// Its state: `reserved`, `attaching`, `attached` …
    pub status: String,
    /// The volume.
    pub volume_id: String,
    /// The instance that it is for.
    pub instance: Option<String>,
    /// How the bytes are reached; flat, with `driver_volume_type` among the rest.
    pub connection_info: Option<Value>,
}

/// An attachment, as a list shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct AttachmentSummary {
    /// Its id.
    pub id: String,
    /// Its state.
    pub status: String,
    /// The volume.
    pub volume_id: String,
    /// The instance that it is for.
    pub instance: Option<String>,
}

impl Listed for AttachmentSummary {
    fn id(&self) -> &str {
        &self.id
    }
}

#[derive(Deserialize)]
struct Shown {
    attachment: Attachment,
}

impl Cinder {
    /// Attaches a volume to this host, for no instance; the volume is `attaching`, and nobody else's, until
    /// [`Cinder::delete_attachment`].
    ///
    /// # Errors
    /// `cinder.state` when it is not `available`; `cinder.version` before 3.27; as every call. With the effect `unknown` it may be attached.
    pub async fn create_attachment(&self, cx: &JobContext, volume: &str, mode: Mode) -> Result<Attachment> {
        let volume = check_id("volume", volume)?;
        let connector = &self.shared.connector;
        let mut attachment = json!({ "volume_uuid": volume, "connector": {
            "host": connector.host,
            "ip": connector.ip,
            "os_type": std::env::consts::OS,
            "platform": std::env::consts::ARCH,
            "multipath": false,
            "do_local_attach": false,
            "mode": mode.as_str(),
        } });
        // Older ones take the mode from the connector alone.
        let version = match self.newest(cx).await? >= Microversion::ATTACH_MODE {
            true => Microversion::ATTACH_MODE,
            false => Microversion::ATTACHMENTS,
        };
        if let (Microversion::ATTACH_MODE, Some(attachment)) = (version, attachment.as_object_mut()) {
            attachment.insert("mode".to_owned(), mode.as_str().into());
        }
        let (body, doing) = (json!({ "attachment": attachment }), format!("attaching the volume {volume}"));
        let ask = Ask::make("CreateAttachment", "/attachments".to_owned(), body, doing).version(version);
        let shown: Shown = self.read(cx, ask).await?;
        Ok(shown.attachment)
    }

    /// Keeps a volume from everybody, without a way to its bytes; it is `reserved` until [`Cinder::delete_attachment`].
    ///
    /// # Errors
    /// `cinder.state` when it is not `available`; `cinder.version` before 3.27; as every call.
    pub async fn reserve_volume(&self, cx: &JobContext, volume: &str) -> Result<Attachment> {
        let volume = check_id("volume", volume)?;
        let (body, doing) = (json!({ "attachment": { "volume_uuid": volume } }), format!("reserving the volume {volume}"));
        let ask = Ask::make("ReserveVolume", "/attachments".to_owned(), body, doing).version(Microversion::ATTACHMENTS);
        let shown: Shown = self.read(cx, ask).await?;
        Ok(shown.attachment)
    }

    /// Shows an attachment.
    ///
    /// # Errors
    /// `cinder.not_found`; as every call.
    pub async fn attachment(&self, cx: &JobContext, id: &str) -> Result<Attachment> {
        let path = format!("/attachments/{}", check_id("attachment", id)?);
        let ask = Ask::get("ShowAttachment", path, format!("showing the attachment {id}")).version(Microversion::ATTACHMENTS);
        let shown: Shown = self.read(cx, ask).await?;
        Ok(shown.attachment)
    }

    /// The attachments of a volume, those that are not complete too.
    ///
    /// # Errors
    /// As every call.
    pub async fn attachments(&self, cx: &JobContext, volume: &str) -> Result<Vec<AttachmentSummary>> {
        let volume = check_id("volume", volume)?;
        let query = [format!("volume_id={}", escaped(volume)), "all_tenants=1".to_owned()];
        let mut all: Vec<AttachmentSummary> =
            self.list_at(cx, "ListAttachments", "/attachments", "attachments", &query, Microversion::ATTACHMENTS).await?;
        all.retain(|attachment| attachment.volume_id == volume);
        Ok(all)
    }

    /// Tells Cinder that an attachment is in use now: its volume is `in-use`.
    ///
    /// # Errors
    /// `cinder.version` before 3.44; as every call.
    pub async fn complete_attachment(&self, cx: &JobContext, id: &str) -> Result<()> {
        let path = format!("/attachments/{}/action", check_id("attachment", id)?);
        let doing = format!("completing the attachment {id}");
        let ask = Ask::make("CompleteAttachment", path, json!({ "os-complete": {} }), doing).version(Microversion::COMPLETE);
        self.ask(cx, ask).await.map(drop)
    }

    /// Ends an attachment. `false` when there was none of this id.
    ///
    /// # Errors
    /// As every call.
    pub async fn delete_attachment(&self, cx: &JobContext, id: &str) -> Result<bool> {
        let path = format!("/attachments/{}", check_id("attachment", id)?);
        let doing = format!("ending the attachment {id}");
        let ask = Ask::delete("DeleteAttachment", path, doing).version(Microversion::ATTACHMENTS);
        super::wait::gone(self.ask(cx, ask).await).map(|deleted| deleted.is_some())
    }
}
