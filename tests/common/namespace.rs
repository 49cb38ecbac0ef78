//! A network namespace of the kernel, and the system's commands for it.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};

use rustix::fs::{FlockOperation, flock};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A network namespace. Dropping it deletes its name; it ends with the last process and socket in it.
pub(crate) struct Namespace {
    pub(crate) name: String,
    file: File,
}

impl Namespace {
    pub(crate) fn new(name: String) -> Result<Self, String> {
        // The first `ip netns add` since boot makes a mount that another one at the same time would hide.
        let lock = File::create(std::env::temp_dir().join("corertc-netns.lock")).unwrap();
        flock(&lock, FlockOperation::LockExclusive).unwrap();
        // What a killed test left behind.
        let _ = run("ip", &format!("netns del {name}"), "");
        run("ip", &format!("netns add {name}"), "")?;
        let file = File::open(format!("/run/netns/{name}")).map_err(|error| error.to_string());
        let namespace = Self { name, file: file? };
        namespace.run("ip", "link set lo up");
        Ok(namespace)
    }

    /// Runs `act` inside, on a thread of its own: sockets, processes and threads that it makes stay inside.
    pub(crate) fn enter<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let inside = || {
            move_into_link_name_space(self.file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            act()
        };
        std::thread::scope(|scope| match scope.spawn(inside).join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }

    /// Runs a command inside; what it said.
    pub(crate) fn run(&self, command: &str, arguments: &str) -> String {
        self.feed(command, arguments, "")
    }

    pub(crate) fn feed(&self, command: &str, arguments: &str, input: &str) -> String {
        self.enter(|| run(command, arguments, input)).unwrap()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = run("ip", &format!("netns del {}", self.name), "");
    }
}

/// Runs a command of the system with `input`; what it said, or how it failed.
pub(crate) fn run(command: &str, arguments: &str, input: &str) -> Result<String, String> {
    let mut child = Command::new(command)
        .args(arguments.split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command}: {error} (see TEST_NEEDS of the Makefile)"));
    let mut stdin = child.stdin.take().expect("it is piped");
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child
        .wait_with_output()
        .map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(format!(
            "{command} {arguments}: {}",
            text(&output.stderr).trim()
        )),
    }
}
