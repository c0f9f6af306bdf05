// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Bearer tokens: JSON Web Tokens (RFC 7519) with HMAC-SHA256 (`HS256`, RFC 7518, section 3.2).
//!
//! Only one algorithm, one key and few claims are supported. A general library has more features,
//! and the attacks that come with them (RFC 8725).

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::Role;
use crate::jobs::clock;

/// Audience of tokens: a token for another service with the same key is rejected.
pub const AUDIENCE: &str = "provisioner";
/// Minimum key size in bytes: the output size of the hash (RFC 7518, section 3.2).
const SHORTEST_KEY: usize = 32;
/// Maximum length of a token, in bytes.
const LONGEST: usize = 4096;
/// Tolerated clock difference, in seconds.
const LEEWAY: i64 = 60;

/// The key for signing and verifying tokens.
#[derive(Clone)]
pub struct TokenKey(Hmac<Sha256>);

/// The key is invalid.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error(
    "expected a key of at least {SHORTEST_KEY} bytes, for example from `openssl rand -base64 48`"
)]
pub struct KeyError;

/// What a token grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Name shown in jobs and the audit log.
    pub subject: String,
    /// Role of the subject.
    pub role: Role,
    /// Groups of servers that the subject is limited to; empty: every server.
    pub groups: Vec<String>,
}

/// A new token.
#[derive(Clone)]
pub struct Issued {
    /// The token.
    pub token: String,
    /// Id for revocation.
    pub id: String,
}

/// Maximum length of a subject, in bytes.
const LONGEST_SUBJECT: usize = 255;

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    typ: Option<String>,
    /// Critical extensions; none is supported (RFC 7515, section 4.1.11).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crit: Option<serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    aud: Audience,
    /// Seconds since 1970.
    exp: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
    #[serde(default)]
    role: Role,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
}

/// One or several audiences (RFC 7519, section 4.1.3).
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    fn is_us(&self) -> bool {
        match self {
            Self::One(one) => one == AUDIENCE,
            Self::Many(many) => many.iter().any(|one| one == AUDIENCE),
        }
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey(…)")
    }
}

impl TokenKey {
    /// Reads a key from the content of a file. Surrounding white space is ignored.
    ///
    /// # Errors
    /// If it is too short.
    pub fn new(content: &str) -> Result<Self, KeyError> {
        let key = content.trim().as_bytes();
        let mac = Hmac::new_from_slice(key).map_err(|_| KeyError)?;
        if key.len() < SHORTEST_KEY { Err(KeyError) } else { Ok(Self(mac)) }
    }

    /// Issues a token for `subject` and every server. It expires after `valid`.
    pub fn issue(&self, subject: &str, role: Role, valid: Duration) -> String {
        let grant = Grant { subject: subject.to_owned(), role, groups: Vec::new() };
        self.issue_grant(grant, valid).token
    }

    /// Issues a token for a grant. It expires after `valid`.
    pub fn issue_grant(&self, grant: Grant, valid: Duration) -> Issued {
        let Grant { subject, role, groups } = grant;
        let id = uuid::Uuid::new_v4().to_string();
        let valid = i64::try_from(valid.as_secs()).unwrap_or(i64::MAX);
        let claims = Claims {
            sub: subject,
            aud: Audience::One(AUDIENCE.to_owned()),
            exp: (clock::now() / 1000).saturating_add(valid),
            nbf: None,
            role,
            groups,
            jti: Some(id.clone()),
        };
        // Both consist of strings and numbers, so serialization cannot fail.
        let claims = serde_json::to_vec(&claims).unwrap_or_default();
        let header = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
        let signed = format!("{header}.{}", BASE64_URL_SAFE_NO_PAD.encode(claims));
        let mac = self.0.clone().chain_update(&signed).finalize().into_bytes();
        Issued { token: format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(mac)), id }
    }

    /// Verifies a token. Returns its grant and its id; without `jti`, the id is the SHA-256 of the
    /// token. None: invalid or expired.
    pub(super) fn verify(&self, token: &str) -> Option<(Grant, String)> {
        if token.len() > LONGEST {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
        // Verified before anything is parsed; `verify_slice` takes constant time.
        self.0.clone().chain_update(signed).verify_slice(&signature).ok()?;
        let (header, claims) = signed.split_once('.')?;
        let header: Header = decode(header)?;
        let claims: Claims = decode(claims)?;
        let now = clock::now() / 1000;
        let known = header.alg == "HS256" && header.crit.is_none();
        let in_time = claims.exp.saturating_add(LEEWAY) > now
            && claims.nbf.is_none_or(|nbf| nbf.saturating_sub(LEEWAY) <= now);
        let named = (1..=LONGEST_SUBJECT).contains(&claims.sub.len());
        let good = known && in_time && claims.aud.is_us() && named;
        let id = claims.jti.unwrap_or_else(|| recipe::sha256_hex(token.as_bytes()));
        let grant = Grant { subject: claims.sub, role: claims.role, groups: claims.groups };
        good.then_some((grant, id))
    }
}

