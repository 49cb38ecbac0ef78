//! Compilers and the built shared library, for the tests of the ABI. A missing tool fails: `make test` installs it.

#![allow(dead_code, unreachable_pub, reason = "each test takes what it needs")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder with `libcorertc.so`: cargo builds it for the integration tests, next to them.
pub fn library_folder() -> PathBuf {
    let exe = std::env::current_exe().expect("the test's own path");
    let folder = exe.parent().expect("a folder").to_owned();
    assert!(
        folder.join("libcorertc.so").exists(),
        "no libcorertc.so in {folder:?}"
    );
    folder
}

/// A file of this test run's own, gone with the target folder.
pub fn scratch(name: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    folder.join(format!("{}-{number}-{name}", std::process::id()))
}

pub fn run(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|why| panic!("{command:?}: {why}"))
}

pub fn words(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Compiles one source text without linking; the compiler's words where it refuses.
pub fn compile(compiler: &str, standard: &str, text: &str) -> Result<(), String> {
    let source = scratch(if compiler == "g++" { "t.cpp" } else { "t.c" });
    std::fs::write(&source, text).expect("write the source");
    let output = run(Command::new(compiler)
        .arg(format!("-std={standard}"))
        .args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"])
        .arg(format!("-I{}", root().join("include").display()))
        .arg(&source));
    std::fs::remove_file(&source).expect("remove the source");
    if output.status.success() {
        return Ok(());
    }
    Err(words(&output))
}
