//! What one job made.

use std::time::Duration;

use backup_core::event::Event;
use backup_core::{Effect, JobContext, Result};

use super::super::client::{Attachment, Cinder, CreateVolume, Mode, NewSnapshot, Patience, Snapshot, Volume};
use super::create::ATTEMPTS;
use super::leftovers::LeftoverKind;
use super::mark::{Mark, Role};
use super::remove::retried;

/// How long a job's end may take: a restart of Cinder, and the deletion of a volume.
pub(in super::super) const CLEANUP: Duration = Duration::from_secs(600);

/// The temporary things of a job, in the order in which they were asked for.
#[derive(Debug)]
#[must_use = "what was made has to be removed"]
pub(in super::super) struct Temporaries {
    cinder: Cinder,
    owner: String,
    made: Vec<Made>,
}

#[derive(Debug)]
enum Made {
    /// A snapshot or a volume; without an id when it is not known whether it is there.
    Marked { kind: LeftoverKind, mark: Mark, id: Option<String> },
    /// An attachment; without an id when it is not known whether it is there, and not one of `others` then.
    Attached { volume: String, others: Vec<String>, id: Option<String> },
}

impl Temporaries {
    pub(in super::super) fn new(cinder: &Cinder, owner: &str) -> Self {
        Self { cinder: cinder.clone(), owner: owner.to_owned(), made: Vec::new() }
    }

    /// Makes a temporary snapshot, and waits until it is there.
    pub(in super::super) async fn snapshot(
        &mut self,
        cx: &JobContext,
        order: NewSnapshot,
        patience: Patience,
    ) -> Result<Snapshot> {
        let mark = self.note(cx, LeftoverKind::Snapshot, Role::Temporary)?;
        let made = self.cinder.make_snapshot(cx, &mark, order).await?;
        self.known(&made.id);
        self.cinder.wait_for_snapshot(cx, &made.id, patience).await
    }

    /// Makes a volume that is removed unless somebody keeps it, and waits until it is there.
    pub(in super::super) async fn volume(
        &mut self,
        cx: &JobContext,
        role: Role,
        order: CreateVolume,
        patience: Patience,
    ) -> Result<Volume> {
        let mark = self.note(cx, LeftoverKind::Volume, role)?;
        let made = self.cinder.make_volume(cx, &mark, order).await?;
        self.known(&made.id);
        self.cinder.wait_for_volume(cx, &made.id, "available", patience).await
    }

    /// Takes over a volume that was made before, to be removed unless somebody keeps it.
    pub(in super::super) fn adopt(&mut self, cx: &JobContext, role: Role, volume: &str) -> Result<()> {
        self.note(cx, LeftoverKind::Volume, role)?;
        self.known(volume);
        Ok(())
    }

    /// Takes out what stays; its metadata say so already.
    pub(in super::super) fn kept(&mut self, thing: &str) {
        self.made.retain(|made| !matches!(made, Made::Marked { id: Some(id), .. } if id == thing));
    }

    /// Attaches a volume that is `available`. An attachment whose answer was lost is ended, and another one made, for the way to the bytes
    /// is told rightly only once.
    pub(in super::super) async fn attach(&mut self, cx: &JobContext, volume: &str, mode: Mode) -> Result<Attachment> {
        let others: Vec<String> = self.cinder.attachments(cx, volume).await?.into_iter().map(|other| other.id).collect();
        let mut attempt = 0;
        loop {
            attempt += 1;
            self.made.push(Made::Attached { volume: volume.to_owned(), others: others.clone(), id: None });
            match self.cinder.create_attachment(cx, volume, mode).await {
                Ok(attachment) => {
                    self.known(&attachment.id);
                    return Ok(attachment);
                }
                Err(error) if error.effect() == Effect::Unknown && cx.check().is_ok() && attempt < ATTEMPTS => {
                    tracing::warn!(%error, "whether the volume was attached is not known; looking");
                    if self.cinder.detach_lost(cx, volume, &others).await? > 0 {
                        self.made.pop();
                        self.cinder.wait_for_volume(cx, volume, "available", Patience::default()).await?;
                    }
                }
                Err(error) => {
                    // Nothing was made, and what is attached is somebody else's.
                    if error.effect() == Effect::None {
                        self.made.pop();
                    }
                    return Err(error);
                }
            }
        }
    }

    /// Makes a snapshot one that stays, in its metadata too.
    pub(in super::super) async fn keep(&mut self, cx: &JobContext, snapshot: &str, role: Role) -> Result<()> {
        let metadata = [(super::ROLE.to_owned(), role.as_str().to_owned())].into();
        self.cinder.set_snapshot_metadata(cx, snapshot, &metadata).await?;
        self.kept(snapshot);
        Ok(())
    }

    /// Removes everything, the newest first, and waits until it is gone. What could not be removed is told as a warning, and found again by
    /// [`Cinder::leftovers`].
    ///
    /// A cancel does not reach it: it ends by itself.
    pub(in super::super) async fn remove(self, cx: &JobContext) -> Vec<String> {
        let cx = &cx.for_cleanup(CLEANUP);
        let Self { cinder, made, .. } = self;
        let mut warnings = Vec::new();
        for made in made.into_iter().rev() {
            let (what, removed) = match &made {
                Made::Attached { volume, others, id } => {
                    let ended = retried(cx, || async {
                        match id {
                            Some(id) => cinder.delete_attachment(cx, id).await.map(drop),
                            None => cinder.detach_lost(cx, volume, others).await.map(drop),
                        }
                    });
                    (format!("the attachment of the volume {volume}"), ended.await)
                }
                Made::Marked { kind, mark, id } => {
                    let what = format!("the temporary {kind} {}", id.as_deref().unwrap_or("whose id is not known"));
                    (what, remove(cx, &cinder, *kind, mark, id.as_deref()).await)
                }
            };
            if let Err(error) = removed {
                // The volume was deleted, and its attachments with it.
                if error.is_not_found() {
                    continue;
                }
                let text = format!("{what} could not be removed from Cinder, and is left for the next recovery: {error}");
                cx.event(Event::Warning(text.clone()));
                warnings.push(text);
            }
        }
        warnings
    }

    fn note(&mut self, cx: &JobContext, kind: LeftoverKind, role: Role) -> Result<Mark> {
        let mark = Mark::new(cx, &self.owner, role)?;
        self.made.push(Made::Marked { kind, mark: mark.clone(), id: None });
        Ok(mark)
    }

    /// The id of what was noted last.
    fn known(&mut self, made: &str) {
        if let Some(Made::Marked { id, .. } | Made::Attached { id, .. }) = self.made.last_mut() {
            *id = Some(made.to_owned());
        }
    }
}

async fn remove(cx: &JobContext, cinder: &Cinder, kind: LeftoverKind, mark: &Mark, id: Option<&str>) -> Result<()> {
    match id {
        Some(id) => cinder.remove_thing(cx, kind, id).await,
        None => {
            let found = retried(cx, || cinder.look_for(cx, kind, mark)).await?;
            match found {
                Some(id) => cinder.remove_thing(cx, kind, &id).await,
                None => Ok(()),
            }
        }
    }
}
