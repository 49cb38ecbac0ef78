//! Linker arguments of the shared library: its SONAME carries the ABI version, and it is never unloaded
//! (`dlclose` with live threads would unmap running code).

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libcorertc.so.1");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
