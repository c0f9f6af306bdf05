// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A command as data: shown in plans, logged, and run by `engine::tool`.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::ser::SerializeStruct as _;

/// An external program with arguments, working directory and environment.
///
/// It is executed without a shell; empty arguments are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct Command {
    /// Name or path of the program.
    pub program: String,
    /// Arguments, without the program.
    pub args: Vec<OsString>,
    /// Working directory.
    pub folder: PathBuf,
    /// File for standard input.
    pub input: Option<PathBuf>,
    /// Variables set for the child.
    pub env: Vec<(String, OsString)>,
    /// Names of secret variables passed to the child.
    pub secrets: Vec<String>,
    /// Names of removed variables.
    pub removed: Vec<String>,
}

impl Command {
    /// A command that runs `program` (name or path) in `folder`.
    pub fn new(program: impl Into<String>, folder: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), folder: folder.into(), ..Self::default() }
    }

    /// Appends an argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Appends arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Reads standard input from the file `path`; by default it is empty.
    pub fn input(mut self, path: impl Into<PathBuf>) -> Self {
        self.input = Some(path.into());
        self
    }

    /// Sets a variable, which is shown in the command line.
    pub fn env(mut self, name: impl Into<String>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Passes a secret variable from our own environment; its value is never shown.
    ///
    /// Secret variables reach no child otherwise.
    pub fn secret_env(mut self, name: impl Into<String>) -> Self {
        self.secrets.push(name.into());
        self
    }

    /// Removes an inherited variable.
    pub fn without_env(mut self, name: impl Into<String>) -> Self {
        self.removed.push(name.into());
        self
    }

    /// The command in shell syntax, for a shell in the folder `here`.
    pub fn line(&self, here: &Path) -> String {
        let mut line = String::new();
        if self.folder != here {
            line.push_str("cd ");
            line.push_str(&quote(self.folder.as_os_str()));
            line.push_str(" && ");
        }
        if !self.removed.is_empty() {
            line.push_str("env");
            for name in &self.removed {
                line.push_str(" -u ");
                line.push_str(&quote(OsStr::new(name)));
            }
            line.push(' ');
        }
        for (name, value) in &self.env {
            line.push_str(name);
            line.push('=');
            line.push_str(&quote(value));
            line.push(' ');
        }
        line.push_str(&quote(OsStr::new(&self.program)));
        for arg in &self.args {
            line.push(' ');
            line.push_str(&quote(arg));
        }
        if let Some(path) = &self.input {
            line.push_str(" < ");
            line.push_str(&quote(path.as_os_str()));
        }
        line
    }
}

impl Serialize for Command {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let lossy = |text: &OsString| text.to_string_lossy().into_owned();
        let mut out = serializer.serialize_struct("Command", 7)?;
        out.serialize_field("program", &self.program)?;
        out.serialize_field("args", &self.args.iter().map(lossy).collect::<Vec<_>>())?;
        out.serialize_field("folder", &self.folder)?;
        out.serialize_field("input", &self.input)?;
        let env: Vec<_> = self.env.iter().map(|(name, value)| (name, lossy(value))).collect();
        out.serialize_field("env", &env)?;
        out.serialize_field("secret_env", &self.secrets)?;
        out.serialize_field("without_env", &self.removed)?;
        out.end()
    }
}

/// Quotes a word for a POSIX shell (IEEE 1003.1, Shell Command Language, 2.2.2).
///
/// Control characters and bytes that are not UTF-8 use `$'…'`, which bash, zsh, ksh and POSIX issue
/// 8 support.
pub fn quote(word: &OsStr) -> String {
    use std::os::unix::ffi::OsStrExt as _;

    let safe = |c: u8| c.is_ascii_alphanumeric() || b"%+,-./:=@_".contains(&c);
    let bytes = word.as_bytes();
    match word.to_str() {
        Some(text) if !text.is_empty() && bytes.iter().all(|c| safe(*c)) => text.to_owned(),
        Some(text) if !text.chars().any(char::is_control) => {
            format!("'{}'", text.replace('\'', r"'\''"))
        }
        _ => {
            let mut out = String::from("$'");
            for c in bytes {
                match c {
                    b'\'' => out.push_str(r"\'"),
                    b'\\' => out.push_str(r"\\"),
                    b' '..=b'~' => out.push(char::from(*c)),
                    _ => out.push_str(&format!("\\{c:03o}")),
                }
            }
            out.push('\'');
            out
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt as _;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_line_holds_folder_variables_and_arguments() {
        let command = Command::new("cargo", "/a b").args(["build", "", "it's"]).env("KEY", "x y");
        assert_eq!(command.line(Path::new("/a b")), r"KEY='x y' cargo build '' 'it'\''s'");
        assert_eq!(
            command.line(Path::new("/")),
            r"cd '/a b' && KEY='x y' cargo build '' 'it'\''s'"
        );
        let command = Command::new("cargo", "/").without_env("TZ").env("A", "1");
        assert_eq!(command.line(Path::new("/")), "env -u TZ A=1 cargo");
        let command = Command::new("sqfstar", "/").arg("out").input("/a b");
        assert_eq!(command.line(Path::new("/")), "sqfstar out < '/a b'");
    }

    #[test]
    fn a_secret_is_shown_by_its_name_alone() {
        let command = Command::new("sign", "/").secret_env("SIGNING_KEY");
        assert_eq!(command.line(Path::new("/")), "sign");
        let json = serde_json::to_value(&command).unwrap();
        assert_eq!(json["secret_env"][0], "SIGNING_KEY");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Bash runs the line with the same arguments.
        #[test]
        fn a_shell_reads_back_what_was_quoted(
            args in prop::collection::vec(prop::collection::vec(1_u8.., 0..12), 0..5),
            value in prop::collection::vec(1_u8.., 0..8),
        ) {
            let args: Vec<&OsStr> = args.iter().map(|arg| OsStr::from_bytes(arg)).collect();
            let value = OsStr::from_bytes(&value);
            let script = r#"printf '%s\\0' "$VALUE" "$@""#.replace("\\\\", "\\");
            let command = Command::new("bash", "/")
                .args(["-c", script.as_str(), "name"])
                .args(&args)
                .env("VALUE", value);
            let output = std::process::Command::new("bash")
                .args(["-c", &command.line(Path::new("/elsewhere"))])
                .output()
                .unwrap();
            prop_assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let mut expected = value.as_bytes().to_vec();
            for arg in &args {
                expected.push(0);
                expected.extend(arg.as_bytes());
            }
            expected.push(0);
            prop_assert_eq!(output.stdout, expected);
        }
    }
}
