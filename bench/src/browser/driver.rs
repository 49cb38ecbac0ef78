//! Headless Chromium behind chromedriver, over plain WebDriver requests.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::crowd::http::{self, Url};

const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    // A machine may have no other interface than loopback.
    "--allow-loopback-in-peer-connection",
];

/// A browser with a profile of its own. Dropping it ends all its processes.
pub struct Browser {
    driver: Child,
    profile: PathBuf,
    /// Of the session, below which its commands are.
    session: Option<Url>,
    process: Option<u64>,
}

impl Browser {
    /// Needs chromedriver and Chromium (Debian: chromium-driver).
    pub fn start() -> io::Result<Self> {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| io::Error::other(format!("chromedriver: {error}")))?;
        let port = driver_port(&mut driver);
        let profile = super::scratch("chromium")?;
        let mut browser = Self {
            driver,
            profile,
            session: None,
            process: None,
        };
        let port = port.ok_or_else(|| io::Error::other("chromedriver says no port"))?;
        let mut flags: Vec<String> = FLAGS.iter().map(|&flag| flag.to_owned()).collect();
        flags.push(format!("--user-data-dir={}", browser.profile.display()));
        let wanted = json!({"goog:chromeOptions": {"args": flags}, "timeouts": {"script": 15_000}});
        let sessions = Url {
            authority: format!("127.0.0.1:{port}"),
            path: "/session".to_owned(),
        };
        let made = command(
            &sessions,
            "POST",
            &json!({"capabilities": {"alwaysMatch": wanted}}),
        )?;
        let id = made["sessionId"].as_str().unwrap_or_default();
        browser.process = made["capabilities"]["goog:processID"].as_u64();
        browser.session = Some(sessions.join(&format!("/session/{id}")));
        Ok(browser)
    }

    /// Opens a page.
    pub fn goto(&self, url: &str) -> io::Result<()> {
        self.command("url", &json!({"url": url})).map(drop)
    }

    /// Awaits an expression in which `arguments` has the arguments; a rejection is an error.
    pub fn wait_for(&self, expression: &str, arguments: &[Value]) -> io::Result<Value> {
        let script = format!(
            "const done = arguments[arguments.length - 1]; \
             ({expression}).then((it) => done({{ it }}), (error) => done({{ error: String(error) }}));"
        );
        let mut answer = self.command(
            "execute/async",
            &json!({"script": script, "args": arguments}),
        )?;
        match answer["error"].as_str() {
            Some(error) => Err(io::Error::other(format!("{expression}: {error}"))),
            None => Ok(answer["it"].take()),
        }
    }

    fn command(&self, name: &str, body: &Value) -> io::Result<Value> {
        let session = self.session.as_ref();
        let session = session.ok_or_else(|| io::Error::other("no browser session"))?;
        let url = session.join(&format!("{}/{name}", session.path));
        command(&url, "POST", body)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            let _ = command(&session, "DELETE", &Value::Null);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
        // Chromium lives in a process group of its own; where closing failed, it is still there.
        if let Some(process) = self.process {
            let _ = Command::new("kill")
                .args(["-9", &process.to_string()])
                .stderr(Stdio::null())
                .status();
        }
        let _ = fs::remove_dir_all(&self.profile);
    }
}

/// One WebDriver command; its `value`.
fn command(url: &Url, method: &str, body: &Value) -> io::Result<Value> {
    let headers = "Content-Type: application/json\r\n";
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let answer = http::exchange(http::connect(url)?, method, url, headers, &body)?;
    let mut said: Value = serde_json::from_str(&answer.body)?;
    match answer.status {
        200 => Ok(said["value"].take()),
        status => Err(io::Error::other(format!("{}: {status} {said}", url.path))),
    }
}

/// chromedriver says on its stdout which port it took.
fn driver_port(driver: &mut Child) -> Option<u16> {
    let mut lines = BufReader::new(driver.stdout.take()?).lines();
    let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
        let (_, rest) = line.split_once("successfully on port ")?;
        rest.trim_end_matches('.').parse().ok()
    });
    // Read on, so that it never blocks on a full pipe.
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    port
}
