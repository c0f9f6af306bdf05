// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Runs a child process in its own process group with both streams to the log.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, pipe};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use foundation::command::Command;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use super::environment;
use super::log::StepLog;
use super::stop::Stop;

/// Number of last output lines in an error.
const TAIL: usize = 20;

/// Longer lines are split to bound memory.
const LONGEST_LINE: usize = 64 * 1024;

/// Limit of captured standard error in bytes.
const KEPT_ERRORS: usize = 4 << 20;

/// How long to read on after the child has ended: a daemon that it left may hold the pipe open.
const LINGER: Duration = Duration::from_secs(2);

/// Exit status and output of a child.
#[derive(Debug)]
pub(super) struct ProcessResult {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    /// Start of standard error, redacted; empty where both streams share a pipe.
    pub(super) stderr: String,
    pub(super) tail: Vec<String>,
}

/// Destination of standard output. Standard error always goes to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stdout {
    /// To the log.
    Log,
    /// To the log and to the caller.
    Both,
    /// To the caller only: machine-readable output.
    Caller,
}

/// Origin of output; `Error` where both streams share a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Output,
    Error,
}

/// Event of a reader thread; the channel closes at the end.
enum Event {
    /// Raw standard output.
    Output(Vec<u8>),
    /// Whole lines, redacted.
    Lines(Stream, String),
}

/// Runs `command` as `program` and waits for it.
pub(super) fn run(
    program: &Path,
    private: &Path,
    command: &Command,
    log: &StepLog,
    stop: &Stop,
    output: Stdout,
) -> Result<ProcessResult> {
    let mut prepared = prepare(program, private, command)?;
    let (events, inbox) = channel();
    if output == Stdout::Log {
        // One pipe for both keeps the order of the output.
        let (reader, writer) = pipe().context("cannot create a pipe")?;
        prepared.stdout(writer.try_clone().context("cannot create a pipe")?).stderr(writer);
        read(reader, log, events.clone(), Stream::Error, output);
    } else {
        prepared.stdout(Stdio::piped()).stderr(Stdio::piped());
    }
    let mut child = prepared.spawn().with_context(|| {
        format!("cannot start {} in {}", program.display(), command.folder.display())
    })?;
    // It holds our write ends of the pipe; the reader would never see the end of file.
    drop(prepared);
    let group = Pid::from_child(&child);
    stop.watch(group);
    if let Some(stream) = child.stdout.take() {
        read(stream, log, events.clone(), Stream::Output, output);
    }
    if let Some(stream) = child.stderr.take() {
        read(stream, log, events.clone(), Stream::Error, output);
    }
    drop(events);

    let (sender, ended) = channel();
    let watched = stop.clone();
    std::thread::spawn(move || {
        // Without reaping: the process group id stays ours until `wait` below.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(waitid(WaitId::Pid(group), options), Err(rustix::io::Errno::INTR)) {}
        watched.leave(group);
        let _ = sender.send(());
    });
    let Collected { stdout, stderr, tail } = collect(&inbox, &ended, log);
    let status = child.wait().context("cannot query the exit status")?;
    Ok(ProcessResult { status, stdout, stderr, tail: tail.lines() })
}

