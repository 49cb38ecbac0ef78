//! Datagrams of many viewers in few system calls.

use std::net::UdpSocket;
use std::time::Duration;

use super::super::outlet::Outlet;
use super::*;
use crate::net::{Path, PatientSocket, bind_group};

struct Rig {
    outlet: Outlet,
    sockets: Vec<Arc<PatientSocket>>,
    receiver: UdpSocket,
}

impl Rig {
    /// Within a runtime.
    fn new() -> Self {
        let bound = bind_group("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let patience = Some(Duration::from_secs(10));
        receiver.set_read_timeout(patience).unwrap();
        Self {
            outlet: Outlet::default(),
            sockets: bound
                .into_iter()
                .map(|socket| Arc::new(PatientSocket::new(socket).unwrap()))
                .collect(),
            receiver,
        }
    }

    fn queue(&mut self, lengths: &[usize], segments: bool) {
        let path = Path {
            socket: 0,
            local: None,
            remote: self.receiver.local_addr().unwrap(),
        };
        let datagrams: Vec<_> = lengths
            .iter()
            .map(|len| (path, vec![*len as u8; *len]))
            .collect();
        self.outlet
            .queue_datagrams(&self.sockets, &datagrams, segments);
    }

    /// Lengths of what arrives, each datagram whole.
    fn arrived(&self, count: usize) -> Vec<usize> {
        let mut buffer = [0; 2000];
        let mut one = || {
            let len = self.receiver.recv(&mut buffer).unwrap();
            assert!(buffer[..len].iter().all(|byte| *byte == len as u8));
            len
        };
        (0..count).map(|_| one()).collect()
    }
}

#[tokio::test]
async fn goodbyes_arrive_as_the_datagrams_they_were() {
    for segments in [true, false] {
        let mut rig = Rig::new();
        // A pair is one message, a longer one behind it another.
        for lengths in [&[60, 39][..], &[39, 60], &[50, 50, 20], &[7]] {
            rig.queue(lengths, segments);
        }
        rig.outlet.flush_datagrams(&rig.sockets);
        let wanted = [60, 39, 39, 60, 50, 50, 20, 7];
        assert_eq!(rig.arrived(wanted.len()), wanted);
    }
}

#[tokio::test]
async fn more_than_one_system_call_takes_are_sent_in_order() {
    let mut rig = Rig::new();
    for _ in 0..100 {
        rig.queue(&[60, 39], true);
    }
    rig.outlet.flush_datagrams(&rig.sockets);
    assert_eq!(rig.arrived(200), [60, 39].repeat(100));
    // Nothing is left for the next one.
    rig.queue(&[5], true);
    rig.outlet.flush_datagrams(&rig.sockets);
    assert_eq!(rig.arrived(1), [5]);
}
