//! What happens to a program's output before it is kept: secrets are struck out and long lines are cut.

use std::sync::Arc;

use backup_core::Secret;
use memchr::memmem;

/// Shorter values are too common in ordinary text to be struck out.
const SHORTEST_SECRET: usize = 6;
/// What stands in a secret's place.
const STRUCK: &[u8] = b"***";

/// The texts to strike out: each secret, and each line of one that has several.
#[derive(Debug, Clone, Default)]
pub(crate) struct Secrets(Arc<Vec<Secret>>);

impl Secrets {
    /// Keeps what is long enough to be struck out.
    pub(crate) fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let mut texts: Vec<&str> = Vec::new();
        for secret in secrets {
            texts.push(secret.expose());
            texts.extend(secret.expose().lines().map(str::trim));
        }
        texts.retain(|text| text.len() >= SHORTEST_SECRET);
        // A secret inside another one must not leave the other's rest behind: the longest goes first.
        texts.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
        texts.dedup();
        Self(Arc::new(texts.into_iter().map(Secret::from).collect()))
    }

    /// A whole text without them.
    #[cfg(feature = "br")]
    pub(crate) fn struck_from(&self, text: &str) -> String {
        let mut strainer = Strainer::new(self.clone(), usize::MAX / 2);
        let mut out = Vec::with_capacity(text.len());
        strainer.push(text.as_bytes(), &mut out);
        strainer.end(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }
}

/// Cleans one stream. What comes out of it never held a whole secret, wherever the reads happened to be cut.
#[derive(Debug)]
pub(super) struct Strainer {
    secrets: Secrets,
    /// Bytes that may be the start of a secret.
    held: Vec<u8>,
    line_limit: usize,
    line: usize,
    line_cut: u64,
}

impl Strainer {
    pub(super) fn new(secrets: Secrets, line_limit: usize) -> Self {
        Self { secrets, held: Vec::new(), line_limit, line: 0, line_cut: 0 }
    }

    /// Takes what was read, and appends what is certain by now to `out`.
    pub(super) fn push(&mut self, data: &[u8], out: &mut Vec<u8>) {
        let mut joined = std::mem::take(&mut self.held);
        let text = if joined.is_empty() {
            data
        } else {
            joined.extend_from_slice(data);
            &joined
        };
        let keep = self.strike(text, false, out);
        self.held = text.get(text.len() - keep..).unwrap_or_default().to_vec();
    }

    /// Appends what was held back.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        let held = std::mem::take(&mut self.held);
        self.strike(&held, true, out);
        self.note(out);
    }

    /// Hands on `text` without its secrets, and says how many bytes of its end may start another.
    fn strike(&mut self, text: &[u8], last: bool, out: &mut Vec<u8>) -> usize {
        let secrets = self.secrets.clone();
        let mut rest = text;
        loop {
            let found = secrets.0.iter().filter_map(|secret| {
                let secret = secret.expose().as_bytes();
                memmem::find(rest, secret).map(|at| (at, secret.len()))
            });
            // The earliest, and of those the longest, which comes first.
            let Some((at, len)) = found.reduce(|best, other| if other.0 < best.0 { other } else { best }) else { break };
            let open = if last { 0 } else { open_end(&secrets, rest) };
            if open >= rest.len() - at {
                // A longer secret may begin here, or before: what comes next tells.
                self.lines(rest.get(..rest.len() - open).unwrap_or_default(), out);
                return open;
            }
            self.lines(rest.get(..at).unwrap_or_default(), out);
            self.lines(STRUCK, out);
            rest = rest.get(at + len..).unwrap_or_default();
        }
        let keep = if last { 0 } else { open_end(&secrets, rest) };
        self.lines(rest.get(..rest.len() - keep).unwrap_or_default(), out);
        keep
    }

    fn lines(&mut self, mut rest: &[u8], out: &mut Vec<u8>) {
        while !rest.is_empty() {
            if self.line_cut == 0 {
                // Up to the last newline that comes in time, no line is too long: most output passes here, many lines at once.
                let room = self.line_limit.saturating_sub(self.line);
                let window = rest.get(..=room).unwrap_or(rest);
                let (kept, more) = match memchr::memrchr(b'\n', window) {
                    Some(at) => rest.split_at(at + 1),
                    None => rest.split_at(rest.len().min(room)),
                };
                out.extend_from_slice(kept);
                self.line = if kept.last() == Some(&b'\n') { 0 } else { self.line + kept.len() };
                rest = more;
                if self.line < self.line_limit || rest.first() == Some(&b'\n') {
                    continue;
                }
            }
            let at = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            self.line_cut = self.line_cut.saturating_add(at as u64);
            rest = rest.get(at..).unwrap_or_default();
            if let Some((newline, after)) = rest.split_first() {
                self.note(out);
                out.push(*newline);
                (self.line, rest) = (0, after);
            }
        }
    }

    fn note(&mut self, out: &mut Vec<u8>) {
        if self.line_cut > 0 {
            out.extend_from_slice(format!(" [{} bytes of this line cut out]", self.line_cut).as_bytes());
            self.line_cut = 0;
        }
    }
}

