//! The memory of this process. A test that looks at it is the only one of its file.

/// The memory in use at some time.
pub struct Memory(u64);

impl Memory {
    /// Forgets the peak of before.
    pub fn mark() -> Self {
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        Self(bytes("VmRSS"))
    }

    /// How many bytes more there were since, at most.
    pub fn peak(&self) -> u64 {
        bytes("VmHWM").saturating_sub(self.0)
    }
}

fn bytes(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}
