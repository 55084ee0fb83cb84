//! For tests: whether a running router is what its OpenAPI document says.

mod contract;
mod routes;

pub use contract::Contract;
