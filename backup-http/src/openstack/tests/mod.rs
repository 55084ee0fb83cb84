//! The dialect over a cloud that the test plays, with a real engine below.

mod backups;
mod cloud;
mod crash;
mod forward;
mod incremental;
mod instances;
mod listing;
mod moving;
mod openapi;
mod order;
mod quotas;
mod refusals;
mod removal;
mod restore;
mod rollback;
mod world;
