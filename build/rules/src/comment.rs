// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! How each kind of source file writes comments.

/// The start and the end of a comment of one line.
pub type Marks = (&'static str, &'static str);

/// The extension, or the whole name where there is none. What follows `Containerfile.` is a name.
pub fn kind(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    match name.split_once('.') {
        Some(("Containerfile", _)) => "Containerfile",
        _ => name.rsplit('.').next().unwrap_or(name),
    }
}

/// How a file of this kind writes a comment of one line.
pub fn marks(path: &str, text: &str) -> Option<Marks> {
    match kind(path) {
        "rs" | "js" | "cjs" | "mjs" | "ts" | "proto" => Some(("// ", "")),
        "css" | "c" | "h" => Some(("/* ", " */")),
        "md" | "html" | "xml" => Some(("<!-- ", " -->")),
        "sql" => Some(("-- ", "")),
        "toml" | "sh" | "bash" | "py" | "yml" | "yaml" | "cfg" | "conf" | "ini" | "env"
        | "service" | "socket" | "target" | "mount" | "timer" | "path" | "preset" | "container"
        | "rules" | "image" | "network" | "volume" | "Containerfile" | "Dockerfile"
        | "Makefile" | "gitignore" | "gitattributes" | "containerignore" | "dockerignore"
        | "editorconfig" | "hadolint" | "CODEOWNERS" => Some(("# ", "")),
        _ if text.starts_with("#!") => Some(("# ", "")),
        _ => None,
    }
}
