// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Provisions a host with a complete release: the controller starts a job, sushy-tools inserts the
//! live ISO into a libvirt VM, the dispatcher finds the task, tool images from the controller's
//! registry install the test Linux, and the host reports, boots from its disk and answers over its
//! network.
//!
//! The site has no DHCP and no router advertisements; HTTPS uses a private CA. The host has a static
//! address on a VLAN, and its clock is at 2015.
//!
//! `build/lab/data` is the site. Everything runs in namespaces of its own, unprivileged.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use assemble::test_artifacts;
use engine::{Argument, Description, Input, Need, Outcome, Plan, Run, Step, StepLog};
use foundation::command::Command;
use foundation::{file, tree};
use programs::notary;
use programs::registry::{self, Registry};
use publish::push;
use release::Architecture;
use serde_json::{Value, json};

use super::smoke_iso;
use super::smoke_test_artifacts::MARKER;

/// `cargo xtask smoke provision`.
pub struct SmokeProvision;

/// Files of the site; `LAB` is replaced by its folder and `NAME` by the product's name.
const FILES: &[(&str, &str)] = &[
    ("controller.toml", include_str!("../data/controller.toml")),
    ("emulator.conf", include_str!("../data/emulator.conf")),
    ("home/config/libvirt/qemu.conf", include_str!("../data/qemu.conf")),
    ("machine.xml", include_str!("../data/machine.xml")),
    ("network.json", include_str!("../data/network.json")),
    ("switch.py", include_str!("../data/switch.py")),
];
const SCRIPT: &str = "build/lab/data/run.sh";
/// Python bindings of libvirt for sushy-tools, prebuilt by Debian only.
const BINDINGS: &str = "/usr/lib/python3/dist-packages/libvirt.py";
/// Line of /etc/os-release that the installed system serves.
const ANSWER: &str = "ID=provisioner-test";
/// Message of the dispatcher about a clock that is not right.
const CLOCK: &str = "behind the time of the task, and is set to it";
/// Timeout in seconds, of the job and then of the installed system's boot. Emulation on a busy host
/// is slow.
const PATIENCE: &str = "1500";
/// One throw-away secret shared by all services of the site.
const SECRET: &str = "not-a-secret-of-anybody\n";
/// Message of the maintenance OS when the BMC shuts it down gracefully at the end.
const BUTTON: &str = "the power button was pressed";
const DISK: u64 = 4 << 30;

impl Step for SmokeProvision {
    fn describe(&self) -> Description {
        Description::step(
            "smoke-provision",
            "provision a virtual machine through a public Redfish emulator",
        )
        .arguments(&[Argument::Release])
    }

    fn needs(&self, _run: &Run) -> Vec<Need> {
        let tools = [
            BINDINGS,
            "curl",
            "ip",
            "libvirtd",
            "openssl",
            "qemu-system-x86_64",
            "sushy-emulator",
            "unshare",
            "virsh",
            "virt-qemu-run",
        ];
        let mut needs = notary::needs();
        needs.extend(tools.into_iter().map(Need::Tool));
        needs.push(Need::Space(2 << 30));
        needs
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        Ok(notary::plan(run)
            .command(provision(run))
            .reads(Input::Manifest)
            .reads(Input::Path(run.dist_in_plan()))
            .native(format!("find {MARKER:?} in the console output, and its answer")))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let artifacts = test_artifacts::folder(run);
        ensure!(
            artifacts.is_dir(),
            "{} does not exist: run `cargo xtask test-artifacts`",
            artifacts.display()
        );
        run.exec(log, &notary::build(run))?;
        let lab = lab(run);
        tree::remove(&lab)?;
        prepare(run, &lab)?;
        {
            let serve = registry::serve(run, &lab.join("site"));
            let registry = Registry::start(run, log, self.name(), &serve)?;
            run.exec(log, &push::publish(run, &registry.host))?;
        }
        run.exec(log, &provision(run))
            .with_context(|| format!("see the console and all logs in {}", lab.display()))?;
        let console = fs::read(lab.join("console.log")).context("cannot read the console")?;
        let console = String::from_utf8_lossy(&console);
        ensure!(console.contains(MARKER), "the VM did not boot the installed system");
        ensure!(
            !console.contains("no boot entry"),
            "the boot loader step had no access to EFI variables"
        );
        ensure!(console.contains(CLOCK), "the dispatcher did not set the clock");
        ensure!(console.contains(BUTTON), "the VM did not react to its power button");
        record(&lab)?;
        for large in ["disk.img", "pool", "site"] {
            tree::remove(&lab.join(large))?;
        }
        Ok(Outcome::Done("a VM answers from the Linux that a job installed".to_owned()))
    }
}

