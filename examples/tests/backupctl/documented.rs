//! `docs/backupctl.md` tells of every verb, argument, flag, exit code and JSON key.

use std::path::Path;

use backup_examples::backupctl::command;

fn page() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/backupctl.md")).unwrap()
}

/// The part under the heading of a verb.
fn section<'a>(page: &'a str, verb: &str) -> &'a str {
    let heading = format!("\n## `{verb}");
    let start = page.find(&heading).unwrap_or_else(|| panic!("there is no heading for `{verb}`")) + 1;
    page[start..].split("\n## ").next().unwrap()
}

#[test]
fn every_verb_and_argument_is_on_the_page() {
    let page = page();
    let mut command = command();
    command.build();
    for argument in command.get_arguments().filter(|argument| argument.get_id() != "help" && argument.get_id() != "version") {
        let flag = format!("--{}", argument.get_long().unwrap());
        assert!(page.contains(&format!("`{flag}")), "{flag}");
    }
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        let section = section(&page, verb.get_name());
        for argument in verb.get_arguments().filter(|argument| !argument.is_global_set() && argument.get_id() != "help") {
            match argument.get_long() {
                Some("version") => {}
                Some(long) => assert!(section.contains(&format!("`--{long}")), "`{}` has --{long}", verb.get_name()),
                None => {
                    let name = argument.get_id().as_str().to_uppercase();
                    assert!(section.lines().next().unwrap().contains(&name), "`{}` has {name}", verb.get_name());
                }
            }
        }
    }
}

#[test]
fn every_flag_on_the_page_exists() {
    let mut command = command();
    command.build();
    let mut known: Vec<String> = command.get_arguments().filter_map(|argument| argument.get_long()).map(str::to_owned).collect();
    for verb in command.get_subcommands() {
        known.extend(verb.get_arguments().filter_map(|argument| argument.get_long()).map(str::to_owned));
    }
    let page = page();
    let reference = page.split("\n## Examples").next().unwrap();
    for part in reference.split('`').filter(|part| part.starts_with("--")) {
        let flag = part.trim_start_matches("--").split([' ', '=']).next().unwrap();
        assert!(flag == "features" || known.iter().any(|known| known == flag), "--{flag} is on the page and not in the program");
    }
}

#[test]
fn every_exit_code_is_on_the_page_as_in_the_help() {
    let help = command().get_after_help().unwrap().to_string();
    let page = page();
    for line in help.lines().filter(|line| line.starts_with("  ")) {
        let (code, meaning) = line.trim().split_once(' ').unwrap();
        assert!(page.contains(&format!("| {code} | {} |", meaning.trim())), "{line}");
    }
}
