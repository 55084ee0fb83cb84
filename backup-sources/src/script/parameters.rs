//! Parameters of a request, as variables of a script's environment.

use std::collections::BTreeMap;

use backup_core::{Error, Result, Secret};

use super::codes;
use crate::process::INHERITED;

/// The longest value, in bytes: the kernel's limit for one string is the same.
pub const MAX_PARAMETER: usize = 128 << 10;

/// Names by which a shell, the loader or an interpreter is made to run something else.
const HARMFUL: [&str; 10] =
    ["IFS", "ENV", "BASH_ENV", "SHELLOPTS", "BASHOPTS", "PS4", "PROMPT_COMMAND", "GCONV_PATH", "NODE_OPTIONS", "RUBYOPT"];
/// Names that every shell sets itself, so that a script would not get the value; and those of the shell in front of each program.
const SHELLS_OWN: [&str; 3] = ["PWD", "OLDPWD", "SHLVL"];
const GATES_OWN: &str = "__backup_";
const HARMFUL_PREFIXES: [&str; 4] = ["PYTHON", "PERL5", "LD_", "DYLD_"];

/// Variables for scripts that come from outside: each name and each value was checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters(BTreeMap<String, Secret>);

impl Parameters {
    /// Adds a parameter; the last one of a name wins. `reserved` are names that the caller sets itself.
    ///
    /// # Errors
    /// `script.parameter` for a name that is not `[A-Za-z_][A-Za-z0-9_]*`, is reserved, is one of those that every script inherits
    /// (`PATH`, `HOME`, `LANG`, `TMPDIR`) or makes shells, loaders or interpreters run something else (`LD_PRELOAD`, `BASH_ENV`);
    /// for a value with a zero byte or above 128 KiB. The message names the parameter, never its value.
    pub fn insert(&mut self, name: &str, value: impl Into<Secret>, reserved: &[&str]) -> Result<()> {
        let value = value.into();
        let shown: String = name.chars().take(80).collect();
        let refuse = |why: &str| Err(Error::new(&codes::PARAMETER, format!("the parameter {shown:?} {why}")));
        let mut bytes = name.bytes();
        let starts = bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_');
        if !starts || !bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return refuse("cannot be the name of a variable");
        }
        let harmful = HARMFUL.contains(&name) || HARMFUL_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        let lost = SHELLS_OWN.contains(&name) || name.starts_with(GATES_OWN);
        if harmful || lost || INHERITED.contains(&name) || reserved.contains(&name) {
            return refuse("has the name of a variable that is not the request's to set");
        }
        if value.expose().contains('\0') {
            return refuse("has a value with a zero byte");
        }
        // The name, `=` and a zero byte count, too, where the kernel counts.
        if name.len().saturating_add(value.expose().len()).saturating_add(2) > MAX_PARAMETER {
            return refuse("has a value above 128 KiB");
        }
        self.0.insert(name.to_owned(), value);
        Ok(())
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_be_attacks_are_refused_and_others_taken() {
        let mut parameters = Parameters::default();
        for bad in [
            "",
            "PATH",
            "HOME",
            "LD_PRELOAD",
            "LD_",
            "BASH_ENV",
            "ENV",
            "IFS",
            "PYTHONPATH",
            "PERL5LIB",
            "DYLD_INSERT_LIBRARIES",
            "A=B",
            "A B",
            "1A",
            "A\0",
            "BASH_FUNC_ls%%",
            "../x",
            "S3_BUCKET",
            "PS4",
            "GCONV_PATH",
            "é",
        ] {
            let error = parameters.insert(bad, "do-not-show", &["S3_BUCKET"]).unwrap_err();
            assert_eq!(error.code().name, "script.parameter", "{bad:?}");
            assert!(!error.to_string().contains("do-not-show"));
        }
        assert!(parameters.insert("zero", "a\0b", &[]).is_err());
        assert!(parameters.insert("long", "x".repeat(MAX_PARAMETER + 1), &[]).is_err());
        assert_eq!(parameters, Parameters::default());
        for good in ["retries", "_", "PGPORT", "S3_BUCKET", "key2", "path"] {
            parameters.insert(good, "a\nb=c", &[]).unwrap();
        }
        parameters.insert("retries", "3", &[]).unwrap();
        let retries: Vec<_> = parameters.iter().filter(|(name, _)| *name == "retries").map(|(_, value)| value.expose()).collect();
        assert_eq!(retries, ["3"]);
    }
}
