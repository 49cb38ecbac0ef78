//! FFmpeg as a media host runs it: an input, the legs, SIGKILL, a restart with the very same arguments.

use std::process::{Child, Command, Stdio};

use corertc::leg::Leg;

/// Moving test picture and a tone; video is stream 0:v:0, audio 1:a:0.
pub(crate) const PICTURE_AND_TONE: &[&str] = &[
    "-re",
    "-f",
    "lavfi",
    "-i",
    "testsrc2=size=320x180:rate=30",
    "-re",
    "-f",
    "lavfi",
    "-i",
    "sine=frequency=440:sample_rate=48000",
];

/// A running FFmpeg. Dropping it kills it.
pub(crate) struct Ffmpeg {
    args: Vec<String>,
    child: Child,
}

impl Ffmpeg {
    /// Starts it on an input with the legs as its outputs.
    pub(crate) fn run(input: &[&str], legs: &[Leg]) -> Self {
        let mut args: Vec<String> = ["-hide_banner", "-nostdin", "-nostats", "-loglevel", "error"]
            .iter()
            .chain(input)
            .map(|arg| (*arg).to_owned())
            .collect();
        args.extend(legs.iter().flat_map(|leg| leg.args.iter().cloned()));
        let child = spawn(&args);
        Self { args, child }
    }

    /// SIGKILL; returns when it is gone.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again with the same arguments, as a supervisor does.
    pub(crate) fn restart(&mut self) {
        self.kill();
        self.child = spawn(&self.args);
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Ffmpeg {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs FFmpeg to its end, for instance to make a file.
pub(crate) fn make_file(args: &[&str]) {
    let status = Command::new("ffmpeg")
        .args(["-hide_banner", "-nostdin", "-loglevel", "error", "-y"])
        .args(args)
        .stdin(Stdio::null())
        .status()
        .expect("ffmpeg is installed");
    assert!(status.success(), "ffmpeg {args:?}: {status}");
}

fn spawn(args: &[String]) -> Child {
    Command::new("ffmpeg")
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("ffmpeg is installed")
}
