// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Runs external programs with a fixed environment; errors include command and output.

use std::io::{self, ErrorKind, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result, bail};

use crate::program::Program;

/// Lines of output in an error message. The tools print the cause last.
const SHOWN_LINES: usize = 20;
/// Bytes written to a program at once: the capacity of a pipe.
const PIPE: usize = 64 * 1024;

/// Creates a command for `program` with the fixed environment.
pub(crate) fn command(program: &Program) -> Result<Command> {
    let argv = program.full_argv();
    let (name, args) = argv.split_first().context("the plan has an empty command")?;
    let mut command = Command::new(name);
    command.args(args).env_clear().stdin(Stdio::null());
    command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    command.env("LC_ALL", "C").env("TZ", "UTC").env("HOME", "/nonexistent");
    command.envs(program.env.iter().map(|(name, value)| (name, value)));
    Ok(command)
}

/// Runs `program` and returns its combined output.
///
/// The error includes the command, its exit status and the end of its output.
pub(crate) fn run(program: &Program) -> Result<String> {
    let output = command(program)?.output().with_context(|| explain_start_failure(program))?;
    let mut printed = String::from_utf8_lossy(&output.stdout).into_owned();
    printed.push_str(&String::from_utf8_lossy(&output.stderr));
    check(program, output.status, &printed)?;
    Ok(printed)
}

/// Runs `program` and returns its standard output.
pub(crate) fn capture(program: &Program) -> Result<Vec<u8>> {
    let output = command(program)?.output().with_context(|| explain_start_failure(program))?;
    check(program, output.status, &String::from_utf8_lossy(&output.stderr))?;
    Ok(output.stdout)
}

/// Runs `program` with `stream` as its standard input; it may stop reading early.
///
/// A failure to read `stream` takes precedence over the program's error, which it causes.
pub(crate) fn run_with_input(program: &Program, stream: &mut dyn Read) -> Result<()> {
    let mut fed = PipedProgram::start(program)?;
    let copied = copy(stream, &mut fed);
    fed.finish(copied)
}

/// A running program that reads from standard input.
pub(crate) struct PipedProgram {
    program: Program,
    child: Child,
    printed: JoinHandle<String>,
    /// True once the program has closed its standard input.
    closed: bool,
}

impl PipedProgram {
    /// Starts `program` and collects its output.
    pub(crate) fn start(program: &Program) -> Result<Self> {
        let (mut reader, writer) = io::pipe().context("cannot make a pipe")?;
        let mut command = command(program)?;
        command.stdin(Stdio::piped()).stderr(writer.try_clone()?).stdout(writer);
        let child = command.spawn().with_context(|| explain_start_failure(program))?;
        // `command` keeps our end of the pipe open: drop it, or reading never ends.
        drop(command);
        // Read concurrently: a full pipe would block the program.
        let printed = thread::spawn(move || {
            let mut bytes = Vec::new();
            // Output before a read error is still useful.
            reader.read_to_end(&mut bytes).ok();
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Ok(Self { program: program.clone(), child, printed, closed: false })
    }

    /// Closes the program's input and waits for its exit. The error `fed` takes precedence.
    pub(crate) fn finish(mut self, fed: Result<()>) -> Result<()> {
        if fed.is_err() {
            // Kill it: it would report truncated input, which is not the cause.
            self.child.kill().ok();
        }
        drop(self.child.stdin.take());
        let status = self.child.wait().context("cannot wait for a program")?;
        let printed = self.printed.join().unwrap_or_default();
        fed?;
        check(&self.program, status, &printed)
    }
}

/// Bytes after the program closed its input are discarded; its exit status decides.
impl Write for PipedProgram {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if let (false, Some(stdin)) = (self.closed, &mut self.child.stdin) {
            match stdin.write_all(buffer) {
                Err(error) if error.kind() == ErrorKind::BrokenPipe => self.closed = true,
                other => other?,
            }
        }
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn copy(from: &mut dyn Read, to: &mut PipedProgram) -> Result<()> {
    let mut buffer = vec![0; PIPE];
    loop {
        let n = from.read(&mut buffer).context("cannot read its standard input")?;
        if n == 0 || to.closed {
            return Ok(());
        }
        to.write_all(buffer.get(..n).unwrap_or_default())
            .context("cannot write to its standard input")?;
    }
}

/// Turns an exit status other than 0 into an error with the end of `printed`.
pub(crate) fn check(program: &Program, status: ExitStatus, printed: &str) -> Result<()> {
    if status.success() {
        return Ok(());
    }
    let lines: Vec<&str> = printed.lines().filter(|line| !line.trim().is_empty()).collect();
    let shown = lines.get(lines.len().saturating_sub(SHOWN_LINES)..).unwrap_or_default();
    let reason = if shown.is_empty() {
        "no output".to_owned()
    } else {
        format!("output:\n    {}", shown.join("\n    "))
    };
    bail!("`{program}` failed ({status}); {reason}");
}

/// Error context for a program that could not be started.
pub(crate) fn explain_start_failure(program: &Program) -> String {
    let name = program.argv.first().map_or("", String::as_str);
    format!("cannot start `{program}`: is {name} installed in this image?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_and_repeats_its_output() {
        let program = Program::new("sh", ["-c", "echo out; echo no space left >&2; exit 3"]);
        let error = run(&program).unwrap_err().to_string();
        assert!(error.contains("sh -c"), "{error}");
        assert!(error.contains("exit status: 3"), "{error}");
        assert!(error.contains("no space left"), "{error}");
    }

    #[test]
    fn a_missing_program_is_reported() {
        let error = format!("{:#}", run(&Program::new("no-such-tool", [""; 0])).unwrap_err());
        assert!(error.contains("is no-such-tool installed"), "{error}");
    }

    #[test]
    fn the_environment_is_fixed() {
        let printed = run(&Program::new("env", [""; 0]).with_env("A", "b")).unwrap();
        let mut names: Vec<&str> =
            printed.lines().filter_map(|line| line.split('=').next()).collect();
        names.sort_unstable();
        assert_eq!(names, ["A", "HOME", "LC_ALL", "PATH", "TZ"]);
    }
}
