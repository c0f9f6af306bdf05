// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A child from its start to its end: its own process group, no input, both streams to the log.

use std::collections::VecDeque;
use std::io::Read;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use super::environment;
use super::log::StepLog;
use super::stop::Stop;
use crate::ops::command::Command;

/// How many lines of the end of the output an error shows.
const TAIL: usize = 20;

/// Longer lines are cut in pieces, so that memory does not grow with what a program writes.
const LONGEST_LINE: usize = 64 * 1024;

/// How long we read on after the end of the child: a daemon that it left may hold the pipe open.
const LINGER: Duration = Duration::from_secs(2);

/// How a child ended, and what it wrote.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    pub(super) tail: Vec<String>,
}

/// What becomes of standard output. Standard error always goes to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stdout {
    /// To the log.
    Log,
    /// To the log and to the caller.
    Both,
    /// To the caller alone: it is for programs, and the step notes what people want of it.
    Caller,
}

/// What the readers of the two streams tell.
enum Event {
    Output(Vec<u8>),
    Lines(String),
    End,
}

/// Runs `command` as `program` until it ends.
pub(super) fn run(
    program: &Path,
    private: &Path,
    command: &Command,
    log: &StepLog,
    stop: &Stop,
    output: Stdout,
) -> Result<Ended> {
    let mut child = prepare(program, private, command);
    child.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().with_context(|| {
        format!("cannot start {} in {}", program.display(), command.folder().display())
    })?;
    let group = Pid::from_child(&child);
    stop.watch(group);

    let (events, inbox) = channel();
    if let Some(stream) = child.stdout.take() {
        read(stream, log, events.clone(), output);
    }
    if let Some(stream) = child.stderr.take() {
        read(stream, log, events.clone(), Stdout::Log);
    }
    drop(events);

    let (sender, ended) = channel();
    let watched = stop.clone();
    std::thread::spawn(move || {
        // Without reaping: until `wait` below, nobody else gets the group's number.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(waitid(WaitId::Pid(group), options), Err(rustix::io::Errno::INTR)) {}
        watched.leave(group);
        drop(sender.send(()));
    });
    let (stdout, tail) = collect(&inbox, &ended, log);
    let status = child.wait().context("cannot learn how it ended")?;
    Ok(Ended { status, stdout, tail })
}

/// The child before its start: arguments, folder, clean environment, no input, a group of its own.
pub(super) fn prepare(program: &Path, private: &Path, command: &Command) -> std::process::Command {
    let mut child = std::process::Command::new(program);
    child
        .args(command.arguments())
        .current_dir(command.folder())
        .env_clear()
        .envs(environment::inherited(std::env::vars_os(), private))
        .envs(command.secrets().iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
        .envs(command.variables().iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .process_group(0);
    for name in command.removed() {
        child.env_remove(name);
    }
    child
}

/// Takes what the readers send until both streams are at their end and the child has ended, or
/// something that it left has held them open for too long.
fn collect(inbox: &Receiver<Event>, ended: &Receiver<()>, log: &StepLog) -> (Vec<u8>, Vec<String>) {
    let mut stdout = Vec::new();
    let mut tail = VecDeque::with_capacity(TAIL);
    let mut open = 2;
    let mut deadline: Option<Instant> = None;
    while open > 0 && deadline.is_none_or(|deadline| Instant::now() < deadline) {
        match inbox.recv_timeout(LINGER) {
            Ok(Event::Output(bytes)) => stdout.extend(bytes),
            Ok(Event::Lines(text)) => {
                log.write(&text);
                for line in text.lines().filter(|line| !line.trim().is_empty()) {
                    if tail.len() == TAIL {
                        tail.pop_front();
                    }
                    tail.push_back(line.to_owned());
                }
            }
            Ok(Event::End) => open -= 1,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if deadline.is_none() && ended.try_recv().is_ok() {
            deadline = Some(Instant::now() + LINGER);
        }
    }
    if deadline.is_none() {
        // Closed streams do not mean that the child has ended.
        drop(ended.recv());
    }
    (stdout, tail.into())
}

/// Reads one stream on a thread of its own, and sends whole lines without secrets.
fn read(stream: impl Read + Send + 'static, log: &StepLog, to: Sender<Event>, output: Stdout) {
    let redactor = log.redactor().clone();
    std::thread::spawn(move || {
        let mut stream = stream;
        let mut chunk = vec![0; 16 * 1024];
        let mut pending: Vec<u8> = Vec::new();
        while let Ok(length) = stream.read(&mut chunk) {
            let Some(bytes) = chunk.get(..length).filter(|bytes| !bytes.is_empty()) else { break };
            if output != Stdout::Log && to.send(Event::Output(bytes.to_vec())).is_err() {
                return;
            }
            if output == Stdout::Caller {
                continue;
            }
            pending.extend_from_slice(bytes);
            if let Some(end) = pending.iter().rposition(|byte| *byte == b'\n') {
                let lines: Vec<u8> = pending.drain(..=end).collect();
                let text = redactor.text(&String::from_utf8_lossy(&lines));
                drop(to.send(Event::Lines(text)));
            } else if pending.len() > LONGEST_LINE + redactor.longest() {
                // Masked before the cut, so that no secret lies across it.
                let masked = redactor.text(&String::from_utf8_lossy(&pending)).into_bytes();
                let keep_back = masked.len().min(redactor.longest());
                let (head, rest) = masked.split_at(masked.len() - keep_back);
                drop(to.send(Event::Lines(String::from_utf8_lossy(head).into_owned())));
                pending = rest.to_vec();
            }
        }
        if !pending.is_empty() {
            pending.push(b'\n');
            drop(to.send(Event::Lines(redactor.text(&String::from_utf8_lossy(&pending)))));
        }
        drop(to.send(Event::End));
    });
}
