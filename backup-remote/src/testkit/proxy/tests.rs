//! Tests of the proxy, with clients that see every byte.

mod http;
mod support;
mod tcp;
