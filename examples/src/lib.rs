//! What the programs of this folder are made of.

pub mod quickstart;
