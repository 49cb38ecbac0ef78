//! The panic hook, wrapped once: a panic on our threads or inside an export is a line in the host's log, never on its
//! stderr; any other panic goes to the hook that was there before.

use std::panic::PanicHookInfo;
use std::sync::Once;

use super::log_queue::{self, Line};
use crate::ffi::boundary;

/// Wraps the hook, the first time.
pub(in crate::ffi) fn wrap_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if is_ours() {
                report(info);
            } else {
                previous(info);
            }
        }));
    });
}

fn is_ours() -> bool {
    boundary::inside()
        || std::thread::current()
            .name()
            .is_some_and(|name| name.starts_with("corertc-"))
}

fn report(info: &PanicHookInfo<'_>) {
    let payload = info.payload();
    let words = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("");
    let place = info.location().map(ToString::to_string);
    let thread = std::thread::current();
    let mut fields = serde_json::Map::new();
    fields.insert("at".to_owned(), place.into());
    fields.insert("thread".to_owned(), thread.name().into());
    log_queue::push(Line {
        level: log_queue::ERROR,
        component: "panic".to_owned(),
        message: format!("the library panicked, which is a bug: {words}"),
        fields,
    });
}
