//! The `openssl` command as a DTLS peer: certificates of every kind, `s_client`, `s_server`.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use aws_lc_rs::digest;

/// For anything to happen.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);
/// Makes the tool show the certificate of its directory.
pub(crate) const WITH_CERTIFICATE: [&str; 4] = ["-cert", "cert.pem", "-key", "key.pem"];

/// A missing tool fails in CI and skips elsewhere.
pub(crate) fn openssl_is_here() -> bool {
    let here = Command::new("openssl").arg("version").output().is_ok();
    assert!(here || std::env::var_os("CI").is_none(), "no openssl");
    if !here {
        eprintln!("skipped: no openssl");
    }
    here
}

/// A directory of its own with a certificate made by OpenSSL.
pub(crate) struct Certificate(pub(crate) PathBuf);

impl Certificate {
    pub(crate) fn generate(test: &str, kind: &[&str]) -> Self {
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
    pub(crate) fn fingerprints(&self) -> Vec<(String, Vec<u8>)> {
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
pub(crate) struct Tool {
    pub(crate) child: Child,
    pub(crate) stdin: ChildStdin,
    lines: Receiver<String>,
}

impl Tool {
    pub(crate) fn start(directory: &Path, args: &[&str], srtp: &str, key_bytes: usize) -> Self {
        let mut child = Command::new("openssl")
            .args(args)
            .args(["-dtls1_2", "-use_srtp", srtp])
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
    pub(crate) fn keying_material(&self) -> Vec<u8> {
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
