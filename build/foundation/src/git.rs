// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Git queries about changes and history.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use anyhow::{Context as _, Result};
use xshell::{Shell, cmd};

/// Main branch, in order of preference.
const MAIN: &[&str] = &["origin/HEAD", "origin/main", "main"];

fn shell(root: &Path) -> Result<Shell> {
    let shell = Shell::new().context("cannot determine the current folder")?;
    shell.change_dir(root);
    Ok(shell)
}

/// Base of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// This commit.
    Commit(String),
    /// The clone lacks the history.
    Unknown {
        /// The reason.
        why: String,
        /// The command that fetches it.
        fix: String,
    },
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Commit(commit) => f.write_str(commit),
            Self::Unknown { why, .. } => f.write_str(why),
        }
    }
}

/// The clone lacks the history that a command needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the clone is shallow, so the last release is not known\nfix: {UNSHALLOW}")]
pub struct Shallow;

/// The command that fetches the history that a shallow clone lacks.
pub const UNSHALLOW: &str = "git fetch --unshallow --tags";

/// Whether the clone in `root` is shallow.
pub fn is_shallow(root: &Path) -> Result<bool> {
    let git = shell(root)?;
    let answer = cmd!(git, "git rev-parse --is-shallow-repository").quiet().read();
    Ok(answer.context("cannot ask Git whether the clone is shallow")? == "true")
}

/// The base of a change: the merge base with its target branch (`GITHUB_BASE_REF` on GitHub), else
/// with the main branch, else the checked-out commit. Unknown in a shallow clone, and where the
/// clone lacks the branch.
///
/// # Errors
/// When Git is missing or the repository has no commit.
pub fn base(root: &Path) -> Result<Base> {
    let target = std::env::var("GITHUB_BASE_REF").ok().filter(|name| !name.is_empty());
    base_for(root, target.as_deref())
}

fn base_for(root: &Path, target: Option<&str>) -> Result<Base> {
    if is_shallow(root)? {
        // In a clone of depth 1, HEAD is the main branch: nothing would differ.
        let why = "the clone is shallow, so the base of the change is unknown".to_owned();
        return Ok(Base::Unknown { why, fix: UNSHALLOW.to_owned() });
    }
    let git = shell(root)?;
    let shared = |branch: &str| {
        cmd!(git, "git merge-base HEAD {branch}").quiet().ignore_stderr().read().ok()
    };
    if let Some(name) = target {
        return Ok(shared(&format!("origin/{name}")).map_or_else(
            || Base::Unknown {
                why: format!("the target branch origin/{name} is not in this clone"),
                fix: format!("git fetch origin {name}:refs/remotes/origin/{name}"),
            },
            Base::Commit,
        ));
    }
    if let Some(commit) = MAIN.iter().find_map(|branch| shared(branch)) {
        return Ok(Base::Commit(commit));
    }
    let head = cmd!(git, "git rev-parse HEAD").quiet().read().context("cannot read the commit")?;
    Ok(Base::Commit(head))
}

/// Files that differ from `commit`, including untracked and without removed ones.
///
/// # Errors
/// When Git is missing or does not know the commit.
pub fn list_changed(root: &Path, commit: &str) -> Result<BTreeSet<String>> {
    let git = shell(root)?;
    let differ = cmd!(git, "git diff --name-only --no-renames --diff-filter=d -z {commit} --")
        .quiet()
        .read()
        .with_context(|| format!("cannot determine the changes since {commit}"))?;
    let new = new_files(&git)?;
    let names = |text: &str| -> Vec<String> {
        text.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect()
    };
    Ok(names(&differ).into_iter().chain(names(&new)).collect())
}

/// Lines (from 1) of each file that are not in `commit`.
pub fn added_lines(root: &Path, commit: &str) -> Result<BTreeMap<String, BTreeSet<usize>>> {
    let git = shell(root)?;
    let diff = cmd!(
        git,
        "git -c core.quotePath=false diff --unified=0 --no-color --no-ext-diff --no-renames
         --src-prefix=a/ --dst-prefix=b/ {commit} --"
    )
    .quiet()
    .read()
    .with_context(|| format!("cannot determine the changes since {commit}"))?;
    let mut lines = parse_added(&diff);
    for path in new_files(&git)?.split('\0').filter(|path| !path.is_empty()) {
        if let Ok(text) = std::fs::read_to_string(root.join(path)) {
            lines.insert(path.to_owned(), (1..=text.lines().count()).collect());
        }
    }
    Ok(lines)
}

