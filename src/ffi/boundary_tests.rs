//! Panics, statuses and the error struct at the boundary.

use super::*;

fn empty(size: u32) -> corertc_error {
    corertc_error {
        size,
        code: 77,
        message: [b'#' as c_char; 248],
    }
}

fn message(err: &corertc_error) -> String {
    let bytes = err.message.iter().map(|c| *c as u8);
    String::from_utf8(bytes.take_while(|b| *b != 0).collect()).expect("UTF-8")
}

#[test]
fn a_panic_becomes_a_status_and_a_message() {
    let mut err = empty(256);
    let code = status(&raw mut err, || panic!("on purpose"));
    assert_eq!((code, err.code), (PANIC, PANIC));
    assert!(message(&err).contains("panicked"));
    assert_eq!(value(5, || -> Result<i32, Error> { panic!("again") }), 5);
    release(|| panic!("and again"));
    assert!(!inside());
}

#[test]
fn an_error_gives_its_code_and_its_words() {
    let mut err = empty(256);
    let code = status(&raw mut err, || Err(Error::Limit("no ports".to_owned())));
    assert_eq!((code, err.code, err.size), (-6, -6, 256));
    assert_eq!(message(&err), "no ports");
    assert_eq!(status(&raw mut err, || Ok(())), 0);
    assert_eq!((err.code, message(&err).as_str()), (0, ""));
    assert_eq!(status(std::ptr::null_mut(), || Ok(())), 0);
}

#[test]
fn only_as_much_of_the_error_is_filled_as_its_caller_knows() {
    let mut err = empty(12);
    status(&raw mut err, || Err(Error::Io("äöü".to_owned())));
    assert_eq!((err.size, err.code), (12, -7));
    assert_eq!(message(&err), "ä");
    assert_eq!(err.message[4] as u8, b'#');
    let mut err = empty(4096);
    status(&raw mut err, || Err(Error::Io("x".repeat(1000))));
    assert_eq!((err.size, message(&err).len()), (256, 247));
}

#[test]
fn an_absurd_size_is_invalid_before_anything_happens() {
    for size in [0, 3, (1 << 16) + 1, u32::MAX] {
        let mut err = empty(size);
        let mut ran = false;
        let code = status(&raw mut err, || {
            ran = true;
            Ok(())
        });
        assert_eq!((code, ran, err.size, err.code), (-1, false, size, 77));
    }
}

/// Runs one test of this binary in a process of its own; what it wrote to stderr.
fn stderr_of(test: &str) -> String {
    let exe = std::env::current_exe().expect("the test's own path");
    let name = format!("ffi::boundary::tests::{test}");
    let output = std::process::Command::new(exe)
        .args(["--exact", &name, "--nocapture"])
        .output()
        .expect("a child");
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(out.contains("1 passed"), "{out}");
    String::from_utf8(output.stderr).expect("UTF-8")
}

#[test]
fn a_panic_of_ours_says_nothing_on_stderr() {
    assert_eq!(stderr_of("a_panic_becomes_a_status_and_a_message"), "");
    assert_eq!(stderr_of("a_thread_of_ours_dies_alone"), "");
}

#[test]
fn a_thread_of_ours_dies_alone() {
    release(|| ());
    let thread = crate::runtime::spawn_thread("test", || panic!("on purpose")).expect("a thread");
    assert!(thread.join().is_err());
}

#[test]
fn a_panic_of_the_host_s_reaches_the_hook_it_had_before() {
    let words = stderr_of("a_host_thread_panics");
    assert!(words.contains("the host's own"), "{words}");
}

#[test]
fn a_host_thread_panics() {
    release(|| ());
    assert!(
        std::thread::spawn(|| panic!("the host's own"))
            .join()
            .is_err()
    );
}
