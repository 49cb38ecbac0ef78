//! AWS-LC's libssl behind safe functions: the one file of the peer with `unsafe`. `Connection` drives it with
//! bytes and a clock; it hands back steps, datagrams and exported keys.
//!
//! Every callback runs inside one of the calls below, on the same thread, and must not panic.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_long, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::Duration;

use aws_lc_sys as lc;

use super::fingerprint::Fingerprints;
use super::link::Link;
use super::{DtlsError, Role, policy};
use crate::peer::srtp::Profile;

thread_local! {
    /// What the time callback answers: it gets no connection, so the clock is set per thread before each call.
    static CLOCK: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// The process's `SSL_CTX`; never changed once made.
pub(super) struct Context(NonNull<lc::SSL_CTX>);

// SAFETY: an SSL_CTX may be shared by threads; its reference count and lock are internal, and nothing sets it after `new`.
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

impl Context {
    /// `certificate` is X.509 DER, `key` PKCS #8 DER.
    pub(super) fn new(certificate: &[u8], key: &[u8]) -> Result<Self, DtlsError> {
        // SAFETY: plain calls; the pointers are checked before use and the context is freed by `Drop`.
        unsafe {
            lc::ERR_clear_error();
            let context = NonNull::new(lc::SSL_CTX_new(lc::DTLS_with_buffers_method()))
                .map(Self)
                .ok_or_else(|| failed("SSL_CTX_new"))?;
            let ctx = context.0.as_ptr();
            let version = lc::DTLS1_2_VERSION as u16;
            let groups = policy::GROUPS;
            for accepted in [
                lc::SSL_CTX_set_min_proto_version(ctx, version),
                lc::SSL_CTX_set_max_proto_version(ctx, version),
                lc::SSL_CTX_set_strict_cipher_list(ctx, policy::CIPHERS.as_ptr()),
                lc::SSL_CTX_set1_groups(ctx, groups.as_ptr(), groups.len()),
                lc::SSL_CTX_set_srtp_profiles(ctx, policy::SRTP_PROFILES.as_ptr()),
            ] {
                check(accepted, "settings")?;
            }
            lc::SSL_CTX_set_options(ctx, policy::OPTIONS as u32);
            lc::SSL_CTX_set_session_cache_mode(ctx, lc::SSL_SESS_CACHE_OFF);
            lc::SSL_CTX_set_max_cert_list(ctx, policy::MAX_CERT_LIST);
            lc::SSL_CTX_set_current_time_cb(ctx, Some(clock));
            lc::SSL_CTX_set_custom_verify(ctx, policy::VERIFY_MODE, Some(verify));
            context.set_certificate(certificate, key)?;
            Ok(context)
        }
    }

    fn set_certificate(&self, certificate: &[u8], key: &[u8]) -> Result<(), DtlsError> {
        // SAFETY: `cbs` borrows `key` for the call only; the context takes references of its own, ours are dropped here.
        unsafe {
            let mut cbs = std::mem::zeroed::<lc::CBS>();
            lc::CBS_init(&mut cbs, key.as_ptr(), key.len());
            let private = lc::EVP_parse_private_key(&mut cbs);
            let leaf =
                lc::CRYPTO_BUFFER_new(certificate.as_ptr(), certificate.len(), ptr::null_mut());
            let done = if private.is_null() || leaf.is_null() {
                0
            } else {
                lc::SSL_CTX_set_chain_and_key(self.0.as_ptr(), &leaf, 1, private, ptr::null())
            };
            lc::CRYPTO_BUFFER_free(leaf);
            lc::EVP_PKEY_free(private);
            check(done, "certificate")
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: ours to free; connections hold references of their own.
        unsafe { lc::SSL_CTX_free(self.0.as_ptr()) }
    }
}

/// How far a call came.
pub(super) enum Step {
    /// The hand-shake is done.
    Done,
    /// Waits for a datagram or its timer.
    Blocked,
    /// Over, and why. An alert may be queued.
    Closed(String),
}

/// One `SSL`.
pub(super) struct Session {
    ssl: NonNull<lc::SSL>,
    link: Rc<Link>,
}

// SAFETY: libssl wants one thread at a time, which `&mut self` gives; the only other owner of `link` is `ssl` (a raw
// pointer inside), so both move together.
unsafe impl Send for Session {}

impl Session {
    pub(super) fn new(
        context: &Context,
        role: Role,
        fingerprints: Fingerprints,
    ) -> Result<Self, DtlsError> {
        let link = Rc::new(Link::new(fingerprints));
        let data = Rc::as_ptr(&link).cast_mut().cast::<c_void>();
        // SAFETY: `link` lives as long as the SSL (`Drop` frees the SSL first) and is only ever read through a shared
        // reference; SSL_set_bio takes over the one reference to `bio`.
        unsafe {
            lc::ERR_clear_error();
            let ssl = NonNull::new(lc::SSL_new(context.0.as_ptr()));
            let ssl = ssl.ok_or_else(|| failed("SSL_new"))?;
            let session = Self { ssl, link };
            let ssl = ssl.as_ptr();
            let bio = lc::BIO_new(bio_method()?);
            if bio.is_null() {
                return Err(failed("BIO_new"));
            }
            lc::BIO_set_data(bio, data);
            lc::BIO_set_init(bio, 1);
            lc::SSL_set_bio(ssl, bio, bio);
            check(lc::SSL_set_ex_data(ssl, 0, data), "ex_data")?;
            check(lc::SSL_set_mtu(ssl, policy::MTU), "MTU")?;
            lc::SSL_set_shed_handshake_config(ssl, 1);
            if role == Role::Server {
                lc::DTLSv1_set_initial_timeout_duration(ssl, policy::SERVER_RETRANSMIT_MS);
                lc::SSL_set_accept_state(ssl);
            } else {
                lc::DTLSv1_set_initial_timeout_duration(ssl, policy::CLIENT_RETRANSMIT_MS);
                lc::SSL_set_connect_state(ssl);
            }
            Ok(session)
        }
    }

    /// The datagram the next calls read. Must not be empty: libssl takes zero bytes for the end of the stream.
    pub(super) fn accept_datagram(&mut self, datagram: &[u8]) {
        self.link.put_incoming(datagram);
    }

    pub(super) fn handshake(&mut self, clock: Duration) -> Step {
        enter(clock);
        // SAFETY: `ssl` is live and ours alone.
        let code = unsafe { lc::SSL_do_handshake(self.ssl.as_ptr()) };
        self.step(code)
    }

    /// Reads what came after the hand-shake: retransmissions, alerts. Application data is thrown away.
    pub(super) fn read(&mut self, clock: Duration) -> Step {
        let mut scratch = [0_u8; 512];
        loop {
            enter(clock);
            let (out, len) = (scratch.as_mut_ptr().cast(), scratch.len() as c_int);
            // SAFETY: the buffer is writable for the length given.
            let code = unsafe { lc::SSL_read(self.ssl.as_ptr(), out, len) };
            if code <= 0 {
                return self.step(code);
            }
        }
    }

    /// Retransmits the flight if its timer is due.
    pub(super) fn retransmit(&mut self, clock: Duration) -> Step {
        enter(clock);
        // SAFETY: `ssl` is live and ours alone.
        match unsafe { lc::DTLSv1_handle_timeout(self.ssl.as_ptr()) } {
            code if code < 0 => Step::Closed(reason()),
            _ => Step::Blocked,
        }
    }

    /// Time left on the retransmission timer.
    pub(super) fn time_left(&self, clock: Duration) -> Option<Duration> {
        enter(clock);
        let (tv_sec, tv_usec) = (0, 0);
        let mut left = lc::timeval { tv_sec, tv_usec };
        // SAFETY: `left` is writable; `ssl` is live.
        let running = unsafe { lc::DTLSv1_get_timeout(self.ssl.as_ptr(), &mut left) };
        let seconds = u64::try_from(left.tv_sec).unwrap_or(0);
        let micros = u64::try_from(left.tv_usec).unwrap_or(0);
        (running == 1).then(|| Duration::from_secs(seconds) + Duration::from_micros(micros))
    }

    /// The negotiated profile, if the peer knows one of ours.
    pub(super) fn srtp_profile(&self) -> Option<Profile> {
        // SAFETY: the answer is null or points to a static table.
        let selected = unsafe { lc::SSL_get_selected_srtp_profile(self.ssl.as_ptr()).as_ref() }?;
        match i32::try_from(selected.id) {
            Ok(lc::SRTP_AEAD_AES_128_GCM) => Some(Profile::AeadAes128Gcm),
            Ok(lc::SRTP_AEAD_AES_256_GCM) => Some(Profile::AeadAes256Gcm),
            Ok(lc::SRTP_AES128_CM_SHA1_80) => Some(Profile::Aes128CmHmacSha1_80),
            _ => None,
        }
    }

    /// Keying material without a context (RFC 5705 §4).
    pub(super) fn export(&mut self, label: &str, out: &mut [u8]) -> Result<(), DtlsError> {
        enter(Duration::ZERO);
        // SAFETY: pointers and lengths of live slices; no context.
        let code = unsafe {
            let (ssl, out, out_len) = (self.ssl.as_ptr(), out.as_mut_ptr(), out.len());
            let (label, label_len) = (label.as_ptr().cast(), label.len());
            lc::SSL_export_keying_material(ssl, out, out_len, label, label_len, ptr::null(), 0, 0)
        };
        check(code, "exporter")
    }

    /// Queues close_notify; nothing while the hand-shake runs.
    pub(super) fn shut_down(&mut self) {
        enter(Duration::ZERO);
        // SAFETY: `ssl` is live and ours alone.
        unsafe { lc::SSL_shutdown(self.ssl.as_ptr()) };
    }

    /// Queues the fatal alert handshake_failure.
    pub(super) fn refuse(&mut self) {
        enter(Duration::ZERO);
        // SAFETY: `ssl` is live and ours alone.
        unsafe { lc::SSL_send_fatal_alert(self.ssl.as_ptr(), lc::SSL_AD_HANDSHAKE_FAILURE as u8) };
    }

    pub(super) fn next_datagram(&mut self) -> Option<Vec<u8>> {
        self.link.take_outgoing()
    }

    fn step(&mut self, code: c_int) -> Step {
        if code > 0 {
            return Step::Done;
        }
        // SAFETY: `ssl` is live; `code` is what its last call returned.
        match unsafe { lc::SSL_get_error(self.ssl.as_ptr(), code) } {
            lc::SSL_ERROR_WANT_READ | lc::SSL_ERROR_WANT_WRITE => Step::Blocked,
            lc::SSL_ERROR_ZERO_RETURN => Step::Closed("close_notify".to_owned()),
            _ if self.link.refused() => {
                Step::Closed("the peer's certificate does not match its fingerprint".to_owned())
            }
            _ => Step::Closed(reason()),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: ours to free, before `link`, which its BIO points to.
        unsafe { lc::SSL_free(self.ssl.as_ptr()) }
    }
}

/// Overwrites key material in a way the compiler keeps.
pub(super) fn cleanse(secret: &mut [u8]) {
    // SAFETY: a live slice.
    unsafe { lc::OPENSSL_cleanse(secret.as_mut_ptr().cast(), secret.len()) }
}

/// What every call needs first: the clock, and no errors left over by another connection on this thread.
fn enter(clock: Duration) {
    CLOCK.set(clock);
    // SAFETY: touches this thread's error queue only.
    unsafe { lc::ERR_clear_error() }
}

fn check(code: c_int, what: &str) -> Result<(), DtlsError> {
    if code == 1 { Ok(()) } else { Err(failed(what)) }
}

fn failed(what: &str) -> DtlsError {
    DtlsError(format!("{what}: {}", reason()))
}

/// The first error of the last call, in libssl's words.
fn reason() -> String {
    // SAFETY: the answer is null or a static C string.
    let text = unsafe {
        let text = lc::ERR_reason_error_string(lc::ERR_peek_error());
        (!text.is_null()).then(|| CStr::from_ptr(text))
    };
    text.unwrap_or(c"unknown error")
        .to_string_lossy()
        .into_owned()
}

/// The datagram BIO, made once for the process.
fn bio_method() -> Result<*const lc::BIO_METHOD, DtlsError> {
    struct Method(*const lc::BIO_METHOD);
    // SAFETY: never changed after it is made.
    unsafe impl Send for Method {}
    // SAFETY: as above.
    unsafe impl Sync for Method {}
    static METHOD: OnceLock<Method> = OnceLock::new();

    let method = METHOD.get_or_init(|| {
        // SAFETY: the method is made, filled in and published once; it is never freed.
        unsafe {
            let method = lc::BIO_meth_new(lc::BIO_TYPE_SOURCE_SINK, c"datagrams".as_ptr());
            if !method.is_null() {
                lc::BIO_meth_set_read(method, Some(bio_read));
                lc::BIO_meth_set_write(method, Some(bio_write));
                lc::BIO_meth_set_ctrl(method, Some(bio_ctrl));
            }
            Method(method)
        }
    });
    if method.0.is_null() {
        return Err(failed("BIO_meth_new"));
    }
    Ok(method.0)
}

unsafe extern "C" fn bio_read(bio: *mut lc::BIO, out: *mut c_char, len: c_int) -> c_int {
    // SAFETY: libssl passes the BIO made in `Session::new`, whose data is its live `Link`, and a buffer of `len` bytes.
    unsafe {
        lc::BIO_clear_retry_flags(bio);
        let link = lc::BIO_get_data(bio).cast::<Link>().as_ref();
        let Some(datagram) = link.and_then(|link| link.take_incoming()) else {
            lc::BIO_set_retry_read(bio);
            return -1;
        };
        // A datagram longer than the buffer is cut, as recv would.
        let taken = datagram.len().min(usize::try_from(len).unwrap_or(0));
        ptr::copy_nonoverlapping(datagram.as_ptr(), out.cast(), taken);
        taken as c_int
    }
}

unsafe extern "C" fn bio_write(bio: *mut lc::BIO, data: *const c_char, len: c_int) -> c_int {
    let Ok(size) = usize::try_from(len) else {
        return -1;
    };
    // SAFETY: as in `bio_read`; `data` holds `len` bytes.
    unsafe {
        lc::BIO_clear_retry_flags(bio);
        if let Some(link) = lc::BIO_get_data(bio).cast::<Link>().as_ref() {
            link.put_outgoing(std::slice::from_raw_parts(data.cast(), size));
        }
    }
    len
}

unsafe extern "C" fn bio_ctrl(_: *mut lc::BIO, cmd: c_int, _: c_long, _: *mut c_void) -> c_long {
    c_long::from(cmd == lc::BIO_CTRL_FLUSH)
}

unsafe extern "C" fn clock(_ssl: *const lc::SSL, out: *mut lc::timeval) {
    let now = CLOCK.get();
    let time = lc::timeval {
        tv_sec: (policy::CLOCK_BASE_S + now.as_secs()) as _,
        tv_usec: now.subsec_micros() as _,
    };
    // SAFETY: libssl passes a writable timeval.
    unsafe { out.write(time) }
}

/// Compares the peer's certificate with its fingerprints, before any key exists.
unsafe extern "C" fn verify(ssl: *mut lc::SSL, alert: *mut u8) -> lc::ssl_verify_result_t {
    // SAFETY: ex_data 0 is the live `Link` of this SSL; the certificate's bytes live as long as the SSL's session.
    unsafe {
        let Some(link) = lc::SSL_get_ex_data(ssl, 0).cast::<Link>().as_ref() else {
            return lc::ssl_verify_result_t_ssl_verify_invalid;
        };
        let chain = lc::SSL_get0_peer_certificates(ssl);
        // Null for a null or an empty chain.
        let leaf = lc::OPENSSL_sk_value(chain.cast(), 0).cast::<lc::CRYPTO_BUFFER>();
        let matches = !leaf.is_null() && {
            let (data, len) = (lc::CRYPTO_BUFFER_data(leaf), lc::CRYPTO_BUFFER_len(leaf));
            let der = std::slice::from_raw_parts(data, len);
            catch_unwind(AssertUnwindSafe(|| link.accepts(der))).unwrap_or(false)
        };
        if matches {
            return lc::ssl_verify_result_t_ssl_verify_ok;
        }
        *alert = lc::SSL_AD_BAD_CERTIFICATE as u8;
        lc::ssl_verify_result_t_ssl_verify_invalid
    }
}
