//! A TCP port here that is one of another namespace's loopback: a test talks to its browser's driver through it.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;

use super::netns::Namespace;

/// The open door. Dropping it closes it.
pub(crate) struct Forward {
    listener: Arc<TcpListener>,
}

impl Forward {
    pub(crate) fn into(namespace: &Namespace, port: u16) -> Self {
        // Bound here, served there: a socket stays where it was made.
        let listener = Arc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        let accepting = Arc::clone(&listener);
        namespace.enter(|| std::thread::spawn(move || accept(&accepting, port)));
        Self { listener }
    }

    pub(crate) fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        // Linux wakes the thread that accepts.
        let _ = socket2::SockRef::from(&*self.listener).shutdown(Shutdown::Both);
    }
}

fn accept(listener: &TcpListener, port: u16) {
    while let Ok((near, _)) = listener.accept() {
        let Ok(far) = TcpStream::connect(("127.0.0.1", port)) else {
            continue;
        };
        let (near_again, far_again) = (near.try_clone().unwrap(), far.try_clone().unwrap());
        std::thread::spawn(move || pass(&near, &far));
        std::thread::spawn(move || pass(&far_again, &near_again));
    }
}

fn pass(mut from: &TcpStream, mut to: &TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
