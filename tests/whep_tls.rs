//! The listener over TLS: the configured certificate serves, a wrong file is named, a plain client holds nobody up.
#![allow(clippy::unwrap_used)]

mod whep_rig;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use corertc::config::numbers::{CORERTC_OPT_TLS_CERT_FILE, CORERTC_OPT_TLS_KEY_FILE};
use corertc::config::options::Options;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use whep_rig::*;

struct Files {
    dir: PathBuf,
    certificate: CertificateDer<'static>,
}

impl Files {
    fn new(name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let dir = std::env::temp_dir().join(format!("corertc-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(dir.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        Self {
            dir,
            certificate: made.cert.der().clone(),
        }
    }

    fn pair(&self) -> (PathBuf, PathBuf) {
        (self.dir.join("cert.pem"), self.dir.join("key.pem"))
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// GET /healthz from a client that trusts this certificate only.
fn get(port: u16, trusted: &CertificateDer<'static>) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut stream = StreamOwned::new(client, socket);
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    // A missing close_notify after the whole answer is the server's right.
    let _ = stream.read_to_string(&mut answer);
    Ok(answer)
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_page_is_served_over_tls_while_a_plain_client_hangs() {
    let files = Files::new("tls");
    let mut settings = settings();
    settings.tls = Some(files.pair());
    let subsystem = subsystem(settings);
    let port = subsystem.http_listen("127.0.0.1:0").expect("a listener");
    let mut plain = TcpStream::connect(("127.0.0.1", port)).unwrap();
    plain.write_all(b"GET").unwrap();

    let answer = get(port, &files.certificate).expect("an answer");
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok\n"),
        "{answer}"
    );
}

#[test]
fn a_missing_key_is_named() {
    let files = Files::new("nokey");
    let mut settings = settings();
    settings.tls = Some((files.dir.join("cert.pem"), files.dir.join("none.pem")));
    // Refused where the configuration is read or where the listener starts; the file is named either way.
    let hooks = corertc::subsystem::Hooks {
        teardown: Arc::new(|_| {}),
        whip_teardown: Arc::new(|_| {}),
        auth: Arc::new(|_| None),
    };
    let refused = corertc::subsystem::Subsystem::new(settings, hooks)
        .and_then(|subsystem| subsystem.http_listen("127.0.0.1:0"))
        .expect_err("no key, no listener");
    assert!(refused.to_string().contains("none.pem"), "{refused}");
}

/// Files that are replaced one after the other: the old pair serves until both fit again, and running streams don't end.
#[test]
fn a_renewed_certificate_is_taken_without_a_restart() {
    let files = Files::new("renewed");
    let newer = Files::new("newer");
    let mut settings = settings();
    settings.tls = Some(files.pair());
    let subsystem = subsystem(settings);
    let port = subsystem.http_listen("127.0.0.1:0").expect("a listener");
    assert!(get(port, &files.certificate).unwrap().ends_with("ok\n"));
    let counters = subsystem.counters();
    std::fs::rename(newer.dir.join("cert.pem"), files.dir.join("cert.pem")).unwrap();
    eventually("the half-replaced pair is seen", || {
        assert!(get(port, &files.certificate).unwrap().ends_with("ok\n"));
        counters.tls_reloads_failed.value() == 1
    });
    assert_eq!(counters.tls_reloads.value(), 0);
    std::fs::rename(newer.dir.join("key.pem"), files.dir.join("key.pem")).unwrap();
    eventually("the new certificate serves", || {
        get(port, &newer.certificate).is_ok_and(|answer| answer.ends_with("ok\n"))
    });
    assert!(
        get(port, &files.certificate).is_err(),
        "the old one is gone"
    );
    assert_eq!(counters.tls_reloads.value(), 1);
    assert_eq!(counters.tls_reloads_failed.value(), 1);
}

#[test]
fn a_key_of_another_certificate_is_named() {
    let (files, other) = (Files::new("mine"), Files::new("other"));
    let mut options = Options::subsystem();
    let set = |options: &mut Options, option, file: &std::path::Path| {
        let text = file.to_str().unwrap();
        options.set_text(option, text).unwrap();
    };
    set(&mut options, CORERTC_OPT_TLS_CERT_FILE, &files.pair().0);
    set(&mut options, CORERTC_OPT_TLS_KEY_FILE, &files.pair().1);
    assert!(options.settings().is_ok());
    set(&mut options, CORERTC_OPT_TLS_KEY_FILE, &other.pair().1);
    let text = options.settings().expect_err("another key").to_string();
    let wanted = "is not the key of the certificate";
    assert!(
        text.contains("TLS_KEY_FILE") && text.contains(wanted),
        "{text}"
    );
    set(&mut options, CORERTC_OPT_TLS_KEY_FILE, &files.pair().0);
    let text = options.settings().expect_err("no key").to_string();
    assert!(text.contains("TLS_KEY_FILE"), "{text}");
    set(&mut options, CORERTC_OPT_TLS_CERT_FILE, &other.pair().1);
    let text = options.settings().expect_err("no certificate").to_string();
    assert!(
        text.contains("TLS_CERT_FILE") && text.contains("no certificate"),
        "{text}"
    );
}
