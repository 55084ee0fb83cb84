//! Tests of passing requests on.

mod answers;
mod requests;
mod site;
mod times;
mod tls;
