//! `docs/errors.md` lists every error code as the catalogues have it. `UPDATE_DOCS=1` writes the page anew.
#![cfg(all(feature = "nfs", feature = "s3", feature = "swift"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::fmt::Write;
use std::path::{Path, PathBuf};

use backup_core::error::Code;
use backup_core::{ErrorKind, Retry};

/// A catalogue: its heading, where it stands, what it is for, and its codes.
struct Catalogue {
    title: &'static str,
    module: &'static str,
    about: &'static str,
    codes: &'static [&'static Code],
}

/// All that this build has. Without the feature `etcd` that of etcd is missing.
fn catalogues() -> Vec<Catalogue> {
    vec![
        Catalogue {
            title: "Engine",
            module: "backup_core::error::codes",
            about: "Drivers use these, too, wherever one fits.",
            codes: backup_core::error::codes::ALL,
        },
        Catalogue {
            title: "Service",
            module: "backup_core::service::codes",
            about: "What becomes of a job before it runs.",
            codes: backup_core::service::codes::ALL,
        },
        Catalogue {
            title: "Store `fs`",
            module: "backup_stores::fs::codes",
            about: "What only a file system can say.",
            codes: backup_stores::fs::codes::ALL,
        },
        Catalogue {
            title: "Store `s3`",
            module: "backup_stores::s3::codes",
            about: "What only a server of S3 can say.",
            codes: backup_stores::s3::codes::ALL,
        },
        Catalogue {
            title: "Store `swift`",
            module: "backup_stores::swift::codes",
            about: "What only Swift can say.",
            codes: backup_stores::swift::codes::ALL,
        },
        Catalogue {
            title: "Store `nfs`",
            module: "backup_stores::nfs::codes",
            about: "What only an NFS server can say.",
            codes: backup_stores::nfs::codes::ALL,
        },
        Catalogue {
            title: "Remote services",
            module: "backup_remote::codes",
            about: "What every store or source behind a network has in common.",
            codes: backup_remote::codes::ALL,
        },
        Catalogue {
            title: "Keystone",
            module: "backup_remote::keystone::codes",
            about: "Whatever speaks to OpenStack.",
            codes: backup_remote::keystone::codes::ALL,
        },
        Catalogue {
            title: "State on redb",
            module: "backup_stores::redb::codes",
            about: "What the file that holds a service's jobs, schedules and leases can say.",
            codes: backup_stores::redb::codes::ALL,
        },
        Catalogue {
            title: "Programs that are run",
            module: "backup_sources::program_codes",
            about: "The source `script`, and every other source that runs a program.",
            codes: backup_sources::program_codes::ALL,
        },
        Catalogue {
            title: "Source `script`",
            module: "backup_sources::script::codes",
            about: "What scripts leave behind, and the record of a running job.",
            codes: backup_sources::script::codes::ALL,
        },
        #[cfg(feature = "etcd")]
        Catalogue {
            title: "Source `etcd`",
            module: "backup_sources::etcd::codes",
            about: "What an etcd member or its tools say.",
            codes: backup_sources::etcd::codes::ALL,
        },
        Catalogue {
            title: "Source `br`",
            module: "backup_sources::br::codes",
            about: "What TiDB and BR say, and what lies there after them.",
            codes: backup_sources::br::codes::ALL,
        },
        #[cfg(feature = "openstack")]
        Catalogue {
            title: "Source `cinder`",
            module: "backup_sources::cinder::codes",
            about: "What Cinder says of volumes, snapshots and attachments.",
            codes: backup_sources::cinder::codes::ALL,
        },
        #[cfg(feature = "openstack")]
        Catalogue {
            title: "Source `cinder`: the bytes of volumes",
            module: "backup_sources::cinder::access::codes",
            about: "What the ways to the bytes of volumes come to.",
            codes: backup_sources::cinder::access::codes::ALL,
        },
        #[cfg(feature = "openstack")]
        Catalogue {
            title: "Source `cinder`: Cinder's format",
            module: "backup_sources::cinder::format::codes",
            about: "What backups in the format of Cinder's own backup service come to.",
            codes: backup_sources::cinder::format::codes::ALL,
        },
        Catalogue {
            title: "HTTP",
            module: "backup_http::codes",
            about: "What every server has in common.",
            codes: backup_http::codes::ALL,
        },
        Catalogue {
            title: "Dialect `etcd-backup`",
            module: "backup_http::etcd_backup::codes",
            about: "What the file names of this dialect can come to.",
            codes: backup_http::etcd_backup::codes::ALL,
        },
        #[cfg(feature = "openstack")]
        Catalogue {
            title: "Server `volume-backup`",
            module: "backup_examples::volume_backup::codes",
            about: "What Nova and Keystone's limits say.",
            codes: backup_examples::volume_backup::codes::ALL,
        },
    ]
}

