//! Tests of the client of Keystone.

mod catalogue;
