//! Tests of the proxy, with clients that see every byte.

mod client;
mod http;

mod tcp;
