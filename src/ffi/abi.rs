//! The plain types of the C ABI: structs the caller allocates (size first) and callback types.

use std::ffi::{c_char, c_void};

use super::process::corertc_process_config;
use super::subsystem::corertc_subsystem;

/// One of CORERTC_OK and CORERTC_E_...
pub type corertc_status = i32;

/// Filled where a call is given one: the status and, unless that is CORERTC_OK, a message that names the argument, the
/// option or the address at fault. Set size before every call. It is 256 bytes on every target.
#[repr(C)]
pub struct corertc_error {
    /// In: sizeof(corertc_error). Out: bytes filled.
    pub size: u32,
    /// The status the call returned.
    pub code: corertc_status,
    /// UTF-8, NUL-terminated, cut where too long.
    pub message: [c_char; 248],
}

/// Called exactly once per (fn, user_data, release) that a set_... call took, when its fn can never run again.
pub type corertc_release_fn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// A leg is one FFmpeg argument list: options, then the address last. The arguments of all legs stand in one caller
/// buffer, each NUL-terminated.
#[repr(C)]
pub struct corertc_leg {
    /// In: sizeof(corertc_leg), in every element; it is the stride of the array. Out: bytes filled.
    pub size: usize,
    /// "corertc_video", "corertc_audio", "corertc_av" or "corertc_input".
    pub id: [c_char; 64],
    /// CORERTC_KIND_...
    pub kind: u32,
    /// First port of the leg on 127.0.0.1; of an RTSP input the listener's.
    pub rtp_port: u16,
    /// 0.
    pub reserved: u16,
    /// 0 where the leg carries more than one.
    pub payload_type: u32,
    /// In Hz; of the video where the leg carries both.
    pub clock_rate: u32,
    /// Arguments of this leg.
    pub argc: u32,
    /// Where they begin in the argument buffer.
    pub argv_offset: usize,
    /// How many bytes of it they take, every NUL counted.
    pub argv_len: usize,
}

/// corertc_process_start or corertc_input_start.
pub type corertc_start_fn = Option<
    unsafe extern "C" fn(
        subsystem: *mut corertc_subsystem,
        id: *const c_char,
        id_len: usize,
        config: *const corertc_process_config,
        legs: *mut corertc_leg,
        legs_cap: usize,
        legs_len: *mut usize,
        argv: *mut c_char,
        argv_cap: usize,
        argv_len: *mut usize,
        err: *mut corertc_error,
    ) -> corertc_status,
>;

/// corertc_process_stop or corertc_input_stop.
pub type corertc_stop_fn = Option<
    unsafe extern "C" fn(
        subsystem: *mut corertc_subsystem,
        id: *const c_char,
        id_len: usize,
    ) -> corertc_status,
>;

/// The start and stop functions as a table, for hosts that plug in a set of hooks. Members of a set that was not asked
/// for are NULL.
#[repr(C)]
pub struct corertc_hooks {
    /// In: sizeof(corertc_hooks). Out: bytes filled.
    pub size: usize,
    /// Pass it as the first argument.
    pub subsystem: *mut corertc_subsystem,
    /// A process starts: its egress legs.
    pub on_start: corertc_start_fn,
    /// A process ended.
    pub on_stop: corertc_stop_fn,
    /// A process starts: its ingest legs.
    pub on_input_start: corertc_start_fn,
    /// A process is about to end.
    pub on_input_stop: corertc_stop_fn,
}

/// A stream ends. On the thread inside process_stop, input_stop or close, after the viewers or the publisher of that
/// stream were told to leave and before its sockets close; once per stream. Every call is allowed from it but a start of
/// the same id and close (CORERTC_E_STATE).
pub type corertc_teardown_fn = Option<
    unsafe extern "C" fn(user_data: *mut c_void, stream_id: *const c_char, stream_id_len: usize),
>;

/// Something happened (CORERTC_EVENT_...); detail is a JSON object. On the library's callback thread, in order. Every
/// call is allowed from it but close (CORERTC_E_STATE).
pub type corertc_event_fn = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        event: u32,
        stream_id: *const c_char,
        stream_id_len: usize,
        detail: *const c_char,
        detail_len: usize,
    ),
