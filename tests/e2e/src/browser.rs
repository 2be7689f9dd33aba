//! A real browser without a window, driven over the WebDriver protocol.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::process::{Program, until};

/// What a browser may take to start on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// Chromium with one page; ended when dropped.
#[derive(Debug)]
pub struct Browser {
    session: String,
    // Behind the session, which it must outlive.
    _driver: Program,
}

impl Browser {
    /// Starts `chromedriver`, and Chromium with it.
    ///
    /// # Errors
    /// When either is not installed or does not start.
    pub fn start(folder: &Path) -> Result<Self> {
        let mut command = Command::new("chromedriver");
        let driver = Program::start("chromedriver", folder, command.arg("--port=0"))
            .context("chromedriver: scripts/test.sh web installs it")?;
        let port = || {
            let said = driver.stdout();
            let rest = said.split_once("started successfully on port ")?.1;
            rest.split_once('.').and_then(|(port, _)| port.parse::<u16>().ok())
        };
        until("chromedriver to listen", PATIENCE, || port().is_some())?;
        let base = format!("http://127.0.0.1:{}/session", port().context("a port")?);
        let profile = folder.join("chromium");
        let args = [
            "--headless=new".to_owned(),
            // Tests run as root in a container, where Chromium's own sandbox cannot be had.
            "--no-sandbox".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--disable-gpu".to_owned(),
            "--hide-scrollbars".to_owned(),
            format!("--user-data-dir={}", profile.display()),
        ];
        let options = json!({"args": args});
        let log = json!({"browser": "ALL"});
        let wanted = json!({"goog:chromeOptions": options, "goog:loggingPrefs": log});
        let made = post(&base, &json!({"capabilities": {"alwaysMatch": wanted}}))?;
        let id = made["sessionId"].as_str().context("a session")?;
        Ok(Self { session: format!("{base}/{id}"), _driver: driver })
    }

    /// Opens a page.
    ///
    /// # Errors
    /// When it cannot be loaded.
    pub fn open(&self, url: &str) -> Result<()> {
        self.ask("url", &json!({ "url": url })).map(drop)
    }

    /// Runs a script in the page and gives what it returns.
    ///
    /// # Errors
    /// When it throws.
    pub fn run(&self, script: &str) -> Result<Value> {
        self.ask("execute/sync", &json!({"script": script, "args": []}))
    }

    /// Makes the page so large, as a phone or not, and light or dark.
    ///
    /// # Errors
    /// When the browser refuses.
    pub fn look_like(&self, width: u32, height: u32, phone: bool, dark: bool) -> Result<()> {
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone});
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics)?;
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools("Emulation.setEmulatedMedia", &media)
    }

    /// What the page complained about: errors and warnings of the console.
    ///
    /// # Errors
    /// When the browser does not say.
    pub fn complaints(&self) -> Result<Vec<String>> {
        let log = self.ask("se/log", &json!({"type": "browser"}))?;
        let lines = log.as_array().into_iter().flatten();
        let loud = lines.filter(|line| line["level"] == "SEVERE" || line["level"] == "WARNING");
        Ok(loud.map(|line| line["message"].to_string()).collect())
    }

    /// The page as a picture, into a file.
    ///
    /// # Errors
    /// When it cannot be taken or written.
    pub fn picture(&self, path: &Path) -> Result<()> {
        let shot = get(&format!("{}/screenshot", self.session))?;
        let text = shot.as_str().context("a picture")?;
        Ok(std::fs::write(path, base64(text)?)?)
    }

    fn devtools(&self, command: &str, parameters: &Value) -> Result<()> {
        self.ask("goog/cdp/execute", &json!({"cmd": command, "params": parameters})).map(drop)
    }

    fn ask(&self, what: &str, body: &Value) -> Result<Value> {
        post(&format!("{}/{what}", self.session), body)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = ureq::delete(&self.session).call();
    }
}

fn post(url: &str, body: &Value) -> Result<Value> {
    let config = ureq::Agent::config_builder().http_status_as_error(false).build();
    let agent = ureq::Agent::new_with_config(config);
    let mut answer = agent.post(url).content_type("application/json").send(body.to_string())?;
    value(url, &answer.body_mut().read_to_string()?)
}

fn get(url: &str) -> Result<Value> {
    let mut answer = ureq::get(url).call()?;
    value(url, &answer.body_mut().with_config().limit(64 << 20).read_to_string()?)
}

fn value(url: &str, body: &str) -> Result<Value> {
    let answer: Value = serde_json::from_str(body)?;
    if let Some(error) = answer["value"]["error"].as_str() {
        bail!("{url}: {error}: {}", answer["value"]["message"]);
    }
    Ok(answer["value"].clone())
}

fn base64(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text.bytes().take_while(|byte| *byte != b'=') {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => bail!("no base 64: {byte}"),
        };
        (bits, count) = (bits << 6 | u32::from(six), count + 6);
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    Ok(bytes)
}
