//! FFmpeg with a film that has long groups of pictures, sent to every server at once: they get the same packets.

use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::Server;

/// Frames a second of the film.
const FPS: usize = 30;

/// A running FFmpeg; dropped, it ends.
pub struct Source(Child);

impl Source {
    /// Encodes a film of `seconds` with a key frame every `gop_s` seconds, without B-frames as for WebRTC.
    pub fn film(path: &Path, seconds: usize, gop_s: usize) -> io::Result<()> {
        let (gop, seconds) = ((gop_s * FPS).to_string(), seconds.to_string());
        let picture = format!("testsrc2=size=640x360:rate={FPS}");
        let status = ffmpeg()
            .args([
                "-f",
                "lavfi",
                "-i",
                &picture,
                "-f",
                "lavfi",
                "-i",
                "sine=sample_rate=48000",
            ])
            .args([
                "-t",
                &seconds,
                "-c:v",
                "libx264",
                "-preset",
                "veryfast",
                "-tune",
                "zerolatency",
            ])
            .args([
                "-profile:v",
                "baseline",
                "-pix_fmt",
                "yuv420p",
                "-b:v",
                "1M",
                "-sc_threshold",
                "0",
            ])
            .args(["-g", &gop, "-keyint_min", &gop, "-c:a", "libopus"])
            .arg(path)
            .status()?;
        match status.success() {
            true => Ok(()),
            false => Err(io::Error::other("FFmpeg could not make the film")),
        }
    }

    /// Plays a film at its own speed to all servers.
    pub fn play(path: &Path, servers: &[Server]) -> io::Result<Self> {
        let outputs = servers.iter().flat_map(|server| &server.output);
        let child = ffmpeg()
            .arg("-re")
            .arg("-i")
            .arg(path)
            .args(outputs)
            .spawn()?;
        Ok(Self(child))
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ffmpeg() -> Command {
    let mut command = Command::new("ffmpeg");
    command
        .args(["-hide_banner", "-nostdin", "-loglevel", "error", "-y"])
        .stdin(Stdio::null());
    command
}
