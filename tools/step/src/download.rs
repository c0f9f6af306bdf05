// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Downloads a file over http or https, resumes after a lost connection, and verifies its digest.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use oci::client::root_certificates;
use oci::digest::{Algorithm, Hasher};
use recipe::FirmwareUrl;
use serde::{Serialize, Serializer};
use ureq::Agent;
use ureq::tls::TlsConfig;

use crate::progress::Progress;

/// Maximum attempts, including resumptions.
const ATTEMPTS: u32 = 5;
/// Time limit without progress.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum size of a download in bytes. It is stored in memory unless `--state` is on a disk.
pub(crate) const LIMIT: u64 = 4 << 30;
/// Read buffer size in bytes.
const BUFFER: usize = 128 * 1024;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Download {
    /// URL; credentials are redacted when printed.
    #[serde(serialize_with = "serialize_redacted")]
    pub(crate) url: FirmwareUrl,
    /// Expected SHA-256 in lower-case hex, if the recipe has one.
    pub(crate) sha256: Option<String>,
}

fn serialize_redacted<S: Serializer>(url: &FirmwareUrl, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&url.redact())
}

/// Failure of a download attempt.
enum Failed {
    /// Transient: worth another attempt.
    Passing(anyhow::Error),
    /// Permanent.
    Lasting(anyhow::Error),
}

/// A partial download.
struct Part {
    file: File,
    hasher: Hasher,
    size: u64,
    /// Maximum size in bytes.
    limit: u64,
}

/// Downloads the file to `path`, at most `limit` bytes. Returns size in bytes and digest
/// `sha256:HEX`.
pub(crate) fn fetch(download: &Download, path: &Path, limit: u64) -> Result<(u64, String)> {
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .https_only(download.url.scheme().eq_ignore_ascii_case("https"))
        .timeout_connect(Some(TIMEOUT))
        .timeout_per_read(Some(TIMEOUT))
        .tls_config(TlsConfig::builder().root_certs(root_certificates()).build())
        .build()
        .into();
    let file = File::create(path).with_context(|| format!("cannot make {}", path.display()))?;
    let mut part = Part { file, hasher: Hasher::new(Algorithm::Sha256), size: 0, limit };
    for attempt in 1.. {
        match part.go_on(&agent, download) {
            Ok(()) => break,
            Err(Failed::Passing(error)) if attempt < ATTEMPTS => {
                eprintln!("download: {error:#}; retrying from byte {}", part.size);
                sleep(Duration::from_secs(1) * attempt);
            }
            Err(Failed::Passing(error) | Failed::Lasting(error)) => {
                return Err(error.context(format!("cannot fetch {}", download.url.redact())));
            }
        }
    }
    part.file.sync_all().with_context(|| format!("cannot write {}", path.display()))?;
    let found = part.hasher.finish();
    if let Some(expected) = &download.sha256 {
        ensure!(
            found.hex() == expected,
            "{} has the digest {found}, but the recipe requires sha256:{expected}",
            download.url.redact()
        );
    }
    Ok((part.size, found.to_string()))
}

impl Part {
    /// Requests and writes the rest of the file.
    fn go_on(&mut self, agent: &Agent, download: &Download) -> Result<(), Failed> {
        let mut request = agent.get(download.url.as_str());
        if self.size > 0 {
            request = request.header("Range", format!("bytes={}-", self.size));
        }
        // The library's message may contain the URL with a password.
        let response = request.call().map_err(|error| {
            Failed::Passing(anyhow!(
                error.to_string().replace(download.url.as_str(), &download.url.redact())
            ))
        })?;
        match response.status().as_u16() {
            206 => {}
            200 => self.restart().map_err(Failed::Lasting)?,
            status @ (408 | 429 | 500..=599) => {
                return Err(Failed::Passing(anyhow!("the server answered {status}")));
            }
            status => {
                return Err(Failed::Lasting(anyhow!("the server answered {status}")));
            }
        }
        let length = response.body().content_length();
        // Check `Content-Length`, if present, before reading.
        self.check_size(length.unwrap_or(0))?;
        let mut progress = Progress::new("download", length.unwrap_or(u64::MAX));
        let mut body = response.into_body().into_reader();
        let (mut buffer, mut received) = (vec![0; BUFFER], 0);
        loop {
            let n = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Failed::Passing(error.into())),
            };
            let bytes = buffer.get(..n).unwrap_or_default();
            self.check_size(n as u64)?;
            let written = self.file.write_all(bytes).context("cannot write the file");
            written.map_err(Failed::Lasting)?;
            self.hasher.update(bytes);
            self.size += n as u64;
            received += n as u64;
            progress.add(n as u64);
        }
        match length {
            Some(length) if received < length => {
                Err(Failed::Passing(anyhow!("the connection was lost")))
            }
            _ => Ok(()),
        }
    }

    /// Fails if `more` bytes would exceed the limit.
    fn check_size(&self, more: u64) -> Result<(), Failed> {
        if self.size.saturating_add(more) <= self.limit {
            return Ok(());
        }
        Err(Failed::Lasting(anyhow!("it has more than {} bytes", self.limit)))
    }

    /// Discards the partial download: the server sends the whole file.
    fn restart(&mut self) -> Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.hasher = Hasher::new(Algorithm::Sha256);
        self.size = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use test_support::http::{Reply, Server};

    use super::*;

    /// Result of a download of at most 10 bytes from a server that sends `answer`.
    fn download(answer: &'static str) -> Result<(u64, String)> {
        let server = Server::start(move |_| Reply::Raw(answer.into()));
        let url = format!("{}/firmware", server.url());
        let dir = tempfile::tempdir().unwrap();
        let download = Download { url: url.parse().unwrap(), sha256: None };
        fetch(&download, &dir.path().join("firmware"), 10)
    }

    #[test]
    fn a_file_that_is_too_large_is_refused() {
        let ok = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\n0123456789";
        assert_eq!(download(ok).unwrap().0, 10);
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 11\r\nConnection: close\r\n\r\n",
            // Without Content-Length, the limit applies while reading.
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n0123456789a",
        ] {
            let error = format!("{:#}", download(answer).unwrap_err());
            assert!(error.contains("more than 10 bytes"), "{error}");
        }
    }
}
