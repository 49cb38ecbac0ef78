//! What `make` and `make install` leave: a host's author can link it, shared or static, beside an OpenSSL of the host's own.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::Scratch;
use common::products::{library_directory, pkg_config, root, run};

/// Uses OpenSSL for itself and corertc for the rest. Prints whose SSL_* it got, twice.
const HOST_WITH_OPENSSL: &str = r#"
#include <corertc.h>
#include <openssl/ssl.h>
#include <stdio.h>

static void say(void) {
  SSL_CTX *context = SSL_CTX_new(TLS_method());
  SSL *ssl = SSL_new(context);
  printf("%s %d\n", OpenSSL_version(OPENSSL_VERSION), ssl != NULL && SSL_get_ssl_method(ssl) == TLS_method());
  SSL_free(ssl);
  SSL_CTX_free(context);
}

int main(void) {
  corertc_error error = {.size = sizeof error};
  corertc_subsystem *subsystem = NULL;
  say();
  corertc_config *config = corertc_config_new();
  if (corertc_subsystem_new(config, &subsystem, &error) != CORERTC_OK) {
    printf("%s\n", error.message);
    return 1;
  }
  say();
  corertc_subsystem_close(subsystem, 5000);
  corertc_subsystem_free(subsystem);
  corertc_config_free(config);
  return 0;
}
"#;

const STRICT: [&str; 5] = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"];

#[test]
fn only_corertc_names_are_global_in_the_static_library() {
    let archive = library_directory().join("libcorertc.a");
    let symbols = run(Command::new("readelf").args(["-s", "-W"]).arg(&archive));
    let global: Vec<&str> = symbols
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|column| {
            column.len() == 8 && column[0] != "Num:" && column[4] != "LOCAL" && column[6] != "UND"
        })
        .map(|column| column[7])
        .collect();
    assert!(global.contains(&"corertc_subsystem_new"), "{global:?}");
    let foreign: Vec<_> = global
        .iter()
        .filter(|name| !name.starts_with("corertc_"))
        .collect();
    assert!(foreign.is_empty(), "{foreign:?}");
    let wanted_elsewhere: Vec<&str> = symbols
        .lines()
        .filter(|line| line.contains(" GLOBAL ") && line.contains(" UND ") && line.contains("SSL_"))
        .collect();
    assert!(wanted_elsewhere.is_empty(), "{wanted_elsewhere:?}");
    let sections = run(Command::new("readelf").args(["-S", "-W"]).arg(&archive));
    assert!(!sections.contains(" GROUP "), "a COMDAT group is left");
}

#[test]
fn the_shared_library_exports_only_corertc_names_under_its_soname() {
    let library = library_directory().join("libcorertc.so");
    let symbols = run(Command::new("nm")
        .args(["-D", "--defined-only"])
        .arg(&library));
    for line in symbols.lines() {
        let name = line.split_whitespace().last().unwrap();
        assert!(name.starts_with("corertc_"), "{line}");
    }
    let dynamic = run(Command::new("readelf").args(["-d", "-W"]).arg(&library));
    assert!(dynamic.contains("[libcorertc.so.1]"), "{dynamic}");
    assert!(dynamic.contains("NODELETE"), "{dynamic}");
    let link = fs::read_link(library_directory().join("libcorertc.so.1")).unwrap();
    assert_eq!(link, Path::new("libcorertc.so"));
}

