//! The data that is backed up: the same for every run.

use std::error::Error;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::Settings;

const MIB: usize = 1 << 20;

/// xorshift64* (Marsaglia, Vigna): good enough that nothing compresses it.
pub(super) struct Numbers(u64);

impl Numbers {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn random(&mut self, len: usize) -> Vec<u8> {
        (0..len.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).take(len).collect()
    }

    /// Words of which few are frequent, as in a log or a page of prose: gzip makes about a third of it.
    fn prose(&mut self, len: usize) -> Vec<u8> {
        const SYLLABLES: [&str; 16] =
            ["ba", "cor", "den", "el", "fi", "gra", "ho", "in", "ka", "lo", "men", "no", "per", "ro", "sta", "ver"];
        let mut text = Vec::with_capacity(len + 16);
        while text.len() < len {
            let number = self.next();
            // The product of two uniform numbers: small words are frequent.
            let mut word = ((number & 0xff) * (number >> 8 & 0xff)) >> 2;
            loop {
                let syllable = SYLLABLES.get((word % 16) as usize).unwrap_or(&"");
                text.extend_from_slice(syllable.as_bytes());
                word /= 16;
                if word == 0 {
                    break;
                }
            }
            text.push(if number >> 60 == 0 { b'\n' } else { b' ' });
        }
        text.truncate(len);
        text
    }

    /// What Kubernetes keeps in etcd: JSON with names, identifiers, a hash here and there.
    pub(super) fn object(&mut self, len: usize) -> Vec<u8> {
        let mut json = String::with_capacity(len + 512);
        while json.len() < len {
            let (a, b, c) = (self.next(), self.next(), self.next());
            let _ = write!(
                json,
                r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"web-{:x}","namespace":"team-{}","uid":"{a:016x}-{b:016x}","resourceVersion":"{}","labels":{{"app":"web","tier":"frontend","release":"stable"}}}},"spec":{{"nodeName":"node-{}","containers":[{{"name":"web","image":"registry.example/web@sha256:{:016x}{:016x}","resources":{{"limits":{{"cpu":"500m","memory":"256Mi"}}}}}}]}},"status":{{"phase":"Running","podIP":"10.{}.{}.{}"}}}}"#,
                c & 0xfffff,
                a % 40,
                c % 10_000_000,
                b % 200,
                a ^ c,
                b ^ c,
                a % 256,
                b % 256,
                c % 256
            );
        }
        json.truncate(len);
        json.into_bytes()
    }
}

/// A file of this kind (`mixed`, `json`, `tar`) and about this size; made when it is not there.
pub(super) fn file(settings: &Settings, kind: &str, mib: u64) -> Result<PathBuf, Box<dyn Error + Send + Sync>> {
    let path = settings.path(&format!("{kind}-{mib}"));
    if path.exists() {
        return Ok(path);
    }
    let partial = path.with_extension("partial");
    let mut out = BufWriter::new(File::create(&partial)?);
    let mut numbers = Numbers::new(mib);
    match kind {
        "tar" => sources(&mut out, mib)?,
        _ => {
            for at in 0..mib {
                out.write_all(&match (kind, at % 2) {
                    ("json", _) => numbers.object(MIB),
                    (_, 0) => numbers.prose(MIB),
                    _ => numbers.random(MIB),
                })?;
            }
        }
    }
    out.into_inner()?.sync_all()?;
    fs::rename(partial, &path)?;
    Ok(path)
}

/// A tar of the sources of the crates that cargo has fetched for this workspace.
fn sources(out: &mut impl Write, mib: u64) -> super::Outcome {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo"))).ok_or("no CARGO_HOME")?;
    let mut tar = Command::new("tar")
        .args(["--sort=name", "-cf", "-", "-C"])
        .arg(home.join("registry/src"))
        .arg(".")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(stdout) = tar.stdout.take() {
        std::io::copy(&mut stdout.take(mib << 20), out)?;
    }
    // Cut off at the size that is wanted, so its exit says nothing.
    tar.wait()?;
    Ok(())
}
