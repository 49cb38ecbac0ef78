//! The listener over TLS: the configured certificate serves, a wrong file is named, a plain client holds nobody up.
#![allow(clippy::unwrap_used)]

mod whep_rig;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use whep_rig::*;

struct Files {
    dir: PathBuf,
    certificate: rustls::pki_types::CertificateDer<'static>,
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

#[test]
fn a_page_is_served_over_tls_while_a_plain_client_hangs() {
    let files = Files::new("tls");
    let mut settings = settings();
    settings.tls = Some(files.pair());
    let subsystem = subsystem(settings);
    let port = subsystem.http_listen("127.0.0.1:0").expect("a listener");
    let mut plain = TcpStream::connect(("127.0.0.1", port)).unwrap();
    plain.write_all(b"GET").unwrap();

    let mut roots = RootCertStore::empty();
    roots.add(files.certificate.clone()).unwrap();
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
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    // A missing close_notify after the whole answer is the server's right.
    let _ = stream.read_to_string(&mut answer);
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
