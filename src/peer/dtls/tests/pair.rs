//! A client and a server with a virtual clock, and a network that loses, repeats and turns around.

use std::time::{Duration, Instant};

use crate::peer::dtls::{Connection, Event, Identity, Role};
use crate::peer::srtp::{Keys, Profile};

/// What becomes of one record on its way.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Fate {
    Deliver,
    Lose,
    Twice,
    /// After everything else of its flight.
    Last,
}

pub(super) struct Side {
    pub(super) connection: Connection,
    pub(super) keys: Option<Keys>,
    pub(super) closed: Option<String>,
    pub(super) sent: Vec<Vec<u8>>,
}

pub(super) struct Pair {
    pub(super) client: Side,
    pub(super) server: Side,
    pub(super) start: Instant,
    pub(super) now: Instant,
}

pub(super) fn fingerprint(identity: &Identity) -> Vec<(String, Vec<u8>)> {
    vec![("sha-256".to_owned(), identity.fingerprint_sha256().to_vec())]
}

pub(super) fn side(us: &Identity, role: Role, them: &[(String, Vec<u8>)], now: Instant) -> Side {
    Side {
        connection: Connection::new(us, role, them, now).unwrap(),
        keys: None,
        closed: None,
        sent: Vec::new(),
    }
}

impl Side {
    pub(super) fn poll(&mut self) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        while let Some(datagram) = self.connection.poll_transmit() {
            assert!(datagram.len() <= 1200, "{} bytes", datagram.len());
            out.push(datagram);
        }
        while let Some(event) = self.connection.poll_event() {
            match event {
                Event::Connected(keys) => assert!(self.keys.replace(keys).is_none()),
                Event::Closed(reason) => assert!(self.closed.replace(reason).is_none()),
            }
        }
        self.sent.extend(out.iter().cloned());
        out
    }
}

/// Cuts a datagram into its records, so that a flight has pieces to lose and turn around.
pub(super) fn records(datagram: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = datagram;
    let mut out = Vec::new();
    while rest.len() >= 13 {
        let length = 13 + usize::from(u16::from_be_bytes([rest[11], rest[12]]));
        out.push(rest[..length].to_vec());
        rest = &rest[length..];
    }
    out
}

impl Pair {
    pub(super) fn new() -> Self {
        let (us, them) = (Identity::generate().unwrap(), Identity::generate().unwrap());
        Self::expecting(&us, &them, &fingerprint(&them), &fingerprint(&us))
    }

    pub(super) fn expecting(
        server: &Identity,
        client: &Identity,
        at_server: &[(String, Vec<u8>)],
        at_client: &[(String, Vec<u8>)],
    ) -> Self {
        let now = Instant::now();
        Self {
            client: side(client, Role::Client, at_client, now),
            server: side(server, Role::Server, at_server, now),
            start: now,
            now,
        }
    }

    /// One exchange of what both have to say now; true when a record was sent.
    pub(super) fn exchange(&mut self, fate: &mut impl FnMut(Role, usize) -> Fate) -> bool {
        let mut moved = false;
        for role in [Role::Client, Role::Server] {
            let (from, to) = match role {
                Role::Client => (&mut self.client, &mut self.server),
                Role::Server => (&mut self.server, &mut self.client),
            };
            let mut late = Vec::new();
            let first: usize = from.sent.iter().map(|sent| records(sent).len()).sum();
            let datagrams = from.poll();
            let flight = datagrams.iter().flat_map(|datagram| records(datagram));
            for (index, record) in (first..).zip(flight) {
                moved = true;
                match fate(role, index) {
                    Fate::Lose => {}
                    Fate::Deliver => to.connection.feed(&record, self.now),
                    Fate::Twice => {
                        to.connection.feed(&record, self.now);
                        to.connection.feed(&record, self.now);
                    }
                    Fate::Last => late.push(record),
                }
            }
            for record in late.iter().rev() {
                to.connection.feed(record, self.now);
            }
        }
        moved
    }

    /// Runs until nothing is left to do; the clock jumps from timer to timer.
    pub(super) fn run(&mut self, mut fate: impl FnMut(Role, usize) -> Fate) {
        while self.now < self.start + Duration::from_secs(600) {
            if self.exchange(&mut fate) {
                continue;
            }
            let timers = [&self.client, &self.server];
            let Some(next) = timers
                .iter()
                .filter_map(|s| s.connection.next_timeout())
                .min()
            else {
                return;
            };
            self.now = self.now.max(next);
            for side in [&mut self.client, &mut self.server] {
                if side
                    .connection
                    .next_timeout()
                    .is_some_and(|at| at <= self.now)
                {
                    side.connection.handle_timeout(self.now);
                }
            }
        }
    }

    pub(super) fn assert_connected(&self) {
        assert_eq!((&self.client.closed, &self.server.closed), (&None, &None));
        let client = self.client.keys.as_ref().expect("client connected");
        let server = self.server.keys.as_ref().expect("server connected");
        assert_eq!(client.profile, Profile::AeadAes128Gcm);
        assert_eq!(server.profile, Profile::AeadAes128Gcm);
        assert_eq!((client.local_key.len(), client.local_salt.len()), (16, 12));
        assert_eq!(client.local_key, server.remote_key);
        assert_eq!(client.remote_key, server.local_key);
        assert_eq!(client.local_salt, server.remote_salt);
        assert_eq!(client.remote_salt, server.local_salt);
        assert_ne!(client.local_key, client.remote_key);
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.now - self.start
    }
}
