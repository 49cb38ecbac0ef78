//! DTLS against OpenSSL's s_client and s_server over a loopback socket: both roles, every certificate kind and SRTP
//! profile we promise, and the same exported keys on both sides.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stderr)]

mod openssl;

use std::io::Write;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use corertc::peer::dtls::{Connection, Event, Identity, Role};
use corertc::peer::srtp::{Keys, Profile};

use self::openssl::{Certificate, DEADLINE, Tool, WITH_CERTIFICATE, openssl_is_here};

const ALL: &str = "SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_256_GCM:SRTP_AEAD_AES_128_GCM";
const P256: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
const P224: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp224r1"];
const RSA: &[&str] = &["-newkey", "rsa:2048"];

/// Our connection on a socket.
struct Driver {
    socket: UdpSocket,
    connection: Connection,
    /// Datagrams.
    fed: usize,
    keys: Option<Keys>,
    closed: Option<String>,
}

impl Driver {
    fn new(role: Role, peer: &Certificate) -> Self {
        let identity = Identity::generate().unwrap();
        let fingerprints = peer.fingerprints();
        let connection = Connection::new(&identity, role, &fingerprints, Instant::now()).unwrap();
        Self::with(connection)
    }

    fn with(connection: Connection) -> Self {
        Self {
            socket: UdpSocket::bind("127.0.0.1:0").unwrap(),
            connection,
            fed: 0,
            keys: None,
            closed: None,
        }
    }

    fn address(&self) -> String {
        self.socket.local_addr().unwrap().to_string()
    }

    /// Moves datagrams and time until `done`.
    fn run_until(&mut self, done: impl Fn(&Self) -> bool) {
        let end = Instant::now() + DEADLINE;
        let mut buffer = [0; 2048];
        loop {
            while let Some(datagram) = self.connection.poll_transmit() {
                let _ = self.socket.send(&datagram);
            }
            while let Some(event) = self.connection.poll_event() {
                match event {
                    Event::Connected(keys) => self.keys = Some(keys),
                    Event::Closed(reason) => self.closed = Some(reason),
                }
            }
            if done(self) {
                return;
            }
            let now = Instant::now();
            assert!(now < end, "not in time; closed: {:?}", self.closed);
            let wait = self
                .connection
                .next_timeout()
                .map_or(DEADLINE, |at| at - now);
            let wait = wait.clamp(Duration::from_millis(1), Duration::from_millis(100));
            self.socket.set_read_timeout(Some(wait)).unwrap();
            if let Ok((length, from)) = self.socket.recv_from(&mut buffer) {
                self.socket.connect(from).unwrap();
                self.connection.feed(&buffer[..length], Instant::now());
                self.fed += 1;
            }
            if self
                .connection
                .next_timeout()
                .is_some_and(|at| at <= Instant::now())
            {
                self.connection.handle_timeout(Instant::now());
            }
        }
    }

    fn connect(&mut self) -> &Keys {
        self.run_until(|driver| driver.keys.is_some() || driver.closed.is_some());
        assert_eq!(self.closed, None);
        self.keys.as_ref().unwrap()
    }
}

/// RFC 5764 §4.2: client key, server key, client salt, server salt.
fn joined(keys: &Keys, role: Role) -> Vec<u8> {
    let (local, remote) = (
        [&keys.local_key, &keys.local_salt],
        [&keys.remote_key, &keys.remote_salt],
    );
    let [client, server] = match role {
        Role::Client => [local, remote],
        Role::Server => [remote, local],
    };
    [client[0], server[0], client[1], server[1]]
        .into_iter()
        .flatten()
        .copied()
        .collect()
}

fn key_bytes(profile: Profile) -> usize {
    2 * (profile.key_len() + profile.salt_len())
}

/// Connects as server to an s_client, compares profile and keys, and sees its close_notify.
fn serve(test: &str, kind: &[&str], srtp: &str, expected: Profile) {
    if !openssl_is_here() {
        return;
    }
    let certificate = Certificate::generate(test, kind);
    let mut driver = Driver::new(Role::Server, &certificate);
    let address = driver.address();
    let args = [&["s_client", "-connect", &address], &WITH_CERTIFICATE[..]].concat();
    let mut tool = Tool::start(&certificate.0, &args, srtp, key_bytes(expected));
    let keys = driver.connect();
    assert_eq!(keys.profile, expected);
    let ours = joined(keys, Role::Server);
    assert_eq!(ours, tool.keying_material());

    // Application data is dropped, and the connection stays.
    tool.stdin.write_all(b"application data\n").unwrap();
    tool.stdin.flush().unwrap();
    let before = driver.fed;
    driver.run_until(|driver| driver.fed > before);
    assert_eq!(driver.closed, None);

    tool.stdin.write_all(b"Q\n").unwrap();
    driver.run_until(|driver| driver.closed.is_some());
    assert_eq!(driver.closed.as_deref(), Some("close_notify"));
}

#[test]
fn a_p256_client_that_lists_cm_first_still_gets_gcm() {
    serve("p256", P256, ALL, Profile::AeadAes128Gcm);
}

