// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Builds the release binaries: static, stripped, hardened, with embedded identity and crate list,
//! and without traces of the build host. Debug information goes to a separate file.

mod library;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use cargo_metadata::Metadata;
use clap::Args;
use engine::workspace::Binary;
use engine::{Argument, Description, Input, Need, Outcome, Plan, Run, Step, StepLog};
use foundation::command::Command;
use foundation::{atomic, checksum, tree};
use inspect::elf;
use release::{Architecture, Engine, Material};
use rust::auditable::List;
use rust::build::{self, Folders};
use rust::graph::{self, Edges, Graph};
use rust::identity::{self, Identity};
use rust::toolchain::{Libc, Standard, Target, Toolchain};

/// `cargo xtask build`, or a part of it in a pipeline.
pub struct Build {
    part: Part,
}

impl Build {
    /// All binaries.
    pub const ALL: Self = Self { part: Part::All };
    /// The binaries that images contain.
    pub const IN_IMAGES: Self = Self { part: Part::InImages };
    /// The other binaries.
    pub const NOT_IN_IMAGES: Self = Self { part: Part::NotInImages };
}

/// A subset of the binaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// All of them.
    All,
    /// Those in images: images do not wait for the others.
    InImages,
    /// The others.
    NotInImages,
}

/// Cargo's target folder of release builds; separate from the one for development, whose flags
/// differ.
const FOLDER: &str = "target/xtask/build";
/// Folder of finished binaries: `ARCHITECTURE/NAME/`.
pub const FINISHED: &str = "target/xtask/binaries";

impl Step for Build {
    fn describe(&self) -> Description {
        let (name, about) = match self.part {
            Part::All => ("build", "build the release binaries and check their ELF headers"),
            Part::InImages => {
                ("build-for-images", "build the binaries for images and check their ELF headers")
            }
            Part::NotInImages => ("build", "build the other binaries and check their ELF headers"),
        };
        Description::step(name, about)
            .example("--target all")
            .arguments(&[Argument::Target])
            .with_cache()
    }

    fn needs(&self, run: &Run) -> Vec<Need> {
        // A release build of all binaries for one architecture takes about half of this.
        let mut needs = vec![Need::Tool("cargo"), Need::Tool("ld"), Need::Space(3 << 30)];
        if let Ok(toolchain) = Toolchain::detect(run.workspace.root()) {
            let targets = run.options.architectures.iter().map(|it| toolchain.target(*it));
            for target in targets.filter(|target| target.cross) {
                needs.push(Need::Tool(target.c_compiler()));
                needs.extend(target.emulator().map(Need::Wanted));
            }
        }
        needs
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let mut plan = Plan::new().reads(Input::Source(PathBuf::new())).reads(Input::Tool("cargo"));
        for output in self.outputs(run)? {
            if output.target.standard == Standard::Source {
                plan =
                    plan.native("unpack the source of Rust's standard library, if it is missing");
            }
            plan = plan.command(output.command(run)?);
            for edges in [Edges::Linked, Edges::Built] {
                plan = plan.command(cargo_tree(run, &output, edges));
            }
            for command in output.split(run) {
                plan = plan.command(command);
            }
            let path = output.path_in_plan();
            plan = plan
                .native(format!("stamp version, commit and date into {}", path.display()))
                .writes(path)
                .writes(output.debug_in_plan());
        }
        Ok(plan.native(
            "check each binary: static, position-independent, RELRO, identity, no path of this host",
        ))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let outputs = self.outputs(run)?;
        let lock = fs::read_to_string(run.workspace.root().join("Cargo.lock"))
            .context("cannot read Cargo.lock")?;
        let sources = graph::sources(&lock)?;
        for output in &outputs {
            output.make(run, log, &sources)?;
        }
        let materials = materials(run, log, &outputs)?;
        run.update_manifest(|manifest| {
            for material in materials {
                manifest.put_material(material);
            }
            for Output { target, toolchain, .. } in &outputs {
                let name = format!("cargo for {}", target.describe());
                let engine = Engine { name, version: toolchain.version.clone() };
                manifest.engines.insert(format!("binaries-{}", target.architecture.oci()), engine);
            }
            Ok(())
        })?;
        Ok(Outcome::Done(format!("{} static binaries", outputs.len())))
    }
}

