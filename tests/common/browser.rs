//! Headless Chromium behind chromedriver, with calls that block: tests stay plain functions.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::{Client, ClientBuilder};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::forward::Forward;
use super::netns::Namespace;
use super::site::Site;
use super::{PATIENCE, Scratch, eventually};

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
    // A camera with a moving picture and a microphone that beeps, given without asking.
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
];

/// What a viewer on a [`Site`] sees and hears.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) state: String,
    /// What making the offer took; the times below count from the POST.
    pub(crate) offer_ms: f64,
    pub(crate) connected_ms: Option<f64>,
    pub(crate) first_frame_ms: Option<f64>,
    pub(crate) frames_decoded: u64,
    pub(crate) key_frames_decoded: u64,
    pub(crate) video_codec: Option<String>,
    pub(crate) video_lost: i64,
    /// As the browser counts them: a frame that stands three times as long as usual.
    pub(crate) freezes: u64,
    pub(crate) freeze_seconds: f64,
    /// Requests it sent: for packets again, for key frames.
    pub(crate) nacks: u64,
    pub(crate) plis: u64,
    /// Packets that came as RTX.
    pub(crate) repaired: u64,
    /// Mean time in the jitter buffer.
    pub(crate) coded_delay_ms: Option<f64>,
    pub(crate) audio_packets: u64,
    pub(crate) audio_lost: i64,
    pub(crate) audio_energy: f64,
    pub(crate) width: u32,
    pub(crate) picture: Option<u64>,
}

/// A browser with a profile of its own. Dropping it ends all its processes.
pub(crate) struct Browser {
    runtime: Runtime,
    driver: Child,
    client: Option<Client>,
    process: Option<u64>,
    _forward: Option<Forward>,
    _profile: Scratch,
}

impl Browser {
    pub(crate) fn start() -> Self {
        let (driver, port) = start_driver();
        Self::behind(driver, port, None)
    }

    /// One whose network is a namespace of its own.
    pub(crate) fn start_in(namespace: &Namespace) -> Self {
        let (driver, port) = namespace.enter(start_driver);
        let forward = Forward::into(namespace, port);
        Self::behind(driver, forward.port(), Some(forward))
    }

    fn behind(driver: Child, port: u16, forward: Option<Forward>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let profile = Scratch::new("chromium");
        let mut args: Vec<String> = FLAGS.iter().map(|flag| (*flag).to_owned()).collect();
        args.push(format!("--user-data-dir={}", profile.path().display()));
        let mut capabilities = serde_json::Map::new();
        capabilities.insert("goog:chromeOptions".to_owned(), json!({ "args": args }));
        let client = runtime
            .block_on(
                ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
                    .capabilities(capabilities)
                    .connect(&format!("http://127.0.0.1:{port}")),
            )
            .expect("chromium starts");
        let process = client
            .capabilities()
            .and_then(|given| given.get("goog:processID"))
            .and_then(Value::as_u64);
        Self {
            runtime,
            driver,
            client: Some(client),
            process,
            _forward: forward,
            _profile: profile,
        }
    }

    /// A browser with the page of another origin open.
    pub(crate) fn on(site: &Site) -> Self {
        let browser = Self::start();
        browser.goto(&site.origin());
        browser
    }

    pub(crate) fn goto(&self, url: &str) {
        self.runtime.block_on(self.client().goto(url)).unwrap();
    }

    /// Clicks the element a selector finds, as a person does.
    pub(crate) fn click(&self, selector: &str) {
        self.runtime.block_on(async {
            let locator = fantoccini::Locator::Css(selector);
            let element = self.client().find(locator).await.unwrap();
            element.click().await.unwrap();
        });
    }

    /// Makes the window so large, in CSS pixels with the browser's own frame.
    pub(crate) fn resize(&self, width: u32, height: u32) {
        self.runtime
            .block_on(self.client().set_window_size(width, height))
            .unwrap();
    }

    /// A PNG of what the window shows.
    pub(crate) fn screenshot(&self) -> Vec<u8> {
        self.runtime.block_on(self.client().screenshot()).unwrap()
    }

    /// Opens a tab, and makes it the current one. Gives the one that was current before.
    pub(crate) fn open_tab(&self) -> fantoccini::wd::WindowHandle {
        self.runtime.block_on(async {
            let before = self.client().window().await.unwrap();
            let tab = self.client().new_window(true).await.unwrap();
            self.client().switch_to_window(tab.handle).await.unwrap();
            before
        })
    }

