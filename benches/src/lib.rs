//! The whole-process comparison with other tools, and what our side of it does. `README.md` beside this crate has the figures.

pub mod compare;
pub mod job;
pub mod proc;
