// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The dispatch of a task, from the medium to the target.

use anyhow::anyhow;
use recipe::{
    ShortText, Validated,
    network::Network,
    provision::{BuildInfo, Provision, RecipeEnv},
};

use crate::{
    choose::{self, Refused, TaskContext},
    cli::Options,
    clock,
    exit::{Exit, Failure, OrExit as _},
    log, machine, start,
    trust::Trust,
};

/// Folder of the task for the steps, below the root.
const PROVISION: &str = "run/provision";
/// Folder with the way to the controller, below the root.
const CONTROLLER: &str = "run/controller";
/// Folder of systemd-networkd, below the root. Its service starts after the dispatcher.
const NETWORKD: &str = "run/systemd/network";

/// Dispatches a task as `options` require.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    check_privileges(options)?;
    let serial = machine::serial(&options.root);
    let trust = Trust::new(options.policy, &options.keys, serial.as_ref());
    let chosen = match choose::wait(options, &trust) {
        Ok(chosen) => chosen,
        Err(Refused { failure, reach, .. }) => {
            // From here on, a failure can be reported.
            prepare(options, &reach)?;
            return Err(failure);
        }
    };
    prepare(options, &chosen.reach)?;
    let target = chosen.validated.recipe.task_target.clone();
    let provision = provision(chosen.validated, chosen.reach.network, serial, chosen.job)?;
    let folder = options.root.join(PROVISION);
    provision.write(&folder).or_exit(Exit::Write, "cannot write the task files")?;
    log::info(format_args!("wrote {}", folder.display()));
    if options.start {
        start::start(&target)?;
    } else {
        log::info(format_args!("{target} is not started because of --no-start"));
    }
    Ok(())
}

/// Sets up reporting: the clock, for TLS, the network, and the controller's address.
fn prepare(options: &Options, reach: &TaskContext) -> Result<(), Failure> {
    if let Some(created) = reach.created
        && options.root.as_os_str() == "/"
    {
        clock::advance_to(created);
    }
    if let Some(network) = &reach.network {
        let folder = options.root.join(NETWORKD);
        network.write_units(&folder).or_exit(Exit::Write, "configuring the network")?;
    }
    let Some(access) = &reach.access else { return Ok(()) };
    let folder = options.root.join(CONTROLLER);
    access.write(&folder).or_exit(Exit::Write, "cannot write the access data of the controller")
}

/// Mounting, the serial number and `/run` require root. Below another root, what is not permitted
/// fails by itself.
fn check_privileges(options: &Options) -> Result<(), Failure> {
    if options.root.as_os_str() == "/" && !rustix::process::geteuid().is_root() {
        return Err(Failure::new(Exit::Privileges, anyhow!("this needs root")));
    }
    Ok(())
}

/// The input of the steps.
fn provision(
    validated: Validated,
    network: Option<Network>,
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
        erase: recipe.erase_disks,
        network,
        user_data: recipe.user_data,
        unattend_xml: recipe.unattend_xml,
        ks_cfg: recipe.ks_cfg,
    })
}
