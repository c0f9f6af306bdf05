// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Authentication: from a `WWW-Authenticate` challenge to an `Authorization` header.
//!
//! Challenges: RFC 9110, section 11.6.1. Tokens: token authentication specification of the
//! distribution project (`realm`, `service`, `scope`), which all public registries implement.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::credentials::Credentials;
use super::url::encode;

/// Token scopes of a request: `repository:NAME:pull,push`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Scope(pub(super) Vec<String>);

/// An authentication scheme that a registry offers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User name and password in each request.
    Basic,
    /// A token from the token server `realm`.
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

/// The value of an `Authorization` header, redacted in `Debug` output.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Authorization(String);

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authorization(REDACTED)")
    }
}

impl Authorization {
    pub(super) fn basic(username: &str, password: &str) -> Self {
        Self(format!("Basic {}", STANDARD.encode(format!("{username}:{password}"))))
    }

    pub(super) fn value(&self) -> &str {
        &self.0
    }
}

/// Authorizations that worked, sent without waiting for a challenge.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<HashMap<Scope, (Authorization, Option<Instant>)>>);

impl Cache {
    pub(super) fn get(&self, scope: &Scope) -> Option<Authorization> {
        let (authorization, expires) = self.entries().get(scope).cloned()?;
        expires.is_none_or(|at| Instant::now() < at).then_some(authorization)
    }

    pub(super) fn put(
        &self,
        scope: Scope,
        authorization: Authorization,
        lifetime: Option<Duration>,
    ) {
        let expires = lifetime.and_then(|lifetime| Instant::now().checked_add(lifetime));
        self.entries().insert(scope, (authorization, expires));
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Scope, (Authorization, Option<Instant>)>> {
        // The map stays consistent after a panic: each change is one insert.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Challenge {
    /// Query of a token request with GET.
    pub(super) fn query(service: Option<&str>, scopes: &[String]) -> String {
        let service = service.map(|service| format!("service={}", encode(service)));
        let scopes = scopes.iter().map(|scope| format!("scope={}", encode(scope)));
        service.into_iter().chain(scopes).collect::<Vec<_>>().join("&")
    }

    /// Form of a POST request that exchanges an identity token.
    pub(super) fn form(service: Option<&str>, scopes: &[String], token: &str) -> String {
        format!(
            "grant_type=refresh_token&client_id=provisioner&service={}&scope={}&refresh_token={}",
            encode(service.unwrap_or_default()),
            encode(&scopes.join(" ")),
            encode(token),
        )
    }
}

/// Scopes to request: those of the challenge, or those that the request needs.
pub(super) fn scopes(offered: Option<&str>, needed: &Scope) -> Vec<String> {
    match offered {
        Some(offered) if !offered.trim().is_empty() => {
            offered.split_whitespace().map(str::to_owned).collect()
        }
        _ => needed.0.clone(),
    }
}

/// Parses the token response; returns the header to send and its lifetime.
pub(super) fn read_token(body: &[u8]) -> Option<(Authorization, Duration)> {
    #[derive(Deserialize)]
    struct Answer {
        token: Option<String>,
        access_token: Option<String>,
        expires_in: Option<u64>,
    }
    let answer: Answer = serde_json::from_slice(body).ok()?;
    let token = answer
        .token
        .or(answer.access_token)
        .filter(|token| !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic()))?;
    // The specification's default is 60 s. The margin avoids requests with a token that is about to
    // expire.
    let lifetime = answer.expires_in.unwrap_or(60);
    Some((
        Authorization(format!("Bearer {token}")),
        Duration::from_secs(lifetime.saturating_mul(9) / 10),
    ))
}

/// Encodes credentials for a Basic challenge.
pub(super) fn answer_basic(credentials: &Credentials) -> Option<Authorization> {
    match credentials {
        Credentials::Password { username, password } => {
            Some(Authorization::basic(username, password))
        }
        Credentials::IdentityToken(_) => None,
    }
}

/// Parses the challenges of one `WWW-Authenticate` header; unknown schemes are skipped.
pub(super) fn parse(header: &str) -> Vec<Challenge> {
    let mut found: Vec<(String, HashMap<String, String>)> = Vec::new();
    for item in split_outside_quotes(header) {
        let (name, value) = match item.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim())),
            None => (item, None),
        };
        // A parameter is NAME=VALUE. A space before the name means that a scheme comes first.
        let (scheme, parameter) = match name.split_once(char::is_whitespace) {
            Some((scheme, parameter)) => (Some(scheme), parameter.trim()),
            None if value.is_none() => (Some(name), ""),
            None => (None, name),
        };
        if let Some(scheme) = scheme {
            found.push((scheme.to_ascii_lowercase(), HashMap::new()));
        }
        if let (Some((_, parameters)), Some(value)) = (found.last_mut(), value) {
            parameters.insert(parameter.to_ascii_lowercase(), unquote(value));
        }
    }
    found
        .into_iter()
        .filter_map(|(scheme, mut parameters)| match scheme.as_str() {
            "basic" => Some(Challenge::Basic),
            "bearer" => Some(Challenge::Bearer {
                realm: parameters.remove("realm")?,
                service: parameters.remove("service"),
                scope: parameters.remove("scope"),
            }),
            _ => None,
        })
        .collect()
}

