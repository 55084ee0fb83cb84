//! Programs that this one needs.

use std::path::{Path, PathBuf};

/// A path as people write it: from here, or from the home directory.
pub(super) fn shown(path: &Path) -> String {
    let below = |folder: Option<PathBuf>, short: &str| {
        let rest = path.strip_prefix(folder?).ok()?;
        Some(format!("{short}{}", rest.display()))
    };
    let here = below(std::env::current_dir().ok(), "");
    here.or_else(|| below(std::env::home_dir(), "~/")).unwrap_or_else(|| path.display().to_string())
}

/// A program of the project's own tools (`.tools/`), or of `PATH`.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(|root| root.join(".tools"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let here = std::env::current_dir().ok().map(|directory| directory.join(".tools"));
    [here, project]
        .into_iter()
        .flatten()
        .chain(std::env::split_paths(&path))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}