fn decode<T: for<'a> Deserialize<'a>>(part: &str) -> Option<T> {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> TokenKey {
        TokenKey::new(&"k".repeat(SHORTEST_KEY)).unwrap()
    }

    /// Returns a validly signed token with any header and claims.
    fn forge(header: &str, claims: &str) -> String {
        let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        let signed = format!("{}.{}", encode(header), encode(claims));
        let mac = key().0.chain_update(&signed).finalize().into_bytes();
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(mac))
    }

    #[test]
    fn a_token_that_was_issued_is_good() {
        let token = key().issue("ci", Role::Reader, Duration::from_hours(1));
        let grant =
            |subject: &str, role| Grant { subject: subject.to_owned(), role, groups: Vec::new() };
        assert_eq!(key().verify(&token).map(|it| it.0), Some(grant("ci", Role::Reader)));
        let limited = Grant { groups: vec!["berlin".to_owned()], ..grant("ci", Role::Operator) };
        let issued = key().issue_grant(limited.clone(), Duration::from_hours(1));
        assert_eq!(key().verify(&issued.token), Some((limited, issued.id)));
        let other = TokenKey::new(&"o".repeat(SHORTEST_KEY)).unwrap();
        assert_eq!(other.verify(&token), None);
    }

    #[test]
    fn tokens_that_are_not_good() {
        let header = r#"{"alg":"HS256"}"#;
        let far = i64::MAX;
        let good = format!(r#"{{"sub":"a","aud":["x","provisioner"],"exp":{far}}}"#);
        let token = forge(header, &good);
        let (grant, id) = key().verify(&token).unwrap();
        assert_eq!((grant.subject.as_str(), grant.role), ("a", Role::Operator));
        assert_eq!(id, recipe::sha256_hex(token.as_bytes()));
        for (header, claims) in [
            (r#"{"alg":"none"}"#, good.clone()),
            (r#"{"alg":"HS256","crit":["b64"]}"#, good.clone()),
            ("", good.clone()),
            (header, good.replace("provisioner", "other")),
            (header, good.replace(&far.to_string(), "1")),
            (header, good.replace("\"exp\"", "\"xxx\"")),
            (header, good.replace("\"a\",", "\"\",")),
            (header, good.replace("\"a\",", &format!("{:?},", "a".repeat(LONGEST_SUBJECT + 1)))),
            (header, good.replace('}', r#","nbf":99999999999}"#)),
            (header, good.replace('}', r#","role":"root"}"#)),
        ] {
            assert_eq!(key().verify(&forge(header, &claims)), None, "{header} {claims}");
        }
        let token = forge(header, &good);
        let (signed, _) = token.rsplit_once('.').unwrap();
        for bad in ["", ".", "..", signed, &format!("{signed}."), &"x".repeat(LONGEST + 1)] {
            assert_eq!(key().verify(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_short_key_is_refused() {
        assert!(TokenKey::new(&format!(" {} ", "k".repeat(SHORTEST_KEY - 1))).is_err());
    }
}
