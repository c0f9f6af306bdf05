// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What goes wrong, and where.

use std::time::Duration;

use hyper::Method;

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is answered with this status, and not carried out.
    Status {
        /// The status.
        status: u16,
        /// The header `Retry-After`, in seconds.
        retry_after: Option<u64>,
        /// The id of the message in the answer.
        message: &'static str,
    },
    /// The connection breaks before it is carried out.
    DropBefore,
    /// It is carried out, and the connection breaks before the answer.
    DropAfter,
    /// It is carried out, and the answer comes that much later.
    Slow(Duration),
    /// It is answered with success, and not carried out.
    Pretend,
    /// It is not carried out, and there is never an answer.
    HangBefore,
    /// It is carried out, and there is never an answer.
    HangAfter,
}

/// To which requests a fault happens.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The method; none stands for all.
    pub method: Option<Method>,
    /// What the path has in it.
    pub path: &'static str,
    /// How often it happens.
    pub times: u32,
    /// What happens.
    pub fault: Fault,
}

impl Rule {
    /// A fault that happens to the next request of this kind.
    pub fn once(method: Method, path: &'static str, fault: Fault) -> Self {
        Self { method: Some(method), path, times: 1, fault }
    }

    /// The same fault, as often as that.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }
}

/// Takes the fault that a request meets out of the rules.
pub(crate) fn meet(rules: &mut [Rule], method: &Method, path: &str) -> Option<Fault> {
    let rule = rules.iter_mut().find(|rule| {
        rule.times > 0
            && rule.method.as_ref().is_none_or(|wanted| wanted == method)
            && path.contains(rule.path)
    })?;
    rule.times -= 1;
    Some(rule.fault.clone())
}
