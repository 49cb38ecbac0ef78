//! A network of a test's own: the server here, its clients in a namespace behind a router that can lose, be narrow and
//! change its mind about their addresses. All of it goes away when it is dropped.
//!
//! ```text
//!   here                    router (its own namespace)              clients (their own namespace)
//!   198.18.x.1, .2 ──"wan"── .3 .4 .5 │ forwards, NAT, nft, tbf │ 192.168.7.1 ──"lan"── 192.168.7.2
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};

use corertc::config::Settings;

use super::host::Host;
use super::namespace::run;

pub(crate) use super::namespace::Namespace;

/// Of the /28 nets in 198.18.0.0/15, which is for tests (RFC 2544).
const NETS: u32 = 8192;
const CLIENTS: &str = "192.168.7";
/// Ports of the mapping: each change takes the next hundred.
const PORTS: std::ops::Range<u32> = 40_000..60_000;

/// Which way packets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Towards {
    Clients,
    Server,
}

impl Towards {
    const BOTH: [Self; 2] = [Self::Clients, Self::Server];

    /// The router's devices on which they come and leave.
    fn devices(self) -> (&'static str, &'static str) {
        match self {
            Self::Clients => ("wan", "lan"),
            Self::Server => ("lan", "wan"),
        }
    }
}

/// The three places and what lies between them.
pub(crate) struct Network {
    /// The server's device, deleted first.
    near: String,
    number: u32,
    router: Namespace,
    clients: Namespace,
    /// How often the mapping changed.
    changes: AtomicU32,
}

