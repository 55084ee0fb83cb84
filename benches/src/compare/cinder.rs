//! A volume on Ceph to Swift, against Cinder's own backup service.

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

use super::stored::{mebibytes, shell};
use super::{Outcome, Race, Settings, Side, data, text};
use crate::proc::peak_kib_of;

/// Both back up the same volume to the same Swift, compressed with zlib. The peer is asked, and asked whether it is done, by curl: its own
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
    let volume = answer(with(shell(&format!("openstack volume create --size {gigabytes} --type rbd1 -f value -c id bench"))))?;
    let ready = format!("until [ \"$(openstack volume show -f value -c status {volume})\" = available ]; do :; done");
    let image = format!("{pool}/volume-{volume}");
    // The image that Cinder made is replaced by one with data, as big.
    let fill = format!(
        "set -e; {ready}; rbd --conf '{conf}' rm --no-progress {image}; \
         rbd --conf '{conf}' import --no-progress '{}' {image}; rbd --conf '{conf}' resize --no-progress --size {gigabytes}G {image} || true",
        text(&file)?
    );
    answer(with(shell(&fill)))?;
    let service = std::fs::read_to_string(base.join("run/cinder-backup.pid"))?.trim().parse::<u32>()?;
    let container = format!("bench-{}", std::process::id());
    let url = format!("swift://{container}/ours");
    let headers = settings.directory.join("headers");
    let prepare = format!(
        "set -e; umask 077; openstack token issue -f json >issued; jq -r '\"X-Auth-Token: \" + .id' issued >'{}'; jq -r .project_id issued; rm issued",
        text(&headers)?
    );
    let project = answer(with(shell(&format!("cd \"$HOME\"; {prepare}"))))?;
    let ports = std::fs::read_to_string(base.join("ports"))?;
    let port = ports.lines().find_map(|line| line.strip_prefix("port_cinder_api=")).ok_or("no port of Cinder")?;
    let theirs = format!(
        "set -e; ask() {{ curl -sSf -H @'{}' -H 'Content-Type: application/json' \"$@\"; }}; at=http://127.0.0.1:{port}/v3/{project}/backups; \
         b=$(ask -d '{{\"backup\": {{\"volume_id\": \"{volume}\", \"container\": \"{container}-theirs\"}}}}' $at | jq -r .backup.id); \
         while s=$(ask $at/$b | jq -r .backup.status); [ \"$s\" = creating ]; do sleep 0.2; done; [ \"$s\" = available ]",
        text(&headers)?
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
        "for b in $(openstack volume backup list --volume {volume} -f value -c ID); do openstack volume backup delete --force $b; done; \
         openstack volume delete {volume}; swift -q delete {container}"
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
        false => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into()),
    }
}
