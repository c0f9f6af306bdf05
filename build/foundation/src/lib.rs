// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Basics of the build system: files, commands as data, findings, Git, text. Independent of the
//! product, of steps and of the command line.
#![forbid(unsafe_code)]

pub mod archive;
pub mod atomic;
pub mod checksum;
pub mod command;
pub mod emulation;
pub mod environment;
pub mod epoch;
pub mod file;
pub mod finding;
pub mod git;
pub mod parallel;
pub mod source;
pub mod text;
pub mod tree;
