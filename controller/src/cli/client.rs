// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! HTTP client of the API for the commands.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::Args;
use escape::print_line;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::Agent;
use ureq::http::Request;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::api::views::Problem;

/// Time limit of a request.
const TIMEOUT: Duration = Duration::from_mins(1);
/// Maximum size of a response, in bytes.
const LARGEST: u64 = 64 * 1024 * 1024;

/// Address and credentials of the service.
#[derive(Debug, Args)]
pub(super) struct Connection {
    /// URL of the service
    #[arg(
        long,
        global = true,
        display_order = 101,
        value_name = "URL",
        env = "CONTROLLER_URL",
        default_value = "http://127.0.0.1:8080"
    )]
    url: String,
    /// File with a token; has priority over a user [environment: the token itself, in
    /// `CONTROLLER_TOKEN`]
    #[arg(long, global = true, display_order = 102, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// User to log in as
    #[arg(long, global = true, display_order = 103, value_name = "NAME", env = "CONTROLLER_USER")]
    user: Option<String>,
    /// File with the user's password [environment: the password itself, in `CONTROLLER_PASSWORD`]
    #[arg(long, global = true, display_order = 104, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// PEM file with CA certificates for the service, instead of the system's
    #[arg(long, global = true, display_order = 105, value_name = "FILE", env = "CONTROLLER_CA")]
    ca: Option<PathBuf>,
    /// Print the reply as JSON
    #[arg(long, global = true, display_order = 106)]
    json: bool,
}

/// A client with the credentials of one user.
pub(super) struct Client {
    agent: Agent,
    url: String,
    authorization: Option<String>,
}

/// Reads a secret from a file or the environment. Arguments are visible to other users.
pub(super) fn secret(file: Option<&PathBuf>, variable: &str) -> anyhow::Result<Option<String>> {
    if let Some(file) = file {
        let text =
            fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        return Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()));
    }
    Ok(std::env::var(variable).ok().filter(|text| !text.is_empty()))
}

impl Connection {
    pub(super) fn open(&self) -> anyhow::Result<Client> {
        let token = secret(self.token_file.as_ref(), "CONTROLLER_TOKEN")?;
        let authorization = match (token, &self.user) {
            (Some(token), _) => Some(format!("Bearer {}", token.trim())),
            (None, Some(user)) => {
                let password = secret(self.password_file.as_ref(), "CONTROLLER_PASSWORD")?;
                let password = password.with_context(|| {
                    format!(
                        "no password for {user}: expected --password-file or CONTROLLER_PASSWORD"
                    )
                })?;
                Some(format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))))
            }
            (None, None) => None,
        };
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            .user_agent(concat!("provisioner-controller/", env!("CARGO_PKG_VERSION")));
        if self.url.starts_with("https://") {
            config = config.tls_config(TlsConfig::builder().root_certs(self.roots()?).build());
        }
        let url = self.url.trim_end_matches('/').to_owned();
        Ok(Client { agent: config.build().into(), url, authorization })
    }

    /// Prints a reply as JSON with `--json`, otherwise with `print`.
    pub(super) fn show<T: DeserializeOwned>(
        &self,
        reply: &Value,
        print: impl FnOnce(T) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        if self.json {
            print_json(reply)?;
        } else {
            print(read(reply)?)?;
        }
        Ok(())
    }

    fn roots(&self) -> anyhow::Result<RootCerts> {
        let certificates: Vec<Certificate<'static>> = match &self.ca {
            Some(file) => {
                let pem =
                    fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
                let items = parse_pem(&pem).filter_map(|item| match item {
                    Ok(PemItem::Certificate(certificate)) => Some(Ok(certificate)),
                    Ok(_) => None,
                    Err(error) => Some(Err(error)),
                });
                items
                    .collect::<Result<_, _>>()
                    .with_context(|| format!("cannot read {}", file.display()))?
            }
            None => rustls_native_certs::load_native_certs()
                .certs
                .into_iter()
                .map(|certificate| Certificate::from_der(&certificate).to_owned())
                .collect(),
        };
        anyhow::ensure!(!certificates.is_empty(), "no CA certificate found: expected --ca FILE");
        Ok(RootCerts::Specific(Arc::new(certificates)))
    }
}