impl Build {
    /// The executables of this part.
    fn outputs<'a>(&self, run: &'a Run) -> Result<Vec<Output<'a>>> {
        let images = &run.workspace.product().images;
        let mut outputs = outputs(run)?;
        outputs.retain(|output| {
            let in_image = images.iter().any(|image| image.binary == output.binary.name);
            match self.part {
                Part::All => true,
                Part::InImages => in_image,
                Part::NotInImages => !in_image,
            }
        });
        Ok(outputs)
    }
}

/// Arguments of pipelines that build binaries.
#[derive(Default, Args)]
pub struct BuildArguments {
    /// Build this binary only; may be repeated [default: all]
    #[arg(long, value_name = "NAME")]
    pub bin: Vec<String>,
}

/// An executable for one architecture.
#[derive(Debug)]
pub(crate) struct Output<'a> {
    /// Its declaration in `release.toml`.
    pub(crate) binary: &'a Binary,
    /// Target.
    pub(crate) target: Target,
    /// Compiler.
    pub(crate) toolchain: Toolchain,
}

/// All requested executables for all requested architectures.
pub(crate) fn outputs(run: &Run) -> Result<Vec<Output<'_>>> {
    let toolchain = Toolchain::detect(run.workspace.root())?;
    let product = run.workspace.product();
    let chosen = run.options.step_arguments::<BuildArguments>().bin;
    let binaries: Vec<&Binary> = if chosen.is_empty() {
        product.binaries.iter().collect()
    } else {
        chosen.iter().map(|name| product.binary(name)).collect::<Result<_>>()?
    };
    let mut outputs = Vec::new();
    for architecture in &run.options.architectures {
        let target = toolchain.target(*architecture);
        outputs.extend(binaries.iter().map(|binary| Output {
            binary,
            target,
            toolchain: toolchain.clone(),
        }));
    }
    Ok(outputs)
}

/// The executable `name` for `architecture`.
pub(crate) fn output<'a>(
    run: &'a Run,
    name: &str,
    architecture: Architecture,
) -> Result<Output<'a>> {
    let binary = run.workspace.product().binary(name)?;
    let toolchain = Toolchain::detect(run.workspace.root())?;
    Ok(Output { binary, target: toolchain.target(architecture), toolchain })
}

/// Unique name of a binary of a release: `NAME_vVERSION_linux_ARCHITECTURE`.
pub(crate) fn stem(run: &Run, output: &Output<'_>) -> String {
    let Output { binary, target, .. } = output;
    format!("{}_v{}_linux_{}", binary.name, run.version().text(), target.architecture.oci())
}

/// Packages of all executables of a release: cargo unifies their features.
fn packages(run: &Run) -> Vec<&str> {
    let binaries = &run.workspace.product().binaries;
    let packages: BTreeSet<_> = binaries.iter().map(|binary| binary.package.as_str()).collect();
    packages.into_iter().collect()
}

/// `cargo tree` for the executables of a release.
pub(crate) fn cargo_tree(run: &Run, output: &Output<'_>, edges: Edges) -> Command {
    let arguments = graph::arguments(&packages(run), output.target, edges);
    run.command("cargo").args(arguments)
}

/// Cargo metadata of the workspace.
pub(crate) fn metadata(run: &Run, log: &StepLog) -> Result<Metadata> {
    let metadata = run.command("cargo").args(["metadata", "--locked", "--format-version", "1"]);
    serde_json::from_slice(&run.ask(log, &metadata)?)
        .context("`cargo metadata` printed malformed metadata, expected format version 1")
}

