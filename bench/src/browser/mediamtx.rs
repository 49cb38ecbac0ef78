//! MediaMTX as its users run it: its own defaults, on ports of our choice, loopback alone, what isn't needed switched off.

use std::fs;
use std::io;
use std::net::{TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::{Server, wait_for};

/// The running server.
pub struct MediaMtx {
    child: Child,
    folder: PathBuf,
    /// Where it is reached.
    pub server: Server,
}

impl MediaMtx {
    /// Starts the program at `path` and waits until it listens.
    pub fn start(path: &str) -> io::Result<Self> {
        let tcp = || TcpListener::bind("127.0.0.1:0")?.local_addr();
        let (rtsp, webrtc) = (tcp()?, tcp()?);
        let udp = UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
        let config = format!(
            "logLevel: warn\nrtspAddress: {rtsp}\nrtspTransports: [tcp]\nrtmp: no\nhls: no\nsrt: no\n\
             webrtcAddress: {webrtc}\nwebrtcLocalUDPAddress: {udp}\nwebrtcIPsFromInterfaces: no\n\
             webrtcAdditionalHosts: [127.0.0.1]\npaths:\n  all_others:\n"
        );
        let folder = super::scratch("mediamtx")?;
        let file = folder.join("mediamtx.yml");
        fs::write(&file, config)?;
        let child = Command::new(path)
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| io::Error::other(format!("{path}: {error}")))?;
        let server = Server {
            name: "mediamtx".to_owned(),
            whip: format!("http://{webrtc}/clock/whip"),
            direct: format!("http://{webrtc}/clock/whep"),
            whep: format!("http://{webrtc}/cam/whep"),
            output: ["-map", "0:v", "-map", "0:a", "-c", "copy", "-f", "rtsp"]
                .into_iter()
                .chain(["-rtsp_transport", "tcp"])
                .map(str::to_owned)
                .chain([format!("rtsp://{rtsp}/cam")])
                .collect(),
        };
        let running = Self {
            child,
            folder,
            server,
        };
        wait_for("MediaMTX listens", || {
            Ok(std::net::TcpStream::connect(webrtc).is_ok()
                && std::net::TcpStream::connect(rtsp).is_ok())
        })?;
        Ok(running)
    }
}

impl Drop for MediaMtx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
