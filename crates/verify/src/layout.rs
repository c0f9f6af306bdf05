// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Checks that an image layout in a release folder has all of the image and nothing else.
//!
//! OCI image specification 1.1, "OCI Image Layout". The image's digest protects the blobs. The two
//! other files are unprotected, so they must have exactly the text that this project writes.

use std::collections::BTreeSet;

use oci::layout::{MANIFEST_LIMIT, MARKER_CONTENT, blob_name};
use oci::spec::{ANNOTATION_REF_NAME, ImageIndex, MediaType};
use oci::{Digest, json};
use release::Image;

use crate::files::Folder;
use crate::images::{Parts, Store, Walk};
use crate::report::{Check, Findings, Problem};

struct Blobs<'a> {
    folder: &'a Folder,
    layout: &'a str,
}

impl Blobs<'_> {
    fn path(&self, digest: &Digest) -> String {
        format!("{}/{}", self.layout, blob_name(digest))
    }
}

impl Store for Blobs<'_> {
    fn document(&self, digest: &Digest, _media_type: &str) -> Result<Vec<u8>, Problem> {
        let path = self.path(digest);
        let size = self.folder.size(&path)?;
        if size > MANIFEST_LIMIT {
            return Err(Problem::TooLong { limit: MANIFEST_LIMIT });
        }
        self.folder.expect(&path, size, digest.hex())?;
        self.folder.read(&path)
    }

    fn contents(&self, blobs: &BTreeSet<(Digest, u64)>) -> Vec<(Digest, Problem)> {
        let files: Vec<_> = blobs.iter().map(|(digest, size)| (self.path(digest), *size)).collect();
        self.folder.hash(&files);
        let faults = blobs.iter().zip(&files).filter_map(|((digest, size), (path, _))| {
            let problem = self.folder.expect(path, *size, digest.hex()).err()?;
            Some((digest.clone(), problem))
        });
        faults.collect()
    }
}

/// Checks the layout of `image`. Returns its paths, and its manifests by architecture.
pub(crate) fn check(
    folder: &Folder,
    image: &Image,
    findings: &mut Findings,
) -> (Vec<String>, Parts) {
    let blobs = Blobs { folder, layout: &image.layout };
    let mut walk = Walk::run(image, &blobs);
    let name = &image.repository;
    for (digest, problem) in std::mem::take(&mut walk.faults) {
        let place = digest.parse().map_or(digest, |digest| blobs.path(&digest));
        findings.fault(name, Check::Content, &place, problem);
    }
    let (marker, index) =
        (format!("{}/oci-layout", image.layout), format!("{}/index.json", image.layout));
    if let Err(problem) = check_marker(folder, &marker) {
        findings.fault(name, Check::Content, &marker, problem);
    }
    if let Err(problem) = check_index(&blobs, &index, image) {
        findings.fault(name, Check::Content, &index, problem);
    }
    let paths =
        walk.reached_digests().map(|digest| blobs.path(digest)).chain([marker, index]).collect();
    (paths, walk.parts)
}

fn check_marker(folder: &Folder, path: &str) -> Result<(), Problem> {
    if folder.read(path)? == MARKER_CONTENT {
        return Ok(());
    }
    let expected = String::from_utf8_lossy(MARKER_CONTENT);
    Err(Problem::Image(format!("its content is not {expected}")))
}

/// The index must name only the image, in canonical JSON, with the image's tags only.
fn check_index(blobs: &Blobs<'_>, path: &str, image: &Image) -> Result<(), Problem> {
    let bytes = blobs.folder.read(path)?;
    let fault = |text: String| Err(Problem::Image(text));
    let found: ImageIndex = match serde_json::from_slice(&bytes) {
        Ok(index) => index,
        Err(e) => return fault(format!("it is malformed: {e}")),
    };
    let [descriptor] = found.manifests().as_slice() else {
        return fault(format!("it names {} contents, expected one", found.manifests().len()));
    };
    let digest = match image.digest.parse() {
        Ok(digest) if descriptor.digest().to_string() == image.digest => digest,
        _ => return fault(format!("it names {}, expected {}", descriptor.digest(), image.digest)),
    };
    for (key, value) in descriptor.annotations().iter().flatten() {
        if key != ANNOTATION_REF_NAME || !image.tags.contains(value) {
            return fault(format!("it has the annotation {key}={value}, which is not a tag"));
        }
    }
    let size = blobs.folder.size(&blobs.path(&digest))?;
    let mut only = oci::artifact::descriptor(&image.media_type, &digest, size);
    only.set_annotations(descriptor.annotations().clone());
    let mut expected = ImageIndex::default();
    expected.set_media_type(Some(MediaType::ImageIndex));
    expected.set_manifests(vec![only]);
    if json::canonical(&expected).is_ok_and(|canonical| canonical == bytes) {
        Ok(())
    } else {
        fault("it is not the index of this release's image".to_owned())
    }
}
