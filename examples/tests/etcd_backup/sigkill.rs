//! Killed in the middle of backups: what was listed stays, and nothing half-done is ever listed. 25 kills, 100 with
//! `BACKUP_TEST_LONG=1`.

use std::collections::BTreeSet;
use std::time::Duration;

use rustix::process::Signal;

use crate::http::try_ask;
use crate::program::Place;
use crate::{assert_all_whole, etcd_with};

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_lists_right_afterwards() {
    let Some(etcd) = etcd_with(4).await else { return };
    let place = Place::new(&etcd.url, "rotate: 5\ncompression-level: 1");
    let kills = if std::env::var_os("BACKUP_TEST_LONG").is_some() { 100 } else { 25 };
    let (mut answered, mut listed, mut cut) = (None, BTreeSet::new(), 0);
    for round in 0..kills {
        let mut program = place.start();
        let now = if round % 5 == 0 { assert_all_whole(&program) } else { program.names().into_iter().collect() };
        // What was listed went only by rotation, the oldest first, and what was answered is there.
        let kept: BTreeSet<_> = listed.iter().filter(|name| !now.contains(*name)).collect();
        assert!(kept.iter().all(|gone| now.iter().next().is_some_and(|oldest| *gone < oldest)), "{listed:?} -> {now:?}");
        assert!(answered.as_ref().is_none_or(|name| now.contains(name)), "{answered:?} is not listed: {now:?}");
        // Rotation comes after the backup: a cut before it leaves one more until the next one, and a cut within it leaves the one whose
        // removal had begun until the janitor's grace is over.
        assert!(now.len() <= 5 + cut, "{cut} cut, {now:?}");
        listed = now;

        let outcome = std::thread::scope(|scope| {
            let post = scope.spawn(|| try_ask(program.port, "POST", "/api/v1/backup"));
            // Spread over a whole backup with its rotation: the wait is the test's variable.
            std::thread::sleep(Duration::from_millis(round * 37 % 400));
            program.signal(Signal::KILL);
            post.join().unwrap()
        });
        program.wait();
        match outcome {
            Some(answer) => {
                assert_eq!(answer.status, 200, "{answer:?}");
                answered = Some(answer.json()["filename"].as_str().unwrap().to_owned());
            }
            None => cut += 1,
        }
    }
    assert!(cut > 0, "no kill came in the middle of a backup");
    let program = place.start();
    assert_all_whole(&program);
    let name = program.backup();
    assert_eq!(program.names().last(), Some(&name));
}
