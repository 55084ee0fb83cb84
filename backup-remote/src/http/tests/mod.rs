//! Tests of the client, through the proxy to a real server.

mod answers;
mod bodies;
mod breaks;
mod requests;
mod secrets;
mod site;
mod streamed;
mod tls;
