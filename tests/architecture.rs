//! Holds what ARCHITECTURE.md promises: who names whom, how long a file is, where `unsafe` stands.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "common/code.rs"]
mod code;

use code::{code_of, lines_with_word};

/// Who may name whom directly. What these may name in turn is allowed too: the arrows are closed transitively.
const ARROWS: &[(&str, &[&str])] = &[
    ("ffi", &["subsystem"]),
    ("subsystem", &["http", "leg", "relay"]),
    ("http", &["signal"]),
    ("signal", &["session"]),
    ("session", &["stream", "fanout", "sdp"]),
    ("leg", &["stream", "net"]),
    ("fanout", &["stream", "peer"]),
    ("relay", &["stream"]),
    ("peer", &["rtp", "net"]),
];

/// Anyone may name these; they name only each other.
const LEAVES: &[&str] = &[
    "config", "error", "events", "stats", "metrics", "runtime", "rtp",
];

/// Modules that exist besides those with an arrow of their own.
const OTHERS: &[&str] = &["stream", "sdp", "net"];

const MAX_LINES: usize = 400;

#[test]
fn modules_name_only_what_stands_below_them() {
    let allowed = closure();
    let mut faults = Vec::new();
    for file in sources() {
        let Some(module) = top_module(&file) else {
            continue;
        };
        let Some(below) = allowed.get(module.as_str()) else {
            faults.push(format!(
                "{}:1: module `{module}` has no place in ARROWS of tests/architecture.rs",
                file.display()
            ));
            continue;
        };
        for (line, named) in named_modules(&file, &module, &allowed) {
            if !below.contains(named.as_str()) {
                faults.push(format!(
                    "{}:{line}: `{module}` names `{named}`, which does not stand below it",
                    file.display()
                ));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn no_file_is_longer_than_400_lines() {
    let faults: Vec<_> = tracked(&["rs", "c", "js", "go"])
        .into_iter()
        .filter_map(|file| {
            let lines = fs::read_to_string(&file).unwrap().lines().count();
            (lines >= MAX_LINES).then(|| {
                format!(
                    "{}:{lines}: the file is not under {MAX_LINES} lines",
                    file.display()
                )
            })
        })
        .collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn unsafe_stands_only_where_it_must() {
    let mut faults = Vec::new();
    let mut dtls_files = BTreeSet::new();
    for file in sources() {
        let path = file.to_string_lossy().replace('\\', "/");
        let in_place = path.starts_with("src/ffi/")
            || path.starts_with("src/net/")
            || path == "src/runtime/mask.rs";
        for line in lines_with_word(&code_of(&file), "unsafe") {
            if path.starts_with("src/peer/dtls") {
                dtls_files.insert(path.clone());
            } else if !in_place {
                faults.push(format!("{path}:{line}: unsafe outside its places"));
            }
        }
    }
    if dtls_files.len() > 1 {
        faults.push(format!(
            "unsafe in more than one file of src/peer/dtls: {dtls_files:?}"
        ));
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn nothing_is_left_to_do_and_every_file_says_its_duty() {
    let mut faults = Vec::new();
    for file in sources() {
        let text = fs::read_to_string(&file).unwrap();
        if !text.starts_with("//!") {
            faults.push(format!(
                "{}:1: the file does not begin with `//!`",
                file.display()
            ));
        }
        let code = code_of(&file);
        for word in ["todo", "unimplemented"] {
            for (number, line) in code.lines().enumerate() {
                if line.contains(&format!("{word}!")) {
                    faults.push(format!("{}:{}: {word}!", file.display(), number + 1));
                }
            }
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// Each module with everything it may name: itself, the leaves, and all that its arrows lead to.
fn closure() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let direct: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let all = ARROWS
        .iter()
        .map(|(module, _)| *module)
        .chain(LEAVES.iter().copied())
        .chain(OTHERS.iter().copied());
    all.map(|module| {
        let mut reached: BTreeSet<&'static str> = LEAVES.iter().copied().collect();
        let mut waiting = vec![module];
        while let Some(next) = waiting.pop() {
            if reached.insert(next) || next == module {
                waiting.extend(
                    direct
                        .get(next)
                        .into_iter()
                        .flat_map(|below| below.iter().copied())
                        .filter(|below| !reached.contains(below)),
                );
            }
        }
        (module, reached)
    })
    .collect()
}

/// `src/peer/ice/mod.rs` → `peer`; `src/lib.rs` is the map and names everyone.
fn top_module(file: &Path) -> Option<String> {
    let inside = file.strip_prefix("src").unwrap();
    let first = inside.components().next()?.as_os_str().to_str()?;
    (first != "lib.rs").then(|| first.trim_end_matches(".rs").to_owned())
}

/// How many `super` lead from a file's module to the crate's root.
fn depth(file: &Path) -> usize {
    let parts = file.strip_prefix("src").unwrap().components().count();
    if file.ends_with("mod.rs") {
        parts - 1
    } else {
        parts
    }
}

/// Every other top-level module that a file names, with the line.
fn named_modules(
    file: &Path,
    own: &str,
    known: &BTreeMap<&'static str, BTreeSet<&'static str>>,
) -> Vec<(usize, String)> {
    let code = code_of(file);
    let root = depth(file);
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(offset) = code[at..].find("::") {
        let end = at + offset;
        let start = code[..end]
            .rfind(|c: char| !(c.is_alphanumeric() || c == '_'))
            .map_or(0, |before| before + 1);
        let first = &code[start..end];
        at = end + 2;
        if code[..start].ends_with("::") {
            continue;
        }
        let rest = match first {
            "crate" => &code[at..],
            "super" => {
                let mut rest = &code[at..];
                let mut supers = 1;
                while let Some(next) = rest.strip_prefix("super::") {
                    rest = next;
                    supers += 1;
                }
                if supers < root {
                    continue;
                }
                rest
            }
            _ => continue,
        };
        let line = code[..start].lines().count().max(1);
        for name in heads(rest) {
            if name != own && (first == "crate" || known.contains_key(name.as_str())) {
                found.push((line, name));
            }
        }
    }
    found
}

/// The first names of a path's rest: `a::b` → a; `{a, b::{c, d}}` → a, b.
fn heads(rest: &str) -> Vec<String> {
    let ident = |text: &str| -> String {
        text.chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    let Some(group) = rest.strip_prefix('{') else {
        return vec![ident(rest)];
    };
    let mut names = Vec::new();
    let mut level = 0;
    let mut item = String::new();
    for c in group.chars() {
        match c {
            '{' => level += 1,
            '}' if level == 0 => break,
            '}' => level -= 1,
            ',' if level == 0 => names.push(ident(std::mem::take(&mut item).trim())),
            _ if level == 0 => item.push(c),
            _ => {}
        }
    }
    names.push(ident(item.trim()));
    names.retain(|name| !name.is_empty());
    names
}

fn sources() -> Vec<PathBuf> {
    tracked(&["rs"])
        .into_iter()
        .filter(|file| file.starts_with("src"))
        .collect()
}

/// Files of this repository with one of these endings; where there is no git, all that are not build products.
fn tracked(endings: &[&str]) -> Vec<PathBuf> {
    std::env::set_current_dir(env!("CARGO_MANIFEST_DIR")).unwrap();
    let listed = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .output()
        .ok()
        .filter(|output| output.status.success())
        .map(|output| String::from_utf8(output.stdout).unwrap());
    let mut files: Vec<PathBuf> = match listed {
        Some(list) => list.split_terminator('\0').map(PathBuf::from).collect(),
        None => walk(Path::new(".")),
    };
    files.retain(|file| {
        let ending = file.extension().and_then(|ending| ending.to_str());
        ending.is_some_and(|ending| endings.contains(&ending)) && file.is_file()
    });
    files.sort();
    assert!(!files.is_empty(), "no files found");
    files
}

fn walk(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && name != "build" && !name.starts_with('.') {
                files.extend(walk(&path));
            }
        } else {
            files.push(path.strip_prefix(".").unwrap_or(&path).to_owned());
        }
    }
    files
}