fn new_files(git: &Shell) -> Result<String> {
    cmd!(git, "git ls-files -z --others --exclude-standard")
        .quiet()
        .read()
        .context("cannot list the new files")
}

/// Content of `path` in `commit`; `None` where the commit does not have it.
pub fn show(root: &Path, commit: &str, path: &str) -> Result<Option<String>> {
    let git = shell(root)?;
    let object = format!("{commit}:{path}");
    Ok(cmd!(git, "git show {object}").quiet().ignore_stderr().read().ok())
}

/// Paths of the files of `commit` directly in `folder`.
///
/// # Errors
/// When Git does not know the commit.
pub fn list(root: &Path, commit: &str, folder: &str) -> Result<Vec<String>> {
    let git = shell(root)?;
    let folder = format!("{}/", folder.trim_end_matches('/'));
    let listed = cmd!(git, "git ls-tree --name-only -z {commit} {folder}").quiet().read();
    let listed = listed.with_context(|| format!("cannot list the files of {commit}"))?;
    Ok(listed.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect())
}

/// Tag of the highest stable release that `commit` contains; `None` also where the clone does not
/// have the commit. The nearest tag may be that of a merged older line.
///
/// # Errors
/// When Git cannot be run.
pub fn last_release(root: &Path, commit: &str) -> Result<Option<String>> {
    let git = shell(root)?;
    let tags = cmd!(git, "git tag --list v[0-9]* --merged {commit}");
    let tags = tags.quiet().ignore_stderr().read().unwrap_or_default();
    Ok(changes::newest_stable(tags.lines()).map(str::to_owned))
}

/// The tags that match `pattern`.
///
/// # Errors
/// When Git cannot be run.
pub fn tags(root: &Path, pattern: &str) -> Result<Vec<String>> {
    let git = shell(root)?;
    let tags = cmd!(git, "git tag --list {pattern}").quiet().read().context("cannot list tags")?;
    Ok(tags.lines().map(str::to_owned).collect())
}

/// The full id of the commit that `name` refers to; `None` where there is none.
///
/// # Errors
/// When Git cannot be run.
pub fn commit_of(root: &Path, name: &str) -> Result<Option<String>> {
    let git = shell(root)?;
    let name = format!("{name}^{{commit}}");
    let found = cmd!(git, "git rev-parse --verify --quiet {name}");
    Ok(found.quiet().ignore_stderr().read().ok())
}

/// Commits the files at `paths` as the user that Git is configured for.
///
/// # Errors
/// When Git or a hook refuses.
pub fn commit(root: &Path, message: &str, paths: &[String]) -> Result<()> {
    let git = shell(root)?;
    let command = cmd!(git, "git commit --quiet --message {message} -- {paths...}").quiet();
    command.run().context("cannot commit")
}

/// Restores the files at `paths` as they are in the commit.
///
/// # Errors
/// When Git refuses.
pub fn restore(root: &Path, paths: &[String]) -> Result<()> {
    let git = shell(root)?;
    let command = cmd!(git, "git checkout --quiet HEAD -- {paths...}").quiet();
    command.run().context("cannot restore the last commit's files")
}

/// Makes the annotated tag `name` of the current commit: signed with `sign`, or where Git's
/// `tag.gpgSign` is set.
///
/// # Errors
/// When Git refuses.
pub fn tag(root: &Path, name: &str, message: &str, sign: bool) -> Result<()> {
    let git = shell(root)?;
    let kind = if sign { "--sign" } else { "--annotate" };
    let command = cmd!(git, "git tag {kind} --message {message} {name}").quiet();
    command.run().with_context(|| format!("cannot make the tag {name}"))
}

/// Commits of `range`, newest first, parsed by [`changes::parse_log`]. A branch stays together, so
/// that the order of merged branches does not depend on the seconds in which their commits were
/// made.
///
/// # Errors
/// When Git is missing or does not know the range.
pub fn commits(root: &Path, range: &str) -> Result<Vec<changes::Commit>> {
    let git = shell(root)?;
    let format = format!("--format={}", changes::LOG_FORMAT);
    let log =
        cmd!(git, "git log -z --topo-order --no-show-signature {format} {range} --").quiet().read();
    let log = log.with_context(|| format!("cannot list the commits of {range}"))?;
    Ok(changes::parse_log(&log)?)
}

