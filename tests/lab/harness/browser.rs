//! A real browser: headless Chromium, driven by chromedriver over WebDriver's HTTP, and what its console says.
//!
//! It runs in the namespace of the host whose page it shows, where nothing but that host can be reached.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::clock::{wait_for, wait_for_value};
use super::namespace::Namespace;

/// What has to be installed.
pub(crate) const TOOLS: [&str; 2] = ["chromium", "chromedriver"];

/// Where chromedriver listens: the namespace is its own.
const PORT: u16 = 9515;
/// Longer than a browser takes to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// No sandbox: root's browser has none. No shared memory: a container's is small.
const ARGUMENTS: [&str; 6] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--hide-scrollbars",
];

/// A browser with one window; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Browser<'network> {
    namespace: &'network Namespace,
    driver: Child,
    session: String,
    /// Its home: profile and caches.
    _folder: TempDir,
}

impl<'network> Browser<'network> {
    /// Starts a browser in `namespace` and shows it `url`.
    #[track_caller]
    pub(crate) fn open(namespace: &'network Namespace, url: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("heraldns-lab-")
            .tempdir()
            .expect("a temporary folder");
        let driver = namespace.enter(|| {
            let mut command = Command::new("chromedriver");
            command
                .arg(format!("--port={PORT}"))
                .env("HOME", folder.path())
                .env("TMPDIR", folder.path());
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.spawn().expect("chromedriver is installed")
        });
        let mut browser = Self {
            namespace,
            driver,
            session: String::new(),
            _folder: folder,
        };
        wait_for(PATIENCE, "chromedriver listens", || browser.connect().is_ok());
        let options = json!({ "args": ARGUMENTS });
        let wanted = json!({ "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } });
        let session = browser.call("POST", "/session", Some(&json!({ "capabilities": { "alwaysMatch": wanted } })));
        let id = session["sessionId"].as_str().expect("a session has an id");
        browser.session = format!("/session/{id}");
        browser.command("url", &json!({ "url": url }));
        browser
    }

    /// What `script` returns.
    #[track_caller]
    pub(crate) fn run(&self, script: &str) -> Value {
        self.command("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// The text of the first element that `selector` finds, as it is shown; empty if there is none or it is hidden.
    #[track_caller]
    pub(crate) fn text(&self, selector: &str) -> String {
        let script = format!(
            "const node = document.querySelector({}); return node?.checkVisibility() ? node.innerText : ''",
            json!(selector)
        );
        self.run(&script).as_str().expect("a text").to_owned()
    }

    /// Waits until the text that `selector` finds is `text`.
    #[track_caller]
    pub(crate) fn wait_for_text(&self, limit: Duration, selector: &str, text: &str) {
        let mut last = String::new();
        wait_for_value(limit, &format!("{selector} shows '{text}'"), || {
            last = self.text(selector);
            (last == text).then_some(())
        });
    }

    /// Waits until `script` returns true.
    #[track_caller]
    pub(crate) fn wait_for(&self, limit: Duration, what: &str, script: &str) {
        wait_for(limit, what, || self.run(script) == json!(true));
    }

    /// A command of Chromium's own protocol.
    #[track_caller]
    pub(crate) fn chromium(&self, command: &str, parameters: &Value) -> Value {
        self.command("goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    /// A window of `width` CSS pixels, and the colours that the user prefers: `light` or `dark`.
    #[track_caller]
    pub(crate) fn look_like(&self, width: u32, height: u32, scheme: &str) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.chromium("Emulation.setDeviceMetricsOverride", &size);
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.chromium("Emulation.setEmulatedMedia", &json!({ "features": features }));
    }

    /// Presses a key as a user does; WebDriver has a private code point for each that is no letter.
    #[track_caller]
    pub(crate) fn press(&self, key: char) {
        let strokes = ["keyDown", "keyUp"].map(|stroke| json!({ "type": stroke, "value": key.to_string() }));
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": strokes });
        self.command("actions", &json!({ "actions": [keyboard] }));
    }

    /// What the console said since it was last asked: warnings, errors and what could not be loaded.
    #[track_caller]
    pub(crate) fn complaints(&self) -> Vec<String> {
        let log = self.command("se/log", &json!({ "type": "browser" }));
        let entries = log.as_array().expect("a list of entries").iter();
        let bad = entries.filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING");
        bad.map(Value::to_string).collect()
    }

    /// The whole page as a PNG file.
    #[track_caller]
    pub(crate) fn picture(&self, file: &Path) {
        let size = self.chromium("Page.getLayoutMetrics", &json!({}))["cssContentSize"].clone();
        let clip = json!({ "x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1 });
        let wanted = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let picture = self.chromium("Page.captureScreenshot", &wanted);
        fs::write(file, decode_base64(picture["data"].as_str().expect("a picture"))).expect("the folder can be written");
    }

    #[track_caller]
    fn command(&self, name: &str, body: &Value) -> Value {
        self.call("POST", &format!("{}/{name}", self.session), Some(body))
    }

    #[track_caller]
    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let (code, answer) = self.request(method, path, body).expect("chromedriver answers");
        assert_eq!(code, 200, "{method} {path}: {answer}");
        answer["value"].clone()
    }

    fn request(&self, method: &str, path: &str, body: Option<&Value>) -> std::io::Result<(u16, Value)> {
        let mut stream = self.connect()?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes())?;
        let mut answer = BufReader::new(stream);
        let (mut status, mut length) = (String::new(), 0);
        answer.read_line(&mut status)?;
        loop {
            let mut line = String::new();
            answer.read_line(&mut line)?;
            match line.split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.trim().parse().unwrap_or(0),
                Some(_) => {}
                None => break,
            }
        }
        let mut octets = vec![0; length];
        answer.read_exact(&mut octets)?;
        let code = status.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        Ok((code, serde_json::from_slice(&octets)?))
    }

    fn connect(&self) -> std::io::Result<TcpStream> {
        let stream = self.namespace.enter(|| TcpStream::connect((Ipv4Addr::LOCALHOST, PORT)))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    }
}

/// The octets that `text` stands for (RFC 4648, section 4).
fn decode_base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let values = text.bytes().filter_map(|letter| ALPHABET.iter().position(|known| *known == letter));
    let values: Vec<u32> = values.map(|value| value as u32).collect();
    let quartets = values.chunks(4).flat_map(|quartet| {
        let bits = (0..4).fold(0, |bits, index| bits << 6 | quartet.get(index).copied().unwrap_or(0));
        bits.to_be_bytes().into_iter().skip(1).take(quartet.len() - 1)
    });
    quartets.collect()
}

impl Drop for Browser<'_> {
    fn drop(&mut self) {
        let _ends_with_the_namespace_if_not = self.request("DELETE", &self.session, None);
        let _already_gone = self.driver.kill();
        let _reaped = self.driver.wait();
    }
}
