//! The HTTP listener's certificate and key files: read, and whether they fit together.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A TLS configuration of a PEM certificate chain and its key: TLS 1.2 and 1.3, HTTP/1.1. The error names the option
/// and the file at fault.
pub fn load(certificate: &Path, key: &Path) -> Result<ServerConfig, String> {
    let wrong = |option: &str, file: &Path, why: &dyn Display| {
        format!("{option}: {}: {why}", file.display())
    };
    let of_certificate = |why: &dyn Display| wrong("TLS_CERT_FILE", certificate, why);
    let of_key = |why: &dyn Display| wrong("TLS_KEY_FILE", key, why);
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| of_certificate(&error))?;
    if chain.is_empty() {
        return Err(of_certificate(&"holds no certificate"));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| of_key(&error))?;
    // The provider is named: a process-wide default is the host's to set.
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| of_certificate(&error))?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                let of = certificate.display();
                of_key(&format!(
                    "is not the key of the certificate in {of} (TLS_CERT_FILE)"
                ))
            }
            rustls::Error::InvalidCertificate(_) => of_certificate(&error),
            error => of_key(&error),
        })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
