//! From raw options to [`Settings`]: forms, ranges and what must fit together. Touches no socket, and no file beyond
//! reading the certificate.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::numbers::*;
use super::options::Options;
use super::process::codec;
use super::{InputTransport, MissingMedia, Settings, certificate};
use crate::error::Error;
use crate::rtp::codec::Codec;

impl Default for Settings {
    /// What an untouched configuration says.
    fn default() -> Self {
        let untouched = Options::subsystem();
        untouched.settings().expect("the defaults are valid")
    }
}

impl Options {
    /// The whole configuration of a subsystem. Invalid names the option at fault, as in
    /// `NAT1TO1_IPS: "x" is not an IP address`.
    pub fn settings(&self) -> Result<Settings, Error> {
        let token = self.secret(CORERTC_OPT_AUTH_TOKEN);
        Ok(Settings {
            enable: self.switch(CORERTC_OPT_ENABLE)?,
            announce: self.announce()?,
            udp_listen: self.udp_listen()?,
            path_prefix: self.path_prefix()?,
            cors_origins: self.cors_origins()?,
            play_token: self
                .token(CORERTC_OPT_PLAY_TOKEN)?
                .or_else(|| token.clone()),
            publish_token: self.token(CORERTC_OPT_PUBLISH_TOKEN)?.or(token),
            tls: self.tls()?,
            ice_servers: self.ice_servers.clone(),
            turn_secret: self.secret(CORERTC_OPT_TURN_SECRET),
            turn_ttl: Duration::from_secs(self.number(CORERTC_OPT_TURN_TTL_S)?),
            leg_ports: self.leg_ports()?,
            workers: self.workers()?,
            max_sessions: self.number(CORERTC_OPT_MAX_SESSIONS)?,
            max_viewers_per_stream: self.number(CORERTC_OPT_MAX_VIEWERS_PER_STREAM)?,
            http_timeout: self.milliseconds(CORERTC_OPT_HTTP_TIMEOUT_MS)?,
            http_body_max: self.size(CORERTC_OPT_HTTP_BODY_MAX)?,
            auth_timeout: self.milliseconds(CORERTC_OPT_AUTH_TIMEOUT_MS)?,
            setup_timeout: self.milliseconds(CORERTC_OPT_SETUP_TIMEOUT_MS)?,
            idle_timeout: self.milliseconds(CORERTC_OPT_IDLE_TIMEOUT_MS)?,
            gso: self.switch(CORERTC_OPT_GSO)?,
            gop_cache_bytes: self.size(CORERTC_OPT_GOP_CACHE_BYTES)?,
            gop_cache: self.milliseconds(CORERTC_OPT_GOP_CACHE_MS)?,
            etag_strict: self.switch(CORERTC_OPT_ETAG_STRICT)?,
            pages: self.switch(CORERTC_OPT_PAGES)?,
            whip_takeover: self.switch(CORERTC_OPT_WHIP_TAKEOVER)?,
            whip_direct: self.switch(CORERTC_OPT_WHIP_DIRECT)?,
            wait_for_stream: self.milliseconds(CORERTC_OPT_WAIT_FOR_STREAM_MS)?,
            stop_linger: self.milliseconds(CORERTC_OPT_STOP_LINGER_MS)?,
            input_transport: self.input_transport()?,
            public_url: self.public_url()?,
            https_only: self.switch(CORERTC_OPT_HTTPS_ONLY)?,
            raw_token: self.switch(CORERTC_OPT_RAW_TOKEN)?,
            private_network: self.switch(CORERTC_OPT_PRIVATE_NETWORK)?,
            missing_media: match self.number(CORERTC_OPT_MISSING_MEDIA)? {
                1 => MissingMedia::Inactive,
                2 => MissingMedia::Refused,
                _ => MissingMedia::Rejected,
            },
            address_rate_max: u32::try_from(self.number(CORERTC_OPT_ADDRESS_RATE_MAX)?)
                .unwrap_or(u32::MAX),
            max_half_open: self.number(CORERTC_OPT_MAX_HALF_OPEN)?,
            whip_codecs: self.whip_codecs()?,
        })
    }

    fn milliseconds(&self, option: u32) -> Result<Duration, Error> {
        self.number(option).map(Duration::from_millis)
    }

    fn input_transport(&self) -> Result<InputTransport, Error> {
        Ok(match self.number(CORERTC_OPT_INPUT_TRANSPORT)? {
            0 => InputTransport::Udp,
            _ => InputTransport::Rtsp,
        })
    }

