//! TLS of the listener: the certificate and key files of the configuration, read again when they change.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio_rustls::TlsAcceptor;

use super::HttpError;
use crate::config::certificate;
use crate::stats::Counters;

/// The files are looked at so often, when somebody connects.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// When a file was written last, how long it is, and which it is: renaming puts another one there.
type Stamp = Option<(SystemTime, u64, u64)>;

/// The current certificate of a listener.
pub(super) struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    counters: Arc<Counters>,
    current: Mutex<Current>,
}

struct Current {
    acceptor: TlsAcceptor,
    stamps: [Stamp; 2],
    looked: Instant,
}

impl Tls {
    /// Reads the files. The error names the one at fault.
    pub(super) fn load(
        (certificate, key): &(PathBuf, PathBuf),
        counters: Arc<Counters>,
        now: Instant,
    ) -> Result<Self, HttpError> {
        // Before they are read: what is written meanwhile is seen as a change.
        let stamps = [stamp(certificate), stamp(key)];
        let config = certificate::load(certificate, key).map_err(HttpError::Tls)?;
        Ok(Self {
            certificate: certificate.clone(),
            key: key.clone(),
            counters,
            current: Mutex::new(Current {
                acceptor: TlsAcceptor::from(Arc::new(config)),
                stamps,
                looked: now,
            }),
        })
    }

    /// The acceptor for a connection that comes now. Files that don't fit leave the old certificate in use: they are
    /// seldom replaced both at once.
    pub(super) fn acceptor(&self, now: Instant) -> TlsAcceptor {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(current.looked) >= LOOK_INTERVAL {
            current.looked = now;
            let stamps = [stamp(&self.certificate), stamp(&self.key)];
            if stamps != current.stamps {
                current.stamps = stamps;
                match certificate::load(&self.certificate, &self.key) {
                    Ok(config) => {
                        current.acceptor = TlsAcceptor::from(Arc::new(config));
                        self.counters.tls_reloads.inc();
                        tracing::info!(file = %self.certificate.display(), "certificate reloaded");
                    }
                    Err(why) => {
                        self.counters.tls_reloads_failed.inc();
                        tracing::error!(why, "the old certificate stays in use");
                    }
                }
            }
        }
        current.acceptor.clone()
    }
}

fn stamp(file: &Path) -> Stamp {
    use std::os::unix::fs::MetadataExt;
    let found = std::fs::metadata(file).ok()?;
    Some((found.modified().ok()?, found.len(), found.ino()))
}
