// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Progress output in cargo's style on standard error: colours and a live line on a terminal, plain
//! lines otherwise.

use std::io::{IsTerminal as _, Write as _, stderr};
use std::sync::{Mutex, PoisonError};

/// Cargo's colours (ECMA-48, section 8.3.117).
const GREEN: &str = "\x1b[1;32m";
const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";
const CYAN: &str = "\x1b[1;36m";
const PLAIN: &str = "\x1b[0m";
/// Returns to the start of the line and clears it.
const ERASE: &str = "\r\x1b[K";

/// Prints progress.
pub struct Ui {
    colour: bool,
    live: bool,
    /// Whether a live line is shown.
    shown: Mutex<bool>,
}

impl Ui {
    /// For standard error. `verbose` disables the live line.
    pub fn new(verbose: bool) -> Self {
        let terminal = stderr().is_terminal();
        let env = |name: &str| std::env::var(name).unwrap_or_default();
        let colour = match env("CARGO_TERM_COLOR").as_str() {
            "always" => true,
            "never" => false,
            _ => terminal && env("NO_COLOR").is_empty() && env("TERM") != "dumb",
        };
        let live = terminal && env("TERM") != "dumb" && !verbose;
        Self { colour, live, shown: Mutex::new(false) }
    }

    /// Prints progress or success.
    pub fn status(&self, verb: &str, text: &str) {
        self.verb(GREEN, verb, text);
    }

    /// Prints a failure.
    pub fn status_bad(&self, verb: &str, text: &str) {
        self.verb(RED, verb, text);
    }

    /// Prints a skip.
    pub fn status_doubtful(&self, verb: &str, text: &str) {
        self.verb(YELLOW, verb, text);
    }

    /// Prints an error, possibly multi-line.
    pub fn error(&self, text: &str) {
        self.print(&format!("{}: {text}\n", self.paint(RED, "error")));
    }

    /// Prints a warning.
    pub fn warn(&self, text: &str) {
        self.print(&format!("{}: {text}\n", self.paint(YELLOW, "warning")));
    }

    /// Whether the live line is enabled.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Updates the live line; no effect without a terminal.
    pub fn show_live(&self, text: &str) {
        if !self.live {
            return;
        }
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        // A wrapped line cannot be erased.
        let text: String = text.chars().take(65).collect();
        write(&format!("{ERASE}{} {text}", self.paint(CYAN, &format!("{:>12}", "Running"))));
        *shown = true;
    }

    /// Erases the live line.
    pub fn clear(&self) {
        self.print("");
    }

    fn verb(&self, colour: &str, verb: &str, text: &str) {
        self.print(&format!("{} {text}\n", self.paint(colour, &format!("{verb:>12}"))));
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colour { format!("{colour}{text}{PLAIN}") } else { text.to_owned() }
    }

    fn print(&self, text: &str) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let erase = if std::mem::take(&mut *shown) { ERASE } else { "" };
        write(&format!("{erase}{text}"));
    }
}

/// Prints a piece of a log.
pub(crate) fn passthrough(text: &str) {
    write(text);
}

/// Errors are ignored: a closed terminal must not end a run.
fn write(text: &str) {
    drop(stderr().lock().write_all(text.as_bytes()));
}