    fn size(&self, option: u32) -> Result<usize, Error> {
        let value = self.number(option)?;
        Ok(usize::try_from(value).unwrap_or(usize::MAX))
    }

    fn workers(&self) -> Result<usize, Error> {
        Ok(match self.size(CORERTC_OPT_WORKERS)? {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        })
    }

    fn announce(&self) -> Result<Vec<IpAddr>, Error> {
        let (name, text) = self.text(CORERTC_OPT_PUBLIC_IP);
        let public = match text {
            "" => Vec::new(),
            text => vec![address(name, text)?],
        };
        let (name, text) = self.text(CORERTC_OPT_NAT1TO1_IPS);
        let mut all = Vec::new();
        for item in list(text) {
            let ip = address(name, item)?;
            if all.contains(&ip) {
                return Err(Error::Invalid(format!("{name}: {ip} stands there twice")));
            }
            all.push(ip);
        }
        let (name, all) = match all.is_empty() {
            true => (self.text(CORERTC_OPT_PUBLIC_IP).0, public),
            false => (name, all),
        };
        let sockets = self.udp_listen()?;
        let reachable = |ip: &IpAddr| sockets.iter().any(|socket| carries(socket, *ip));
        // Some may be left out; with all of them left out no answer would have a candidate.
        if !all.is_empty() && !all.iter().any(reachable) {
            let other = if all[0].is_ipv6() { "IPv6" } else { "IPv4" };
            return Err(Error::Invalid(format!(
                "{name}: {} needs an {other} socket in UDP_LISTEN",
                all[0]
            )));
        }
        Ok(all)
    }

    fn udp_listen(&self) -> Result<Vec<SocketAddr>, Error> {
        let (name, text) = self.text(CORERTC_OPT_UDP_LISTEN);
        let mut all: Vec<SocketAddr> = Vec::new();
        for item in list(text) {
            let address: SocketAddr = item
                .parse()
                .map_err(|_| Error::Invalid(format!("{name}: {item:?} is not IP:port")))?;
            if address.ip().is_multicast() {
                return Err(Error::Invalid(format!("{name}: {item} is multicast")));
            }
            if address.port() != 0 && all.contains(&address) {
                return Err(Error::Invalid(format!(
                    "{name}: {address} stands there twice"
                )));
            }
            all.push(address);
        }
        Ok(all)
    }

    /// Empty where all are allowed.
    fn whip_codecs(&self) -> Result<Vec<Codec>, Error> {
        let (name, text) = self.text(CORERTC_OPT_WHIP_CODECS);
        if text == "all" {
            return Ok(Vec::new());
        }
        let codec = |item: &str| match codec(name, item) {
            Err(_) if item == "opus" => Ok(Codec::Opus),
            other => other,
        };
        list(text).map(codec).collect()
    }