impl Output<'_> {
    /// Path relative to the root.
    pub(crate) fn path_in_plan(&self) -> PathBuf {
        self.folder_in_plan().join(&self.binary.name)
    }

    /// Path of its debug information, relative to the root. The executable contains the file name,
    /// which therefore has no version.
    pub(crate) fn debug_in_plan(&self) -> PathBuf {
        self.folder_in_plan().join(format!("{}.debug", self.binary.name))
    }

    fn folder_in_plan(&self) -> PathBuf {
        Path::new(FINISHED).join(self.target.architecture.oci()).join(&self.binary.name)
    }

    fn folders(&self, run: &Run) -> Result<Folders> {
        let root = run.workspace.root();
        Folders::new(root, root.join(FOLDER), library::folder(run, &self.toolchain))
    }

    fn command(&self, run: &Run) -> Result<Command> {
        let (folders, packages) = (self.folders(run)?, packages(run));
        Ok(build::command(&folders, &self.toolchain, self.target, &packages, &self.binary.name))
    }

    /// The commands that split debug information from the executable.
    fn split(&self, run: &Run) -> [Command; 2] {
        let root = run.workspace.root();
        build::split(
            &self.toolchain,
            &build::output(&root.join(FOLDER), self.target, &self.binary.name),
            &self.crates(run),
            &root.join(self.path_in_plan()),
            &root.join(self.debug_in_plan()),
        )
    }

    /// The crates in it, as Cargo resolves them for this executable.
    pub(crate) fn crate_graph(&self, run: &Run, log: &StepLog, edges: Edges) -> Result<Graph> {
        let printed = run.ask(log, &cargo_tree(run, self, edges))?;
        let printed = std::str::from_utf8(&printed).context("`cargo tree` printed no UTF-8")?;
        graph::parse(printed, &self.binary.package)
    }

    /// The file with the crate list.
    fn crates(&self, run: &Run) -> PathBuf {
        run.workspace.root().join(self.folder_in_plan()).join("crates")
    }

    /// Builds and checks it.
    fn make(
        &self,
        run: &Run,
        log: &StepLog,
        sources: &BTreeMap<graph::Crate, String>,
    ) -> Result<()> {
        if self.target.standard == Standard::Source {
            library::ensure_source(run, log, &self.toolchain)?;
        }
        if self.target.wants_pie() {
            let script = build::pie_linker(self.target.c_compiler());
            atomic::write_executable(&self.folders(run)?.pie_linker, script.as_bytes())?;
        }
        run.exec(log, &self.command(run)?)?;
        tree::remove(&run.workspace.root().join(self.folder_in_plan()))?;
        let crates = |edges| self.crate_graph(run, log, edges);
        let list = List::new(&crates(Edges::Linked)?, &crates(Edges::Built)?, sources)?;
        atomic::write(&self.crates(run), &list.encode()?)?;
        for command in self.split(run) {
            run.exec(log, &command)?;
        }
        let path = run.workspace.root().join(self.path_in_plan());
        identity::stamp_file(&path, &self.identity(run)?)?;
        self.verify_binary(run)?;
        self.try_out(run, log)
    }

    /// A call of the executable with `arguments`, emulated for a foreign architecture.
    pub(crate) fn command_of(&self, run: &Run, arguments: &[&str]) -> Command {
        let path = run.workspace.root().join(self.path_in_plan());
        match self.target.emulator() {
            Some(emulator) => run.command(emulator).arg(path).args(arguments),
            None => run.command(&path.to_string_lossy()).args(arguments),
        }
    }

    /// The embedded identity.
    fn identity(&self, run: &Run) -> Result<String> {
        identity(run).text(&self.binary.name, self.target.architecture)
    }

    /// Runs it with `--version`, which shows that it starts.
    fn try_out(&self, run: &Run, log: &StepLog) -> Result<()> {
        if let Some(emulator) = self.target.emulator()
            && run.tools.find(emulator).is_none()
        {
            log.note(&format!("{} was not started: {emulator} is not installed", self.binary.name));
            return Ok(());
        }
        let version = run.capture(log, &self.command_of(run, &["--version"]))?;
        let version = String::from_utf8_lossy(&version);
        let wanted = identity(run).long_version()?;
        if version.trim_end().ends_with(&wanted) {
            return Ok(());
        }
        bail!("{} printed version {:?}, expected {wanted}", self.binary.name, version.trim_end())
    }

    /// The path of the finished binary, after checking the properties of a release binary.
    ///
    /// # Errors
    /// When it is missing, has another version, or fails the check.
    pub(crate) fn verify_binary(&self, run: &Run) -> Result<PathBuf> {
        let path = run.workspace.root().join(self.path_in_plan());
        if !path.exists() {
            bail!(
                "{} is not built: run `cargo xtask build --target {}`",
                self.path_in_plan().display(),
                self.target.architecture.rust()
            );
        }
        let identity = self.identity(run)?;
        let folders = self.folders(run)?.private(&self.toolchain);
        let expected = elf::Expected {
            architecture: self.target.architecture,
            identity: &identity,
            package: &self.binary.package,
            folders: &folders,
        };
        let faults = elf::check_file(&path, &expected)?;
        if faults.is_empty() {
            return Ok(path);
        }
        let faults: Vec<_> = faults.iter().map(|fault| format!("  {fault}")).collect();
        bail!(
            "{} fails the checks of a release binary:\n{}\nfix: cargo xtask build --target {}",
            self.path_in_plan().display(),
            faults.join("\n"),
            self.target.architecture.rust()
        )
    }
}

