//! DTLS against OpenSSL's s_client and s_server over a loopback socket: both roles, every certificate kind and SRTP
//! profile we promise, and the same exported keys on both sides.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stderr)]

use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use aws_lc_rs::digest;
use corertc::peer::dtls::{Connection, Event, Identity, Role};
use corertc::peer::srtp::{Keys, Profile};

const DEADLINE: Duration = Duration::from_secs(20);
const ALL: &str = "SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_256_GCM:SRTP_AEAD_AES_128_GCM";
const P256: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
const P224: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp224r1"];
const RSA: &[&str] = &["-newkey", "rsa:2048"];

/// A missing tool fails in CI and skips elsewhere.
fn openssl_is_here() -> bool {
    let here = Command::new("openssl").arg("version").output().is_ok();
    assert!(here || std::env::var_os("CI").is_none(), "no openssl");
    if !here {
        eprintln!("skipped: no openssl");
    }
    here
}

/// A directory of its own with a certificate made by OpenSSL.
struct Certificate(PathBuf);

impl Certificate {
    fn generate(test: &str, kind: &[&str]) -> Self {
        let path = std::env::temp_dir().join(format!("corertc-{}-{test}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        let made = Command::new("openssl")
            .args(["req", "-x509", "-nodes", "-subj", "/CN=peer", "-days", "2"])
            .args(kind)
            .args(["-keyout", "key.pem", "-out", "cert.pem"])
            .current_dir(&path)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        Self(path)
    }

    /// SHA-256 and SHA-512, as a browser with several fingerprints offers them.
    fn fingerprints(&self) -> Vec<(String, Vec<u8>)> {
        let der = Command::new("openssl")
            .args(["x509", "-in", "cert.pem", "-outform", "DER"])
            .current_dir(&self.0)
            .output()
            .unwrap()
            .stdout;
        [("sha-256", &digest::SHA256), ("sha-512", &digest::SHA512)]
            .map(|(name, hash)| {
                (
                    name.to_owned(),
                    digest::digest(hash, &der).as_ref().to_vec(),
                )
            })
            .to_vec()
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A running `openssl s_client` or `s_server`, killed at the end.
struct Tool {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
}

impl Tool {
    fn start(directory: &Path, args: &[&str], srtp: &str, key_bytes: usize) -> Self {
        let mut child = Command::new("openssl")
            .args(args)
            .args([
                "-dtls1_2",
                "-cert",
                "cert.pem",
                "-key",
                "key.pem",
                "-use_srtp",
                srtp,
            ])
            .args(["-keymatexport", "EXTRACTOR-dtls_srtp"])
            .args(["-keymatexportlen", &key_bytes.to_string()])
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
        let stdin = child.stdin.take().unwrap();
        Self {
            child,
            stdin,
            lines,
        }
    }

    /// The exported keys as OpenSSL prints them.
    fn keying_material(&self) -> Vec<u8> {
        let end = Instant::now() + DEADLINE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).expect("keying material");
            if let Some(hex) = line.trim().strip_prefix("Keying material: ") {
                let digits = hex.as_bytes().chunks(2);
                return digits
                    .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap())
                    .collect();
            }
        }
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Our connection on a socket.
struct Driver {
    socket: UdpSocket,
    connection: Connection,
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
    let args = ["s_client", "-connect", &driver.address()];
    let mut tool = Tool::start(&certificate.0, &args, srtp, key_bytes(expected));
    let keys = driver.connect();
    assert_eq!(keys.profile, expected);
    let ours = joined(keys, Role::Server);
    assert_eq!(ours, tool.keying_material());

    // Application data is dropped, and the connection stays.
    tool.stdin.write_all(b"application data\n").unwrap();
    tool.stdin.flush().unwrap();
    let sent = Instant::now();
    driver.run_until(|_| sent.elapsed() > Duration::from_millis(50));
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
    let args = [
        "s_server",
        "-accept",
        &server.to_string(),
        "-Verify",
        "1",
        "-naccept",
        "1",
    ];
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
    let args = ["s_client", "-connect", &driver.address()];
    let _tool = Tool::start(&other.0, &args, ALL, 56);
    driver.run_until(|driver| driver.closed.is_some());
    assert!(driver.keys.is_none());
    assert!(driver.closed.unwrap().contains("fingerprint"));
}

#[test]
fn a_client_without_srtp_is_refused_without_keys() {
    if !openssl_is_here() {
        return;
    }
    let certificate = Certificate::generate("no-srtp", P256);
    let mut driver = Driver::new(Role::Server, &certificate);
    let args = ["s_client", "-connect", &driver.address()];
    // A profile that we do not have stands for none.
    let _tool = Tool::start(&certificate.0, &args, "SRTP_AES128_CM_SHA1_32", 56);
    driver.run_until(|driver| driver.closed.is_some());
    assert!(driver.keys.is_none());
    assert!(driver.closed.unwrap().contains("SRTP"));
}
