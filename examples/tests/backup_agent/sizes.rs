//! Much output and big files in little memory.

use crate::agent::{Place, backup, skipped};

#[test]
fn a_script_that_floods_its_output_costs_a_bounded_log() {
    let place = Place::new();
    let megabytes = if crate::long() { 1000 } else { 200 };
    place.tell(
        "backup",
        &format!(
            "head -c {megabytes}M /dev/zero | tr '\\0' x; echo; echo the end; head -c {megabytes}M /dev/zero | tr '\\0' y >&2"
        ),
    );
    let agent = place.start();
    let before = agent.peak();
    agent.post(backup("b1", &skipped()));
    let job = agent.succeeds("/backup/b1");
    let log = job["backup_log"].as_str().unwrap();
    assert!(log.starts_with("out of backup\n") && log.ends_with("the end\n"), "{}", log.len());
    assert!(log.len() < 600 << 10 && job["backup_errorlog"].as_str().unwrap().len() < 600 << 10);
    let more = agent.peak() - before;
    assert!(more < 64 << 20, "{more} bytes more");
}
