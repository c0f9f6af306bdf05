// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The task image: the files of one job for one host.

use std::path::Path;

use crate::{Directory, Image, Labels, Layout, Metadata, Node, Source, WriteError};

/// Largest task image in bytes.
pub const MAX_SIZE: u64 = 10 * 1024 * 1024;
/// Prefix of the volume id of every task image.
pub const VOLUME_PREFIX: &str = "TASK_";
/// The signature of the other files.
pub const SIGNATURE: &str = "recipe.sig";
/// Longest volume id.
const VOLUME_ID: usize = 32;

/// The volume id of a job's image: `TASK_` and the job id in upper case without dashes, truncated
/// to 32 characters.
pub fn volume_id(job_id: &str) -> Result<String, WriteError> {
    let plain: String = job_id.chars().filter(|&c| c != '-').collect();
    if plain.is_empty() || !plain.chars().all(|c| c.is_ascii_alphanumeric()) {
        return Err(WriteError::JobId { id: job_id.to_owned() });
    }
    let mut id = format!("{VOLUME_PREFIX}{}", plain.to_ascii_uppercase());
    id.truncate(VOLUME_ID);
    Ok(id)
}

/// The contents of a task image. The same values give the same bytes on every machine.
#[derive(Clone, Default)]
pub struct TaskIso {
    /// The job's id, usually a UUID.
    pub job_id: String,
    /// Every time in the image, in seconds since 1970 (`SOURCE_DATE_EPOCH`).
    pub epoch: u64,
    /// `recipe.json`.
    pub recipe: Vec<u8>,
    /// `recipe.schema.json`, the schema that accepted the recipe.
    pub schema: Vec<u8>,
    /// `user-data` of cloud-init.
    pub user_data: Option<Vec<u8>>,
    /// `unattend.xml` of Windows.
    pub unattend_xml: Option<Vec<u8>>,
    /// `ks.cfg`, the installer script of `ESXi`.
    pub ks_cfg: Option<Vec<u8>>,
    /// `controller.json`: how the host reaches the controller.
    pub controller: Option<Vec<u8>>,
    /// `network.json`: the network of the host.
    pub network: Option<Vec<u8>>,
    /// `recipe.sig`, which signs [`TaskIso::files`].
    pub signature: Option<Vec<u8>>,
}

impl TaskIso {
    /// Name and contents of every file but the signature, sorted by name: the signed content.
    pub fn files(&self) -> Vec<(&'static str, &[u8])> {
        let optional = [
            ("controller.json", &self.controller),
            ("ks.cfg", &self.ks_cfg),
            ("network.json", &self.network),
            ("unattend.xml", &self.unattend_xml),
            ("user-data", &self.user_data),
        ];
        let mut files: Vec<(&str, &[u8])> =
            vec![("recipe.json", &self.recipe), ("recipe.schema.json", &self.schema)];
        files.extend(optional.iter().filter_map(|(name, file)| Some((*name, file.as_deref()?))));
        files.sort_unstable();
        files
    }

    /// The image as a tree: files 0444 and the root 0555, all of 0:0.
    pub fn image(&self) -> Result<Image, WriteError> {
        let metadata = |mode| Metadata { mode, uid: 0, gid: 0, mtime: self.epoch };
        let mut root = Directory::new(metadata(0o555));
        let signature = self.signature.as_deref().map(|signature| (SIGNATURE, signature));
        for (name, contents) in self.files().into_iter().chain(signature) {
            root.insert(name, Node::File(metadata(0o444), Source::bytes(contents)))?;
        }
        let labels = Labels { volume: volume_id(&self.job_id)?, ..Labels::default() };
        Ok(Image { labels, epoch: self.epoch, root, boot: None })
    }

    /// The image in memory.
    pub fn to_bytes(&self) -> Result<Vec<u8>, WriteError> {
        let image = self.image()?;
        let layout = check_layout(&image)?;
        let mut out = Vec::with_capacity(usize::try_from(layout.size()).unwrap_or(0));
        layout.write_to(&mut out)?;
        Ok(out)
    }

    /// Writes the image to a file atomically. Returns its size in bytes.
    pub fn write_to_file(&self, path: &Path) -> Result<u64, WriteError> {
        check_layout(&self.image()?)?.write_to_file(path)
    }
}

fn check_layout(image: &Image) -> Result<Layout<'_>, WriteError> {
    let layout = Layout::new(image)?;
    if layout.size() > MAX_SIZE {
        return Err(WriteError::TooLarge {
            what: "the task image in bytes".to_owned(),
            size: layout.size(),
            limit: MAX_SIZE,
        });
    }
    Ok(layout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_volume_id_is_cut_to_32_characters() {
        assert_eq!(
            volume_id("0192f0c1-2b3c-7d4e-8f50-61728394a5b6").unwrap(),
            "TASK_0192F0C12B3C7D4E8F506172839"
        );
        assert_eq!(volume_id("job-7").unwrap(), "TASK_JOB7");
        for bad in ["", "-", "a/b", "ü", "a b"] {
            assert!(matches!(volume_id(bad), Err(WriteError::JobId { .. })), "{bad:?}");
        }
    }

    #[test]
    fn an_image_of_more_than_ten_mebibytes_is_refused() {
        let task = TaskIso {
            job_id: "a".to_owned(),
            recipe: vec![b' '; 10 * 1024 * 1024],
            ..TaskIso::default()
        };
        assert!(matches!(task.to_bytes(), Err(WriteError::TooLarge { .. })));
    }

    #[test]
    fn the_signature_is_not_among_the_signed() {
        let task = TaskIso {
            user_data: Some(Vec::new()),
            signature: Some(Vec::new()),
            ..TaskIso::default()
        };
        let names: Vec<_> = task.files().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["recipe.json", "recipe.schema.json", "user-data"]);
    }
}
