//! Ports for servers that a test starts.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below what Linux gives to outgoing connections (32768 and up): one of those may take a port there between the choice and the
/// server's start.
const FIRST: u16 = 10_000;
const COUNT: u16 = 20_000;

/// A port on loopback where nobody listens, and that this process was not told before.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Processes that run beside each other begin at different places.
    let begin = (std::process::id().wrapping_mul(257) % u32::from(COUNT)) as u16;
    for _ in 0..COUNT {
        let place = u32::from(begin) + u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = FIRST + (place % u32::from(COUNT)) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port from {FIRST} on is free");
}
