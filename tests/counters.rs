//! Each counter is read by a test that raises it: a counter nobody asserts may count anything.
#![allow(missing_docs, clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn every_counter_is_read_by_a_test() {
    let tests = test_code();
    let names = counters();
    assert!(names.len() > 30, "{names:?}");
    let unread: Vec<_> = names
        .iter()
        .filter(|name| !tests.contains(&format!(".{name}.value()")))
        .collect();
    assert!(unread.is_empty(), "no test reads {unread:?}");
}

/// The names in the list of `src/stats.rs`.
fn counters() -> Vec<String> {
    let text = fs::read_to_string(root().join("src/stats.rs")).unwrap();
    let list = text.split("\ncounters! {").nth(1).unwrap();
    let rows = list
        .lines()
        .filter_map(|line| line.trim().split_once(": \""));
    rows.map(|(name, _)| name.to_owned()).collect()
}

/// All test code: of `tests/`, files of tests in `src/`, and what follows `#[cfg(test)]` in the others. Without blanks,
/// as a long line is broken before its dots.
fn test_code() -> String {
    let mut files = Vec::new();
    collect(&root().join("tests"), &mut files);
    collect(&root().join("src"), &mut files);
    let mut code = String::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let inside = file.strip_prefix(root()).unwrap().to_str().unwrap();
        let whole = inside.starts_with("tests/")
            || inside.contains("/tests/")
            || inside.ends_with("tests.rs");
        let from = if whole {
            Some(0)
        } else {
            text.find("#[cfg(test)]")
        };
        code.extend(
            from.iter()
                .flat_map(|from| text[*from..].chars())
                .filter(|c| !c.is_whitespace()),
        );
    }
    code
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
