// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The part of GitHub's REST API that releases need, version 2022-11-28 ("REST API endpoints for releases",
//! "… for release assets", "Rate limits for the REST API").

use std::fs::File;
use std::io::Read as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use ureq::SendBody;
use ureq::http::Request;

use super::http::{ApiError, Http, malformed_error, parse, transport};

/// Entries per page, GitHub's maximum.
const PER_PAGE: usize = 100;
/// Bytes to encode in a query: all but unreserved characters (RFC 3986, section 2.3).
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Maximum number of pages read.
const PAGES: usize = 100;

/// A release.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Release {
    pub(super) id: u64,
    pub(super) tag_name: String,
    pub(super) draft: bool,
    pub(super) prerelease: bool,
    /// Release notes.
    #[serde(default)]
    pub(super) body: Option<String>,
    /// URL template that ends with `{?name,label}`.
    upload_url: String,
    pub(super) html_url: String,
}

/// An asset: a file of a release.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Asset {
    pub(super) id: u64,
    pub(super) name: String,
    /// `uploaded`; other states, such as `starter`, are left by failed uploads.
    pub(super) state: String,
    pub(super) size: u64,
    /// `sha256:HEX`; missing on older servers.
    pub(super) digest: Option<String>,
    url: String,
}

/// A draft to create.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names of the API")]
pub(super) struct Draft<'a> {
    pub(super) tag_name: &'a str,
    pub(super) target_commitish: &'a str,
    pub(super) name: &'a str,
    pub(super) body: &'a str,
    pub(super) draft: bool,
    pub(super) prerelease: bool,
    /// `false`, or `legacy`: the latest release is chosen by date and semantic version, so that a
    /// patch of an older release line does not become the latest.
    pub(super) make_latest: &'a str,
}

/// A file to upload.
#[derive(Debug)]
pub(super) struct Upload<'a> {
    pub(super) name: &'a str,
    /// Display name on the page.
    pub(super) label: &'a str,
    pub(super) file: File,
    pub(super) size: u64,
}

/// A client for one repository.
#[derive(Debug)]
pub(super) struct Api {
    pub(super) http: Http,
    /// `OWNER/NAME`.
    pub(super) repository: String,
}

impl Api {
    /// A client of `repository`, `OWNER/NAME`.
    pub(super) fn new(http: Http, repository: &str) -> Self {
        Self { http, repository: repository.to_owned() }
    }

