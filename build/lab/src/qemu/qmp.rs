// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! QMP (QEMU Machine Protocol) client that controls and watches a VM. A VM that QEMU has stopped,
//! as after an internal error of KVM, never resumes by itself.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

/// Run states of a VM that is not running and has not failed: being set up, or powered off.
const HARMLESS: [&str; 2] = ["prelaunch", "shutdown"];

/// QEMU has stopped a VM that was expected to run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("QEMU stopped the VM: {status}")]
pub struct Halted {
    /// QEMU's run state, such as `internal-error`.
    pub status: String,
}

/// Watches a VM over one connection: QEMU serves one QMP client at a time.
pub struct Monitor {
    socket: PathBuf,
    connection: Option<Qmp>,
}

impl Monitor {
    /// Creates a monitor for `socket`, which need not exist yet.
    pub fn new(socket: PathBuf) -> Self {
        Self { socket, connection: None }
    }

    /// Returns the connection, opening it if needed.
    ///
    /// # Errors
    /// When the VM has not started yet or has ended.
    pub fn qmp(&mut self) -> Result<&mut Qmp> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => Qmp::open(&self.socket)?,
        };
        Ok(self.connection.insert(connection))
    }

    /// Checks that QEMU has not stopped the VM. A VM that has not started yet or has ended passes.
    ///
    /// # Errors
    /// [`Halted`] when QEMU has stopped it.
    pub fn check(&mut self) -> Result<(), Halted> {
        match self.qmp().and_then(Qmp::query_halt) {
            Ok(None) => Ok(()),
            Ok(Some(halted)) => Err(halted),
            // The VM may have ended: the exit of its process shows that.
            Err(_) => {
                self.connection = None;
                Ok(())
            }
        }
    }
}

/// A QMP connection.
pub struct Qmp {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
    /// Whether the last such event was `STOP`.
    stopped: bool,
}

