//! A volume on Ceph to Swift, against Cinder's own backup service.

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

use super::stored::{mebibytes, shell};
use super::{Outcome, Race, Settings, Side, data, text};
use crate::proc::peak_kib_of;

/// Both back up the same volume to the same Swift, compressed with zlib. Cinder is asked, and asked whether it is done, by curl: its own
/// client takes two seconds of a processor for each question.
pub(super) fn cinder(settings: &Settings) -> Outcome {
    let base = std::env::var_os("OS_BASE").map_or_else(|| PathBuf::from("target/openstack"), PathBuf::from);
    let env = std::fs::read_to_string(base.join("env")).map_err(|error| format!("run tools/openstack.sh up all: {error}"))?;
    let env: Vec<(String, String)> = env
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let of = |name: &str| env.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let (conf, pool) = (of("CEPH_CONF").ok_or("no Ceph: tools/openstack.sh up all")?, of("CEPH_POOL").ok_or("no pool")?);
    let with = |mut command: Command| {
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", &settings.directory);
        command.envs(env.iter().cloned());
        command
    };
    let gigabytes = settings.mib.div_ceil(1024);
    let file = data::file(settings, "mixed", settings.mib)?;
    let service = std::fs::read_to_string(base.join("run/cinder-backup.pid"))?.trim().parse::<u32>()?;
    let ports = std::fs::read_to_string(base.join("ports"))?;
    let port = ports.lines().find_map(|line| line.strip_prefix("port_cinder_api=")).ok_or("no port of Cinder")?;
    let headers = settings.directory.join("headers");
    let issue = format!(
        "cd \"$HOME\"; umask 077; openstack token issue -f json >issued; jq -r '\"X-Auth-Token: \" + .id' issued >'{}'; jq -r .project_id issued; rm issued",
        text(&headers)?
    );
    let project = answer(with(shell(&issue)))?;
    let ask = format!(
        "ask() {{ curl -sSf -H @'{}' -H 'Content-Type: application/json' \"$@\"; }}; at=http://127.0.0.1:{port}/v3/{project}; \
         until_not() {{ while s=$(ask $1 | jq -r $2.status); [ \"$s\" = $3 ]; do sleep 0.2; done; [ \"$s\" = available ]; }}",
        text(&headers)?
    );
    let create = format!(
        "{ask}; v=$(ask -d '{{\"volume\": {{\"size\": {gigabytes}, \"volume_type\": \"rbd1\", \"name\": \"bench\"}}}}' $at/volumes | jq -r .volume.id); \
         until_not $at/volumes/$v .volume creating; echo $v"
    );
    let volume = answer(with(shell(&create)))?;
    let image = format!("{pool}/volume-{volume}");
    // The image that Cinder made is replaced by one with data, as big.
    let fill = format!(
        "rbd --conf '{conf}' rm --no-progress {image}; rbd --conf '{conf}' import --no-progress '{}' {image}; \
         rbd --conf '{conf}' resize --no-progress --size {gigabytes}G {image} || true",
        text(&file)?
    );
    answer(with(shell(&fill)))?;
    let container = format!("bench-{}", std::process::id());
    let url = format!("swift://{container}/ours");
    let theirs = format!(
        "{ask}; b=$(ask -d '{{\"backup\": {{\"volume_id\": \"{volume}\", \"container\": \"{container}-theirs\"}}}}' $at/backups | jq -r .backup.id); \
         until_not $at/backups/$b .backup creating"
    );
    let raced = Race {
        name: format!("full backup of a volume of {} MiB on Ceph to Swift, zlib", settings.mib),
        goal: 0.5,
        ours: Side {
            name: "ours",
            prepare: Box::new(|| Ok(())),
            command: Box::new(|| with(settings.job(&["backup-volume", &url, conf, pool, &volume]))),
        },
        peer: Side { name: "cinder-backup", prepare: Box::new(|| Ok(())), command: Box::new(|| with(shell(&theirs))) },
        server: Some(service),
    }
    .run(settings.rounds);
    let remove = format!(
        "{ask}; for b in $(ask \"$at/backups?volume_id={volume}\" | jq -r '.backups[].id'); do \
         ask -X DELETE $at/backups/$b; done; \
         while ask \"$at/backups?volume_id={volume}\" | jq -e '.backups | length > 0' >&2; do sleep 1; done; \
         ask -X DELETE $at/volumes/{volume}; swift -q delete {container}"
    );
    let removed = answer(with(shell(&remove)));
    let reports = raced?;
    let (_, idle, _) = mebibytes(&reports, "idle-kib");
    let (_, _, peak) = mebibytes(&reports, "peak-kib");
    println!("  ours: {idle:.1} MiB before the job, {peak:.1} MiB at most; cinder-backup: {:.1} MiB at most", {
        peak_kib_of(service) as f64 / 1024.0
    });
    removed.map(drop)
}

/// What a command prints, when it ends well.
fn answer(mut command: Command) -> Result<String, Box<dyn Error + Send + Sync>> {
    let output = command.output()?;
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout)?.trim().to_owned()),
        // Not the command: its environment has the password.
        false => Err(format!("Cinder, Ceph or Swift: {}", String::from_utf8_lossy(&output.stderr)).into()),
    }
}
