//! What is run for a stage.

use std::path::PathBuf;

use backup_core::error::codes::INPUT_INVALID;
use backup_core::{Error, Result, Secret};

use super::codes;
use super::stage::Stage;

/// What is run for a stage. Arguments are shown nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// A program and its arguments.
    Command(Vec<Secret>),
    /// The script `<directory>/<stage>`, else `<directory>/<stage>.sh`, run by `bash` with these arguments; its mode and its first
    /// line do not matter. It is looked for when its turn comes.
    Script {
        /// Where the scripts lie.
        directory: PathBuf,
        /// Their arguments.
        arguments: Vec<Secret>,
    },
}

impl Program {
    /// A program and its arguments.
    pub fn command(argv: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::Command(argv.into_iter().map(|argument| Secret::new(argument)).collect())
    }

    /// Program and arguments, as they are started.
    pub(super) fn argv(&self, stage: Stage) -> Result<Vec<String>> {
        let plain = |arguments: &[Secret]| arguments.iter().map(|argument| argument.expose().to_owned()).collect::<Vec<_>>();
        match self {
            Self::Command(argv) => Ok(plain(argv)),
            Self::Script { directory, arguments } => {
                let candidates = [stage.name().to_owned(), format!("{stage}.sh")].map(|name| directory.join(name));
                let found = candidates.iter().find(|path| path.is_file());
                let path = found.and_then(|path| path.to_str()).ok_or_else(|| missing(stage, directory))?;
                Ok([vec!["bash".to_owned(), path.to_owned()], plain(arguments)].concat())
            }
        }
    }

    /// Refuses what no program can be given.
    pub(super) fn check(&self, stage: Stage) -> Result<()> {
        let (Self::Command(arguments) | Self::Script { arguments, .. }) = self;
        let refuse = |what| Err(Error::new(&INPUT_INVALID, format!("the {stage} stage: {what}")));
        if arguments.iter().any(|argument| argument.expose().contains('\0')) {
            return refuse("an argument holds a zero byte");
        }
        match self {
            Self::Command(argv) if argv.first().is_none_or(Secret::is_empty) => refuse("no program is named"),
            _ => Ok(()),
        }
    }
}

fn missing(stage: Stage, directory: &std::path::Path) -> Error {
    let directory = directory.display();
    Error::new(
        &codes::MISSING,
        format!("no script was found for the {stage} stage: neither {directory}/{stage} nor {directory}/{stage}.sh"),
    )
}