const HEAD: &str = "\
# Error codes

<!-- Generated from the catalogues: UPDATE_DOCS=1 cargo test -p backup-examples --features etcd --test errors_md -->

Every error has a code, and the code has a kind, a retry class, a meaning and an action. Codes are stable over releases. An error prints its
code and, unless it is `none`, its effect at its end: `… [store.io, effect unknown]`.

| effect | meaning |
|---|---|
| `none` | nothing happened |
| `unknown` | it may or may not have happened: look before trying again |
| `applied` | it happened, although an error is reported |

Retry says whether the same call can succeed later (`later`) or something has to be changed first (`never`). A single error can override the
class of its code.
";

fn section(catalogue: &Catalogue) -> String {
    let mut text = format!("\n## {}\n\n`{}`. {}\n\n", catalogue.title, catalogue.module, catalogue.about);
    text += "| code | kind | retry | meaning | action |\n|---|---|---|---|---|\n";
    for code in catalogue.codes {
        let Code { name, kind, retry, meaning, action } = code;
        let cell = |text: &str| text.replace('|', "\\|");
        writeln!(text, "| `{name}` | {} | {} | {} | {} |", kind_name(*kind), retry_name(*retry), cell(meaning), cell(action))
            .unwrap();
    }
    text
}

/// `InvalidInput` as words.
fn kind_name(kind: ErrorKind) -> String {
    let mut name = String::new();
    for letter in format!("{kind:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push(' ');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

fn retry_name(retry: Retry) -> String {
    format!("{retry:?}").to_lowercase()
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/errors.md")
}

#[test]
fn the_page_lists_every_code_as_its_catalogue_has_it() {
    let complete = cfg!(feature = "demo-etcd");
    let sections: Vec<_> = catalogues().iter().map(section).collect();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        assert!(complete, "the page can only be written with --features demo-etcd: without it a catalogue is missing");
        std::fs::write(path(), HEAD.to_owned() + &sections.concat()).unwrap();
    }
    let page = std::fs::read_to_string(path()).unwrap_or_default();
    let regenerate = "regenerate it: UPDATE_DOCS=1 cargo test -p backup-examples --features etcd --test errors_md";
    if !complete {
        println!("SKIPPED: the catalogue of etcd, which needs --features demo-etcd");
    }
    for expected in std::iter::once(HEAD).chain(sections.iter().map(String::as_str)) {
        for line in expected.lines() {
            assert!(page.lines().any(|found| found == line), "docs/errors.md lacks this line; {regenerate}\n{line}");
        }
        assert!(
            page.contains(expected),
            "docs/errors.md has these lines in another order, or others between; {regenerate}\n{expected}"
        );
    }
    // Also a code that is gone: nothing stands on the page that is not generated.
    if complete {
        assert!(page == HEAD.to_owned() + &sections.concat(), "docs/errors.md has more than the catalogues; {regenerate}");
    }
}

#[test]
fn a_code_has_one_meaning_over_all_catalogues() {
    let mut names: Vec<_> = catalogues().iter().flat_map(|catalogue| catalogue.codes).map(|code| code.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "a code stands in two catalogues");
}
