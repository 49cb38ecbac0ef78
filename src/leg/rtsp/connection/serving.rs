//! A connection's loop: on the thread that accepted it until FFmpeg plays, then on the one that its packets come from, so that
//! none is woken for another.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::stream::FrameBatch;

use super::super::Told;
use super::{Connection, GOODBYE_MAX, Outlet};

impl Connection {
    /// Serves until either side ends it. `permit` is given back then.
    pub(in super::super) async fn run(mut self, stream: TcpStream, permit: OwnedSemaphorePermit) {
        let _ = stream.set_nodelay(true);
        let (mut from, mut to) = stream.into_split();
        let ends = self.serve(&mut from, &mut to, false).await;
        let home = self.reader.as_ref().map(|it| it.entry.home.clone());
        match home.filter(|_| !ends) {
            Some(home) => home(Box::new(move || Box::pin(self.go_on(from, to, permit)))),
            None => self.end(to).await,
        }
    }

    /// Within its new thread.
    async fn go_on(
        mut self,
        from: OwnedReadHalf,
        to: OwnedWriteHalf,
        _permit: OwnedSemaphorePermit,
    ) {
        let moved = || -> io::Result<TcpStream> {
            let stream = from.reunite(to).map_err(io::Error::other)?;
            TcpStream::from_std(stream.into_std()?)
        };
        // Out of descriptors, at worst: FFmpeg sees a closed connection.
        let Ok(stream) = moved() else { return };
        let (mut from, mut to) = stream.into_split();
        self.serve(&mut from, &mut to, true).await;
        self.end(to).await;
    }

    /// True at its end; false where it plays and is not at home yet.
    async fn serve(
        &mut self,
        from: &mut OwnedReadHalf,
        to: &mut OwnedWriteHalf,
        home: bool,
    ) -> bool {
        let mut chunk = [0_u8; 4096];
        loop {
            let writing = self.written < self.out.len();
            if self.finished {
                return true;
            }
            if self.playing && !home {
                return false;
            }
            let wants = !writing && (self.playing || self.describe.is_some());
            let tick = Instant::now() + self.tick_after();
            tokio::select! {
                biased;
                () = changed(&mut self.told) => self.leave(),
                read = from.read(&mut chunk) => match read {
                    Ok(len @ 1..) => {
                        self.input.extend_from_slice(&chunk[..len]);
                    }
                    _ => return true,
                },
                wrote = to.write(&self.out[self.written..]), if writing => match wrote {
                    Ok(len @ 1..) => self.wrote(len),
                    _ => return true,
                },
                Some(batch) = next(&mut self.outlet), if wants => self.batch(batch),
                () = tokio::time::sleep_until(tick.into()) => {}
            }
            self.requests();
            self.tick();
            if self.playing && self.out.is_empty() {
                self.pump();
            }
        }
    }

    async fn end(self, mut to: OwnedWriteHalf) {
        let rest = to.write_all(&self.out[self.written..]);
        let _ = tokio::time::timeout(GOODBYE_MAX, rest).await;
        let _ = to.shutdown().await;
    }
}

/// The next frame; never where there is no queue.
async fn next(outlet: &mut Option<Outlet>) -> Option<Arc<FrameBatch>> {
    match outlet {
        Some(outlet) => outlet.next().await,
        None => pending().await,
    }
}

/// The host wants the connection to end; never before it has an input.
async fn changed(told: &mut Option<watch::Receiver<Told>>) {
    match told {
        // Closed: the input is gone.
        Some(told) => {
            let _ = told.changed().await;
        }
        None => pending().await,
    }
}
