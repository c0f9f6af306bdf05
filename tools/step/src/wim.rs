// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Applies a WIM from a registry to an NTFS volume.
//!
//! wimlib writes to the unmounted volume, which preserves security descriptors, attributes and
//! short names (wimapply(1), "NTFS volume extraction"). A pipable WIM is streamed from the
//! registry; any other is stored first.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};

use crate::arrange::MIB;
use crate::command;
use crate::image::{Image, Layer};
use crate::program::Program;
use crate::progress::Progress;

/// Magic number of a pipable WIM (wimlib's `include/wimlib/header.h`).
const PIPABLE: &[u8; 8] = b"WLPWM\0\0\0";
/// Magic number of any other WIM (the same header).
const PLAIN: &[u8; 8] = b"MSWIM\0\0\0";

/// Applies image number `index` of the WIM in `image` to the empty NTFS volume `device`. A WIM that
/// is not pipable is stored temporarily in `work`.
pub(crate) fn apply(image: &Image, index: u32, device: &Path, work: &Path) -> Result<()> {
    let [descriptor] = image.layers() else {
        bail!("the artifact has {} layers, expected one with the WIM", image.layers().len());
    };
    let mut progress = Progress::new("pull", image.size());
    let mut layer = image.layer(descriptor, &mut progress)?;
    let magic = layer.magic()?;
    if magic == *PIPABLE {
        return layer.raw(|stream| wimapply("-", index, device, stream));
    }
    ensure!(magic == *PLAIN, "the layer is not a WIM");
    let path = work.join("image.wim");
    store(layer, descriptor.size(), &path)?;
    let applied = wimapply(&path.display().to_string(), index, device, &mut io::empty());
    // A work folder in memory needs memory for the whole WIM.
    crate::files::remove_if_there(&path)?;
    applied
}

fn store(layer: Layer<'_>, size: u64, path: &Path) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let free = ::files::free_space(folder)
        .with_context(|| format!("cannot read the free space of {}", folder.display()))?;
    ensure!(
        free > size,
        "the WIM can't be piped, and {} has room for {} of its {} MiB: make it pipable \
         (wimlib-imagex export SOURCE all TARGET --pipable), or give --state a folder on a disk",
        folder.display(),
        free / MIB,
        size.div_ceil(MIB)
    );
    layer.raw(|stream| {
        let mut file = File::create(path)?;
        io::copy(stream, &mut file).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(())
    })
}

/// Runs wimlib with `stream` as its standard input.
fn wimapply(wim: &str, index: u32, device: &Path, stream: &mut dyn Read) -> Result<()> {
    let (index, device) = (index.to_string(), device.display().to_string());
    command::run_with_input(&Program::new("wimlib-imagex", ["apply", wim, &index, &device]), stream)
}
