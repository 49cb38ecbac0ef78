//! Tracing lines and panics to the log callback. One test: the log is the process's, so it would disturb itself.

use std::ffi::{c_char, c_void};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::time::Duration;

use super::{log, log_queue};
use crate::error::Error;
use crate::ffi::boundary;
use crate::ffi::library::{corertc_abi_version, corertc_has_feature, corertc_set_log};

/// (level, component, message, fields)
static LINES: Mutex<Vec<(i32, String, String, String)>> = Mutex::new(Vec::new());
static RELEASED: AtomicU32 = AtomicU32::new(0);
static FROM_INSIDE: AtomicI32 = AtomicI32::new(77);

fn text(pointer: *const c_char, len: usize) -> String {
    // SAFETY: the callback's texts are `len` bytes and a NUL.
    let bytes = unsafe { std::slice::from_raw_parts(pointer.cast::<u8>(), len + 1) };
    assert_eq!(bytes[len], 0);
    String::from_utf8(bytes[..len].to_vec()).expect("UTF-8")
}

unsafe extern "C" fn line(
    user_data: *mut c_void,
    level: i32,
    component: *const c_char,
    component_len: usize,
    message: *const c_char,
    message_len: usize,
    fields: *const c_char,
    fields_len: usize,
) {
    assert!(user_data.is_null());
    // SAFETY: plain calls; from here they are refused.
    let inside = unsafe {
        assert_eq!(corertc_has_feature(c"whep".as_ptr(), 4), 0);
        assert_eq!(corertc_abi_version(), 1);
        corertc_set_log(None, std::ptr::null_mut(), None, 0)
    };
    FROM_INSIDE.store(inside, Ordering::SeqCst);
    let line = (
        level,
        text(component, component_len),
        text(message, message_len),
        text(fields, fields_len),
    );
    LINES.lock().expect("lock").push(line);
}

unsafe extern "C" fn release(_: *mut c_void) {
    RELEASED.fetch_add(1, Ordering::SeqCst);
}

fn lines_of(component: &str) -> Vec<(i32, String, String)> {
    log_queue::flush(Duration::from_secs(5));
    let lines = LINES.lock().expect("lock");
    let ours = lines.iter().filter(|line| line.1 == component);
    ours.map(|line| (line.0, line.2.clone(), line.3.clone()))
        .collect()
}

#[test]
fn lines_and_panics_reach_the_callback_and_nothing_after_it_is_detached() {
    tracing::error!(target: "corertc::log_test::x", "before anybody listens");
    for level in [0, 6, -1] {
        let refused = log::set(Some(line), std::ptr::null_mut(), Some(release), level);
        assert!(matches!(refused, Err(Error::Invalid(_))));
    }
    let set = log::set(Some(line), std::ptr::null_mut(), Some(release), 3);
    assert_eq!((set, RELEASED.load(Ordering::SeqCst)), (Ok(()), 0));
    tracing::info!(target: "corertc::log_test::x", port = 5004, kind = "video", ok = true, "bound {}", 1);
    tracing::debug!(target: "corertc::log_test::x", "too fine");
    assert_eq!(
        lines_of("log_test"),
        [(
            3,
            "bound 1".to_owned(),
            r#"{"kind":"video","ok":true,"port":5004}"#.to_owned()
        )]
    );
    assert_eq!(FROM_INSIDE.load(Ordering::SeqCst), -4);

    let code = boundary::status(std::ptr::null_mut(), || panic!("on purpose {}", 42));
    assert_eq!(code, -9);
    let panics = lines_of("panic");
    assert!(panics.iter().any(|(level, message, fields)| *level == 1
        && message.ends_with("on purpose 42")
        && fields.contains("log_tests.rs")));

    let detached = log::set(None, std::ptr::null_mut(), None, 0);
    assert_eq!((detached, RELEASED.load(Ordering::SeqCst)), (Ok(()), 1));
    let count = LINES.lock().expect("lock").len();
    tracing::error!(target: "corertc::log_test::x", "nobody listens any more");
    log_queue::flush(Duration::from_secs(5));
    assert_eq!(LINES.lock().expect("lock").len(), count);
    assert_eq!(log_queue::max_level(), 0);
}
