//! Servers beside a comparison.

use std::error::Error;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running program; killed when dropped.
pub(super) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Starts it, and waits until it answers at the address.
    pub(super) fn start(command: &mut Command, address: &str) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut running = Self(child.map_err(|error| format!("{command:?} does not start: {error}"))?);
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(address).is_err() {
            if let Some(status) = running.0.try_wait()? {
                return Err(format!("{command:?} ended with {status}; is {address} taken?").into());
            }
            if Instant::now() > deadline {
                return Err(format!("{command:?} does not answer at {address}").into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(running)
    }

    pub(super) fn pid(&self) -> u32 {
        self.0.id()
    }
}