/// Splits at commas outside quotes.
fn split_outside_quotes(text: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c| {
        let separates = c == ',' && !quoted;
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = c == '\\' && quoted && !escaped;
        separates
    })
    .map(str::trim)
    .filter(|part| !part.is_empty())
}

fn unquote(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"') else { return value.to_owned() };
    let inner = inner.strip_suffix('"').unwrap_or(inner);
    let mut text = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => text.extend(characters.next()),
            _ => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            scope: scope.map(str::to_owned),
        }
    }

    #[test]
    fn challenges_are_read() {
        for (header, expected) in [
            ("Basic realm=\"r\"", vec![Challenge::Basic]),
            ("basic", vec![Challenge::Basic]),
            (
                "Bearer realm=\"https://a.example/token\",service=\"r.example\",scope=\"repository:a/b:pull,push\"",
                vec![bearer(
                    "https://a.example/token",
                    Some("r.example"),
                    Some("repository:a/b:pull,push"),
                )],
            ),
            (
                "Negotiate, bearer Realm = \"https://a.example/?x=y,z\" , service=plain, Basic realm=\"a\\\"b\"",
                vec![bearer("https://a.example/?x=y,z", Some("plain"), None), Challenge::Basic],
            ),
            ("Bearer service=\"no realm\"", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(parse(header), expected, "{header}");
        }
    }

    #[test]
    fn tokens_are_read_under_both_names_and_refused_when_malformed() {
        let (authorization, lifetime) = read_token(br#"{"token":"abc","expires_in":100}"#).unwrap();
        assert_eq!((authorization.value(), lifetime.as_secs()), ("Bearer abc", 90));
        assert_eq!(read_token(br#"{"access_token":"x"}"#).unwrap().1.as_secs(), 54);
        for body in ["", "{}", r#"{"token":""}"#, r#"{"token":"a\r\nX-Evil: b"}"#] {
            assert!(read_token(body.as_bytes()).is_none(), "{body}");
        }
        assert_eq!(format!("{authorization:?}"), "Authorization(REDACTED)");
    }

    #[test]
    fn the_scope_of_the_registry_comes_first() {
        let needed = Scope(vec!["repository:a:pull".to_owned()]);
        assert_eq!(scopes(None, &needed), ["repository:a:pull"]);
        assert_eq!(scopes(Some(" "), &needed), ["repository:a:pull"]);
        assert_eq!(scopes(Some("repository:a:pull repository:b:pull"), &needed).len(), 2);
        assert_eq!(
            Challenge::query(Some("r e"), &needed.0),
            "service=r%20e&scope=repository%3Aa%3Apull"
        );
    }

    #[test]
    fn what_has_expired_is_not_sent() {
        let (cache, scope) = (Cache::default(), Scope(vec!["repository:a:pull".to_owned()]));
        cache.put(scope.clone(), Authorization::basic("a", "b"), Some(Duration::ZERO));
        assert_eq!(cache.get(&scope), None);
        cache.put(scope.clone(), Authorization::basic("a", "b"), None);
        assert!(cache.get(&scope).is_some());
        assert_eq!(cache.get(&Scope(Vec::new())), None);
    }

    proptest! {
        #[test]
        fn no_header_makes_the_parser_fail(header in "[ -~]{0,80}") {
            parse(&header);
        }
    }
}