impl Network {
    /// None, with a printed reason, where this process may not make one. With CI=true that is a failure for root.
    pub(crate) fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            skipped("it needs root");
            return None;
        }
        let wish = std::process::id() % NETS;
        let numbers = (wish..NETS).chain(0..wish);
        for number in numbers {
            // The device's name is the lock on the number.
            let near = format!("crt{number}");
            let pair = format!("link add {near} type veth peer name crtw{number}");
            match run("ip", &pair, "") {
                Ok(_) => return Some(Self::over(near, number)),
                Err(said) if said.contains("File exists") => {}
                Err(said) if said.contains("not permitted") && std::env::var("CI").is_err() => {
                    skipped(&format!("root may not make networks here: {said}"));
                    return None;
                }
                Err(said) => panic!("{said}"),
            }
        }
        panic!("every number is taken");
    }

    fn over(near: String, number: u32) -> Self {
        let made = |what| Namespace::new(format!("corertc-{number}-{what}"));
        let (router, clients) = match (made("router"), made("clients")) {
            (Ok(router), Ok(clients)) => (router, clients),
            (router, clients) => {
                let _ = run("ip", &format!("link del {near}"), "");
                panic!("{:?} {:?}", router.err(), clients.err());
            }
        };
        let network = Self {
            near,
            number,
            router,
            clients,
            changes: AtomicU32::new(0),
        };
        network.wire();
        network
    }

    fn wire(&self) {
        let (near, far) = (&self.near, format!("crtw{}", self.number));
        let (router, clients) = (&self.router.name, &self.clients.name);
        // One packet is lost at a time, not a whole segmented send.
        here(&format!("link set {near} gso_max_segs 1"));
        for host in [1, 2] {
            here(&format!("addr add {}/28 dev {near}", self.address(host)));
        }
        here(&format!("link set {near} up"));
        here(&format!("link set {far} netns {router} name wan"));
        for host in [3, 4, 5] {
            let address = self.address(host);
            here(&format!("-n {router} addr add {address}/28 dev wan"));
        }
        here(&format!("-n {router} link set wan gso_max_segs 1"));
        here(&format!("-n {router} link set wan up"));
        here(&format!(
            "-n {router} link add lan type veth peer name eth0 netns {clients}"
        ));
        here(&format!("-n {router} addr add {CLIENTS}.1/24 dev lan"));
        here(&format!("-n {router} link set lan gso_max_segs 1"));
        here(&format!("-n {router} link set lan up"));
        here(&format!("-n {clients} addr add {CLIENTS}.2/24 dev eth0"));
        here(&format!("-n {clients} link set eth0 gso_max_segs 1"));
        here(&format!("-n {clients} link set eth0 up"));
        here(&format!(
            "-n {clients} route add default via {CLIENTS}.1 dev eth0"
        ));
        self.router
            .enter(|| std::fs::write("/proc/sys/net/ipv4/ip_forward", "1"))
            .unwrap();
        // A router on the street says nothing to packets for a mapping it forgot.
        self.nft("table inet silent { chain input { type filter hook input priority 0; iifname wan meta l4proto udp drop } }");
        self.map(3);
    }

    /// What `ip link` and `ip netns` call its parts.
    pub(crate) fn names(&self) -> [String; 3] {
        let namespaces = [&self.router.name, &self.clients.name];
        [&self.near, namespaces[0], namespaces[1]].map(String::clone)
    }

    /// The server's address, the one that is announced.
    pub(crate) fn server(&self) -> IpAddr {
        self.address(1).into()
    }

    /// Another address of the server on the same device.
    pub(crate) fn second_server(&self) -> IpAddr {
        self.address(2).into()
    }

    /// Where the clients live.
    pub(crate) fn clients(&self) -> &Namespace {
        &self.clients
    }

    /// What a host's settings need to be reached from the clients.
    pub(crate) fn announce(&self, settings: &mut Settings) {
        settings.udp_listen = vec![(self.server(), 0).into()];
        settings.announce = Vec::new();
    }

    /// A host that the clients reach at its `url`.
    pub(crate) fn host(&self, change: impl FnOnce(&mut Settings)) -> Host {
        let mut host = Host::with(|settings| {
            self.announce(settings);
            change(settings);
        });
        host.move_to(self.server());
        host
    }

    /// From now on so many of 100 UDP packets that way are lost.
    pub(crate) fn lose(&self, towards: Towards, percent: u32) {
        let table = towards.devices().1;
        let (from, to) = towards.devices();
        self.nft(&format!(
            "table inet lose-{table}
             delete table inet lose-{table}
             table inet lose-{table} {{
                 counter lost {{ }}
                 chain forward {{
                     type filter hook forward priority 0;
                     iifname {from} oifname {to} meta l4proto udp numgen random mod 100 < {percent} counter name lost drop
                 }}
             }}"
        ));
    }

    /// UDP packets that way lost since the last call of `lose`.
    pub(crate) fn lost(&self, towards: Towards) -> u64 {
        let table = towards.devices().1;
        let said = self
            .router
            .run("nft", &format!("list counter inet lose-{table} lost"));
        let mut words = said.split_whitespace();
        words.find(|word| *word == "packets").unwrap();
        words.next().unwrap().parse().unwrap()
    }

    /// From now on so much fits that way, and what does not waits at most so long. All of it: the clients share it.
    pub(crate) fn narrow(&self, towards: Towards, bps: u64, wait_ms: u32) {
        let device = towards.devices().1;
        self.router.run(
            "tc",
            &format!(
                "qdisc replace dev {device} root tbf rate {bps}bit burst 4kb latency {wait_ms}ms"
            ),
        );
    }

    /// From now on any rate fits that way.
    pub(crate) fn widen(&self, towards: Towards) {
        let device = towards.devices().1;
        self.router
            .run("tc", &format!("qdisc del dev {device} root"));
    }

    /// What `tc` says of the queue that way: sent, dropped, waiting.
    pub(crate) fn queue(&self, towards: Towards) -> String {
        let device = towards.devices().1;
        self.router
            .run("tc", &format!("-s qdisc show dev {device}"))
    }

    /// The NAT forgets every UDP mapping: from now on the clients' packets come from other ports.
    pub(crate) fn change_ports(&self) {
        let address = 3 + self.changes.load(Ordering::Relaxed) / 100 % 3;
        self.changes.fetch_add(1, Ordering::Relaxed);
        self.map(address);
    }

    /// The same, and they come from another address.
    pub(crate) fn change_address(&self) {
        self.changes.fetch_add(100, Ordering::Relaxed);
        self.map(3 + self.changes.load(Ordering::Relaxed) / 100 % 3);
    }

    /// UDP leaves as `host` of the net, TCP as whatever.
    fn map(&self, host: u32) {
        let address = self.address(host);
        let step = self.changes.load(Ordering::Relaxed) % 100 + 7 * (host - 3);
        let first = PORTS.start + step * 100;
        let last = first + 99;
        self.nft(&format!(
            "table ip nat
             delete table ip nat
             table ip nat {{
                 chain leaving {{
                     type nat hook postrouting priority srcnat;
                     oifname wan meta l4proto udp snat to {address}:{first}-{last}
                     oifname wan masquerade
                 }}
             }}"
        ));
        // The new rules are only for flows that are not known yet. It fails where there are none.
        let _ = self.router.enter(|| run("conntrack", "-D -p udp", ""));
    }

    /// Gives all three places an IPv6 address too; the server's.
    pub(crate) fn add_ipv6(&self) -> [Ipv6Addr; 2] {
        let (router, clients) = (&self.router.name, &self.clients.name);
        let server = |host: u16| Ipv6Addr::new(0xfd98, 0x18, self.number as u16, 0, 0, 0, 0, host);
        for host in [1, 2] {
            here(&format!(
                "-6 addr add {}/64 dev {} nodad",
                server(host),
                self.near
            ));
        }
        here(&format!(
            "-6 -n {router} addr add {}/64 dev wan nodad",
            server(3)
        ));
        here(&format!("-6 -n {router} addr add fd99::1/64 dev lan nodad"));
        here(&format!(
            "-6 -n {clients} addr add fd99::2/64 dev eth0 nodad"
        ));
        here(&format!(
            "-6 -n {clients} route add default via fd99::1 dev eth0"
        ));
        self.router
            .enter(|| std::fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1"))
            .unwrap();
        self.nft("table ip6 nat { chain leaving { type nat hook postrouting priority srcnat; oifname wan masquerade } }");
        [server(1), server(2)]
    }

    fn nft(&self, rules: &str) {
        // It wants a new line before and after each closing brace.
        let rules = rules.replace('}', "\n}\n");
        self.router.feed("nft", "-f -", &rules);
    }

    fn address(&self, host: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(Ipv4Addr::new(198, 18, 0, 0).to_bits() + self.number * 16 + host)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = run("ip", &format!("link del {}", self.near), "");
    }
}

/// Whether this machine knows IPv6; says so where it doesn't.
pub(crate) fn has_ipv6() -> bool {
    let known = UdpSocket::bind("[::1]:0").is_ok();
    if !known {
        skipped("its IPv6 part: this machine has none");
    }
    known
}

#[allow(clippy::print_stderr)]
fn skipped(why: &str) {
    let test = std::thread::current();
    eprintln!("skipped: {}: {why}", test.name().unwrap_or("a test"));
}

fn here(arguments: &str) {
    run("ip", arguments, "").unwrap();
}
