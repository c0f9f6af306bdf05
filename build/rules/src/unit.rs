// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! systemd units as text: detection, preparation for a check on a host without the product, and
//! parsing of systemd's messages.

use foundation::finding::Finding;
use foundation::source::{File, has_extension};

/// Unit types (systemd.unit(5)).
const KINDS: &[&str] =
    &["automount", "mount", "path", "service", "slice", "socket", "swap", "target", "timer"];

/// Quadlet file types (podman-systemd.unit(5)).
const QUADLET_KINDS: &[&str] = &["build", "container", "image", "kube", "network", "pod", "volume"];

/// Settings whose value is a command (systemd.service(5), systemd.socket(5)).
const COMMANDS: &[&str] = &[
    "ExecCondition",
    "ExecReload",
    "ExecStart",
    "ExecStartPost",
    "ExecStartPre",
    "ExecStop",
    "ExecStopPost",
    "ExecStopPre",
];

/// Prefixes of a command (systemd.service(5), table 1).
const PREFIXES: &[char] = &['@', '-', ':', '+', '!', '|'];

/// A program that exists on every host with systemd.
const STAND_IN: &str = "/bin/true";

/// Instance name for checking a template, unlikely to occur elsewhere.
const INSTANCE: &str = "instance-for-lint";

/// The name under which the unit `name` is checked: for a template (`a@.service`), an instance.
pub fn checked_name(name: &str) -> String {
    name.replacen("@.", &format!("@{INSTANCE}."), 1)
}

/// Whether the message is about a missing unit of the placeholder instance, such as from
/// `Requires=%i.target`.
pub fn is_of_instance(message: &str) -> bool {
    message.strip_suffix(" not found.").and_then(|it| it.rsplit_once("Unit ")).is_some_and(
        |(_, missing)| {
            missing.contains(INSTANCE) || missing.contains(&INSTANCE.replace('-', "\\x2d"))
        },
    )
}

/// Whether systemd itself reads the file.
pub fn is_unit(path: &str) -> bool {
    KINDS.iter().any(|it| has_extension(path, it))
}

/// Whether Quadlet generates units from the file. Excludes drop-ins (`NAME.container.d/x.conf`) and
/// networks of systemd-networkd (systemd.network(5)), which have the same extension.
pub fn is_quadlet(path: &str) -> bool {
    QUADLET_KINDS.iter().any(|it| has_extension(path, it)) && !path.contains("systemd/network/")
}

/// Whether the file is a Quadlet drop-in for a type (`container.d/x.conf`) or a name
/// (`NAME.container.d/x.conf`).
pub fn is_quadlet_drop_in(path: &str) -> bool {
    let Some((folder, _)) = path.strip_suffix(".conf").and_then(|it| it.rsplit_once('/')) else {
        return false;
    };
    let kind = folder.strip_suffix(".d").map(|it| it.rsplit(['/', '.']).next().unwrap_or(it));
    kind.is_some_and(|kind| QUADLET_KINDS.contains(&kind)) && !folder.contains("systemd/network/")
}

/// Replaces programs that are not `installed` by a stand-in: systemd rejects a unit whose program
/// is missing, and ours are only on target systems. Line numbers are kept.
pub fn with_stand_ins(unit: &str, installed: impl Fn(&str) -> bool) -> String {
    let line = |line: &str| {
        let command = line.split_once('=').filter(|(key, _)| COMMANDS.contains(&key.trim()));
        let Some((key, value)) = command else { return line.to_owned() };
        let program = value.trim_start().trim_start_matches(PREFIXES);
        let end = program.find(char::is_whitespace).unwrap_or(program.len());
        let (program, rest) = program.split_at(end);
        if !program.starts_with('/') || installed(program) {
            return line.to_owned();
        }
        format!("{key}={STAND_IN}{rest}")
    };
    unit.lines().map(|it| line(it) + "\n").collect()
}

