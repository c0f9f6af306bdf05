// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The whole way from the medium to the target.

use anyhow::anyhow;
use recipe::{
    SchemaVersion, ShortText, Validated,
    controller::{CONTROLLER_JSON, ControllerAccess},
    provision::{BuildInfo, KS_CFG, Provision, RecipeEnv, UNATTEND_XML, USER_DATA},
    schema::Schema,
};

use crate::{
    cli::Options,
    exit::{Exit, Failure, OrExit as _},
    log, machine, medium, start,
    task::Task,
    trust,
};

/// Where the task is handed over, below the root.
const PROVISION: &str = "run/provision";
/// Where the way to the controller is handed over, below the root.
const CONTROLLER: &str = "run/controller";
/// Where the medium is mounted while it is read, below the root.
const MOUNT_POINT: &str = "run/dispatcher/medium";

/// Does what `options` ask for.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    check_privileges(options)?;
    let medium = medium::wait(options.source.as_deref(), &options.root, options.timeout)?;
    let task = Task::read(&medium, &options.root.join(MOUNT_POINT))?;
    let serial = machine::serial(&options.root);
    let manifest = trust::check(options.policy, &options.keys, serial.as_ref(), &task)?;
    // Before the recipe is looked at, so that a bad one can be reported.
    let access = controller(&task)?;
    if let Some(access) = &access {
        let folder = options.root.join(CONTROLLER);
        access.write(&folder).or_exit(Exit::Write, "handing the way to the controller over")?;
    }
    let validated = validate(&task)?;
    let of_label =
        || medium.label.as_deref().and_then(medium::job_of_label).and_then(|id| id.parse().ok());
    let told = manifest.map(|manifest| manifest.job).or(access.map(|access| access.job_id));
    let job_id = told.or_else(of_label);
    let target = validated.recipe.task_target.clone();
    let provision = provision(validated, serial, job_id)?;
    let folder = options.root.join(PROVISION);
    provision.write(&folder).or_exit(Exit::Write, "handing the task over")?;
    log::info(format_args!("wrote {}", folder.display()));
    if options.start {
        start::start(&target)?;
    } else {
        log::info(format_args!("{target} is not started, as asked"));
    }
    Ok(())
}

/// How the machine reaches its controller, where the task says it.
fn controller(task: &Task) -> Result<Option<ControllerAccess>, Failure> {
    let Some(bytes) = task.file(CONTROLLER_JSON) else {
        log::info("the task names no controller to report to");
        return Ok(None);
    };
    let access = ControllerAccess::from_slice(bytes);
    access.map(Some).or_exit(Exit::Unreadable, "reading the way to the controller")
}

/// Mounting, the machine's serial number and `/run` are for root. Below another root, whatever is
/// not allowed fails by itself.
fn check_privileges(options: &Options) -> Result<(), Failure> {
    if options.root.as_os_str() == "/" && !rustix::process::geteuid().is_root() {
        return Err(Failure::new(Exit::Privileges, anyhow!("this needs root")));
    }
    Ok(())
}

/// Validates the recipe against the schema beside it, which must be one that this program knows: it
/// would not know what to do with the fields of another.
fn validate(task: &Task) -> Result<Validated, Failure> {
    let schema =
        Schema::from_slice(task.schema()?).or_exit(Exit::Schema, "reading recipe.schema.json")?;
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
        log::warning(warning);
    }
    check_copies(task, &validated)?;
    Ok(validated)
}

/// The files beside the recipe are copies of its fields, for people and other tools. One that differs
/// leaves open which of the two was meant.
fn check_copies(task: &Task, validated: &Validated) -> Result<(), Failure> {
    let recipe = &validated.recipe;
    for (name, field) in [
        (USER_DATA, recipe.user_data.as_ref().map(recipe::Contents::expose)),
        (UNATTEND_XML, recipe.unattend_xml.as_ref().map(recipe::Contents::expose)),
        (KS_CFG, recipe.ks_cfg.as_ref().map(recipe::Contents::expose)),
    ] {
        let copy = task.file(name);
        if copy.is_some() && copy != field.map(str::as_bytes) {
            let error = anyhow!("{name} on the medium is not what the recipe holds");
            return Err(Failure::new(Exit::Invalid, error));
        }
    }
    Ok(())
}

/// What the steps will read.
fn provision(
    validated: Validated,
    serial: Option<ShortText>,
    job_id: Option<ShortText>,
) -> Result<Provision, Failure> {
    let digest = validated.source.sha256.parse();
    let recipe_sha256: recipe::Sha256Hex = digest.or_exit(Exit::Write, "the recipe's digest")?;
    let schema_id = validated.schema.id.parse().or_exit(Exit::Write, "the schema's $id")?;
    let recipe = validated.recipe;
    Ok(Provision {
        build_info: BuildInfo {
            dispatcher_version: build_info::version().to_owned(),
            dispatcher_commit: build_info::commit().to_owned(),
            schema_id: validated.schema.id.to_owned(),
            recipe_sha256: recipe_sha256.clone(),
            serial: serial.clone(),
        },
        env: RecipeEnv {
            task_target: recipe.task_target,
            target_disk: recipe.target_disk,
            oci_url: recipe.oci_url,
            firmware_url: recipe.firmware_url,
            firmware_sha256: recipe.firmware_sha256,
            serial,
            job_id,
            schema_id,
            recipe_sha256,
        },
        layout: recipe.partition_layout,
        user_data: recipe.user_data,
        unattend_xml: recipe.unattend_xml,
        ks_cfg: recipe.ks_cfg,
    })
}
