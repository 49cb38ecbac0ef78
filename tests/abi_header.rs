//! `include/corertc.h` is what cbindgen makes of the sources now. `CORERTC_BLESS=1 cargo test --test abi_header` rewrites it.

use std::path::{Path, PathBuf};

/// The files with exports or types, in the order their functions stand in the header.
const SOURCES: [&str; 11] = [
    "config/numbers.rs",
    "ffi/abi.rs",
    "ffi/library.rs",
    "ffi/config.rs",
    "ffi/subsystem.rs",
    "ffi/process.rs",
    "ffi/input.rs",
    "ffi/hooks.rs",
    "ffi/callbacks.rs",
    "ffi/http.rs",
    "ffi/observe.rs",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn generate() -> String {
    let config = cbindgen::Config::from_file(root().join("cbindgen.toml")).expect("cbindgen.toml");
    let mut builder = cbindgen::Builder::new().with_config(config);
    for source in SOURCES {
        builder = builder.with_src(root().join("src").join(source));
    }
    let mut header = Vec::new();
    builder.generate().expect("bindings").write(&mut header);
    String::from_utf8(header).expect("UTF-8")
}

#[test]
fn the_committed_header_is_what_the_sources_say() {
    let path = root().join("include/corertc.h");
    let generated = generate();
    if std::env::var_os("CORERTC_BLESS").is_some() {
        std::fs::write(&path, &generated).expect("write the header");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = generated
        .lines()
        .zip(committed.lines())
        .position(|(new, old)| new != old);
    assert!(
        generated == committed,
        "include/corertc.h has drifted from src/ffi, first at line {:?}; CORERTC_BLESS=1 rewrites it",
        differs.map_or(
            generated.lines().count().min(committed.lines().count()) + 1,
            |at| at + 1
        )
    );
}

#[test]
fn every_export_stands_in_a_file_the_header_is_made_from() {
    let mut unlisted = Vec::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder of sources") {
            let path: PathBuf = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("a source");
            let listed = SOURCES
                .iter()
                .any(|source| path.ends_with(Path::new("src").join(source)));
            if text.contains("unsafe(no_mangle)") && !listed {
                unlisted.push(path);
            }
        }
    }
    assert_eq!(unlisted, Vec::<PathBuf>::new());
}

#[test]
fn the_version_macros_are_the_package_s_version() {
    let header = generate();
    for (name, value) in [
        ("CORERTC_VERSION_MAJOR", env!("CARGO_PKG_VERSION_MAJOR")),
        ("CORERTC_VERSION_MINOR", env!("CARGO_PKG_VERSION_MINOR")),
        ("CORERTC_VERSION_PATCH", env!("CARGO_PKG_VERSION_PATCH")),
        ("CORERTC_ABI_VERSION", "1"),
    ] {
        let line = header
            .lines()
            .find_map(|line| line.strip_prefix("#define ")?.strip_prefix(name))
            .expect(name);
        assert_eq!(line.split_whitespace().next(), Some(value), "{name}");
    }
    let build = std::fs::read_to_string(root().join("build.rs")).expect("build.rs");
    assert!(
        build.contains("-soname,libcorertc.so.1\""),
        "the SONAME carries the ABI version"
    );
}
