// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The host's clock. If it is behind, certificates are not yet valid.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, Timespec, clock_settime};

use crate::log;

/// Seconds since 1970 by the host's clock.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Advances the clock to `created`, the time at which the controller made the task. Never sets it
/// back, since a task may be hours old. A failure to set it is not fatal.
pub(crate) fn advance_to(created: u64) {
    let Some(behind) = created.checked_sub(now()).filter(|seconds| *seconds > 0) else { return };
    let Ok(tv_sec) = created.try_into() else { return };
    match clock_settime(ClockId::Realtime, Timespec { tv_sec, tv_nsec: 0 }) {
        Ok(()) => log::warn(format_args!(
            "the clock was {behind} s behind the time of the task, and is set to it"
        )),
        Err(error) => log::warn(format_args!(
            "the clock is {behind} s behind the time of the task, and can't be set: {error}"
        )),
    }
}
