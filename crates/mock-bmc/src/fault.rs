// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Injected faults, and the requests that they apply to.

use std::time::Duration;

use hyper::Method;

/// Effect of a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The request is answered with this status, and not carried out.
    Status {
        /// The status.
        status: u16,
        /// The header `Retry-After`, in seconds.
        retry_after: Option<u64>,
        /// The id of the message in the answer.
        message: &'static str,
    },
    /// The connection breaks before the request is carried out.
    DropBefore,
    /// The request is carried out, and the connection breaks before the answer.
    DropAfter,
    /// The request is carried out, and answered after this delay.
    Slow(Duration),
    /// The request is answered with success, and not carried out.
    Pretend,
    /// The request is neither carried out nor answered.
    HangBefore,
    /// The request is carried out, and never answered.
    HangAfter,
}

/// A fault with the requests that it applies to.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The method; `None` means all.
    pub method: Option<Method>,
    /// A part of the path.
    pub path: &'static str,
    /// Number of requests.
    pub times: u32,
    /// Its effect.
    pub fault: Fault,
}

impl Rule {
    /// A fault of the next matching request.
    pub fn once(method: Method, path: &'static str, fault: Fault) -> Self {
        Self { method: Some(method), path, times: 1, fault }
    }

    /// The same fault, for so many requests.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }
}

/// Removes the first fault that matches a request.
pub(crate) fn take_matching(rules: &mut [Rule], method: &Method, path: &str) -> Option<Fault> {
    let rule = rules.iter_mut().find(|rule| {
        rule.times > 0
            && rule.method.as_ref().is_none_or(|wanted| wanted == method)
            && path.contains(rule.path)
    })?;
    rule.times -= 1;
    Some(rule.fault.clone())
}
