// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The host behind the BMC: power, boot source, drives.

use std::time::Duration;

use crate::personality::{Etags, Personality};

/// Timing of host and BMC.
#[derive(Debug, Clone)]
pub struct Behaviour {
    /// Whether it is on at the start.
    pub on: bool,
    /// Time off during a restart.
    pub off: Duration,
    /// Time in POST after power on; then it boots.
    pub post: Duration,
    /// Effect of a graceful restart or shutdown.
    pub graceful: Graceful,
    /// Duration of a task of the BMC.
    pub task: Duration,
    /// Lifetime of an idle session.
    pub session: Duration,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            on: true,
            off: Duration::ZERO,
            post: Duration::ZERO,
            graceful: Graceful::After(Duration::ZERO),
            task: Duration::ZERO,
            session: Duration::from_mins(30),
        }
    }
}

/// Effect of a graceful restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Graceful {
    /// The operating system shuts down after this time.
    After(Duration),
    /// It never shuts down.
    Never,
    /// It restarts just before the host is forced off: too late to be noticed.
    TooLate,
}

/// Source of a boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A virtual CD: the URL of its image.
    Cd(String),
    /// The disk.
    Disk,
}

/// A boot of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    /// Serial number of the host.
    pub serial: String,
    /// Its source.
    pub source: Source,
    /// The images in all slots, in slot order.
    pub images: Vec<String>,
}

/// Activity of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Off,
    Post,
    Running,
    /// An operating system was asked to shut down.
    Stopping,
}

/// A drive and its reported medium.
#[derive(Debug, Clone, Default)]
pub(crate) struct Drive {
    pub(crate) image: Option<String>,
    /// Stale medium after an eject, and how often it is still reported.
    pub(crate) stale: Option<(String, u32)>,
}

/// The state. The caller schedules what takes time, and returns with the number of the step; a step
/// that was superseded is dropped.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) phase: Phase,
    pub(crate) drives: Vec<Drive>,
    pub(crate) enabled: String,
    pub(crate) target: String,
    pub(crate) mode: String,
    /// Number of power-ons and restarts, from which the time of the last is derived.
    pub(crate) starts: u64,
    pub(crate) resets: Vec<String>,
    pub(crate) boots: Vec<Boot>,
    pub(crate) version: u64,
    /// How often `On` is still refused.
    pub(crate) on_conflicts: u32,
    /// Version of the BIOS.
    pub(crate) bios: String,
    step: u64,
    back_on: bool,
}

/// The next event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ScheduledStep {
    step: u64,
    pub(crate) after: Duration,
}

impl Machine {
    pub(crate) fn new(personality: &Personality, behaviour: &Behaviour) -> Self {
        Self {
            phase: if behaviour.on { Phase::Running } else { Phase::Off },
            drives: vec![Drive::default(); personality.slots.len()],
            enabled: "Disabled".to_owned(),
            target: "None".to_owned(),
            mode: "UEFI".to_owned(),
            starts: 0,
            resets: Vec::new(),
            boots: Vec::new(),
            version: 1,
            on_conflicts: 0,
            bios: "1.0.0".to_owned(),
            step: 0,
            back_on: false,
        }
    }

    pub(crate) fn power(&self) -> &'static str {
        if self.phase == Phase::Off { "Off" } else { "On" }
    }

    /// Performs a reset. Returns the event that follows.
    pub(crate) fn reset(&mut self, kind: &str, behaviour: &Behaviour) -> Option<ScheduledStep> {
        self.version += 1;
        match (kind, self.phase) {
            ("On" | "ForceOn", Phase::Off) => {
                self.resets.push(kind.to_owned());
                self.start(behaviour)
            }
            ("ForceOff", phase) if phase != Phase::Off => {
                self.resets.push(kind.to_owned());
                if phase == Phase::Stopping && behaviour.graceful == Graceful::TooLate {
                    self.use_override();
                }
                self.stop(false)
            }
            ("GracefulRestart" | "GracefulShutdown", Phase::Post | Phase::Running) => {
                self.resets.push(kind.to_owned());
                self.phase = Phase::Stopping;
                self.back_on = kind == "GracefulRestart";
                match behaviour.graceful {
                    Graceful::After(after) => self.next(after),
                    Graceful::Never | Graceful::TooLate => self.cancel_next(),
                }
            }
            ("ForceRestart" | "PowerCycle", phase) if phase != Phase::Off => {
                self.resets.push(kind.to_owned());
                self.stop(true);
                self.next(behaviour.off)
            }
            _ => None,
        }
    }

    /// Handles an event whose time has come.
    pub(crate) fn advance(
        &mut self,
        next: ScheduledStep,
        personality: &Personality,
        behaviour: &Behaviour,
        serial: &str,
    ) -> Option<ScheduledStep> {
        if next.step != self.step {
            return None;
        }
        self.version += 1;
        match self.phase {
            Phase::Stopping => {
                self.stop(self.back_on);
                if self.back_on { self.next(behaviour.off) } else { None }
            }
            Phase::Off => self.start(behaviour),
            Phase::Post => {
                self.boot(personality, serial);
                None
            }
            Phase::Running => None,
        }
    }

    pub(crate) fn etag(&self, etags: Etags) -> Option<String> {
        match etags {
            Etags::None => None,
            Etags::Strong => Some(format!("\"{}\"", self.version)),
            Etags::Weak => Some(format!("W/\"{}\"", self.version)),
        }
    }

    fn start(&mut self, behaviour: &Behaviour) -> Option<ScheduledStep> {
        self.phase = Phase::Post;
        self.starts += 1;
        self.next(behaviour.post)
    }

    fn stop(&mut self, back_on: bool) -> Option<ScheduledStep> {
        self.phase = Phase::Off;
        self.back_on = back_on;
        self.cancel_next()
    }

    fn boot(&mut self, personality: &Personality, serial: &str) {
        self.phase = Phase::Running;
        let wanted = matches!(self.enabled.as_str(), "Once" | "Continuous")
            && self.target == personality.boots_cd;
        self.use_override();
        let cds = personality.slots.iter().zip(&self.drives);
        let mut cds = cds.filter(|(slot, _)| slot.types.contains(&"CD"));
        let cd = cds.find_map(|(_, drive)| drive.image.clone()).filter(|_| wanted);
        self.boots.push(Boot {
            serial: serial.to_owned(),
            source: cd.map_or(Source::Disk, Source::Cd),
            images: self.drives.iter().filter_map(|drive| drive.image.clone()).collect(),
        });
    }

    /// Clears a boot source that was set for one boot.
    fn use_override(&mut self) {
        if self.enabled == "Once" {
            "Disabled".clone_into(&mut self.enabled);
            "None".clone_into(&mut self.target);
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "every caller returns what follows")]
    fn next(&mut self, after: Duration) -> Option<ScheduledStep> {
        self.step += 1;
        Some(ScheduledStep { step: self.step, after })
    }

    /// Cancels the next event.
    fn cancel_next(&mut self) -> Option<ScheduledStep> {
        self.step += 1;
        None
    }
}
