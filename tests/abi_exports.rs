//! What the built shared library shows to the linker: the committed list of symbols, the SONAME, and nothing it should not need.

#[path = "common/c.rs"]
mod c;

use std::process::Command;

fn nm(arguments: &[&str]) -> Vec<String> {
    let library = c::library_folder().join("libcorertc.so");
    let output = c::run(Command::new("nm").args(arguments).arg(library));
    assert!(output.status.success(), "{}", c::words(&output));
    String::from_utf8(output.stdout)
        .expect("UTF-8")
        .lines()
        .filter_map(|line| line.split_whitespace().last().map(str::to_owned))
        .collect()
}

#[test]
fn exported_symbols_are_the_committed_list() {
    let mut symbols = nm(&["-D", "--defined-only"]);
    symbols.sort();
    let path = c::root().join("tests/abi_symbols.txt");
    if std::env::var_os("CORERTC_BLESS").is_some() {
        std::fs::write(&path, symbols.join("\n") + "\n").expect("write the list");
    }
    let committed = std::fs::read_to_string(path).expect("tests/abi_symbols.txt");
    let committed: Vec<&str> = committed.lines().collect();
    assert_eq!(symbols, committed, "CORERTC_BLESS=1 rewrites the list");
    assert!(
        committed
            .iter()
            .all(|symbol| symbol.starts_with("corertc_"))
    );
}

#[test]
fn every_function_of_the_contract_is_exported() {
    let symbols = nm(&["-D", "--defined-only"]);
    let contract = std::fs::read_to_string(c::root().join("tests/c/contract.h")).expect("contract");
    let mut count = 0;
    for piece in contract.split("corertc_").skip(1) {
        let name: String = piece
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect();
        if piece[name.len()..].starts_with('(') {
            count += 1;
            assert!(
                symbols.contains(&format!("corertc_{name}")),
                "corertc_{name}"
            );
        }
    }
    assert_eq!(count, symbols.len());
}

#[test]
fn the_soname_carries_the_abi_version_and_the_library_stays_loaded() {
    let library = c::library_folder().join("libcorertc.so");
    let output = c::run(Command::new("readelf").args(["-d", "-W"]).arg(library));
    let text = c::words(&output);
    assert!(text.contains("[libcorertc.so.1]"), "{text}");
    assert!(text.contains("NODELETE"), "{text}");
    // Only the C library's own: no libssl, no libstdc++.
    for line in text.lines().filter(|line| line.contains("(NEEDED)")) {
        assert!(
            ["libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux"]
                .iter()
                .any(|name| line.contains(name)),
            "{line}"
        );
    }
}

#[test]
fn the_static_library_needs_nothing_but_the_c_library() {
    // What rustc names for a C host that links the static library (`--print native-static-libs`); `corertc.pc` has it
    // as Libs.private.
    let program = c::scratch("static");
    let source = c::root().join("tests/c/static_host.c");
    let output = c::run(
        Command::new("gcc")
            .args(["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"])
            .arg(format!("-I{}", c::root().join("include").display()))
            .arg(source)
            .arg(c::library_folder().join("libcorertc.a"))
            .args([
                "-lgcc_s",
                "-lutil",
                "-lrt",
                "-lpthread",
                "-lm",
                "-ldl",
                "-lc",
                "-o",
            ])
            .arg(&program),
    );
    assert!(output.status.success(), "{}", c::words(&output));
    let output = c::run(&mut Command::new(&program));
    assert!(output.status.success(), "{}", c::words(&output));
    std::fs::remove_file(program).expect("remove the program");
}