/// Findings from the output of `systemd-analyze verify`. `source` maps a unit's file name to its
/// source path; messages about other units concern the host and are ignored.
///
/// The forms are `PATH:LINE: MESSAGE` and `UNIT: MESSAGE`.
pub fn findings(output: &str, source: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
    let finding = |line: &str| {
        let (place, rest) = line.split_once(':')?;
        let file = source(place.rsplit('/').next()?)?;
        let fix = "correct the unit; see systemd.directives(7)";
        let numbered = rest
            .split_once(':')
            .and_then(|(number, message)| Some((number.parse().ok()?, message.trim())));
        Some(match numbered {
            Some((number, message)) => Finding::at(file, number, "systemd", message, fix),
            None => Finding::in_file(file, "systemd", rest.trim(), fix),
        })
    };
    output.lines().filter_map(finding).filter(|it| !is_of_instance(&it.message)).collect()
}

/// Findings from the standard error of Quadlet's generator on the containers in `files`. All lines
/// count except those that list the files read; a line that names none of our files applies to all.
pub fn quadlet_findings(output: &str, files: &[File]) -> Vec<Finding> {
    let name = |file: &File| file.path.rsplit('/').next().unwrap_or_default().to_owned();
    let containers = || files.iter().filter(|file| is_quadlet(&file.path));
    // An image name in a variable is only known at run time.
    let variable = |line: &str| line.contains("not a fully qualified") && line.contains("${");
    let reads = |line: &str| line.contains("Loading source ");
    let lines = || output.lines().filter(|it| !it.trim().is_empty() && !reads(it) && !variable(it));
    let finding = |line: &str, file: &File| {
        let message = line.split_once("]: ").map_or(line, |(_, message)| message).trim();
        let key = message.split_once("key '").and_then(|(_, rest)| rest.split('\'').next());
        let is_key =
            |line: &str| line.split_once('=').is_some_and(|(name, _)| Some(name.trim()) == key);
        Finding {
            line: file.text.lines().position(is_key).map(|index| index + 1),
            ..Finding::in_file(
                &file.path,
                "quadlet",
                message,
                "correct the file; see podman-systemd.unit(5)",
            )
        }
    };
    let named: Vec<_> = lines()
        .filter_map(|line| Some(finding(line, containers().find(|it| line.contains(&name(it)))?)))
        .collect();
    if !named.is_empty() {
        return named;
    }
    lines().filter_map(|line| Some(finding(line, containers().next()?))).collect()
}

