//! What lies between server and viewers: the loopback, or a veth pair into a network namespace of its own (needs root).

use std::io;
use std::process::Command;

const SERVER: &str = "10.213.77.1";
const VIEWERS: &str = "10.213.77.2";

/// A link; a veth pair goes with it.
pub struct Link {
    /// What the figures call it.
    pub name: &'static str,
    /// The server's address on it.
    pub host: &'static str,
    /// Where the viewers live, if not where everything else does.
    pub namespace: Option<String>,
}

impl Link {
    /// What `--link` asks for, the first of several.
    pub fn open() -> io::Result<Self> {
        Self::named(&names()[0])
    }

    /// `loopback`, `veth`, whose device takes segmented sends whole, or `veth-no-uso`, whose device makes the kernel cut
    /// them as most cloud machines' do.
    pub fn named(name: &str) -> io::Result<Self> {
        match name {
            "loopback" => Ok(Self {
                name: "loopback",
                host: "127.0.0.1",
                namespace: None,
            }),
            "veth" => Self::veth("veth", false),
            "veth-no-uso" => Self::veth("veth-no-uso", true),
            other => Err(io::Error::other(format!("no such link: {other}"))),
        }
    }

    fn veth(name: &'static str, cut: bool) -> io::Result<Self> {
        let id = std::process::id();
        let namespace = format!("corertc-bench-{id}");
        let (near, far) = (format!("crb{id}a"), format!("crb{id}b"));
        ip(&format!("netns add {namespace}"))?;
        // From here on dropping it takes the namespace away again.
        let link = Self {
            name,
            host: SERVER,
            namespace: Some(namespace.clone()),
        };
        ip(&format!(
            "link add {near} type veth peer name {far} netns {namespace}"
        ))?;
        ip(&format!("addr add {SERVER}/30 dev {near}"))?;
        if cut {
            ip(&format!("link set {near} gso_max_segs 1"))?;
        }
        ip(&format!("link set {near} up"))?;
        ip(&format!("-n {namespace} addr add {VIEWERS}/30 dev {far}"))?;
        ip(&format!("-n {namespace} link set {far} up"))?;
        ip(&format!("-n {namespace} link set lo up"))?;
        Ok(link)
    }
}

/// The names after `--link`, separated by commas; `loopback` where nothing is said.
#[must_use]
pub fn names() -> Vec<String> {
    let given = crate::report::argument("--link").unwrap_or_else(|| "loopback".to_owned());
    given.split(',').map(str::to_owned).collect()
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(namespace) = &self.namespace {
            let _ = ip(&format!("netns del {namespace}"));
        }
    }
}

fn ip(arguments: &str) -> io::Result<()> {
    let output = Command::new("ip").args(arguments.split(' ')).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("ip {arguments}: {}", said.trim())))
}
