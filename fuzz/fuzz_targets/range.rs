// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Any text as the header `Range` of a request for a file.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: (u64, &[u8])| {
    let (size, header) = input;
    let size = size % (1 << 40);
    let Some(ranges) = controller::fuzzing::ranges(header, size) else { return };
    assert!(!ranges.is_empty());
    for range in &ranges {
        assert!(range.start < range.end && range.end <= size, "{range:?} of {size}");
    }
    assert!(ranges.iter().map(|range| range.end - range.start).sum::<u64>() <= size);
});
