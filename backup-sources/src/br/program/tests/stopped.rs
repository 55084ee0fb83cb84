//! A `br` that is ended, by us or by somebody else.

use rustix::process::{Pid, Signal};

use super::support::lives;
use super::*;
use crate::br::executor::Executor;

#[tokio::test]
async fn a_cancelled_backup_is_asked_to_end_and_ends_well() {
    let setup = Setup::new().await;
    setup.br.hold();
    let (told, order) = (Told::default(), setup.order("place"));
    let cx = told.cx();
    let backup = setup.executor.backup(&cx, &order);
    let cancel = async {
        setup.br.reached().await;
        cx.cancel_token().cancel();
    };
    let (outcome, ()) = tokio::join!(backup, cancel);
    assert_eq!(outcome.unwrap_err().code().name, "job.cancelled");
    let run = setup.br.run();
    assert!(!lives(run.pid));
    // It ended by itself: what it works with is cleared away.
    let left = std::fs::read_dir(setup.br.directory()).unwrap();
    let left: Vec<_> =
        left.map(|entry| entry.unwrap().file_name()).filter(|name| name.to_string_lossy().starts_with("scratch")).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(!setup.place("place").join("backupmeta").exists());
    setup.assert_forgotten();
}

#[tokio::test]
async fn one_that_ignores_being_asked_is_killed_with_its_whole_group() {
    let mut setup = Setup::new().await;
    let mut config = config(&setup.br, &setup.pd.address);
    config.grace = Duration::from_millis(300);
    setup.executor = ProgramExecutor::new(&config).unwrap();
    setup.br.control("ON_TERM=ignore CHILD=1");
    setup.br.hold();
    let (cx, order) = (cx(), setup.order("place"));
    let backup = setup.executor.backup(&cx, &order);
    let cancel = async {
        setup.br.reached().await;
        cx.cancel_token().cancel();
    };
    let (outcome, ()) = tokio::join!(backup, cancel);
    assert_eq!(outcome.unwrap_err().code().name, "job.cancelled");
    assert!(!lives(setup.br.run().pid) && !lives(setup.br.child()));
    setup.assert_forgotten();
}

#[tokio::test]
async fn what_a_finished_backup_leaves_in_its_group_ends_with_it() {
    let mut setup = Setup::new().await;
    let mut config = config(&setup.br, &setup.pd.address);
    // It holds the output open.
    config.grace = Duration::from_millis(300);
    setup.executor = ProgramExecutor::new(&config).unwrap();
    setup.br.control("CHILD=1");
    setup.executor.backup(&cx(), &setup.order("place")).await.unwrap();
    assert!(!lives(setup.br.child()));
}

#[tokio::test]
async fn one_that_somebody_else_ends_says_so() {
    let setup = Setup::new().await;
    for signal in [Signal::TERM, Signal::KILL] {
        setup.br.hold();
        let known: Vec<i32> = setup.br.runs().iter().map(|run| run.pid).collect();
        let (cx, order) = (cx(), setup.order(&format!("place-{}", signal.as_raw())));
        let backup = setup.executor.backup(&cx, &order);
        let end = async {
            setup.br.reached().await;
            let pid = setup.br.runs().iter().map(|run| run.pid).find(|pid| !known.contains(pid)).unwrap();
            rustix::process::kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
        };
        let (outcome, ()) = tokio::join!(backup, end);
        assert_eq!(outcome.unwrap_err().code().name, "br.ended", "{signal:?}");
    }
    setup.assert_forgotten();
}

#[tokio::test]
async fn a_deadline_ends_it_too() {
    let setup = Setup::new().await;
    setup.br.hold();
    let error = setup.executor.backup(&cx().with_limit(Duration::from_secs(2)), &setup.order("place")).await.unwrap_err();
    assert_eq!(error.code().name, "job.deadline");
    assert!(setup.br.runs().iter().all(|run| !lives(run.pid)));
    setup.assert_forgotten();
}

#[tokio::test]
async fn a_cancelled_job_starts_nothing() {
    let setup = Setup::new().await;
    let cx = cx();
    cx.cancel_token().cancel();
    assert_eq!(setup.executor.backup(&cx, &setup.order("place")).await.unwrap_err().code().name, "job.cancelled");
    assert!(setup.br.runs().is_empty());
}