impl Client {
    pub(super) fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.send("GET", path, &[], None)
    }

    pub(super) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> anyhow::Result<Value> {
        let url = format!("{}{path}", self.url);
        let mut request = Request::builder().method(method).uri(&url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let what = || format!("{method} {url}");
        let answer = match body {
            Some(body) => {
                let request = request.header("content-type", "application/json").body(body);
                self.agent.run(request.with_context(what)?)
            }
            None if method == "POST" => self.agent.run(request.body("").with_context(what)?),
            None => self.agent.run(request.body(()).with_context(what)?),
        };
        let mut answer = answer.with_context(what)?;
        let status = answer.status();
        let text = answer.body_mut().with_config().limit(LARGEST).read_to_string();
        let text = text.with_context(what)?;
        if status.is_success() {
            return Ok(serde_json::from_str(&text).unwrap_or(Value::Null));
        }
        match serde_json::from_str(&text) {
            Ok(problem) => bail!("{}: {}", what(), refusal(status.as_u16(), &problem)),
            Err(_) => {
                bail!(
                    "{}: unexpected response with status {}: is this the URL of a controller?",
                    what(),
                    status.as_u16()
                )
            }
        }
    }
}

pub(super) fn read<T: DeserializeOwned>(reply: &Value) -> anyhow::Result<T> {
    T::deserialize(reply).context("unexpected response: is this the URL of a controller?")
}

/// Formats a problem and its details for a terminal.
fn refusal(status: u16, problem: &Problem) -> String {
    let Problem { error, message, details, step: _, job_id: _ } = problem;
    let mut text = format!("{} ({status} {})", escape::text(message), escape::text(error));
    for detail in details {
        let [path, message, code] =
            [&*detail.path, &*detail.message, &*detail.code].map(escape::text);
        text.push_str(&format!("\n  {path} {message} ({code})"));
    }
    text
}

/// Percent-encodes a text for a path or a query.
pub(super) fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Formats an optional value; empty for None.
pub(super) fn text(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// Prints a table with aligned columns.
pub(super) fn table<const COLUMNS: usize>(
    heading: [&str; COLUMNS],
    rows: impl Iterator<Item = [String; COLUMNS]>,
) -> io::Result<()> {
    lines(heading, rows).iter().try_for_each(print_line)
}

/// Formats the lines of a table. Cells are escaped: BMCs and hosts write some of them.
fn lines<const COLUMNS: usize>(
    heading: [&str; COLUMNS],
    rows: impl Iterator<Item = [String; COLUMNS]>,
) -> Vec<String> {
    let rows = rows.map(|row| row.map(|cell| escape::text(&cell).into_owned()));
    let rows: Vec<_> = std::iter::once(heading.map(str::to_owned)).chain(rows).collect();
    let mut widths = [0; COLUMNS];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &[String; COLUMNS]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// Prints a reply as JSON.
pub(super) fn print_json(answer: &Value) -> io::Result<()> {
    print_line(escape::json(&format!("{answer:#}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_answer_reaches_the_terminal_with_its_control_characters() {
        let sequence = "\u{1b}]0;owned\u{7}";
        let problem: Problem = read(&json!({ "error": sequence, "message": sequence, "details": [
            { "path": sequence, "message": sequence, "code": sequence },
        ] }))
        .unwrap();
        let refused = refusal(400, &problem);
        assert!(!refused.contains(|c: char| c.is_control() && c != '\n'), "{refused:?}");
        assert_eq!(refused.matches("\\x1b]0;owned\\x07").count(), 5, "{refused}");
        assert_eq!(text(Some(&problem.message)), sequence, "what is sent back is not changed");
        let table = lines(["A"], [[problem.message]].into_iter());
        assert_eq!(table, ["A", "\\x1b]0;owned\\x07"]);
    }
}
