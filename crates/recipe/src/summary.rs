// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The part of a recipe that may be logged: target, sizes and digests.

use std::fmt;

use serde::Serialize;

use crate::{
    contents::ContentSummary,
    model::{Recipe, TaskTarget},
    validation::Validated,
};

/// A recipe without its contents. `Display` is one line for a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The task.
    pub task_target: TaskTarget,
    /// The `$id` of the schema that accepted the recipe.
    pub schema_id: &'static str,
    /// Size and digest of the recipe itself.
    pub recipe: ContentSummary,
    /// The number of partitions, where the recipe has a layout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partitions: Option<usize>,
    /// Its files.
    pub files: Vec<FileSummary>,
}

/// One of the files of a recipe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileSummary {
    /// The recipe's field.
    pub field: &'static str,
    /// Its size and digest.
    #[serde(flatten)]
    pub contents: ContentSummary,
}

impl Validated {
    /// What may be logged of the recipe.
    pub fn summary(&self) -> Summary {
        Summary {
            task_target: self.recipe.task_target.clone(),
            schema_id: self.schema.id,
            recipe: self.source.clone(),
            partitions: self.recipe.partition_layout.as_ref().map(|all| all.partitions().len()),
            files: files(&self.recipe),
        }
    }
}

fn files(recipe: &Recipe) -> Vec<FileSummary> {
    let all = [
        ("user_data", recipe.user_data.as_ref().map(super::Contents::summary)),
        ("unattend_xml", recipe.unattend_xml.as_ref().map(super::Contents::summary)),
        ("ks_cfg", recipe.ks_cfg.as_ref().map(super::Contents::summary)),
    ];
    let present = all.into_iter();
    present
        .filter_map(|(field, contents)| Some(FileSummary { field, contents: contents? }))
        .collect()
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, recipe of {}", self.task_target, self.recipe)?;
        write!(f, ", accepted by {}", self.schema_id)?;
        if let Some(count) = self.partitions {
            write!(f, ", {count} partitions")?;
        }
        for file in &self.files {
            write!(f, ", {} of {}", file.field, file.contents)?;
        }
        Ok(())
    }
}
