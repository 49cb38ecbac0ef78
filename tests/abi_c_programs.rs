//! C programs against the built shared library: each checks the ABI from a host's place and is silent on stderr. The same
//! programs run under valgrind and under gcc's address and undefined-behaviour sanitizers.

#[path = "common/c.rs"]
mod c;

use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles `tests/c/<name>.c` as strictly as the header promises and links it with the shared library.
fn build(name: &str, flags: &[&str]) -> PathBuf {
    let program = c::scratch(name);
    let library = c::library_folder().join("libcorertc.so");
    let output = c::run(
        Command::new("gcc")
            .args([
                "-std=c11",
                "-Wall",
                "-Wextra",
                "-Wpedantic",
                "-Werror",
                "-g",
            ])
            .args(flags)
            .arg(format!("-I{}", c::root().join("include").display()))
            .arg(c::root().join(format!("tests/c/{name}.c")))
            .arg(&library)
            .args(["-pthread", "-o"])
            .arg(&program),
    );
    assert!(output.status.success(), "{}", c::words(&output));
    program
}

/// Runs it; it ends with 0 and says nothing on stderr.
fn run(program: &Path, under: &[&str]) {
    // The program asks for the SONAME, which cargo's output folder does not have: a folder of its own has the link.
    let folder = c::scratch("lib");
    std::fs::create_dir_all(&folder).expect("a folder");
    let link = folder.join("libcorertc.so.1");
    std::os::unix::fs::symlink(c::library_folder().join("libcorertc.so"), link).expect("a link");
    let mut command = match under {
        [] => Command::new(program),
        [tool, arguments @ ..] => {
            let mut command = Command::new(tool);
            command.args(arguments).arg(program);
            command
        }
    };
    let output = c::run(command.env("LD_LIBRARY_PATH", &folder));
    std::fs::remove_dir_all(&folder).expect("remove the folder");
    assert!(
        output.status.success(),
        "{:?}: {}",
        output.status,
        c::words(&output)
    );
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "",
        "nothing on stderr"
    );
}

fn plain(name: &str) {
    run(&build(name, &[]), &[]);
}

#[allow(clippy::print_stdout, reason = "a skipped test says why")]
fn under_valgrind(name: &str) {
    let found = Command::new("valgrind").arg("--version").output().is_ok();
    if !found && std::env::var_os("CI").is_none() {
        println!("skipped: no valgrind");
        return;
    }
    let flags = [
        "valgrind",
        "--quiet",
        "--error-exitcode=9",
        "--leak-check=full",
        "--show-leak-kinds=definite",
        "--errors-for-leak-kinds=definite",
    ];
    run(&build(name, &[]), &flags);
}

fn under_sanitizers(name: &str) {
    let flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    run(&build(name, &flags), &[]);
}

#[test]
fn every_export_refuses_bad_arguments() {
    plain("arguments");
}

#[test]
fn callbacks_keep_their_promises_and_subsystems_live_side_by_side() {
    plain("callbacks");
}

#[test]
fn signals_descriptors_and_threads_of_the_host_are_left_alone() {
    plain("process_state");
}

#[test]
fn bad_arguments_are_clean_under_valgrind() {
    under_valgrind("arguments");
}

#[test]
fn callbacks_are_clean_under_valgrind() {
    under_valgrind("callbacks");
}

#[test]
fn bad_arguments_are_clean_under_sanitizers() {
    under_sanitizers("arguments");
}

#[test]
fn callbacks_are_clean_under_sanitizers() {
    under_sanitizers("callbacks");
}
