// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The program, tested with releases, registries and signing services. One test binary, so that it is linked once.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod bundle;
mod channel_faults;
mod channels;
mod cosign;
mod hostile;
mod identity;
mod keyless;
mod keyless_channels;
mod kms;
mod lifecycle;
mod mock_registry;
mod packages;
mod publish;
mod publish_clients;
mod publish_targets;
mod rebuild;
mod registry;
mod signing;
mod site;
mod support;
mod tampering;
mod test_artifacts;
mod vex;
