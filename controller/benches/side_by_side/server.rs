// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Measured servers, each in its own process, which ends on drop.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::Outcome;

/// A running server.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    /// `127.0.0.1:PORT`
    pub(crate) host: String,
    child: Child,
}

impl Server {
    /// Starts the controller with its data in `data`.
    pub(crate) fn controller(data: &Path) -> Outcome<Self> {
        Self::start_controller(&mut Command::new(program()), data)
    }

    /// Starts the controller with one worker on the first core, like nginx.
    pub(crate) fn controller_on_one_core(data: &Path) -> Outcome<Self> {
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]).arg(program());
        Self::start_controller(command.env("TOKIO_WORKER_THREADS", "1"), data)
    }

    fn start_controller(command: &mut Command, data: &Path) -> Outcome<Self> {
        command.args(["serve", "--listen", "127.0.0.1:0", "--log-level", "warn", "--data-dir"]);
        let mut child = command.arg(data).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let output = child.stdout.take().ok_or("no output")?;
        BufReader::new(output).read_line(&mut line)?;
        let host = line.trim_end().strip_prefix("listening on http://").ok_or("no address")?;
        Ok(Self { name: "controller", host: host.to_owned(), child })
    }

    /// Starts Debian's docker-registry with its data in `data`.
    pub(crate) fn docker(data: &Path) -> Outcome<Self> {
        let host = free_address()?;
        let config = data.join("config.yml");
        fs::write(
            &config,
            format!(
                "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"{host}\"}}\n",
                data.join("data").display()
            ),
        )?;
        let child = Command::new("docker-registry").arg("serve").arg(&config).spawn()?;
        Self { name: "docker-registry", host, child }.wait()
    }

    /// Starts nginx with one worker on the first core, serving `files`.
    pub(crate) fn nginx(folder: &Path, files: &Path) -> Outcome<Self> {
        fs::create_dir_all(folder)?;
        let host = free_address()?;
        let here = folder.display();
        let config = folder.join("nginx.conf");
        fs::write(
            &config,
            format!(
                "daemon off; master_process off; worker_processes 1; pid {here}/pid; error_log {here}/log;
                 events {{}}
                 http {{
                     access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;
                     client_body_temp_path {here}/a; proxy_temp_path {here}/b; fastcgi_temp_path {here}/c;
                     uwsgi_temp_path {here}/d; scgi_temp_path {here}/e;
                     server {{ listen {host}; root {}; }}
                 }}",
                files.display()
            ),
        )?;
        let mut command = Command::new("taskset");
        command.args(["-c", "0", "nginx", "-e"]).arg(folder.join("log")).arg("-c").arg(&config);
        Self { name: "nginx", host, child: command.spawn()? }.wait()
    }

    /// Waits until the server answers.
    fn wait(self) -> Outcome<Self> {
        for _ in 0..200 {
            if TcpStream::connect(&self.host).is_ok() {
                return Ok(self);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(format!("{} does not start", self.name).into())
    }

    /// CPU time in seconds; hardly affected by other programs.
    pub(crate) fn cpu(&self) -> Outcome<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // After the name, which may contain anything: state is field 3, utime and stime 14 and 15.
        let (_, fields) = stat.rsplit_once(')').ok_or("no name")?;
        let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
        // USER_HZ is 100 on every Linux platform.
        Ok(ticks.sum::<Result<f64, _>>()? / 100.0)
    }

    /// Peak memory in megabytes.
    pub(crate) fn peak(&self) -> Outcome<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib * 1024.0 / 1e6)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail if the process has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Path of the controller.
fn program() -> OsString {
    std::env::var_os("CONTROLLER").unwrap_or_else(|| env!("CARGO_BIN_EXE_controller").into())
}

/// An address that is free at the moment.
fn free_address() -> Outcome<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}
