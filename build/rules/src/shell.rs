// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Detects shell scripts.

use foundation::source::{self, File};

/// Shells that shellcheck and shfmt support.
const SHELLS: &[&str] = &["bash", "dash", "ksh", "sh"];

/// Whether `file` is a shell script, by its extension or else its first line.
pub fn is_script(file: &File) -> bool {
    if ["sh", "bash"].iter().any(|it| source::has_extension(&file.path, it)) {
        return true;
    }
    let Some(line) = file.text.strip_prefix("#!").and_then(|rest| rest.lines().next()) else {
        return false;
    };
    let mut words = line.split_whitespace().map(|word| word.rsplit('/').next().unwrap_or(word));
    match words.next() {
        // `env -S` and variables may precede the program.
        Some("env") => words
            .find(|word| !word.starts_with('-') && !word.contains('='))
            .is_some_and(|word| SHELLS.contains(&word)),
        program => program.is_some_and(|word| SHELLS.contains(&word)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_known_by_extension_or_first_line() {
        for (path, text, expected) in [
            ("a.sh", "", true),
            ("run", "#!/usr/bin/env bash\nset -e\n", true),
            ("run", "#! /bin/sh -e\n", true),
            ("run", "#!/usr/bin/env -S LANG=C dash\n", true),
            ("run", "#!/usr/bin/python3\n", false),
            ("run", "#!/usr/bin/env python3\n# bash\n", false),
            ("run", "sh\n", false),
            ("run", "", false),
        ] {
            let file = File { path: path.to_owned(), text: text.to_owned() };
            assert_eq!(is_script(&file), expected, "{path} {text:?}");
        }
    }
}
