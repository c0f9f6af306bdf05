// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Removes media tokens from foreign messages. BMCs include URLs in their messages, whole or in
//! parts, and every user who may see a job can read these.

/// Replaces redacted text.
const GONE: &str = "…";
/// Prefixes of media paths, plain and percent-encoded.
const PATHS: [&str; 2] = ["/media/", "%2fmedia%2f"];
/// Minimum length of a base64url run that may be a token (a token has 43 characters).
const NO_WORD: usize = 24;
/// Same, for letters only.
const NO_LONG_WORD: usize = 40;

/// Replaces all text that may be part of a media URL.
pub(crate) fn redact(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut redacted = String::with_capacity(text.len());
    let mut at = 0;
    loop {
        let rest = lower.get(at..).unwrap_or_default();
        let starts = PATHS.iter().filter_map(|path| Some(at + rest.find(path)? + path.len()));
        let Some(start) = starts.min() else { break };
        words(text.get(at..start).unwrap_or_default(), &mut redacted);
        redacted.push_str(GONE);
        let end = |c: char| c.is_whitespace() || "\"'<>()[]{},;|".contains(c);
        let rest = text.get(start..).unwrap_or_default();
        at = rest.find(end).map_or(text.len(), |length| start + length);
    }
    words(text.get(at..).unwrap_or_default(), &mut redacted);
    redacted
}

/// Appends `text`, with possible tokens replaced.
fn words(text: &str, redacted: &mut String) {
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let mut rest = text;
    while let Some(start) = rest.find(part) {
        let (before, after) = rest.split_at(start);
        let (run, after) = after.split_at(after.find(|c| !part(c)).unwrap_or(after.len()));
        redacted.push_str(before);
        redacted.push_str(if is_token(run) { GONE } else { run });
        rest = after;
    }
    redacted.push_str(rest);
}

/// Returns whether a run may be a token or a large part of one. Ids and hex digests are not.
fn is_token(run: &str) -> bool {
    let has = |kind: fn(&u8) -> bool| run.bytes().any(|byte| kind(&byte));
    let mixed = has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    let others = has(|byte| !byte.is_ascii_alphabetic());
    mixed && (run.len() >= NO_LONG_WORD || run.len() >= NO_WORD && others)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "Zm9v-YmFy_YmF6MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG0";

    #[test]
    fn every_form_of_a_token_is_redacted() {
        let url = format!("http://192.0.2.1:8080/media/tasks/1764400000/{TOKEN}/7d3c/task.iso");
        let encoded = url.replace('/', "%2F");
        let cut = url.get(..70).unwrap();
        for text in [
            format!("can't read {url}"),
            format!("can't read \"{url}\", and not \"{url}\" again"),
            format!("can't read {encoded}: no"),
            format!("can't read {}", url.replace("media", "MEDIA")),
            format!("can't read {cut}"),
            format!("name {TOKEN} not found"),
            format!("sig={TOKEN}&expires=1"),
            format!("ä{}", &TOKEN[..30]),
        ] {
            let redacted = redact(&text);
            assert!(redacted.contains(GONE), "{redacted}");
            for start in 0..TOKEN.len() - 8 {
                assert!(!redacted.contains(&TOKEN[start..start + 8]), "{text}: {redacted}");
            }
        }
        assert_eq!(redact(&format!("no {url}, sorry")), "no http://192.0.2.1:8080/media/…, sorry");
    }

    #[test]
    fn other_text_is_not_redacted() {
        for text in [
            "",
            "iLO.2.37.UnableToModifyDuringSystemPOST [BootSourceOverrideTarget]",
            "POST /redfish/v1/Managers/iDRAC.Embedded.1/VirtualMedia/CD: 400 Bad Request",
            "task JID_471269252011 of f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
            "sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "größer als 1 GiB",
        ] {
            assert_eq!(redact(text), text);
        }
    }
}