/// Order matters to linkers: corertc before OpenSSL and after it, static and shared.
#[test]
fn a_host_with_its_own_openssl_keeps_it() {
    let scratch = Scratch::new("openssl");
    let source = scratch.file("host.c");
    fs::write(&source, HOST_WITH_OPENSSL).unwrap();
    let directory = library_directory();
    let pc = directory.join("pkgconfig");
    let shared = pkg_config(&pc, &["--libs"]);
    let of_static = pkg_config(&pc, &["--static", "--libs"])
        .into_iter()
        .map(|word| match word.as_str() {
            "-lcorertc" => "-l:libcorertc.a".to_owned(),
            _ => word,
        })
        .collect::<Vec<_>>();
    let openssl = ["-lssl", "-lcrypto"].map(str::to_owned);
    for (name, libraries) in [
        ("static-first", [of_static.as_slice(), &openssl].concat()),
        ("static-last", [&openssl, of_static.as_slice()].concat()),
        ("shared-first", [shared.as_slice(), &openssl].concat()),
        ("shared-last", [&openssl, shared.as_slice()].concat()),
    ] {
        let program = scratch.file(name);
        run(Command::new("cc")
            .args(STRICT)
            .args(pkg_config(&pc, &["--cflags"]))
            .args([&source, "-o", &program])
            .args(libraries));
        let said = run(&mut Command::new(&program));
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.len(), 2, "{name}: {said}");
        for line in lines {
            assert!(
                line.starts_with("OpenSSL ") && line.ends_with(" 1"),
                "{name}: {line}"
            );
        }
    }
}

/// `-static` knows no shared libgcc.
#[test]
fn a_host_can_be_static_as_a_whole() {
    let scratch = Scratch::new("static");
    let pc = library_directory().join("pkgconfig");
    let program = scratch.file("host");
    run(Command::new("cc")
        .args(STRICT)
        .args(["-static", "tests/c/static_host.c", "-o", &program])
        .args(pkg_config(&pc, &["--static", "--cflags", "--libs"])));
    run(&mut Command::new(&program));
    let headers = run(Command::new("readelf").args(["-l", "-W", &program]));
    assert!(!headers.contains("INTERP"), "{headers}");
}

#[test]
fn install_puts_everything_where_linux_expects_it() {
    library_directory();
    let scratch = Scratch::new("install");
    let destination = scratch.path().join("package");
    run(Command::new("make").args([
        "-s",
        "install",
        "PREFIX=/usr",
        "LIBDIR=lib/x86_64-linux-gnu",
        &format!("DESTDIR={}", destination.display()),
    ]));
    let usr = destination.join("usr");
    assert!(usr.join("include/corertc.h").is_file());
    let lib = usr.join("lib/x86_64-linux-gnu");
    assert!(lib.join("libcorertc.a").is_file());
    assert!(lib.join("libcorertc.so.1").is_file());
    assert_eq!(
        fs::read_link(lib.join("libcorertc.so")).unwrap(),
        Path::new("libcorertc.so.1")
    );
    let pc = fs::read_to_string(lib.join("pkgconfig/corertc.pc")).unwrap();
    assert!(
        pc.contains("prefix=/usr\nlibdir=/usr/lib/x86_64-linux-gnu\n"),
        "{pc}"
    );
    assert!(!pc.contains("package"), "{pc}");
    let allowed = |word: &str| {
        word.starts_with("-L")
            || word.starts_with("-l")
            || word == "-pthread"
            || word.starts_with("-Wl,-rpath,")
    };
    let libs = pc.lines().find(|line| line.starts_with("Libs:")).unwrap();
    assert!(
        libs.split_whitespace().skip(1).all(allowed),
        "cgo refuses: {libs}"
    );
}

/// The README's program, built against an installed library the way the README says, does not run into a warning.
#[test]
fn the_readme_program_builds_and_links() {
    library_directory();
    let scratch = Scratch::new("readme");
    run(Command::new("make").args([
        "-s",
        "install",
        &format!("PREFIX={}", scratch.path().display()),
    ]));
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (_, rest) = readme.split_once("```c\n").unwrap();
    let (program, _) = rest.split_once("```").unwrap();
    let source = scratch.file("quick.c");
    fs::write(&source, program).unwrap();
    let pc = scratch.path().join("lib/pkgconfig");
    run(Command::new("cc")
        .args(STRICT)
        .args(pkg_config(&pc, &["--cflags"]))
        .args([&source, "-o", &scratch.file("quick")])
        .args(pkg_config(&pc, &["--libs"])));
}