fn lab(run: &Run) -> PathBuf {
    run.workspace.scratch().join("smoke-provision")
}

/// Runs the site in a user namespace with its own network and mounts.
fn provision(run: &Run) -> Command {
    Command::new("unshare", lab(run))
        .args(["--user", "--map-user=1000", "--map-group=1000", "--keep-caps"])
        .args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"])
        .arg(run.workspace.root().join(SCRIPT))
        .arg(registry::home(run))
        .arg(notary::path(run))
        .arg(test_artifacts::folder(run))
        .env("MARKER", MARKER)
        .env("ANSWER", ANSWER)
        .env("PATIENCE", PATIENCE)
}

/// Adds the boot of the installed system to the events of the job. `docs --fix` draws the result,
/// `provisioning.json`, when it replaces that of `gates.docs.timeline`.
fn record(lab: &Path) -> Result<()> {
    let job = lab.join("job.json");
    let text = fs::read(&job).with_context(|| format!("cannot read {}", job.display()))?;
    let mut job: Value = serde_json::from_slice(&text).context("job.json is not JSON")?;
    let mut events = job.get_mut("events").map(Value::take).unwrap_or_default();
    let booted = fs::read_to_string(lab.join("booted")).context("cannot read booted")?;
    let message = "installed system runs";
    let boot = json!({ "at": booted.trim(), "kind": "host", "message": message });
    events.as_array_mut().context("job.json has no events")?.push(boot);
    write(&lab.join("provisioning.json"), &format!("{:#}\n", json!({ "events": events })))
}

/// Writes all files that the site reads.
fn prepare(run: &Run, lab: &Path) -> Result<()> {
    let iso = smoke_iso::iso(run, Architecture::Amd64)?;
    let iso = iso.context("the release has no ISO for amd64: run `cargo xtask iso` first")?;
    for folder in
        ["home/run", "home/config/libvirt", "pool", "python", "site/media/static", "state"]
    {
        let folder = lab.join(folder);
        file::create_folder(&folder)?;
    }
    let maintenance = lab.join("site/media/static/maintenance.iso");
    fs::copy(&iso, &maintenance).with_context(|| format!("cannot copy {}", iso.display()))?;
    let here = lab.to_str().context("the path of the workspace is not UTF-8")?;
    for (name, text) in FILES {
        let text = text.replace("LAB", here).replace("NAME", &run.workspace.product().product.name);
        write(&lab.join(name), &text)?;
    }
    let disk = lab.join("disk.img");
    let made = File::create(&disk).and_then(|file| file.set_len(DISK));
    made.with_context(|| format!("cannot create {}", disk.display()))?;
    write(&lab.join("secret"), SECRET)?;
    write(&lab.join("recipe.json"), &recipe(run).to_string())?;
    bindings(&lab.join("python"))
}

/// A recipe that installs the test Linux from the controller's registry, with a config drive.
fn recipe(run: &Run) -> Value {
    let tag = release::layout::tag(run.version().text());
    json!({
        "task_target": "install-linux.target",
        "target_disk": "/dev/vda",
        "oci_url": format!("192.0.2.1:8443/site/ci/linux:{tag}"),
        "partition_layout": [
            { "size": "256M", "type_guid": "ef00", "format": "vfat" },
            { "size": "16M", "type_guid": "8300", "format": "vfat", "label": "CIDATA" },
            { "size": "100%", "type_guid": "8300", "format": "ext4" },
        ],
        "user_data": "#cloud-config\nhostname: machine-1\n",
    })
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Links libvirt's Python modules, and no others of Debian's.
fn bindings(to: &Path) -> Result<()> {
    let folder = Path::new(BINDINGS).parent().unwrap_or(Path::new("/"));
    for path in file::list(folder)? {
        let name = path.file_name().unwrap_or_default();
        if name.to_string_lossy().starts_with("libvirt") {
            let link = to.join(name);
            std::os::unix::fs::symlink(&path, &link)
                .with_context(|| format!("cannot create {}", link.display()))?;
        }
    }
    Ok(())
}