/// How many bytes at the end of `text` may be the start of a secret.
fn open_end(secrets: &Secrets, text: &[u8]) -> usize {
    secrets.0.iter().map(|secret| start_of(secret, text)).max().unwrap_or(0)
}

/// How many bytes at the end of `text` are the start of `secret`.
fn start_of(secret: &Secret, text: &[u8]) -> usize {
    let secret = secret.expose().as_bytes();
    let most = text.len().min(secret.len().saturating_sub(1));
    (1..=most).rev().find(|len| secret.get(..*len).is_some_and(|start| text.ends_with(start))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strain(secrets: &[&str], line: usize, pieces: &[&[u8]]) -> String {
        let secrets: Vec<Secret> = secrets.iter().map(|text| Secret::from(*text)).collect();
        let mut strainer = Strainer::new(Secrets::new(&secrets), line);
        let mut out = Vec::new();
        for piece in pieces {
            strainer.push(piece, &mut out);
        }
        strainer.end(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_secret_is_struck_out_wherever_the_reads_cut_it() {
        let text = b"the password is hunter2!, hunter2 is not, hunter2!hunter2!";
        for at in 0..=text.len() {
            let (a, b) = text.split_at(at);
            assert_eq!(strain(&["hunter2!"], 1000, &[a, b]), "the password is ***, hunter2 is not, ******", "cut at {at}");
        }
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(strain(&["hunter2!"], 1000, &bytes), "the password is ***, hunter2 is not, ******");
    }

    #[test]
    fn short_values_stay_and_the_lines_of_a_long_one_go() {
        assert_eq!(strain(&["on", ""], 1000, &[b"tracing on"]), "tracing on");
        let key = "-----BEGIN KEY-----\nMIIEvQIBADAN\n-----END KEY-----\n";
        assert_eq!(strain(&[key], 1000, &[b"bad line MIIEvQIBADAN in key"]), "bad line *** in key");
        assert_eq!(strain(&["secret", "my-secret-text"], 1000, &[b"a my-secret-text b secret"]), "a *** b ***");
    }

    #[test]
    fn a_secret_that_begins_with_another_one_goes_whole_wherever_the_reads_cut_it() {
        let text = b"as postgres-S3cret, as postgres-S3, as postgres";
        for at in 0..=text.len() {
            let (a, b) = text.split_at(at);
            let said = strain(&["postgres", "postgres-S3cret"], 1000, &[a, b]);
            assert_eq!(said, "as ***, as ***-S3, as ***", "cut at {at}");
        }
    }

    #[test]
    fn lines_are_cut_alike_wherever_the_reads_are_cut() {
        let text = "\n\nab\n0123456789\n01234567890\n0123456789ab\n\nxx\n0123456789\nlast line of all";
        let naive = |line: &str| match line.len().checked_sub(10) {
            Some(cut @ 1..) => format!("{} [{cut} bytes of this line cut out]", &line[..10]),
            _ => line.to_owned(),
        };
        let expected = text.split('\n').map(naive).collect::<Vec<_>>().join("\n");
        for size in 1..=text.len() {
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            assert_eq!(strain(&[], 10, &pieces), expected, "in pieces of {size}");
        }
    }

    #[test]
    fn a_long_line_is_cut_and_what_was_cut_is_counted() {
        let long = [b'x'; 50];
        assert_eq!(strain(&[], 10, &[&long, &long, b"\nnext\n"]), "xxxxxxxxxx [90 bytes of this line cut out]\nnext\n");
        assert_eq!(strain(&[], 10, &[&long]), "xxxxxxxxxx [40 bytes of this line cut out]");
    }
}
