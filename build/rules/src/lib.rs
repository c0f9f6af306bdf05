// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Rules of the gates: pure functions from text to findings.
#![forbid(unsafe_code)]

pub mod advisory;
pub mod comment;
pub mod containerfile;
pub mod coverage;
pub mod deadcode;
pub mod dependencies;
pub mod help;
pub mod html;
pub mod imports;
pub mod jsonschema;
pub mod layers;
mod lexer;
mod manifest;
pub mod markdown;
pub mod prose;
pub mod schema;
pub mod secrets;
pub mod shell;
pub mod timeline;
pub mod unit;
pub mod vale;
pub mod workflow;
