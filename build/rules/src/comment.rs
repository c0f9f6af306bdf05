// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Comment syntax by kind of source file.

/// The start and the end of a comment of one line.
pub type CommentMarkers = (&'static str, &'static str);

/// The extension, or the whole name if there is none. `Containerfile.NAME` is of kind `Containerfile`.
pub fn kind(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    match name.split_once('.') {
        Some(("Containerfile", _)) => "Containerfile",
        _ => name.rsplit('.').next().unwrap_or(name),
    }
}

/// Comment syntax of a file of this kind.
pub fn marks(path: &str, text: &str) -> Option<CommentMarkers> {
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