impl Qmp {
    fn open(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket)
            .with_context(|| format!("cannot connect to QMP at {}", socket.display()))?;
        stream.set_read_timeout(Some(Duration::from_mins(1)))?;
        let reader = BufReader::new(stream.try_clone()?);
        let mut qmp = Self { reader, writer: stream, stopped: false };
        qmp.read()?;
        qmp.call("qmp_capabilities", &json!({}))?;
        Ok(qmp)
    }

    /// Executes `command` and returns its result.
    pub fn call(&mut self, command: &str, arguments: &Value) -> Result<Value> {
        let line = json!({ "execute": command, "arguments": arguments });
        writeln!(self.writer, "{line}").context("cannot write to QMP")?;
        loop {
            let answer = self.read()?;
            match answer.get("event").and_then(Value::as_str) {
                Some("STOP") => self.stopped = true,
                Some("RESUME") => self.stopped = false,
                _ => {}
            }
            if let Some(error) = answer.get("error") {
                bail!("QMP command {command} failed: {error}");
            }
            if let Some(answer) = answer.get("return") {
                return Ok(answer.clone());
            }
        }
    }

    /// The run state when QEMU has stopped the VM, else `None`.
    fn query_halt(&mut self) -> Result<Option<Halted>> {
        let answer = self.call("query-status", &json!({}))?;
        let status = answer["status"].as_str().context("query-status returned no status")?;
        let runs = answer["running"].as_bool().context("query-status returned no running")?;
        let bad = !HARMLESS.contains(&status) && (self.stopped || !runs);
        Ok(bad.then(|| Halted { status: status.to_owned() }))
    }

    /// Number of writes to each drive, by drive name.
    pub fn writes(&mut self) -> Result<Vec<(String, u64)>> {
        self.read_counters("wr_operations")
    }

    /// Bytes read from each drive, by drive name.
    pub fn reads(&mut self) -> Result<Vec<(String, u64)>> {
        self.read_counters("rd_bytes")
    }

    fn read_counters(&mut self, what: &str) -> Result<Vec<(String, u64)>> {
        let stats = self.call("query-blockstats", &json!({}))?;
        let drives = stats.as_array().context("query-blockstats returned no list")?;
        Ok(drives
            .iter()
            .filter_map(|drive| {
                let name = drive["device"].as_str().filter(|name| !name.is_empty())?;
                Some((name.to_owned(), drive["stats"][what].as_u64()?))
            })
            .collect())
    }

    /// Writes a screenshot to `file` as PNG.
    pub fn screenshot(&mut self, file: &Path) -> Result<()> {
        self.call("screendump", &json!({ "filename": file, "format": "png" }))?;
        Ok(())
    }

    /// Presses the power button.
    pub fn press_power_button(&mut self) -> Result<()> {
        self.call("system_powerdown", &json!({}))?;
        Ok(())
    }

    /// Replaces the medium in the CD drive `id` with `file`.
    pub fn change_medium(&mut self, id: &str, file: &Path) -> Result<()> {
        let device = format!("{id}-drive");
        let arguments = json!({ "id": device, "filename": file, "format": "raw", "force": true, "read-only-mode": "read-only" });
        self.call("blockdev-change-medium", &arguments)?;
        Ok(())
    }

    fn read(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.reader.read_line(&mut line).context("no response on QMP")? == 0 {
            bail!("the VM has ended");
        }
        serde_json::from_str(&line).context("malformed QMP response")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::thread::JoinHandle;

    use super::*;

    const RUNNING: &str = r#"{"return":{"running":true,"status":"running"}}"#;
    const STOP: &str = r#"{"event":"STOP","timestamp":{"seconds":1,"microseconds":0}}"#;
    const RESUME: &str = r#"{"event":"RESUME","timestamp":{"seconds":1,"microseconds":0}}"#;

    /// A fake QEMU that answers each command after the handshake with the next lines of `script`,
    /// then closes.
    fn start_scripted(script: &'static [&'static [&'static str]]) -> (Monitor, JoinHandle<()>) {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("qmp");
        let listener = UnixListener::bind(&socket).unwrap();
        let server = std::thread::spawn(move || {
            let _kept = folder;
            let (mut stream, _) = listener.accept().unwrap();
            let mut commands = BufReader::new(stream.try_clone().unwrap());
            writeln!(stream, r#"{{"QMP":{{"version":{{}},"capabilities":[]}}}}"#).unwrap();
            for lines in [&[r#"{"return":{}}"#][..]].iter().chain(script) {
                commands.read_line(&mut String::new()).unwrap();
                lines.iter().for_each(|line| writeln!(stream, "{line}").unwrap());
            }
        });
        (Monitor::new(socket), server)
    }

    #[test]
    fn a_machine_that_qemu_stops_is_found_at_the_next_look() {
        let (mut monitor, server) = start_scripted(&[
            &[RUNNING],
            &[STOP, r#"{"return":{"running":false,"status":"internal-error"}}"#],
        ]);
        assert_eq!(monitor.check(), Ok(()));
        assert_eq!(monitor.check(), Err(Halted { status: "internal-error".to_owned() }));
        server.join().unwrap();
        // The connection is closed; the VM's process shows that it has ended.
        assert_eq!(monitor.check(), Ok(()));
    }

    #[test]
    fn a_pause_counts_until_the_machine_runs_on() {
        let paused = r#"{"return":{"running":false,"status":"paused"}}"#;
        let (mut monitor, server) = start_scripted(Box::leak(Box::new([
            [paused].to_vec().leak() as &[&str],
            [STOP, RUNNING].to_vec().leak(),
            [RESUME, RUNNING].to_vec().leak(),
        ])));
        assert_eq!(monitor.check(), Err(Halted { status: "paused".to_owned() }));
        assert!(monitor.check().is_err());
        assert_eq!(monitor.check(), Ok(()));
        server.join().unwrap();
    }

    #[test]
    fn a_machine_that_switches_itself_off_is_no_fault() {
        let (mut monitor, server) =
            start_scripted(&[&[STOP, r#"{"return":{"running":false,"status":"shutdown"}}"#]]);
        assert_eq!(monitor.check(), Ok(()));
        server.join().unwrap();
    }

    #[test]
    fn a_machine_that_is_not_up_yet_is_no_fault() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Monitor::new(folder.path().join("qmp")).check(), Ok(()));
    }
}