fn identity(run: &Run) -> Identity<'_> {
    Identity {
        product: &run.workspace.product().product.name,
        version: run.version().text(),
        commit: run.workspace.commit(),
        epoch: run.workspace.epoch(),
    }
}

/// All inputs that decide the bytes of the binaries (SLSA provenance v1, `resolvedDependencies`).
fn materials(run: &Run, log: &StepLog, outputs: &[Output<'_>]) -> Result<Vec<Material>> {
    let root = run.workspace.root();
    let commit = run.workspace.commit();
    let (lock, _) = checksum::sha256(&root.join("Cargo.lock"))?;
    let source = &run.workspace.product().product.source;
    let mut materials = vec![
        material(format!("git+{source}@{commit}"), "gitCommit", commit),
        material("file:Cargo.lock".to_owned(), "sha256", &lock),
    ];
    for output in outputs {
        let Toolchain { version, commit, .. } = &output.toolchain;
        materials.push(material(format!("pkg:generic/rustc@{version}"), "gitCommit", commit));
        if output.target.standard == Standard::Source {
            materials.push(library::input(run, &output.toolchain)?);
        }
        if output.target.libc == Libc::Glibc {
            materials.push(glibc(run, log, output.target)?);
        }
    }
    materials.sort();
    materials.dedup();
    Ok(materials)
}

/// The C library of the host or of the cross compiler, which is linked into the binary.
fn glibc(run: &Run, log: &StepLog, target: Target) -> Result<Material> {
    let compiler = || run.command(target.c_compiler());
    let printed = run.capture(log, &compiler().arg("-print-file-name=libc.a"))?;
    let path = String::from_utf8(printed).context("the path of libc.a is not UTF-8")?;
    let (sha256, _) = checksum::sha256(Path::new(path.trim_end()))
        .with_context(|| format!("{} has no static C library", target.c_compiler()))?;
    // Macros of the header that all others include.
    let macros = compiler().args(["-dM", "-E", "-include", "features.h", "-x", "c", "/dev/null"]);
    let macros = run.attempt_machine(log, &macros)?.success()?;
    let macros = String::from_utf8_lossy(&macros);
    let number = |name: &str| {
        let mut values = macros.lines().filter_map(|line| {
            line.strip_prefix("#define ")?.strip_prefix(name)?.strip_prefix(' ')
        });
        values.next().with_context(|| format!("{} does not define {name}", target.c_compiler()))
    };
    let version = format!("{}.{}", number("__GLIBC__")?, number("__GLIBC_MINOR__")?);
    let architecture = target.architecture.oci();
    let uri = format!("pkg:generic/glibc@{version}?arch={architecture}");
    Ok(material(uri, "sha256", &sha256))
}

/// An input by URI with one digest.
pub(crate) fn material(uri: String, algorithm: &str, digest: &str) -> Material {
    Material { uri, digest: BTreeMap::from([(algorithm.to_owned(), digest.to_owned())]) }
}
