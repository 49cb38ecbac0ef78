//! DTLS 1.2 of a viewer, by AWS-LC's libssl: client or server, whichever the answer asks for. It writes to the viewer's
//! connected socket itself and is fed the datagrams that come in.
//!
//! The peer's certificate is not compared with its fingerprint: a load tool has nothing to protect.

use std::ffi::{c_int, c_void};
use std::os::fd::RawFd;
use std::ptr::null;
use std::sync::Arc;

use aws_lc_rs::digest;
use aws_lc_sys as ffi;

use super::Error;

const PROFILES: &std::ffi::CStr = c"SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80";
const EXPORTER: &[u8] = b"EXTRACTOR-dtls_srtp";

/// What all viewers of a crowd share: the certificate and its settings.
pub struct Context {
    ssl: *mut ffi::SSL_CTX,
    /// SHA-256 of the certificate as SDP writes it.
    pub fingerprint: String,
}

// SAFETY: an SSL_CTX is reference-counted and locked inside; it isn't changed once made.
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

impl Context {
    /// A fresh P-256 certificate and both SRTP profiles, GCM first.
    pub fn new() -> Result<Self, Error> {
        let made = rcgen::generate_simple_self_signed(vec!["viewer".to_owned()]);
        let made = made.map_err(|error| Error::Setup(error.to_string()))?;
        let (certificate, key) = (made.cert.der(), made.signing_key.serialize_der());
        let hash = digest::digest(&digest::SHA256, certificate);
        let hash: Vec<String> = hash
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect();
        // SAFETY: the context is ours until it is dropped; the DER buffers are copied by the calls.
        let (ssl, good) = unsafe {
            let ssl = ffi::SSL_CTX_new(ffi::DTLS_method());
            if ssl.is_null() {
                return Err(Error::Setup("SSL_CTX_new".to_owned()));
            }
            ffi::SSL_CTX_set_session_cache_mode(ssl, ffi::SSL_SESS_CACHE_OFF);
            ffi::SSL_CTX_set_options(
                ssl,
                (ffi::SSL_OP_NO_TICKET | ffi::SSL_OP_NO_QUERY_MTU) as u32,
            );
            ffi::SSL_CTX_set_custom_verify(ssl, ffi::SSL_VERIFY_PEER, Some(accept_any));
            let good =
                ffi::SSL_CTX_use_certificate_ASN1(ssl, certificate.len(), certificate.as_ptr())
                    == 1
                    && ffi::SSL_CTX_use_PrivateKey_ASN1(
                        ffi::EVP_PKEY_EC,
                        ssl,
                        key.as_ptr(),
                        key.len(),
                    ) == 1
                    && ffi::SSL_CTX_set_srtp_profiles(ssl, PROFILES.as_ptr()) == 1;
            (ssl, good)
        };
        let context = Self {
            ssl,
            fingerprint: hash.join(":"),
        };
        if good {
            Ok(context)
        } else {
            Err(Error::Setup("libssl refused the certificate".to_owned()))
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: made by SSL_CTX_new, freed once; connections hold references of their own.
        unsafe { ffi::SSL_CTX_free(self.ssl) }
    }
}

extern "C" fn accept_any(_ssl: *mut ffi::SSL, _alert: *mut u8) -> ffi::ssl_verify_result_t {
    ffi::ssl_verify_result_t_ssl_verify_ok
}

/// Where a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Hand-shake under way, or not begun.
    Shaking,
    /// Keys are there.
    Established,
    /// The peer said close_notify.
    Closed,
    /// Alert or protocol error.
    Failed,
}

/// SRTP keys as RFC 5764 §4.2 lays them out.
pub struct Keys {
    /// The profile's number in the use_srtp extension.
    pub profile: u16,
    /// What we protect with: (key, salt).
    pub ours: (Vec<u8>, Vec<u8>),
    /// What the server protects with.
    pub theirs: (Vec<u8>, Vec<u8>),
}

/// One connection.
pub struct Dtls {
    ssl: *mut ffi::SSL,
    incoming: *mut ffi::BIO,
    client: bool,
    state: State,
    _context: Arc<Context>,
}

// SAFETY: an SSL may move between threads as long as one at a time uses it, which `&mut self` sees to.
unsafe impl Send for Dtls {}

