//! The answer: a table for people, or one JSON document for programs, on standard output.

use std::io::Write;

use serde::Serialize;

use super::table::Table;

/// Where and how the answer is printed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    json: bool,
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        Self { json }
    }

    pub(super) fn is_json(self) -> bool {
        self.json
    }

    /// A line for people.
    pub(super) fn line(self, line: &str) {
        if !self.json {
            say(&mut std::io::stdout(), &super::table::clean(line));
        }
    }

    /// A table for people.
    pub(super) fn table(self, table: &Table) {
        if !self.json {
            table.lines(width(std::io::stdout())).iter().for_each(|line| say(&mut std::io::stdout(), line));
        }
    }

    /// What is going to happen, for the one who is asked: never among the answer for programs.
    pub(super) fn plan(self, table: &Table, summary: &str) {
        if self.json {
            table.lines(width(std::io::stderr())).iter().for_each(|line| say(&mut std::io::stderr(), line));
            say(&mut std::io::stderr(), summary);
        } else {
            self.table(table);
            self.line(summary);
        }
    }

    /// The answer for programs.
    pub(super) fn document(self, document: &impl Serialize) {
        if self.json
            && let Ok(text) = serde_json::to_string_pretty(document)
        {
            say(&mut std::io::stdout(), &text);
        }
    }
}

/// A note beside the answer.
pub(super) fn note(line: &str) {
    say(&mut std::io::stderr(), &super::table::clean(line));
}

/// A reader that went away (`| head`) is no reason to panic, as `println!` does.
fn say(to: &mut dyn Write, line: &str) {
    let _ = writeln!(to, "{line}");
}

/// The columns of a terminal.
fn width(of: impl std::os::fd::AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(of).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}
