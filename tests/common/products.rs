//! What `make` builds, for tests of the products themselves.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;

/// The repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Builds the products where they are not up to date; PROFILE of the environment counts. Gives `build/lib`.
pub(crate) fn library_directory() -> PathBuf {
    static BUILT: Once = Once::new();
    BUILT.call_once(|| {
        run(Command::new("make").arg("-s").arg("build"));
    });
    root().join("build/lib")
}

/// Runs a command in the repository and gives its stdout; panics with its stderr where it fails.
pub(crate) fn run(command: &mut Command) -> String {
    // `make test` may have called us: its variables are not for the make that a test calls.
    let output = command
        .current_dir(root())
        .env_remove("MAKEFLAGS")
        .env_remove("MAKELEVEL")
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The words pkg-config says.
pub(crate) fn pkg_config(directory: &Path, arguments: &[&str]) -> Vec<String> {
    let said = run(Command::new("pkg-config")
        .args(arguments)
        .arg("corertc")
        .env("PKG_CONFIG_PATH", directory)
        .env("PKG_CONFIG_ALLOW_SYSTEM_CFLAGS", "1")
        .env("PKG_CONFIG_ALLOW_SYSTEM_LIBS", "1"));
    said.split_whitespace().map(str::to_owned).collect()
}