>;

/// Who asks for what. Borrowed for the call; every text is NUL-terminated besides its length.
#[repr(C)]
pub struct corertc_auth_request {
    /// sizeof(corertc_auth_request) of the library.
    pub size: usize,
    /// CORERTC_ACTION_...
    pub action: u32,
    /// 0.
    pub reserved: u32,
    /// The id of the stream, percent-decoded.
    pub stream_id: *const c_char,
    /// Its length.
    pub stream_id_len: usize,
    /// Bearer token or ?token=, empty where there is none.
    pub token: *const c_char,
    /// Its length.
    pub token_len: usize,
    /// The raw query.
    pub query: *const c_char,
    /// Its length.
    pub query_len: usize,
    /// The client's address.
    pub remote_addr: *const c_char,
    /// Its length.
    pub remote_addr_len: usize,
    /// The client's User-Agent.
    pub user_agent: *const c_char,
    /// Its length.
    pub user_agent_len: usize,
}

/// May this client in? Asked on a POST, and with an empty stream id before the list of streams and the metrics; on blocking threads, several at once; may take up to
/// CORERTC_OPT_AUTH_TIMEOUT_MS, a later answer counts as 503. Returns 0 or 200 to let in, else the HTTP status of the
/// refusal (401, 403, 404, 429, ...). Every call is allowed from it but close (CORERTC_E_STATE).
pub type corertc_auth_fn = Option<
    unsafe extern "C" fn(user_data: *mut c_void, request: *const corertc_auth_request) -> i32,
>;

/// A line for the host's log; fields is a JSON object. On the library's log thread. It must not call the library
/// (CORERTC_E_STATE).
pub type corertc_log_fn = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        level: i32,
        component: *const c_char,
        component_len: usize,
        message: *const c_char,
        message_len: usize,
        fields: *const c_char,
        fields_len: usize,
    ),
>;

/// Numbers of one subsystem.
#[repr(C)]
#[derive(Default)]
pub struct corertc_stats {
    /// In: sizeof(corertc_stats). Out: bytes filled.
    pub size: usize,
    /// Processes with egress legs, now.
    pub streams: u64,
    /// Processes with an ingest, now.
    pub inputs: u64,
    /// Connected viewers, now.
    pub viewers: u64,
    /// Connected publishers, now.
    pub publishers: u64,
    /// Sessions created, since the start, as all below.
    pub sessions_total: u64,
    /// Sessions that ended before they connected.
    pub sessions_failed: u64,
    /// RTP packets FFmpeg sent to the legs.
    pub leg_packets_in: u64,
    /// Bytes of them.
    pub leg_bytes_in: u64,
    /// Leg packets with a payload type that is not the leg's own.
    pub leg_wrong_kind: u64,
    /// Leg packets dropped for any other reason.
    pub leg_drops: u64,
    /// RTP packets sent to viewers.
    pub packets_out: u64,
    /// Bytes of SRTP sent to viewers.
    pub bytes_out: u64,
    /// Frames left out for a viewer.
    pub frames_dropped: u64,
    /// Packets viewers asked for again.
    pub nack_in: u64,
    /// Packets sent again.
    pub repaired: u64,
    /// Key-frame requests of viewers.
    pub pli_in: u64,
    /// Datagrams refused by ICE.
    pub stun_rejected: u64,
    /// DTLS hand-shakes that failed.
    pub dtls_failed: u64,
    /// SRTP and SRTCP packets refused.
    pub srtp_rejected: u64,
    /// HTTP answers with a 2xx status.
    pub http_2xx: u64,
    /// HTTP answers with a 4xx status.
    pub http_4xx: u64,
    /// HTTP answers with a 5xx status.
    pub http_5xx: u64,
    /// Events nobody took in time.
    pub events_lost: u64,
    /// Log lines nobody took in time; of the whole process.
    pub log_lost: u64,
}