/// Added lines of a diff without context (GNU diffutils manual, "Detailed Unified").
fn parse_added(diff: &str) -> BTreeMap<String, BTreeSet<usize>> {
    let mut lines: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    let mut file = None;
    // Remaining lines of the hunk: they cannot be headers.
    let mut left = 0;
    for line in diff.lines() {
        if left > 0 && line.starts_with(['+', '-']) {
            left -= 1;
        } else if let Some(path) = line.strip_prefix("+++ ") {
            file = path.strip_prefix("b/").map(|path| path.trim_end_matches('\t').to_owned());
        } else if let Some((old, new)) = hunk(line) {
            left = old.1 + new.1;
            if let Some(file) = &file {
                lines.entry(file.clone()).or_default().extend(new.0..new.0 + new.1);
            }
        }
    }
    lines
}

/// Start and length on either side of `@@ -1,2 +3,4 @@`.
fn hunk(line: &str) -> Option<((usize, usize), (usize, usize))> {
    let mut words = line.strip_prefix("@@ ")?.split(' ');
    let mut range = |sign: char| {
        let range = words.next()?.strip_prefix(sign)?;
        let (start, length) = range.split_once(',').unwrap_or((range, "1"));
        Some((start.parse().ok()?, length.parse().ok()?))
    };
    Some((range('-')?, range('+')?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_added_lines_of_each_file_are_read() {
        let diff = "diff --git a/x.rs b/x.rs\n--- a/x.rs\n+++ b/x.rs\n@@ -0,0 +2,2 @@ fn a\n+one\n\
                    ++++ b/no.rs\n@@ -7 +9 @@\n-old\n+new\n@@ -11,2 +12,0 @@\n-a\n-b\n\
                    diff --git a/y b/y\ndeleted file\n--- a/y\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n";
        let lines = parse_added(diff);
        assert_eq!(lines, BTreeMap::from([("x.rs".to_owned(), BTreeSet::from([2, 3, 9]))]));
        assert!(parse_added("").is_empty());
    }

    #[test]
    fn changes_are_read_from_a_repository() {
        let folder = tempfile::tempdir().unwrap();
        let git = shell(folder.path()).unwrap();
        let run = |args: &[&str]| {
            let who = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
            cmd!(git, "git {who...} {args...}").quiet().ignore_stdout().run().unwrap();
        };
        run(&["init", "--quiet", "--initial-branch=main"]);
        for name in ["kept", "edited", "removed"] {
            std::fs::write(folder.path().join(name), "one\n").unwrap();
        }
        run(&["add", "."]);
        run(&["commit", "--quiet", "-m", "one"]);
        run(&["tag", "v1.0.0"]);
        let known = |base| match base {
            Base::Commit(commit) => commit,
            unknown @ Base::Unknown { .. } => panic!("{unknown}"),
        };
        let first = known(base_for(folder.path(), None).unwrap());
        run(&["checkout", "--quiet", "-b", "change"]);
        std::fs::write(folder.path().join("edited"), "one\ntwo\n").unwrap();
        std::fs::remove_file(folder.path().join("removed")).unwrap();
        run(&["commit", "--quiet", "--all", "-m", "two"]);
        std::fs::write(folder.path().join("new"), "a\nb\n").unwrap();

        assert_eq!(known(base_for(folder.path(), None).unwrap()), first);
        let absent = base_for(folder.path(), Some("absent")).unwrap();
        assert!(absent.to_string().contains("origin/absent"), "{absent}");
        let clone = tempfile::tempdir().unwrap();
        let (from, to) = (format!("file://{}", folder.path().display()), clone.path());
        cmd!(git, "git clone --quiet --depth 1 {from} {to}").quiet().ignore_stderr().run().unwrap();
        let shallow = base_for(to, None).unwrap();
        assert!(matches!(&shallow, Base::Unknown { fix, .. } if fix == UNSHALLOW), "{shallow}");
        assert!(is_shallow(to).unwrap() && !is_shallow(folder.path()).unwrap());
        let changed = list_changed(folder.path(), &first).unwrap();
        assert_eq!(changed, BTreeSet::from(["edited".to_owned(), "new".to_owned()]));
        let added = added_lines(folder.path(), &first).unwrap();
        let expected = [("edited", vec![2]), ("new", vec![1, 2])];
        let expected = expected.map(|(name, lines)| (name.to_owned(), BTreeSet::from_iter(lines)));
        assert_eq!(added, BTreeMap::from(expected));
        let shown = |path| show(folder.path(), &first, path).unwrap();
        assert_eq!((shown("removed").as_deref(), shown("new")), (Some("one"), None));
        let last = |commit| last_release(folder.path(), commit).unwrap();
        assert_eq!((last("HEAD").as_deref(), last("HEAD~9")), (Some("v1.0.0"), None));
    }
}