    /// Closes the current tab and goes back to another.
    pub(crate) fn close_tab(&self, next: fantoccini::wd::WindowHandle) {
        self.runtime.block_on(async {
            self.client().close_window().await.unwrap();
            self.client().switch_to_window(next).await.unwrap();
        });
    }

    /// Runs a function body; `arguments` has the arguments.
    pub(crate) fn run(&self, script: &str, arguments: Vec<Value>) -> Value {
        self.runtime
            .block_on(self.client().execute(script, arguments))
            .unwrap()
    }

    /// Awaits an expression; a rejection is given as `{"error": text}`.
    pub(crate) fn wait_for(&self, expression: &str, arguments: Vec<Value>) -> Value {
        let script = format!(
            "const done = arguments[arguments.length - 1]; \
             ({expression}).then(done, (error) => done({{ error: String(error) }}));"
        );
        self.runtime
            .block_on(self.client().execute_async(&script, arguments))
            .unwrap()
    }

    /// POSTs an offer for both media and watches; asserts that the answer came.
    pub(crate) fn watch(&self, name: &str, url: &str) {
        let answer = self.post(name, url, &["video", "audio"]);
        assert_eq!(answer["status"], 201, "{answer}");
    }

    /// The same without the assertion: status, body, session and etag, or an error.
    pub(crate) fn post(&self, name: &str, url: &str, kinds: &[&str]) -> Value {
        self.wait_for(
            "whep.watch(arguments[0], arguments[1], arguments[2])",
            vec![json!(name), json!(url), json!(kinds)],
        )
    }

    pub(crate) fn report(&self, name: &str) -> Report {
        let report = self.wait_for("whep.report(arguments[0])", vec![json!(name)]);
        serde_json::from_value(report.clone()).unwrap_or_else(|error| panic!("{error}: {report}"))
    }

    /// DELETEs the session; the status.
    pub(crate) fn leave(&self, name: &str) -> Value {
        self.wait_for("whep.leave(arguments[0])", vec![json!(name)])["status"].clone()
    }

    /// Waits until the viewer's report is as `wanted` says.
    pub(crate) fn until(&self, name: &str, what: &str, wanted: impl Fn(&Report) -> bool) -> Report {
        eventually(&format!("{name}: {what}"), PATIENCE, || {
            let report = self.report(name);
            if wanted(&report) {
                Ok(report)
            } else {
                Err(format!("{report:?}"))
            }
        })
    }

    /// Waits until 30 more frames were decoded and the picture is another one.
    pub(crate) fn sees_motion(&self, name: &str) -> Report {
        let before = self.until(name, "a first picture", |seen| seen.picture.is_some());
        self.until(name, "a picture that moves", |seen| {
            seen.state == "connected"
                && seen.frames_decoded >= before.frames_decoded + 30
                && seen.picture != before.picture
        })
    }

    /// Waits until the tone is heard.
    pub(crate) fn hears_tone(&self, name: &str) -> Report {
        let before = self.report(name);
        self.until(name, "a tone", |seen| {
            seen.audio_energy > before.audio_energy && seen.audio_energy > 0.0
        })
    }

    fn client(&self) -> &Client {
        self.client.as_ref().expect("it is taken only by drop")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            let _ = self.runtime.block_on(async {
                tokio::time::timeout(Duration::from_secs(5), client.close()).await
            });
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
    }
}

fn start_driver() -> (Child, u16) {
    let mut driver = Command::new("chromedriver")
        .arg("--port=0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("chromedriver is installed (Debian: chromium-driver)");
    let port = driver_port(&mut driver);
    (driver, port)
}

/// chromedriver says on its stdout which port it took.
fn driver_port(driver: &mut Child) -> u16 {
    let stdout = driver.stdout.take().expect("it is piped");
    let mut lines = BufReader::new(stdout).lines();
    let port = lines
        .by_ref()
        .map_while(Result::ok)
        .find_map(|line| {
            let (_, rest) = line.split_once("successfully on port ")?;
            rest.trim_end_matches('.').parse().ok()
        })
        .expect("chromedriver says its port");
    // Read on, so that it never blocks on a full pipe.
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    port
}
