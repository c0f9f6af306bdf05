// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Access rules by repository prefix, and immutable tags.

use oci::{Repository, Tag};

use super::pattern::{TagPattern, covers};

/// Kind of access to a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Read contents, tags and lists.
    Pull,
    /// Add contents, set tags.
    Push,
    /// Remove contents and tags.
    Delete,
}

/// Whom a rule allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// Anyone, without a login.
    Anonymous,
    /// Any authenticated user.
    Authenticated,
    /// One user.
    User(String),
}

/// Access rule for the repositories below a prefix.
#[derive(Debug, Clone)]
pub struct AccessRule {
    /// A repository or a folder of repositories; empty for all.
    pub prefix: String,
    /// Who may pull.
    pub pull: Vec<Principal>,
    /// Who may push.
    pub push: Vec<Principal>,
    /// Who may delete.
    pub delete: Vec<Principal>,
}

/// Rules of a registry.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// The matching rule with the longest prefix decides. Without rules, anyone may do anything.
    pub access: Vec<AccessRule>,
    /// Tags that cannot be moved or deleted.
    pub immutable: Vec<TagPattern>,
}

impl AccessRule {
    fn allows(&self, user: Option<&str>, action: Action) -> bool {
        let list = match action {
            Action::Pull => &self.pull,
            Action::Push => &self.push,
            Action::Delete => &self.delete,
        };
        list.iter().any(|who| match who {
            Principal::Anonymous => true,
            Principal::Authenticated => user.is_some(),
            Principal::User(name) => user == Some(name),
        })
    }
}

impl Rules {
    /// Returns whether `user` (None: not authenticated) may do `action` to `repository`.
    pub fn allow(&self, user: Option<&str>, action: Action, repository: &Repository) -> bool {
        if self.access.is_empty() {
            return true;
        }
        self.access
            .iter()
            .filter(|rule| covers(&rule.prefix, repository.as_str()))
            .max_by_key(|rule| rule.prefix.len())
            .is_some_and(|rule| rule.allows(user, action))
    }

    /// Returns whether any rule allows anonymous access. If not, clients are asked to log in at once.
    pub fn admit_anonymous(&self) -> bool {
        const ALL: [Action; 3] = [Action::Pull, Action::Push, Action::Delete];
        self.access.is_empty()
            || self.access.iter().any(|rule| ALL.iter().any(|action| rule.allows(None, *action)))
    }

    /// Returns whether a tag cannot be moved or deleted once it is set.
    pub fn is_immutable(&self, repository: &Repository, tag: &Tag) -> bool {
        self.immutable.iter().any(|pattern| pattern.matches(repository, tag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_longest_prefix_decides() {
        let user = |name: &str| vec![Principal::User(name.to_owned())];
        let rules = Rules {
            access: vec![
                AccessRule {
                    prefix: String::new(),
                    pull: vec![Principal::Anonymous],
                    push: user("ci"),
                    delete: Vec::new(),
                },
                AccessRule {
                    prefix: "secret".to_owned(),
                    pull: vec![Principal::Authenticated],
                    push: user("boss"),
                    delete: user("boss"),
                },
            ],
            immutable: Vec::new(),
        };
        for (user, action, repository, expected) in [
            (None, Action::Pull, "tools/a", true),
            (None, Action::Push, "tools/a", false),
            (Some("ci"), Action::Push, "tools/a", true),
            (Some("ci"), Action::Delete, "tools/a", false),
            (None, Action::Pull, "secret", false),
            (None, Action::Pull, "secret/x", false),
            (None, Action::Pull, "secrets", true),
            (Some("ci"), Action::Pull, "secret/x", true),
            (Some("ci"), Action::Push, "secret/x", false),
            (Some("boss"), Action::Delete, "secret/x", true),
        ] {
            let allowed = rules.allow(user, action, &repository.parse().unwrap());
            assert_eq!(allowed, expected, "{user:?} {action:?} {repository}");
        }
        assert!(rules.admit_anonymous());
    }
}
