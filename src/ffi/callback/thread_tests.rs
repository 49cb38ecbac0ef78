//! Events on the callback thread, the auth question, and what their callbacks may not do.

use std::ffi::{c_char, c_void};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::thread::CallbackThread;
use super::{Callbacks, guard};
use crate::error::Error;
use crate::events::{EventKind, Events};
use crate::ffi::abi::corertc_auth_request;
use crate::signal::auth::{Action, AuthQuery};

/// What a callback saw: kind, id, detail, the thread's name, the answer to a close from inside.
type Seen = (u32, String, String, String, Result<(), Error>);

struct Host {
    callbacks: Arc<Callbacks>,
    seen: Mutex<Sender<Seen>>,
    /// Where set, the callback waits for a word.
    gate: Mutex<Option<Receiver<()>>>,
}

fn text(pointer: *const c_char, len: usize) -> String {
    // SAFETY: the callback's texts are `len` bytes and a NUL.
    let bytes = unsafe { std::slice::from_raw_parts(pointer.cast::<u8>(), len + 1) };
    assert_eq!(bytes[len], 0);
    String::from_utf8(bytes[..len].to_vec()).expect("UTF-8")
}

unsafe extern "C" fn event(
    user_data: *mut c_void,
    kind: u32,
    stream_id: *const c_char,
    stream_id_len: usize,
    detail: *const c_char,
    detail_len: usize,
) {
    // SAFETY: the test keeps its Host until the thread has ended.
    let host = unsafe { &*user_data.cast::<Host>() };
    let seen = (
        kind,
        text(stream_id, stream_id_len),
        text(detail, detail_len),
        std::thread::current().name().unwrap_or("").to_owned(),
        host.callbacks.refuse_close(),
    );
    host.seen.lock().expect("lock").send(seen).expect("a test");
    if let Some(gate) = host.gate.lock().expect("lock").take() {
        gate.recv().expect("a word from the test");
    }
}

fn host() -> (Box<Host>, Receiver<Seen>, Events, CallbackThread) {
    let (seen, receiver) = channel();
    let callbacks = Arc::new(Callbacks::default());
    let host = Box::new(Host {
        callbacks: Arc::clone(&callbacks),
        seen: Mutex::new(seen),
        gate: Mutex::new(None),
    });
    let user_data = std::ptr::from_ref(&*host).cast_mut().cast();
    assert_eq!(callbacks.events.set(Some(event), user_data, None), Ok(()));
    let events = Events::default();
    let thread = CallbackThread::start(events.clone(), callbacks).expect("a thread");
    (host, receiver, events, thread)
}

const SOON: Duration = Duration::from_secs(10);

#[test]
fn events_arrive_in_order_on_the_callback_thread_and_may_not_close() {
    let (host, seen, events, thread) = host();
    events.push(EventKind::StreamActive, "a:/b", serde_json::json!({}));
    events.warn("c", "b_frames", serde_json::json!({"pt": 97}));
    let (kind, id, detail, name, close) = seen.recv_timeout(SOON).expect("an event");
    assert_eq!((kind, id.as_str(), detail.as_str()), (5, "a:/b", "{}"));
    assert_eq!(name, "corertc-callback");
    assert!(matches!(close, Err(Error::State(_))));
    let (kind, id, detail, _, _) = seen.recv_timeout(SOON).expect("an event");
    assert_eq!((kind, id.as_str()), (8, "c"));
    assert_eq!(detail, r#"{"code":"b_frames","pt":97}"#);
    assert_eq!(thread.stop(SOON), Ok(()));
    assert_eq!(host.callbacks.refuse_close(), Ok(()));
}

#[test]
fn a_stop_delivers_what_is_queued_and_keeps_its_deadline() {
    let (host, seen, events, thread) = host();
    let (go, gate) = channel();
    *host.gate.lock().expect("lock") = Some(gate);
    events.push(EventKind::ViewerJoined, "1", serde_json::json!({}));
    events.push(EventKind::ViewerLeft, "2", serde_json::json!({}));
    assert_eq!(seen.recv_timeout(SOON).expect("an event").1, "1");
    let late = thread.stop(Duration::from_millis(30));
    assert!(matches!(late, Err(Error::Timeout(_))));
    go.send(()).expect("the callback waits");
    assert_eq!(thread.stop(SOON), Ok(()));
    assert_eq!(seen.try_recv().expect("an event").1, "2");
    assert_eq!(thread.stop(Duration::ZERO), Ok(()));
    thread.join();
}

unsafe extern "C" fn auth(user_data: *mut c_void, request: *const corertc_auth_request) -> i32 {
    // SAFETY: the test's own callbacks, and a request lent for the call.
    let (callbacks, request) = unsafe { (&*user_data.cast::<Callbacks>(), &*request) };
    assert_eq!(request.size, size_of::<corertc_auth_request>());
    assert_eq!((request.action, request.reserved), (2, 0));
    let texts = [
        text(request.stream_id, request.stream_id_len),
        text(request.token, request.token_len),
        text(request.query, request.query_len),
        text(request.remote_addr, request.remote_addr_len),
        text(request.user_agent, request.user_agent_len),
    ];
    assert_eq!(texts, ["id", "secret", "a=b", "192.0.2.1", ""]);
    assert!(callbacks.refuse_close().is_err());
    403
}

#[test]
fn the_auth_callback_is_asked_with_everything_and_its_answer_counts() {
    let callbacks = Callbacks::default();
    let query = AuthQuery {
        action: Action::Publish,
        stream_id: "id".into(),
        token: "secret".into(),
        query: "a=b".into(),
        remote_addr: "192.0.2.1".into(),
        user_agent: String::new(),
    };
    assert_eq!(callbacks.call_auth(&query), None);
    let user_data = std::ptr::from_ref(&callbacks).cast_mut().cast();
    assert_eq!(callbacks.auth.set(Some(auth), user_data, None), Ok(()));
    assert_eq!(callbacks.call_auth(&query), Some(403));
    assert_eq!(guard::refuse_inside_log(), Ok(()));
}

unsafe extern "C" fn teardown(user_data: *mut c_void, id: *const c_char, len: usize) {
    // SAFETY: the test's own callbacks.
    let callbacks = unsafe { &*user_data.cast::<Callbacks>() };
    let id = text(id, len);
    let refused = |outcome| matches!(outcome, Err(Error::State(_)));
    assert!(refused(callbacks.refuse_close()));
    assert!(refused(callbacks.refuse_start(&id, false)));
    assert_eq!(callbacks.refuse_start("another", false), Ok(()));
    assert_eq!(callbacks.refuse_start(&id, true), Ok(()));
    assert_eq!(Callbacks::default().refuse_close(), Ok(()));
}

#[test]
fn a_teardown_callback_may_start_any_id_but_its_own() {
    let callbacks = Callbacks::default();
    let user_data = std::ptr::from_ref(&callbacks).cast_mut().cast();
    assert_eq!(
        callbacks.teardown.set(Some(teardown), user_data, None),
        Ok(())
    );
    callbacks.call_teardown("a");
    assert_eq!(callbacks.refuse_start("a", false), Ok(()));
    callbacks.seal();
    assert!(matches!(callbacks.refuse_sealed(), Err(Error::State(_))));
    callbacks.clear();
    callbacks.call_teardown("a");
}
