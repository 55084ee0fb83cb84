//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use super::failure::Failure;

pub(super) const HELP: &str = "\
quickstart: back something up, prove it, bring it back

Usage:
  quickstart           start a real etcd, back it up, restore it, compare every key
  quickstart PATH      back up a directory with tar, restore it, compare every file
  quickstart --help    this text

Backups go to ./demo-backups and stay there. Nothing else is kept: restored
copies and the etcd live in a temporary directory until the end. PATH is only read.

Environment:
  ETCD_BIN    the etcd server to start instead of the one that comes along
  TMPDIR      where temporary directories are made

Exit code: 0 when all that was restored equals the original, 1 when something
failed or differs, 2 for a wrong command line, 130 when it was interrupted.
";

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arguments {
    Help,
    Cluster,
    Directory(PathBuf),
}

impl Arguments {
    pub(super) fn parse(arguments: &[OsString]) -> Result<Self, Failure> {
        match arguments {
            [] => Ok(Self::Cluster),
            [only] if only == "--help" || only == "-h" => Ok(Self::Help),
            [option] if option.to_string_lossy().starts_with('-') => {
                Err(Failure::usage(format!("{} is no option; a path that starts with a dash is written ./-…", option.display())))
            }
            [path] => Ok(Self::Directory(path.into())),
            _ => Err(Failure::usage("more than one argument")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Arguments, Failure> {
        Arguments::parse(&arguments.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn the_command_line_is_nothing_a_path_or_help() {
        assert_eq!(parse(&[]).unwrap(), Arguments::Cluster);
        assert_eq!(parse(&["/etc"]).unwrap(), Arguments::Directory("/etc".into()));
        assert_eq!(parse(&["--help"]).unwrap(), Arguments::Help);
        for wrong in [&["--retsore"][..], &["a", "b"]] {
            assert!(parse(wrong).unwrap_err().to_string().contains("quickstart --help"), "{wrong:?}");
        }
    }
}
