// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The names on a task ISO, which the controller writes and the dispatcher reads.

/// The recipe.
pub const RECIPE_JSON: &str = "recipe.json";
/// The schema that the recipe was held to.
pub const RECIPE_SCHEMA_JSON: &str = "recipe.schema.json";
/// The signature over the digests of the other files.
pub const RECIPE_SIG: &str = "recipe.sig";
/// A copy of the recipe's `user_data`, where it has one.
pub const USER_DATA: &str = "user-data";
/// A copy of the recipe's `unattend_xml`, where it has one.
pub const UNATTEND_XML: &str = "unattend.xml";
/// A copy of the recipe's `ks_cfg`, where it has one.
pub const KS_CFG: &str = "ks.cfg";

/// What the volume identifier of every task ISO starts with.
pub const LABEL_PREFIX: &str = "TASK_";
/// The longest volume identifier (ECMA-119, 8.4.7).
const MAX_LABEL: usize = 32;

/// The volume identifier for a job: `TASK_` and the job's id without dashes, in upper case, cut to
/// 32 characters.
pub fn label(job_id: &str) -> String {
    let id = job_id.chars().filter(|c| *c != '-').flat_map(char::to_uppercase);
    LABEL_PREFIX.chars().chain(id).take(MAX_LABEL).collect()
}

/// The job's id as far as a volume identifier tells it. An identifier of full length may have been
/// cut, as that of a UUID always is, and tells nothing.
pub fn job_of_label(label: &str) -> Option<&str> {
    let id = label.strip_prefix(LABEL_PREFIX)?;
    (!id.is_empty() && label.len() < MAX_LABEL).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_cut_and_then_tells_no_job() {
        assert_eq!(label("01jq-b"), "TASK_01JQB");
        assert_eq!(job_of_label("TASK_01JQB"), Some("01JQB"));
        let uuid = label("f81d4fae-7dec-11d0-a765-00a0c91e6bf6");
        assert_eq!(uuid, "TASK_F81D4FAE7DEC11D0A76500A0C91");
        assert_eq!(job_of_label(&uuid), None);
        assert_eq!(job_of_label("TASK_"), None);
        assert_eq!(job_of_label("OTHER"), None);
    }
}
