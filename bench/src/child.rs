//! Child processes that take orders: this executable again in another role, or a contender in another language. One JSON
//! object a line in each direction.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child as Process, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::ingest::{publishing, reading};
use crate::{host, run, servers};

const ROLE: &str = "--role";

/// To be called first thing in `main`: where this process was started as a child, it plays its role and ends here.
pub fn play_role() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, mark, role, core, ..] = &arguments[..] else {
        return;
    };
    if mark != ROLE {
        return;
    }
    if let Some(core) = core.parse().ok().filter(|_| host::cores() > 1)
        && let Err(error) = host::pin(core)
    {
        eprintln!("{role}: not pinned: {error}");
    }
    let outcome = match role.as_str() {
        "viewers" => run::viewers(),
        "feed" => run::feed(),
        "publishers" => publishing::run(),
        "readers" => reading::run(),
        server => servers::serve(server),
    };
    if let Err(error) = outcome {
        eprintln!("{role}: {error}");
        std::process::exit(1);
    }
    std::process::exit(0);
}

/// A running child; dropped, it is told to end by the end of its input.
pub struct Child {
    process: Process,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Child {
    /// This executable as `role`, kept on `core` unless that is None, in the network namespace given.
    pub fn role(
        role: &str,
        core: impl Into<Option<usize>>,
        namespace: Option<&str>,
        more: &[&str],
    ) -> io::Result<Self> {
        let executable = std::env::current_exe()?;
        let mut command = match namespace {
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace]).arg(executable);
                command
            }
            None => Command::new(executable),
        };
        let core = core
            .into()
            .map_or("any".to_owned(), |core| core.to_string());
        command.args([ROLE, role, &core]).args(more);
        Self::spawn(command)
    }

    /// Another program that speaks the same way, kept on `core`.
    pub fn program(path: &str, core: usize, more: &[&str]) -> io::Result<Self> {
        let mut command = Command::new("taskset");
        command.args(["-c", &core.to_string(), path]).args(more);
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> io::Result<Self> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let missing = || io::Error::other("a child without pipes");
        let output = process.stdout.take().ok_or_else(missing)?;
        Ok(Self {
            input: process.stdin.take(),
            output: BufReader::new(output),
            process,
        })
    }

    /// The next line it says.
    pub fn hear(&mut self) -> io::Result<Value> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the child ended",
            ));
        }
        Ok(serde_json::from_str(&line)?)
    }

    /// An order and its answer; an `error` in the answer is one.
    pub fn ask(&mut self, order: &Value) -> io::Result<Value> {
        if let Some(input) = &mut self.input {
            writeln!(input, "{order}")?;
        }
        let answer = self.hear()?;
        match answer.get("error").and_then(Value::as_str) {
            Some(error) => Err(io::Error::other(error.to_owned())),
            None => Ok(answer),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        drop(self.input.take());
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if let Ok(Some(_)) = self.process.try_wait() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Says one line to the parent.
pub fn say(value: &Value) {
    let mut output = io::stdout().lock();
    let _ = writeln!(output, "{value}").and_then(|()| output.flush());
}

/// Answers every line of the parent's until there are no more.
pub fn answer_each(mut answer: impl FnMut(&Value) -> Value) {
    for line in io::stdin().lines().map_while(Result::ok) {
        let order = serde_json::from_str(&line).unwrap_or(Value::Null);
        say(&answer(&order));
    }
}
