// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Users, tokens, roles and groups of the API, loaded from the configured files.

use std::collections::HashSet;
use std::sync::Arc;

use super::group::Group;
use super::{Identity, Role, TokenKey};
use crate::config::ApiConfig;
use crate::labels::Scope;
use crate::registry::users::Users;

/// Loaded users, tokens, roles and groups.
pub(crate) struct Directory {
    users: Option<Arc<Users>>,
    tokens: Option<TokenKey>,
    /// Ids of revoked tokens.
    revoked: HashSet<String>,
    readers: Vec<String>,
    admins: Vec<String>,
    groups: Vec<Group>,
}

impl Directory {
    /// Loads the files.
    ///
    /// # Errors
    /// Names the invalid configuration key.
    pub(crate) fn read(config: &ApiConfig) -> Result<Self, String> {
        Ok(Self {
            users: config.read_users()?.map(Arc::new),
            tokens: config.read_token_key()?,
            revoked: config.read_revoked_tokens()?,
            readers: config.readers.clone(),
            admins: config.admins.clone(),
            groups: config.groups.clone(),
        })
    }

    pub(super) fn users(&self) -> Option<&Arc<Users>> {
        self.users.as_ref()
    }

    /// Returns the identity of a token. None: invalid, expired or revoked.
    pub(super) fn token(&self, token: &str) -> Option<Identity> {
        let (grant, id) = self.tokens.as_ref()?.verify(token)?;
        if self.revoked.contains(&id) || (grant.role == Role::Admin && !grant.groups.is_empty()) {
            return None;
        }
        let scope = if grant.groups.is_empty() {
            Scope::ALL
        } else {
            self.scope(|group| grant.groups.contains(&group.name))
        };
        Some(Identity { name: grant.subject, role: grant.role, scope })
    }

    /// Returns the identity of a user who authenticated with a password.
    pub(super) fn user(&self, name: String) -> Identity {
        let role = if self.admins.contains(&name) {
            Role::Admin
        } else if self.readers.contains(&name) {
            Role::Reader
        } else {
            Role::Operator
        };
        let is_limited = self.groups.iter().any(|group| group.users.contains(&name));
        let scope =
            if is_limited { self.scope(|group| group.users.contains(&name)) } else { Scope::ALL };
        Identity { name, role, scope }
    }

    fn scope(&self, wanted: impl Fn(&Group) -> bool) -> Scope {
        Scope::groups(self.groups.iter().filter(|group| wanted(group)).map(|group| &group.labels))
    }
}
