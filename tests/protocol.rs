//! docs/protocol.md keeps up: every line of WHIP and WHEP and of their clients stands in it, and every test that it names exists.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The lines of the protocol.
const LINES: &[(u32, u32)] = &[
    (1, 18),
    (20, 26),
    (30, 34),
    (40, 48),
    (50, 55),
    (60, 75),
    (80, 107),
    (110, 120),
];

/// The lines of clients.
const CLIENTS: &[(u32, u32)] = &[(1, 14), (20, 41), (45, 45), (50, 52), (60, 63), (70, 83)];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// (line, its last cell)
fn rows() -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join("docs/protocol.md")).unwrap();
    let rows = text.lines().filter_map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let id = *cells.get(1)?;
        let known = id.starts_with(['P', 'C']) && id[1..].starts_with(|c: char| c.is_ascii_digit());
        known.then(|| (id.to_owned(), cells[3].to_owned()))
    });
    rows.collect()
}

fn sources(folder: PathBuf, found: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_line_stands_in_the_table_once() {
    let ids: Vec<String> = rows().into_iter().map(|(id, _)| id).collect();
    let unique: BTreeSet<&String> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len(), "a line stands there twice");
    for (letter, lines) in [('P', LINES), ('C', CLIENTS)] {
        for number in lines.iter().flat_map(|(from, to)| *from..=*to) {
            let id = format!("{letter}{number:03}");
            assert!(ids.contains(&id), "{id} is missing");
        }
    }
}

#[test]
fn every_line_names_a_test_that_exists_or_the_reason_why_not() {
    let mut code = String::new();
    for folder in ["src", "tests"] {
        sources(root().join(folder), &mut code);
    }
    for (id, held_by) in rows() {
        let named: Vec<&str> = held_by
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|name| name.contains('_') && name.chars().all(|c| c != ' ' && c != '/'))
            .collect();
        assert!(
            !named.is_empty() || held_by.starts_with("none"),
            "{id}: {held_by}"
        );
        for name in named {
            assert!(
                code.contains(&format!("fn {name}()")),
                "{id}: no test {name}"
            );
        }
    }
}
