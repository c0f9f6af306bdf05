// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What steps work with. Nothing here knows of steps, pipelines or the command line.

pub(crate) mod advisory;
pub(crate) mod ar;
pub(crate) mod archive;
pub(crate) mod atomic;
pub(crate) mod cargo;
pub(crate) mod checksum;
pub(crate) mod command;
pub(crate) mod compare;
pub(crate) mod container;
pub(crate) mod containerfile;
pub(crate) mod coverage;
pub(crate) mod deadcode;
pub(crate) mod debian;
pub(crate) mod dependencies;
pub(crate) mod distribution;
pub(crate) mod elf;
pub(crate) mod emulation;
pub(crate) mod environment;
pub(crate) mod epoch;
pub(crate) mod git;
pub(crate) mod identity;
pub(crate) mod jsonschema;
pub(crate) mod junit;
pub(crate) mod licenses;
pub(crate) mod live;
pub(crate) mod markdown;
pub(crate) mod notices;
pub(crate) mod oci;
pub(crate) mod parallel;
pub(crate) mod percent;
pub(crate) mod qemu;
pub(crate) mod rpm;
pub(crate) mod sbom;
pub(crate) mod schema;
pub(crate) mod secrets;
pub(crate) mod shell;
pub(crate) mod source;
pub(crate) mod text;
pub(crate) mod tree;
pub(crate) mod unit;
pub(crate) mod workflow;
