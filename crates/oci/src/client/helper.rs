// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Credential helpers: programs that store secrets, such as `docker-credential-pass`.
//!
//! Protocol: `docker-credential-NAME get` reads the registry from standard input and writes
//! `{"ServerURL": …, "Username": …, "Secret": …}` (docker/docker-credential-helpers, README, "Development").

use std::ffi::OsStr;
use std::io::{self, Read as _, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;

/// Time limit of a helper, which may prompt for a passphrase.
const PATIENCE: Duration = Duration::from_mins(1);
/// Maximum size of a response in bytes. Tokens have some kilobytes.
const ANSWER: u64 = 256 * 1024;
/// User name of an identity token.
pub(super) const TOKEN: &str = "<token>";
/// Output of helpers that have no credentials for a registry (`errCredentialsNotFoundMessage`).
const NOT_FOUND: &str = "credentials not found in native keychain";

/// Reason why a helper failed. Its output is omitted, since it may contain a secret.
#[derive(Debug, thiserror::Error)]
pub enum HelperError {
    /// An invalid name, which could run another program.
    #[error("a name of a credential helper consists of A-Z, a-z, 0-9, '-', '_' and '.'")]
    Name,
    /// The helper is not installed, or can't be started.
    #[error(
        "cannot start it: {0}; install it, or log in to a file: `podman login --authfile FILE`"
    )]
    Start(io::Error),
    /// The helper exceeded the time limit.
    #[error("no answer within {} s", .0.as_secs())]
    Slow(Duration),
    /// The helper exited with an error.
    #[error("it failed; run `echo HOST | docker-credential-NAME get` to see why")]
    Failed,
    /// The response exceeds the limit, or is not the expected JSON.
    #[error("its answer is not {{\"Username\": …, \"Secret\": …}} of at most 256 KiB")]
    Malformed,
}

/// Credentials from a helper.
#[derive(Deserialize)]
#[cfg_attr(test, derive(Debug, PartialEq, Eq))]
#[serde(rename_all = "PascalCase")]
pub(super) struct Secret {
    /// User name, or [`TOKEN`].
    pub(super) username: String,
    /// Password or identity token.
    pub(super) secret: String,
}

/// Gets the credentials for `registry` from `docker-credential-NAME`; `None` if it has none.
///
/// # Errors
/// When the helper is missing, fails, exceeds the time limit or returns an invalid response.
pub(super) fn ask(name: &str, registry: &str) -> Result<Option<Secret>, HelperError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || !name.chars().all(plain) {
        return Err(HelperError::Name);
    }
    run(format!("docker-credential-{name}").as_ref(), registry, PATIENCE)
}

fn run(program: &OsStr, registry: &str, patience: Duration) -> Result<Option<Secret>, HelperError> {
    let mut child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // The parser's message may contain a secret.
        .stderr(Stdio::null())
        .spawn()
        .map_err(HelperError::Start)?;
    let answer = exchange(&mut child, registry, patience);
    let status = match answer {
        Some(_) => wait_for_end(&mut child, patience).map_err(HelperError::Start)?,
        None => None,
    };
    let (Some(answer), Some(status)) = (answer, status) else {
        // It may have ended already.
        child.kill().ok();
        child.wait().ok();
        return Err(HelperError::Slow(patience));
    };
    if !status.success() {
        let text = String::from_utf8_lossy(&answer);
        return if text.trim() == NOT_FOUND { Ok(None) } else { Err(HelperError::Failed) };
    }
    if answer.len() as u64 > ANSWER {
        return Err(HelperError::Malformed);
    }
    let secret: Secret = serde_json::from_slice(&answer).map_err(|_| HelperError::Malformed)?;
    Ok((!secret.secret.is_empty()).then_some(secret))
}

/// Waits for a helper that has closed its output; `None` on a time-out.
fn wait_for_end(child: &mut Child, patience: Duration) -> io::Result<Option<ExitStatus>> {
    let end = Instant::now() + patience;
    loop {
        match child.try_wait()? {
            None if Instant::now() < end => thread::sleep(Duration::from_millis(2)),
            status => return Ok(status),
        }
    }
}

/// Writes the request and reads the response; `None` on a time-out.
fn exchange(child: &mut Child, registry: &str, patience: Duration) -> Option<Vec<u8>> {
    if let Some(mut stdin) = child.stdin.take() {
        // A helper may exit without reading its input; its output decides.
        stdin.write_all(registry.as_bytes()).ok();
    }
    let stdout = child.stdout.take()?;
    let (sender, receiver) = mpsc::channel();
    // A descendant of the helper may keep the pipe, and so the thread, alive.
    thread::spawn(move || {
        let mut bytes = Vec::new();
        stdout.take(ANSWER + 1).read_to_end(&mut bytes).ok();
        sender.send(bytes).ok();
    });
    receiver.recv_timeout(patience).ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn answer(script: &str, patience: Duration) -> Result<Option<Secret>, HelperError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("docker-credential-test");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        loop {
            match run(path.as_os_str(), "r.example:5000", patience) {
                // Another test forked while the script was open for writing.
                Err(HelperError::Start(e)) if e.raw_os_error() == Some(26) => thread::yield_now(),
                result => return result,
            }
        }
    }

    fn minute(script: &str) -> Result<Option<Secret>, HelperError> {
        answer(script, PATIENCE)
    }

    #[test]
    fn a_helper_is_asked_for_the_registry() {
        let echo =
            r#"read host; printf '{"ServerURL":"x","Username":"%s","Secret":"%s"}' "$1" "$host""#;
        let secret = |username: &str, secret: &str| {
            Some(Secret { username: username.to_owned(), secret: secret.to_owned() })
        };
        assert_eq!(minute(echo).unwrap(), secret("get", "r.example:5000"));
        let token = r#"echo '{"Username":"<token>","Secret":"t"}'"#;
        assert_eq!(minute(token).unwrap(), secret(TOKEN, "t"));
        let nothing = format!("echo '{NOT_FOUND}'; exit 1");
        assert_eq!(minute(&nothing).unwrap(), None);
        assert_eq!(minute(r#"echo '{"Username":"","Secret":""}'"#).unwrap(), None);
    }

    #[test]
    fn a_helper_that_fails_is_an_error_that_repeats_nothing() {
        for script in ["echo hunter2; exit 1", "echo hunter2", "echo '{\"Secret\":\"hunter2\"'"] {
            let error = minute(script).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
        let endless =
            "while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa || exit 0; done";
        assert!(matches!(minute(endless), Err(HelperError::Malformed | HelperError::Failed)));
        assert!(matches!(
            answer("exec sleep 600", Duration::from_millis(50)),
            Err(HelperError::Slow(_))
        ));
        assert!(matches!(
            answer("exec >&-; exec sleep 600", Duration::from_millis(50)),
            Err(HelperError::Slow(_))
        ));
        for name in ["", "../x", "a b"] {
            assert!(matches!(ask(name, "r.example"), Err(HelperError::Name)), "{name}");
        }
        let missing = ask("of-no-machine", "r.example").unwrap_err();
        assert!(missing.to_string().contains("cannot start it"), "{missing}");
    }
}