/// Parses the generator's `--dryrun` output: units, each after `---NAME---`.
pub fn parse_generated(output: &str) -> Vec<(String, String)> {
    let mut units: Vec<(String, String)> = Vec::new();
    for line in output.lines() {
        let name = line.strip_prefix("---").and_then(|rest| rest.strip_suffix("---"));
        match (name, units.last_mut()) {
            (Some(name), _) if is_unit(name) => units.push((name.to_owned(), String::new())),
            (_, Some((_, text))) => {
                text.push_str(line);
                text.push('\n');
            }
            (_, None) => {}
        }
    }
    units
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_networkd_is_not_for_quadlet() {
        assert!(is_quadlet("root/usr/share/containers/systemd/own.network"));
        assert!(!is_quadlet("root/usr/lib/systemd/network/80-own.network"));
    }

    #[test]
    fn drop_ins_of_quadlet_are_those_of_its_kinds() {
        for path in ["containers/systemd/container.d/step.conf", "u/a.container.d/x.conf"] {
            assert!(is_quadlet_drop_in(path) && !is_quadlet(path), "{path}");
        }
        for path in [
            "system/a.service.d/x.conf",
            "systemd/network/80-own.network.d/x.conf",
            "container.d/x.txt",
            "x.conf",
        ] {
            assert!(!is_quadlet_drop_in(path), "{path}");
        }
    }

    #[test]
    fn only_programs_that_are_missing_are_replaced() {
        let unit = "[Service]\n# ExecStart=/x\nExecStartPre=-/opt/a b /c\nExecStart=/bin/sh -c x\n\
                    ExecStop=\nExecReload=!kill 1\nWantedBy=/opt/a\n";
        let expected = "[Service]\n# ExecStart=/x\nExecStartPre=/bin/true b /c\n\
                        ExecStart=/bin/sh -c x\nExecStop=\nExecReload=!kill 1\nWantedBy=/opt/a\n";
        assert_eq!(with_stand_ins(unit, |program| program == "/bin/sh"), expected);
    }

    #[test]
    fn both_forms_of_a_fault_are_read_and_other_units_left() {
        let output = "/t/bad.service:4: Unknown key 'Aftre' in section [Unit], ignoring.\n\
                      bad.service: Command /x is not executable: No such file\n\
                      other.service: Failed\nnonsense\n";
        let findings =
            findings(output, |name| (name == "bad.service").then(|| "u/bad.service".into()));
        let found: Vec<_> = findings.iter().map(|it| (it.line, it.message.as_str())).collect();
        assert_eq!(
            found,
            [
                (Some(4), "Unknown key 'Aftre' in section [Unit], ignoring."),
                (None, "Command /x is not executable: No such file"),
            ]
        );
        assert_eq!(findings[0].file, "u/bad.service");
    }

    #[test]
    fn a_template_is_checked_as_an_instance_without_the_units_that_only_a_real_one_has() {
        assert_eq!(checked_name("a@.service"), "a@instance-for-lint.service");
        assert_eq!(checked_name("a.service"), "a.service");
        let name = checked_name("a@.service");
        let output = format!(
            "{name}: Failed to create {name}/start: Unit instance-for-lint.target not found.\n\
             /t/{name}:7: Unknown key 'Aftre' in section [Unit], ignoring.\n\
             {name}: Failed to create {name}/start: Unit other.service not found.\n"
        );
        let findings = findings(&output, |it| (it == name).then(|| "u/a@.service".into()));
        let lines: Vec<_> = findings.iter().map(|it| (it.line, it.file.as_str())).collect();
        assert_eq!(lines, [(Some(7), "u/a@.service"), (None, "u/a@.service")]);
    }

    #[test]
    fn what_quadlet_complains_of_has_its_place() {
        let file = |path: &str, text: &str| File { path: path.to_owned(), text: text.to_owned() };
        let files = [
            file("u/a.container", "[Container]\nImage=x\n"),
            file("u/b.container", "[Container]\nImage=x\nPul=never\n"),
        ];
        let read = "quadlet-generator[7]: Loading source unit file /t/a.container\n";
        let bad = "quadlet-generator[7]: converting \"b.container\": unsupported key 'Pul' in \
                   group 'Container' in /t/b.container\nquadlet-generator[7]: some errors\n";
        let later = "quadlet-generator[7]: Warning: a.container specifies the image \"${T}/a\" which \
                     not a fully qualified image name.\n";
        let drop_in = "quadlet-generator[7]: Loading source drop-in file /t/container.d/a.conf\n";
        assert_eq!(quadlet_findings(&format!("{read}{drop_in}{later}"), &files), []);
        assert_eq!(quadlet_findings(&later.replace("${T}", "t"), &files).len(), 1);
        let found = quadlet_findings(&format!("{read}{bad}"), &files);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].file.as_str(), found[0].line), ("u/b.container", Some(3)));
        assert!(found[0].message.starts_with("converting"), "{found:?}");
        let found = quadlet_findings("quadlet-generator[7]: some errors\n", &files);
        assert_eq!((found.len(), found[0].message.as_str()), (1, "some errors"));
    }

    #[test]
    fn what_quadlet_prints_is_taken_apart() {
        let output = "quadlet-generator[1]: Loading\n---a.service---\n[Unit]\nx=1\n\n---b.service---\n[Unit]\n";
        let units = parse_generated(output);
        assert_eq!(units[0], ("a.service".to_owned(), "[Unit]\nx=1\n\n".to_owned()));
        assert_eq!(units[1], ("b.service".to_owned(), "[Unit]\n".to_owned()));
    }
}
