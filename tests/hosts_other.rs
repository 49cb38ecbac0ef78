//! Hosts in other languages, and from packages: C++ through CMake, Python through cffi, a C host from installed .debs.
//! What the Go module needs of a build without Go is here too; its own tests are run by scripts/go-tests.sh.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::Scratch;
use common::products::{library_directory, root, run};

const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

/// Installed below a directory of the test's own, as a package would be.
fn installed(scratch: &Scratch) -> PathBuf {
    library_directory();
    let destination = scratch.path().join("root");
    run(Command::new("make").args([
        "-s",
        "install",
        "PREFIX=/usr",
        "LIBDIR=lib/x86_64-linux-gnu",
        &format!("DESTDIR={}", destination.display()),
    ]));
    destination
}

#[test]
fn a_cpp_host_finds_both_libraries_with_cmake() {
    let scratch = Scratch::new("cmake");
    let root = installed(&scratch);
    let build = scratch.file("build");
    run(Command::new("cmake")
        .args(["-S", "tests/hosts", "-B", &build])
        .arg(format!(
            "-DCMAKE_PREFIX_PATH={}",
            root.join("usr").display()
        ))
        .arg("-DCMAKE_LIBRARY_ARCHITECTURE=x86_64-linux-gnu"));
    run(Command::new("cmake").args(["--build", &build]));
    for program in ["smoke-corertc", "smoke-static"] {
        let said = run(&mut Command::new(Path::new(&build).join(program)));
        assert_eq!(said, "ok\n", "{program}");
    }
    let linked = run(Command::new("ldd").arg(Path::new(&build).join("smoke-static")));
    assert!(!linked.contains("corertc"), "{linked}");
}

/// Debian's own Python: the test needs Debian's cffi.
#[test]
fn a_python_host_parses_the_header_as_it_is() {
    let library = library_directory().join("libcorertc.so.1");
    let said = run(Command::new("/usr/bin/python3")
        .args(["tests/hosts/smoke.py", "include/corertc.h"])
        .arg(library));
    assert_eq!(said, "ok\n");
}

#[test]
fn debian_packages_install_and_a_c_host_builds_from_them() {
    library_directory();
    let scratch = Scratch::new("deb");
    let said = run(Command::new("scripts/deb.sh").arg(scratch.path().join("packages")));
    let packages: Vec<&str> = said.lines().collect();
    assert_eq!(packages.len(), 2, "{said}");
    let system = scratch.path().join("system");
    let database = system.join("var/lib/dpkg");
    fs::create_dir_all(database.join("info")).unwrap();
    fs::create_dir_all(database.join("updates")).unwrap();
    fs::write(database.join("status"), "").unwrap();
    let install = |command: &mut Command| run(command.args(&packages));
    if run(Command::new("id").arg("-u")).trim() == "0" {
        // libc6 and libgcc-s1 are not in that root.
        install(Command::new("dpkg").args([
            &format!("--root={}", system.display()),
            "--force-depends",
            "-i",
        ]));
        let listed = run(Command::new("dpkg-query")
            .arg(format!("--admindir={}", database.display()))
            .args(["-W", "-f=${Package} ${db:Status-Abbrev}\n"]));
        assert_eq!(listed, "libcorertc-dev ii \nlibcorertc1 ii \n");
    } else {
        println!("not root: the packages are unpacked instead of installed");
        for package in &packages {
            run(Command::new("dpkg").args(["-x", package]).arg(&system));
        }
    }
    let field = |field: &str| run(Command::new("dpkg-deb").args(["-f", packages[0], field]));
    assert!(
        field("Depends").starts_with("libc6 (>= 2."),
        "{}",
        field("Depends")
    );
    let contents = run(Command::new("dpkg-deb").args(["-c", packages[0]]));
    assert!(contents.contains(" root/root "), "{contents}");
    assert!(!contents.contains("corertc.h"), "{contents}");

    let libraries = system.join(LIBRARIES);
    let program = scratch.file("host");
    let words = run(Command::new("pkg-config")
        .args(["--cflags", "--libs", "corertc"])
        .env("PKG_CONFIG_LIBDIR", libraries.join("pkgconfig"))
        .env("PKG_CONFIG_SYSROOT_DIR", &system));
    run(Command::new("c++")
        .args(["tests/hosts/smoke.cpp", "-o", &program])
        .args(words.split_whitespace()));
    let said = run(Command::new(&program).env("LD_LIBRARY_PATH", &libraries));
    assert_eq!(said, "ok\n");
}

/// Go's build cache doesn't see the header; this file tells it.
#[test]
fn the_go_module_has_the_hash_of_the_header() {
    run(Command::new("scripts/go-header.sh").arg("--check"));
}

#[test]
fn every_file_of_the_go_module_is_in_it() {
    // A vendor folder has the files of packages and no others: what the package is built of stands beside it.
    let names: Vec<String> = fs::read_dir(root().join("bindings/go"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for needed in ["shim.c", "shim.h", "header_gen.go", "go.mod", "go.sum"] {
        assert!(
            names.iter().any(|name| name == needed),
            "{needed}: {names:?}"
        );
    }
}