impl Dtls {
    /// `socket` is connected to the server and outlives this.
    pub fn new(context: &Arc<Context>, socket: RawFd, client: bool) -> Result<Self, Error> {
        // SAFETY: the SSL takes over both BIOs; `incoming` is used only while the SSL lives.
        unsafe {
            let ssl = ffi::SSL_new(context.ssl);
            let incoming = ffi::BIO_new(ffi::BIO_s_mem());
            let outgoing = ffi::BIO_new_socket(socket, ffi::BIO_NOCLOSE);
            if ssl.is_null() || incoming.is_null() || outgoing.is_null() {
                return Err(Error::Setup("SSL_new".to_owned()));
            }
            ffi::BIO_set_mem_eof_return(incoming, -1);
            ffi::SSL_set_bio(ssl, incoming, outgoing);
            ffi::SSL_set_mtu(ssl, 1200);
            ffi::DTLSv1_set_initial_timeout_duration(ssl, 50);
            if client {
                ffi::SSL_set_connect_state(ssl);
            } else {
                ffi::SSL_set_accept_state(ssl);
            }
            Ok(Self {
                ssl,
                incoming,
                client,
                state: State::Shaking,
                _context: Arc::clone(context),
            })
        }
    }

    /// Whether we send the first hello.
    #[must_use]
    pub fn is_client(&self) -> bool {
        self.client
    }

    /// Takes one datagram of the peer's.
    pub fn feed(&mut self, datagram: &[u8]) -> State {
        // SAFETY: the BIO copies the bytes; an empty datagram would read as the end of the stream and is left out.
        unsafe {
            ffi::BIO_reset(self.incoming);
            if datagram.is_empty() {
                return self.state;
            }
            ffi::BIO_write(
                self.incoming,
                datagram.as_ptr().cast(),
                datagram.len() as c_int,
            );
        }
        self.drive()
    }

    /// Goes on with the hand-shake, or reads what a finished one brings (only close_notify matters).
    pub fn drive(&mut self) -> State {
        let mut sink = [0_u8; 2048];
        // SAFETY: `ssl` is live, `sink` is written within its length.
        let (outcome, reason) = unsafe {
            ffi::ERR_clear_error();
            let outcome = match self.state {
                State::Shaking => ffi::SSL_do_handshake(self.ssl),
                State::Established => ffi::SSL_read(
                    self.ssl,
                    sink.as_mut_ptr().cast::<c_void>(),
                    sink.len() as c_int,
                ),
                State::Closed | State::Failed => return self.state,
            };
            (outcome, ffi::SSL_get_error(self.ssl, outcome))
        };
        self.state = match (outcome, reason) {
            (1.., _) => State::Established,
            (_, ffi::SSL_ERROR_WANT_READ | ffi::SSL_ERROR_WANT_WRITE) => self.state,
            (_, ffi::SSL_ERROR_ZERO_RETURN) => State::Closed,
            _ => State::Failed,
        };
        self.state
    }

    /// Sends again what has waited too long; cheap to call often.
    pub fn tick(&mut self) {
        if self.state == State::Shaking {
            // SAFETY: `ssl` is live; without a timer that ran out this does nothing.
            unsafe {
                ffi::DTLSv1_handle_timeout(self.ssl);
            }
        }
    }

    /// Says close_notify.
    pub fn close(&mut self) {
        if self.state == State::Established {
            // SAFETY: `ssl` is live.
            unsafe {
                ffi::ERR_clear_error();
                ffi::SSL_shutdown(self.ssl);
            }
            self.state = State::Closed;
        }
    }

    /// The keys of an established connection; None where the peer chose no SRTP profile.
    #[must_use]
    pub fn keys(&self) -> Option<Keys> {
        // SAFETY: `ssl` is live; a profile points to static memory of the library.
        let profile = unsafe { ffi::SSL_get_selected_srtp_profile(self.ssl).as_ref()?.id as u16 };
        let salt_len = if profile == 7 { 12 } else { 14 };
        let mut material = vec![0_u8; 2 * (16 + salt_len)];
        // SAFETY: the call fills exactly the length it is told.
        let exported = unsafe {
            ffi::SSL_export_keying_material(
                self.ssl,
                material.as_mut_ptr(),
                material.len(),
                EXPORTER.as_ptr().cast(),
                EXPORTER.len(),
                null(),
                0,
                0,
            )
        };
        let (keys, salts) = material.split_at(32);
        let of_client = (keys[..16].to_vec(), salts[..salt_len].to_vec());
        let of_server = (keys[16..].to_vec(), salts[salt_len..].to_vec());
        let (ours, theirs) = if self.client {
            (of_client, of_server)
        } else {
            (of_server, of_client)
        };
        (exported == 1).then_some(Keys {
            profile,
            ours,
            theirs,
        })
    }
}

impl Drop for Dtls {
    fn drop(&mut self) {
        // SAFETY: made by SSL_new, freed once, its BIOs with it.
        unsafe { ffi::SSL_free(self.ssl) }
    }
}