#[test]
fn an_rsa_client_connects_as_gstreamer_does() {
    serve("rsa", RSA, ALL, Profile::AeadAes128Gcm);
}

#[test]
fn a_p224_client_connects_as_gnutls_builds_of_ffmpeg_do() {
    serve("p224", P224, ALL, Profile::AeadAes128Gcm);
}

#[test]
fn aead_aes_128_gcm_alone_works() {
    serve(
        "gcm128",
        P256,
        "SRTP_AEAD_AES_128_GCM",
        Profile::AeadAes128Gcm,
    );
}

#[test]
fn aead_aes_256_gcm_alone_works() {
    serve(
        "gcm256",
        P256,
        "SRTP_AEAD_AES_256_GCM",
        Profile::AeadAes256Gcm,
    );
}

#[test]
fn aes128_cm_sha1_80_alone_works() {
    serve(
        "cm",
        RSA,
        "SRTP_AES128_CM_SHA1_80",
        Profile::Aes128CmHmacSha1_80,
    );
}

/// Connects as client to an s_server that demands our certificate, and closes.
fn call(test: &str, kind: &[&str], srtp: &str, expected: Profile) {
    if !openssl_is_here() {
        return;
    }
    let certificate = Certificate::generate(test, kind);
    let mut driver = Driver::new(Role::Client, &certificate);
    let reserved = UdpSocket::bind("127.0.0.1:0").unwrap();
    let server = reserved.local_addr().unwrap();
    drop(reserved);
    driver.socket.connect(server).unwrap();
    let accept = server.to_string();
    let demand = [
        "s_server", "-accept", &accept, "-Verify", "1", "-naccept", "1",
    ];
    let args = [&demand, &WITH_CERTIFICATE[..]].concat();
    let mut tool = Tool::start(&certificate.0, &args, srtp, key_bytes(expected));
    let keys = driver.connect();
    assert_eq!(keys.profile, expected);
    let ours = joined(keys, Role::Client);
    assert_eq!(ours, tool.keying_material());
    driver.connection.close();
    driver.run_until(|_| true);
    // It accepts one association and ends with it: only our close_notify can do that.
    let end = Instant::now() + DEADLINE;
    while tool.child.try_wait().unwrap().is_none() {
        assert!(
            Instant::now() < end,
            "s_server has not seen our close_notify"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn we_connect_to_a_p256_server_that_starts_late() {
    call(
        "server-p256",
        P256,
        "SRTP_AEAD_AES_128_GCM",
        Profile::AeadAes128Gcm,
    );
}

#[test]
fn we_connect_to_an_rsa_server() {
    call(
        "server-rsa",
        RSA,
        "SRTP_AES128_CM_SHA1_80",
        Profile::Aes128CmHmacSha1_80,
    );
}

#[test]
fn we_connect_to_a_p224_server() {
    call(
        "server-p224",
        P224,
        "SRTP_AES128_CM_SHA1_80",
        Profile::Aes128CmHmacSha1_80,
    );
}

#[test]
fn a_client_with_another_certificate_is_refused_without_keys() {
    if !openssl_is_here() {
        return;
    }
    let expected = Certificate::generate("expected", P256);
    let other = Certificate::generate("other", P256);
    let mut driver = Driver::new(Role::Server, &expected);
    let address = driver.address();
    let args = [&["s_client", "-connect", &address], &WITH_CERTIFICATE[..]].concat();
    let _tool = Tool::start(&other.0, &args, ALL, 56);
    driver.run_until(|driver| driver.closed.is_some());
    assert!(driver.keys.is_none());
    assert!(driver.closed.unwrap().contains("fingerprint"));
}

#[test]
fn a_client_without_a_certificate_is_refused_without_keys() {
    if !openssl_is_here() {
        return;
    }
    let expected = Certificate::generate("none", P256);
    let mut driver = Driver::new(Role::Server, &expected);
    let args = ["s_client", "-connect", &driver.address()];
    let _tool = Tool::start(&expected.0, &args, ALL, 56);
    driver.run_until(|driver| driver.closed.is_some());
    assert!(driver.keys.is_none());
    assert_eq!(
        driver.closed.as_deref(),
        Some("PEER_DID_NOT_RETURN_A_CERTIFICATE")
    );
}

#[test]
fn a_client_without_srtp_is_refused_without_keys() {
    if !openssl_is_here() {
        return;
    }
    let certificate = Certificate::generate("no-srtp", P256);
    let mut driver = Driver::new(Role::Server, &certificate);
    let address = driver.address();
    let args = [&["s_client", "-connect", &address], &WITH_CERTIFICATE[..]].concat();
    // A profile that we do not have stands for none.
    let _tool = Tool::start(&certificate.0, &args, "SRTP_AES128_CM_SHA1_32", 56);
    driver.run_until(|driver| driver.closed.is_some());
    assert!(driver.keys.is_none());
    assert!(driver.closed.unwrap().contains("SRTP"));
}
