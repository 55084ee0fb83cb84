//! Failures of a job, in the words of the original.

use super::stage::{Operation, Stage};
use super::work::{Cause, Failure};

/// `error_message`: the first failure as the original says it, the others added.
pub(super) fn text(operation: Operation, destination: &str, failures: &[Failure]) -> Option<String> {
    let (first, others) = failures.split_first()?;
    let mut text = sentence(operation, &cause(operation, destination, first));
    for other in others {
        text += &format!("; {} failed, too, due to '{}'", other.stage, cause(operation, destination, other));
    }
    Some(text)
}

/// A failure that no stage has.
pub(super) fn sentence(operation: Operation, why: &str) -> String {
    format!("{} failed due to '{why}'", operation.title())
}

fn cause(operation: Operation, destination: &str, failure: &Failure) -> String {
    let script = |why: String| match failure.stage {
        Stage::Backup => format!("Executing the shell script failed due to '{why}'"),
        _ => why,
    };
    match &failure.cause {
        Cause::NoScript => script(format!("No script found for the {} stage.", failure.stage)),
        Cause::Exit(code) => script(format!("exit status {code}")),
        Cause::Script(why) => script(why.clone()),
        Cause::Transfer(why) => match operation {
            Operation::Backup => format!("Uploading to {destination} failed due to '{why}'"),
            Operation::Restore => format!("Downloading from {destination} failed due to '{why}'"),
        },
        Cause::Other(why) => why.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_the_original() {
        let say = |operation, stage, cause| text(operation, "S3", &[Failure::new(stage, cause)]).unwrap();
        let (backup, restore) = (Operation::Backup, Operation::Restore);
        for (operation, stage, cause, expected) in [
            (backup, Stage::PreBackupLock, Cause::Exit(3), "Backup failed due to 'exit status 3'"),
            (
                backup,
                Stage::Backup,
                Cause::Exit(3),
                "Backup failed due to 'Executing the shell script failed due to 'exit status 3''",
            ),
            (
                backup,
                Stage::BackupCleanup,
                Cause::NoScript,
                "Backup failed due to 'No script found for the backup-cleanup stage.'",
            ),
            (restore, Stage::Restore, Cause::Exit(1), "Restore failed due to 'exit status 1'"),
            (backup, Stage::Backup, Cause::Transfer("x".into()), "Backup failed due to 'Uploading to S3 failed due to 'x''"),
            (
                restore,
                Stage::Restore,
                Cause::Transfer("x".into()),
                "Restore failed due to 'Downloading from S3 failed due to 'x''",
            ),
        ] {
            assert_eq!(say(operation, stage, cause), expected);
        }
    }

    #[test]
    fn a_second_failure_is_added_and_does_not_take_the_place_of_the_first() {
        let failures =
            [Failure::new(Stage::PreBackupCheck, Cause::Exit(1)), Failure::new(Stage::PostBackupUnlock, Cause::Exit(2))];
        assert_eq!(
            text(Operation::Backup, "S3", &failures).unwrap(),
            "Backup failed due to 'exit status 1'; post-backup-unlock failed, too, due to 'exit status 2'"
        );
        assert_eq!(text(Operation::Backup, "S3", &[]), None);
    }
}
