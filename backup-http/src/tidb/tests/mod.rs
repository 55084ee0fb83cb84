//! The dialect over clusters that the test plays, with a real engine below.

mod backups;
mod crash;
mod incremental;
mod listing;
mod locks;
mod openapi;
mod refusals;
mod restore;
mod strategies;
mod world;
