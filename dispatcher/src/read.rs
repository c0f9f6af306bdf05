// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Reads the recipe of a task, the network of the host, and how it reaches the controller.

use anyhow::anyhow;
use recipe::{
    SchemaVersion, Validated,
    controller::{CONTROLLER_JSON, ControllerAccess},
    network::{NETWORK_JSON, Network},
    provision::{KS_CFG, UNATTEND_XML, USER_DATA},
    schema::Schema,
};

use crate::{
    exit::{Exit, Failure, OrExit as _},
    log,
    task::Task,
};

/// How the host reaches the controller, if the task has it.
pub(crate) fn access(task: &Task) -> Result<Option<ControllerAccess>, Failure> {
    let Some(bytes) = task.file(CONTROLLER_JSON) else {
        log::info("the task names no controller to report to");
        return Ok(None);
    };
    let access = ControllerAccess::from_slice(bytes);
    access.map(Some).or_exit(Exit::Unreadable, "cannot read controller.json of the task")
}

/// The network of the host, if the task has one. Without it, the host uses DHCP.
pub(crate) fn network(task: &Task) -> Result<Option<Network>, Failure> {
    let Some(bytes) = task.file(NETWORK_JSON) else { return Ok(None) };
    let network = Network::from_slice(bytes).or_exit(Exit::Unreadable, NETWORK_JSON)?;
    log::info(format_args!("the network is {}", network.summary()));
    Ok(Some(network))
}

/// Validates the recipe against the schema beside it, whose version must be known: the fields of
/// another version have no known meaning.
pub(crate) fn validate(task: &Task) -> Result<Validated, Failure> {
    let schema = Schema::from_slice(task.schema()?)
        .or_exit(Exit::Schema, "cannot read recipe.schema.json")?;
    let id = schema.id().unwrap_or("none");
    let version = SchemaVersion::by_id(id).ok_or_else(|| {
        let known = SchemaVersion::ALL.map(|version| version.id).join(" and ");
        let error = anyhow!(
            "recipe.schema.json has the $id {id}, and this dispatcher knows {known}: \
             use a maintenance image and a controller that are at most one version apart"
        );
        Failure::new(Exit::Schema, error)
    })?;
    let validated = recipe::validate_with(&schema, version, task.recipe()?).map_err(|error| {
        let exit = if error.is_unreadable() { Exit::Unreadable } else { Exit::Invalid };
        Failure::new(exit, error)
    })?;
    log::info(validated.summary());
    for warning in &validated.warnings {
        log::warn(warning);
    }
    check_copies(task, &validated)?;
    Ok(validated)
}

/// The files beside the recipe are copies of its fields, for people and other tools. If one
/// differs, the intended content is unknown.
fn check_copies(task: &Task, validated: &Validated) -> Result<(), Failure> {
    let recipe = &validated.recipe;
    for (name, field) in [
        (USER_DATA, recipe.user_data.as_ref().map(recipe::Contents::expose)),
        (UNATTEND_XML, recipe.unattend_xml.as_ref().map(recipe::Contents::expose)),
        (KS_CFG, recipe.ks_cfg.as_ref().map(recipe::Contents::expose)),
    ] {
        let copy = task.file(name);
        if copy.is_some() && copy != field.map(str::as_bytes) {
            let error = anyhow!("{name} on the medium differs from the recipe");
            return Err(Failure::new(Exit::Invalid, error));
        }
    }
    Ok(())
}
