//! What BR's error texts mean.
//!
//! BR has one exit status and TiDB one error code for whatever goes wrong; what it was stands as `[BR:Group:ErrName]` in the text
//! (`br/pkg/errors/errors.go` of pingcap/tidb).

use backup_core::Error;
use backup_core::error::{Code, Retry};

use super::codes;

/// Bytes of BR's text that a message keeps: it repeats itself with stack traces.
const TEXT_LIMIT: usize = 2_000;

/// An error of BR's text, which must be free of secrets by now. Its effect is none; only the caller knows what had begun.
pub(super) fn of(text: &str) -> Error {
    let (code, retry) = classify(text);
    Error::new(code, shown(text)).with_retry(retry)
}

/// The text on one line, and bounded.
pub(super) fn shown(text: &str) -> String {
    let mut line = text.split(['\r', '\n']).map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ");
    if line.len() > TEXT_LIMIT {
        let cut = (0..=TEXT_LIMIT).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
        line.truncate(cut);
        line.push('…');
    }
    line
}

/// The code for BR's text, and whether trying again helps.
pub(super) fn classify(text: &str) -> (&'static Code, Retry) {
    let has = |word: &str| text.contains(word);
    let any = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let as_usual = |code: &'static Code| (code, code.retry);
    // What names the cause comes before what merely wraps it: an outer `ErrUnknown` or `BR:PD` says less.
    if any(&["ErrBackupGCSafepointExceeded", "GC safepoint"]) {
        as_usual(&codes::GC_PASSED)
    } else if any(&["backup meta file exists", "backup lock file exists", "backup lock exists"]) {
        as_usual(&codes::NOT_EMPTY)
    } else if any(&["ErrVersionMismatch", "ErrRestoreIncompatibleSys"]) {
        as_usual(&codes::VERSION)
    } else if has("ErrStorageInvalidPermission") || any(REFUSED_BY_STORAGE) {
        as_usual(&codes::DENIED)
    } else if any(&["ErrInvalidArgument", "ErrStorageInvalidConfig", "ErrRestoreModeMismatch"]) {
        as_usual(&codes::CONFIG)
    } else if any(&["ErrBackupChecksumMismatch", "ErrRestoreChecksumMismatch", "ErrInvalidMetaFile"]) {
        as_usual(&codes::NOT_WHOLE)
    } else if has("ErrRestoreNotFreshCluster") {
        as_usual(&codes::NOT_FRESH)
    } else if has("ErrKVClusterIDMismatch") {
        // It stays like this until somebody points it at another cluster.
        (&codes::FAILED, Retry::Never)
    } else if has("BR:PD:") {
        as_usual(&codes::UNREACHABLE)
    } else if any(&["context canceled", "Query execution was interrupted"]) {
        as_usual(&codes::ENDED)
    } else {
        as_usual(&codes::FAILED)
    }
}

/// How stores and file systems say no. BR wraps that in whatever step it was at.
const REFUSED_BY_STORAGE: &[&str] = &[
    "AccessDenied",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "permission denied",
    "Permission denied",
    "PermissionDenied",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_in_the_text_decides_also_inside_another_one() {
        for (text, code) in [
            ("Backup failed: [BR:Backup:ErrBackupGCSafepointExceeded]GC safepoint 4 exceed TS 3", &codes::GC_PASSED),
            (
                "[BR:Common:ErrInvalidArgument]backup meta file exists in s3://b/p, there may be some backup files",
                &codes::NOT_EMPTY,
            ),
            ("[BR:Common:ErrInvalidArgument]LastBackupTS is not less than BackupTS", &codes::CONFIG),
            ("[BR:Common:ErrVersionMismatch]TiKV node 127.0.0.1:20160 version 4.0.0 is too low", &codes::VERSION),
            ("[BR:Restore:ErrRestoreIncompatibleSys]incompatible column", &codes::VERSION),
            ("[BR:ExternalStorage:ErrStorageInvalidConfig]Bucket b is not accessible: AccessDenied: no", &codes::DENIED),
            ("[BR:ExternalStorage:ErrStorageInvalidPermission]no GetObject", &codes::DENIED),
            ("[BR:ExternalStorage:ErrStorageInvalidConfig]unknown scheme", &codes::CONFIG),
            ("[BR:PD:ErrPDLeaderNotFound]no leader", &codes::UNREACHABLE),
            ("[BR:PD:ErrPDUpdateFailed]x: [BR:Backup:ErrBackupGCSafepointExceeded]y", &codes::GC_PASSED),
            ("[BR:Restore:ErrRestoreNotFreshCluster]cluster is not fresh", &codes::NOT_FRESH),
            ("Backup failed: context canceled", &codes::ENDED),
            ("[BR:Backup:ErrBackupChecksumMismatch]mismatch", &codes::NOT_WHOLE),
            ("[BR:ExternalStorage:ErrStorageUnknown]timeout", &codes::FAILED),
            ("something new", &codes::FAILED),
        ] {
            let error = of(text);
            assert_eq!((error.code().name, error.retry()), (code.name, code.retry), "{text}");
        }
        assert_eq!(classify("[BR:KV:ErrKVClusterIDMismatch]another cluster"), (&codes::FAILED, Retry::Never));
    }

    #[test]
    fn a_message_is_one_bounded_line() {
        let error = of(&format!("first\r\n  second\n{}", "ü".repeat(3_000)));
        assert!(error.message().starts_with("first; second; ü"), "{error}");
        assert!(error.message().len() < TEXT_LIMIT + 10, "{}", error.message().len());
        assert!(!error.message().contains('\n'));
    }
}