/// Prepares the child: arguments, working directory, clean environment, standard input empty or a
/// file named by the command, its own process group.
pub(super) fn prepare(
    program: &Path,
    private: &Path,
    command: &Command,
) -> Result<std::process::Command> {
    let input = match &command.input {
        Some(path) => {
            File::open(path).with_context(|| format!("cannot read {}", path.display()))?.into()
        }
        None => Stdio::null(),
    };
    let mut child = std::process::Command::new(program);
    child
        .args(&command.args)
        .current_dir(&command.folder)
        .env_clear()
        .envs(environment::select_inherited(std::env::vars_os(), private))
        .envs(command.secrets.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
        .envs(command.env.iter().map(|(name, value)| (name, value)))
        .stdin(input)
        .process_group(0);
    for name in &command.removed {
        child.env_remove(name);
    }
    Ok(child)
}

/// Collected output.
#[derive(Debug, Default)]
struct Collected {
    stdout: Vec<u8>,
    stderr: String,
    tail: Tail,
}

/// Collects output until both streams and the child have ended, or a process that it left holds the
/// streams open for too long.
fn collect(inbox: &Receiver<Event>, ended: &Receiver<()>, log: &StepLog) -> Collected {
    let mut collected = Collected::default();
    let mut deadline: Option<Instant> = None;
    while deadline.is_none_or(|deadline| Instant::now() < deadline) {
        match inbox.recv_timeout(LINGER) {
            Ok(Event::Output(bytes)) => collected.stdout.extend(bytes),
            Ok(Event::Lines(stream, text)) => {
                log.write(&text);
                collected.tail.add(stream, &text);
                if stream == Stream::Error && collected.stderr.len() < KEPT_ERRORS {
                    collected.stderr.push_str(&text);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if deadline.is_none() && ended.try_recv().is_ok() {
            deadline = Some(Instant::now() + LINGER);
        }
    }
    if deadline.is_none() {
        // Closed streams do not mean that the child has ended.
        let _ = ended.recv();
    }
    collected
}

/// The last lines of output. Standard output cannot push out standard error, which contains the
/// cause.
#[derive(Debug, Default)]
struct Tail {
    output: VecDeque<String>,
    error: VecDeque<String>,
}

impl Tail {
    fn add(&mut self, stream: Stream, text: &str) {
        let lines = match stream {
            Stream::Output => &mut self.output,
            Stream::Error => &mut self.error,
        };
        lines.extend(text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned));
        lines.drain(..lines.len().saturating_sub(TAIL));
    }

    /// The lines for an error message, standard error last.
    fn lines(mut self) -> Vec<String> {
        self.output.drain(
            ..(self.output.len() + self.error.len()).saturating_sub(TAIL).min(self.output.len()),
        );
        self.output.into_iter().chain(self.error).collect()
    }
}

/// Reads a stream on a thread and sends redacted whole lines.
fn read(
    mut from: impl Read + Send + 'static,
    log: &StepLog,
    to: Sender<Event>,
    stream: Stream,
    output: Stdout,
) {
    let redactor = log.redactor().clone();
    let (keep, show) = match stream {
        Stream::Output => (output != Stdout::Log, output != Stdout::Caller),
        Stream::Error => (false, true),
    };
    std::thread::spawn(move || {
        let mut chunk = vec![0; 16 * 1024];
        let mut pending: Vec<u8> = Vec::new();
        while let Ok(length) = from.read(&mut chunk) {
            let Some(bytes) = chunk.get(..length).filter(|bytes| !bytes.is_empty()) else { break };
            if keep && to.send(Event::Output(bytes.to_vec())).is_err() {
                return;
            }
            if !show {
                continue;
            }
            pending.extend_from_slice(bytes);
            if let Some(end) = pending.iter().rposition(|byte| *byte == b'\n') {
                let lines: Vec<u8> = pending.drain(..=end).collect();
                let text = redactor.text(&String::from_utf8_lossy(&lines));
                drop(to.send(Event::Lines(stream, text)));
            } else if pending.len() > LONGEST_LINE + redactor.longest() {
                // Redacted before the split, so that no secret crosses it.
                let masked = redactor.text(&String::from_utf8_lossy(&pending)).into_bytes();
                let keep_back = masked.len().min(redactor.longest());
                let (head, rest) = masked.split_at(masked.len() - keep_back);
                drop(to.send(Event::Lines(stream, String::from_utf8_lossy(head).into_owned())));
                pending = rest.to_vec();
            }
        }
        if !pending.is_empty() {
            pending.push(b'\n');
            drop(to.send(Event::Lines(stream, redactor.text(&String::from_utf8_lossy(&pending)))));
        }
    });
}