    fn path_prefix(&self) -> Result<String, Error> {
        let (name, text) = self.text(CORERTC_OPT_PATH_PREFIX);
        let prefix = text.strip_suffix('/').unwrap_or(text);
        let refuse = |why: &str| Err(Error::Invalid(format!("{name}: {text:?} {why}")));
        if prefix.is_empty() {
            return Ok(String::new());
        }
        let Some(path) = prefix.strip_prefix('/') else {
            return refuse("does not begin with /");
        };
        if path
            .split('/')
            .any(|part| part.is_empty() || part == "." || part == "..")
        {
            return refuse("has an empty or a dot segment");
        }
        // RFC 3986 §3.3: pchar without percent encoding; the prefix is compared byte for byte.
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&b);
        if !path.bytes().all(plain) {
            return refuse("has a character that must be percent-encoded");
        }
        Ok(prefix.to_owned())
    }

    fn cors_origins(&self) -> Result<Vec<String>, Error> {
        let (name, text) = self.text(CORERTC_OPT_CORS_ORIGINS);
        let all: Vec<String> = list(text).map(str::to_owned).collect();
        for origin in &all {
            let any = origin == "*" && all.len() == 1;
            if !any && !is_origin(origin) {
                return Err(Error::Invalid(format!(
                    "{name}: {origin:?} is not an origin (scheme://host[:port]), and * stands alone"
                )));
            }
        }
        Ok(all)
    }

    fn public_url(&self) -> Result<Option<String>, Error> {
        let (name, text) = self.text(CORERTC_OPT_PUBLIC_URL);
        let url = text.strip_suffix('/').unwrap_or(text);
        if url.is_empty() {
            return Ok(None);
        }
        let (scheme, rest) = url.split_once("://").unwrap_or(("", ""));
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&b);
        let web = matches!(scheme, "http" | "https");
        if !web || !is_origin(&format!("{scheme}://{host}")) || !path.bytes().all(plain) {
            return Err(Error::Invalid(format!(
                "{name}: {text:?} is not http[s]://host[:port][/path]"
            )));
        }
        Ok(Some(url.to_owned()))
    }

    /// Tokens travel in a header and a query: visible ASCII (RFC 6750 §2.1 allows less, clients send more).
    fn token(&self, option: u32) -> Result<Option<String>, Error> {
        for option in [option, CORERTC_OPT_AUTH_TOKEN] {
            let (name, text) = self.text(option);
            if !text.bytes().all(|b| b.is_ascii_graphic()) {
                return Err(Error::Invalid(format!(
                    "{name}: a blank, a control character or one beyond ASCII"
                )));
            }
        }
        Ok(self.secret(option))
    }

    fn tls(&self) -> Result<Option<(PathBuf, PathBuf)>, Error> {
        let certificate = self.secret(CORERTC_OPT_TLS_CERT_FILE);
        let key = self.secret(CORERTC_OPT_TLS_KEY_FILE);
        let (certificate, key) = match (certificate, key) {
            (None, None) => return Ok(None),
            (Some(certificate), Some(key)) => (certificate, key),
            (Some(_), None) => return Err(alone("TLS_CERT_FILE", "TLS_KEY_FILE")),
            (None, Some(_)) => return Err(alone("TLS_KEY_FILE", "TLS_CERT_FILE")),
        };
        let files: (PathBuf, PathBuf) = (certificate.into(), key.into());
        certificate::load(&files.0, &files.1).map_err(Error::Invalid)?;
        Ok(Some(files))
    }

    fn leg_ports(&self) -> Result<Option<RangeInclusive<u16>>, Error> {
        let port = |option| {
            self.number(option)
                .map(|value| u16::try_from(value).unwrap_or(u16::MAX))
        };
        let low = port(CORERTC_OPT_LEG_PORT_MIN)?;
        let high = port(CORERTC_OPT_LEG_PORT_MAX)?;
        match (low, high) {
            (0, 0) => return Ok(None),
            (0, _) => return Err(alone("LEG_PORT_MAX", "LEG_PORT_MIN")),
            (_, 0) => return Err(alone("LEG_PORT_MIN", "LEG_PORT_MAX")),
            _ => {}
        }
        // A leg pair is an even port and the next one.
        if u32::from(low).next_multiple_of(2) + 1 > u32::from(high) {
            return Err(Error::Invalid(format!(
                "LEG_PORT_MIN, LEG_PORT_MAX: {low} to {high} has no pair of an even port and the next"
            )));
        }
        Ok(Some(low..=high))
    }
}

/// Whether packets to `ip` can arrive at a socket bound to this: `[::]` is dual-stack.
pub(crate) fn carries(socket: &SocketAddr, ip: IpAddr) -> bool {
    socket.is_ipv4() == ip.is_ipv4() || (socket.is_ipv6() && socket.ip().is_unspecified())
}

fn alone(set: &str, missing: &str) -> Error {
    Error::Invalid(format!("{missing}: missing, {set} is set"))
}

fn address(name: &str, text: &str) -> Result<IpAddr, Error> {
    let ip: IpAddr = text
        .parse()
        .map_err(|_| Error::Invalid(format!("{name}: {text:?} is not an IP address")))?;
    if ip.is_unspecified() || ip.is_multicast() {
        return Err(Error::Invalid(format!(
            "{name}: {ip} can't be announced to clients"
        )));
    }
    Ok(ip)
}

/// The parts of a comma-separated list, blanks around them dropped; an empty list has none.
fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(move |item| !(item.is_empty() && text.trim().is_empty()))
}

/// RFC 6454 §6.2: scheme, host, optional port, nothing behind.
fn is_origin(text: &str) -> bool {
    let Some((scheme, host)) = text.split_once("://") else {
        return false;
    };
    let scheme_ok = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    let host_ok = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
    scheme_ok && !host.is_empty() && host.bytes().all(host_ok)
}
