// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The version, commit and date of a binary, read from its ELF file at run time.
//!
//! The section [`SECTION`] of the executable is an ELF note of fixed size (The UAPI Group, "ELF
//! Package Metadata") with JSON text. `cargo xtask build` writes the identity into it after
//! linking, so that a new commit recompiles nothing, and two versions of the same code differ only
//! in that section. A plain `cargo build` has a development identity: version `X.Y.Z-dev`, no
//! commit.

#[cfg(feature = "stamp")]
pub mod stamp;

use std::sync::LazyLock;

/// Section of the note.
pub const SECTION: &str = ".note.package";
/// Owner of the note, NUL-terminated.
pub const OWNER: [u8; 4] = *b"FDO\0";
/// Type of the note.
pub const NOTE_TYPE: u32 = 0xcafe_1a7e;
/// Size of the note's text in bytes: JSON, padded with at least one NUL.
pub const TEXT_SIZE: usize = 496;

/// An ELF note (System V ABI, "Note Section"), as it is in the executable.
#[repr(C, align(4))]
struct Note {
    owner_size: u32,
    text_size: u32,
    kind: u32,
    owner: [u8; OWNER.len()],
    text: [u8; TEXT_SIZE],
}

/// Text of an unstamped binary.
const DEVELOPMENT: &str = concat!(r#"{"version":""#, env!("CARGO_PKG_VERSION"), r#"-dev"}"#);

#[used]
#[allow(
    unsafe_code,
    reason = "only the section of the static is set; no other symbol has that name"
)]
#[unsafe(link_section = ".note.package")]
static NOTE: Note =
    Note { owner_size: 4, text_size: 496, kind: NOTE_TYPE, owner: OWNER, text: pad(DEVELOPMENT) };

/// Identity of a binary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Semantic version without a leading `v`, such as `1.4.0` or `0.1.0-snapshot.0f3c9a2b71de`.
    pub version: String,
    /// Full Git commit id; `None` in a development build.
    pub commit: Option<String>,
    /// Build date in RFC 3339; `None` in a development build.
    pub date: Option<String>,
}

impl Identity {
    /// Parses the text of a note. `None` if it has no version.
    ///
    /// Escapes in strings are not supported: such a text has no identity.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let json = std::str::from_utf8(text.split(|byte| *byte == 0).next()?).ok()?;
        Some(Self {
            version: field(json, "version")?.to_owned(),
            commit: field(json, "commit").map(str::to_owned),
            date: field(json, "date").map(str::to_owned),
        })
    }

    /// The version for `--version`: `VERSION (commit COMMIT, DATE)`.
    pub fn long_version(&self) -> String {
        let commit = self.commit.as_deref().unwrap_or(UNKNOWN);
        let date = self.date.as_ref().map_or_else(String::new, |date| format!(", {date}"));
        format!("{} (commit {commit}{date})", self.version)
    }
}

/// Placeholder for an unknown commit.
const UNKNOWN: &str = "unknown";

/// The version of this binary; see [`Identity::version`].
pub fn version() -> &'static str {
    &OWN.identity.version
}

/// The commit of this binary, or `unknown` in a development build.
pub fn commit() -> &'static str {
    OWN.identity.commit.as_deref().unwrap_or(UNKNOWN)
}

/// The version of this binary for `--version`; see [`Identity::long_version`].
pub fn long_version() -> &'static str {
    &OWN.long_version
}

/// The identity of this binary with its long version.
struct OwnIdentity {
    identity: Identity,
    long_version: String,
}

static OWN: LazyLock<OwnIdentity> = LazyLock::new(|| {
    let unknown = || Identity { version: UNKNOWN.to_owned(), commit: None, date: None };
    let identity = Identity::parse(&text()).unwrap_or_else(unknown);
    OwnIdentity { long_version: identity.long_version(), identity }
});

/// Reads the note's text from memory.
#[allow(unsafe_code, reason = "an ordinary read would give the bytes that the compiler saw")]
fn text() -> [u8; TEXT_SIZE] {
    // SAFETY: a reference to a static is valid, aligned and initialised, and nothing writes to it. The
    // read is volatile because the bytes are written after linking: the compiler must not assume them.
    unsafe { std::ptr::read_volatile(&raw const NOTE.text) }
}

/// Pads `text` with NULs.
const fn pad(text: &str) -> [u8; TEXT_SIZE] {
    let mut out = [0; TEXT_SIZE];
    let (start, _) = out.split_at_mut(text.len());
    start.copy_from_slice(text.as_bytes());
    out
}

/// Returns the string member `name` of the JSON object `json`; `None` if it has escapes.
fn field<'a>(json: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = json;
    // A member name is followed by a colon; an equal string value is not.
    while let Some((_, after)) = rest.split_once('"') {
        let (found, after) = after.split_once('"')?;
        if found.contains('\\') {
            return None;
        }
        rest = after;
        if let Some(value) = after.trim_start().strip_prefix(':')
            && found == name
        {
            let value = value.trim_start().strip_prefix('"')?;
            return value.split_once('"').map(|(value, _)| value).filter(|it| !it.contains('\\'));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_that_was_not_stamped_is_a_development_build() {
        let version = concat!(env!("CARGO_PKG_VERSION"), "-dev");
        assert_eq!(super::version(), version);
        assert_eq!(commit(), "unknown");
        assert_eq!(long_version(), format!("{version} (commit unknown)"));
    }

    #[test]
    fn the_sizes_of_the_note_are_those_of_its_parts() {
        assert_eq!(usize::try_from(NOTE.owner_size), Ok(OWNER.len()));
        assert_eq!(usize::try_from(NOTE.text_size), Ok(TEXT_SIZE));
        assert_eq!(size_of::<Note>(), 12 + OWNER.len() + TEXT_SIZE);
    }

    #[test]
    fn an_identity_is_read_whatever_else_the_text_holds() {
        let read = |text: &str| Identity::parse(text.as_bytes());
        let identity = read(
            "{\"commit\":\"0f3c\", \"date\" : \"D\",\"name\":\"version\",\"type\":\"p\",\
             \"version\":\"1.2.3\"}\0\0\"version\":\"9\"",
        );
        let expected = Identity {
            version: "1.2.3".to_owned(),
            commit: Some("0f3c".to_owned()),
            date: Some("D".to_owned()),
        };
        assert_eq!(identity, Some(expected.clone()));
        assert_eq!(expected.long_version(), "1.2.3 (commit 0f3c, D)");
        for text in ["", "{}", "{\"version\":3}", "{\"version\":\"1\\\"\"}", "{\"version", "\u{1}"]
        {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(Identity::parse(b"{\"version\":\"\xff\"}"), None);
    }
}
