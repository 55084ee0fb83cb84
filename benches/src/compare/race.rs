//! Two programs in turns, A B A B, each a whole process.

use std::error::Error;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::proc::{children_cpu, cpu_of, family_kib, load, machine_busy};

/// What one side runs.
pub(super) struct Side<'a> {
    pub(super) name: &'a str,
    /// Not measured: makes room, warms the page cache.
    pub(super) prepare: Box<dyn Fn() -> super::Outcome + 'a>,
    pub(super) command: Box<dyn Fn() -> Command + 'a>,
}

/// What is measured, and against what.
pub(super) struct Race<'a> {
    pub(super) name: String,
    /// Ours takes at most so much of the peer's time.
    pub(super) goal: f64,
    pub(super) ours: Side<'a>,
    pub(super) peer: Side<'a>,
    /// A server that works for both sides: its processor time is counted.
    pub(super) server: Option<u32>,
}

struct Sample {
    wall: f64,
    cpu: f64,
    server: f64,
    others: f64,
    peak_kib: u64,
    output: Vec<u8>,
}

/// The last thing our side said.
pub(super) type Report = Value;

impl Race<'_> {
    /// Runs it, prints it, and hands out what our side reported.
    pub(super) fn run(&self, rounds: usize) -> Result<Vec<Report>, Box<dyn Error + Send + Sync>> {
        let (mut ours, mut peer) = (Vec::new(), Vec::new());
        let before = load();
        for _ in 0..rounds {
            ours.push(self.sample(&self.ours)?);
            peer.push(self.sample(&self.peer)?);
        }
        println!("\n{} (load {before} before, {} after)", self.name, load());
        line(self.ours.name, &ours);
        line(self.peer.name, &peer);
        let ratios: Vec<f64> = ours.iter().zip(&peer).map(|(ours, peer)| ours.wall / peer.wall).collect();
        let (low, middle, high) = spread(ratios);
        let met = if middle <= self.goal { "met" } else { "MISSED" };
        println!("  ratio {low:.2}/{middle:.2}/{high:.2}, goal {:.2}: {met}", self.goal);
        Ok(ours.iter().map(|sample| serde_json::from_slice(&sample.output).unwrap_or_default()).collect())
    }

    fn sample(&self, side: &Side<'_>) -> Result<Sample, Box<dyn Error + Send + Sync>> {
        (side.prepare)()?;
        let mut command = (side.command)();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let server = || self.server.map_or(Duration::ZERO, cpu_of);
        let before = (children_cpu(), server(), machine_busy());
        let start = Instant::now();
        let child = command.spawn().map_err(|error| format!("{}: {command:?} does not start: {error}", side.name))?;
        let (output, peak_kib) = watched(child)?;
        let wall = start.elapsed();
        let (cpu, server, busy) = (children_cpu() - before.0, server() - before.1, machine_busy() - before.2);
        if !output.status.success() {
            return Err(format!("{}: {}", side.name, String::from_utf8_lossy(&output.stderr)).into());
        }
        let processors = std::thread::available_parallelism().map_or(1, usize::from) as f64;
        let others = busy.saturating_sub(cpu + server).as_secs_f64() / (wall.as_secs_f64() * processors);
        Ok(Sample {
            wall: wall.as_secs_f64(),
            cpu: cpu.as_secs_f64(),
            server: server.as_secs_f64(),
            others,
            peak_kib,
            output: output.stdout,
        })
    }
}

/// Waits for a process; gives the most memory that it and its children were seen with.
fn watched(child: Child) -> std::io::Result<(Output, u64)> {
    let (pid, ended) = (child.id(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut peak = 0;
            while !ended.load(Ordering::Relaxed) {
                peak = peak.max(family_kib(pid));
                std::thread::sleep(Duration::from_millis(10));
            }
            peak
        });
        let output = child.wait_with_output();
        ended.store(true, Ordering::Relaxed);
        Ok((output?, watcher.join().unwrap_or_default()))
    })
}

fn line(name: &str, samples: &[Sample]) {
    let of = |value: fn(&Sample) -> f64| spread(samples.iter().map(value).collect());
    let (low, middle, high) = of(|sample| sample.wall);
    let (_, cpu, _) = of(|sample| sample.cpu);
    let (_, server, _) = of(|sample| sample.server);
    let (_, others, most) = of(|sample| sample.others);
    let (others, most) = (others * 100.0, most * 100.0);
    let (_, _, peak) = of(|sample| sample.peak_kib as f64 / 1024.0);
    println!(
        "  {name:<24} {low:6.2}/{middle:.2}/{high:.2} s, processor {cpu:.1} s, server {server:.1} s, at most {peak:.0} MiB, others {others:.0} % (at most {most:.0} %)"
    );
}

/// The least, the median, the most.
pub(super) fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    (at(0), at(values.len() / 2), at(values.len().saturating_sub(1)))
}
