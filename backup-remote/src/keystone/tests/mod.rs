//! Tests of the client of Keystone.

mod catalogue;
mod limits;
mod stand_in;
mod validate;
