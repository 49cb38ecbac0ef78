//! The README keeps up with the header: every option stands in it, none that does not exist, and no link is dead.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

/// Names that the header defines with this prefix.
fn defined(prefix: &str) -> BTreeSet<String> {
    read("include/corertc.h")
        .lines()
        .filter_map(|line| line.strip_prefix("#define ")?.strip_prefix(prefix))
        .filter_map(|rest| rest.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

/// Names in the first cells of the tables between two places of the README.
fn documented(from: &str, to: &str) -> BTreeSet<String> {
    let readme = read("README.md");
    let start = readme.find(from).unwrap();
    let end = start + readme[start..].find(to).unwrap();
    readme[start..end]
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split(" | ").next())
        .flat_map(|cell| cell.split(['`', ',', ' ', '|']))
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_option_of_the_header_stands_in_the_readme() {
    assert_eq!(
        documented("## Options", "One process's own options"),
        defined("CORERTC_OPT_")
    );
    assert_eq!(
        documented("One process's own options", "\n## "),
        defined("CORERTC_PROCESS_")
    );
}

#[test]
fn links_between_the_documents_lead_somewhere() {
    for file in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
    ] {
        for target in read(file).split("](").skip(1) {
            let target = target.split(')').next().unwrap();
            if !target.starts_with("http") {
                let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(target);
                assert!(path.exists(), "{file} links to {target}");
            }
        }
    }
}