    /// The commit of a tag; `None` if the tag does not exist.
    pub(super) fn tag_commit(&self, tag: &str) -> Result<Option<String>, ApiError> {
        #[derive(Deserialize)]
        struct Object {
            sha: String,
            r#type: String,
        }
        #[derive(Deserialize)]
        struct Reference {
            object: Object,
        }
        let found = self.http.get::<Reference>(&self.url(&format!("git/ref/tags/{tag}")));
        let Reference { object } = match found {
            Ok(reference) => reference,
            Err(error) if error.status == Some(404) => return Ok(None),
            Err(error) => return Err(error),
        };
        if object.r#type != "tag" {
            return Ok(Some(object.sha));
        }
        // An annotated tag is an object that refers to the commit.
        let tag: Reference = self.http.get(&self.url(&format!("git/tags/{}", object.sha)))?;
        Ok(Some(tag.object.sha))
    }

    /// All releases, including drafts.
    pub(super) fn releases(&self) -> Result<Vec<Release>, ApiError> {
        self.pages("releases")
    }

    /// The latest release; `None` if all are drafts or pre-releases.
    pub(super) fn latest(&self) -> Result<Option<Release>, ApiError> {
        match self.http.get(&self.url("releases/latest")) {
            Ok(release) => Ok(Some(release)),
            Err(error) if error.status == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Creates a draft. Not retried here: a lost response would leave two drafts.
    pub(super) fn create(&self, draft: &Draft<'_>) -> Result<Release, ApiError> {
        self.http.call_once("POST", &self.url("releases"), Some(json!(draft)), 201)
    }

    /// Publishes a draft.
    pub(super) fn publish(
        &self,
        release: &Release,
        draft: &Draft<'_>,
    ) -> Result<Release, ApiError> {
        let change = json!({
            "draft": false,
            "prerelease": draft.prerelease,
            "make_latest": draft.make_latest,
        });
        self.update(release, &change)
    }

    /// Sets the notes of a published release.
    pub(super) fn set_notes(&self, release: &Release, notes: &str) -> Result<Release, ApiError> {
        self.update(release, &json!({"body": notes}))
    }

    /// Makes a published release a pre-release, which is never the latest.
    pub(super) fn make_prerelease(&self, release: &Release) -> Result<Release, ApiError> {
        self.update(release, &json!({"prerelease": true, "make_latest": "false"}))
    }

    /// Makes a published release the latest.
    pub(super) fn make_latest(&self, release: &Release) -> Result<Release, ApiError> {
        self.update(release, &json!({"make_latest": "true"}))
    }

    fn update(&self, release: &Release, change: &Value) -> Result<Release, ApiError> {
        let url = self.url(&format!("releases/{}", release.id));
        self.http.retry_transient(|| self.http.call_once("PATCH", &url, Some(change.clone()), 200))
    }

    /// All assets of a release.
    pub(super) fn assets(&self, release: &Release) -> Result<Vec<Asset>, ApiError> {
        self.pages(&format!("releases/{}/assets", release.id))
    }

    /// Deletes an incomplete asset.
    pub(super) fn delete_asset(&self, asset: &Asset) -> Result<(), ApiError> {
        let url = self.url(&format!("releases/assets/{}", asset.id));
        self.http
            .retry_transient(|| match self.http.send("DELETE", &url, None) {
                Ok(response) => self.http.read(204, "DELETE", &url, response).map(drop),
                Err(error) => Err(error),
            })
            .or_else(|error| if error.status == Some(404) { Ok(()) } else { Err(error) })
    }

    /// Uploads a file. Not retried here: an incomplete asset must be deleted first.
    pub(super) fn upload(&self, release: &Release, upload: Upload<'_>) -> Result<Asset, ApiError> {
        let url = self.upload_url(release, upload.name, upload.label)?;
        let mut file = upload.file.take(upload.size);
        let request = self
            .http
            .request("POST", &url)
            .header("Content-Type", "application/octet-stream")
            .header("Content-Length", upload.size)
            .body(SendBody::from_reader(&mut file))
            .map_err(|error| malformed_error("POST", &url, &error.to_string()))?;
        let sent = self.http.agent.run(request).map_err(|error| transport("POST", &url, &error))?;
        parse("POST", &url, &self.http.read(201, "POST", &url, sent)?)
    }

    /// Passes the content of a file to `consume`.
    pub(super) fn download<T>(
        &self,
        asset: &Asset,
        consume: impl Fn(&mut dyn std::io::Read) -> std::io::Result<T>,
    ) -> Result<T, ApiError> {
        let url = asset.url.clone();
        if !self.http.may_see_token(&url) {
            return Err(malformed_error("GET", &url, "the address of an asset is on another host"));
        }
        self.http.retry_transient(|| {
            let request = Request::builder()
                .method("GET")
                .uri(&url)
                .header("Authorization", self.http.authorization.clone())
                .header("Accept", "application/octet-stream")
                .body(())
                .map_err(|error| malformed_error("GET", &url, &error.to_string()))?;
            let response =
                self.http.agent.run(request).map_err(|error| transport("GET", &url, &error))?;
            if response.status() != 200 {
                self.http.read(200, "GET", &url, response)?;
                return Err(malformed_error("GET", &url, "no content"));
            }
            consume(&mut response.into_body().into_reader().take(asset.size))
                .map_err(|error| transport("GET", &url, &error.into()))
        })
    }

    fn url(&self, tail: &str) -> String {
        format!("{}/repos/{}/{tail}", self.http.base, self.repository)
    }

    fn pages<T: DeserializeOwned>(&self, tail: &str) -> Result<Vec<T>, ApiError> {
        let mut all = Vec::new();
        for page in 1..=PAGES {
            let url = format!("{}?per_page={PER_PAGE}&page={page}", self.url(tail));
            let entries: Vec<T> = self.http.get(&url)?;
            let is_last = entries.len() < PER_PAGE;
            all.extend(entries);
            if is_last {
                return Ok(all);
            }
        }
        Err(malformed_error("GET", &self.url(tail), &format!("more than {PAGES} pages")))
    }

    /// Upload URL of a release; the token is sent only to the API's host or GitHub's upload host.
    fn upload_url(&self, release: &Release, name: &str, label: &str) -> Result<String, ApiError> {
        let url = release.upload_url.split('{').next().unwrap_or_default();
        if !self.http.may_see_token(url) {
            return Err(malformed_error("POST", url, "the address for uploads is on another host"));
        }
        let [name, label] = [name, label].map(|value| utf8_percent_encode(value, QUERY));
        Ok(format!("{url}?name={name}&label={label}"))
    }
}
