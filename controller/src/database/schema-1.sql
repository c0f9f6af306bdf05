-- SPDX-License-Identifier: AGPL-3.0-or-later
-- Copyright (C) 2026 The Provisioner Authors

-- Times are milliseconds since 1970, but for lease_until, which counts from the start of the machine.

CREATE TABLE servers (
    serial TEXT PRIMARY KEY,
    bmc_url TEXT NOT NULL,
    username TEXT NOT NULL,
    password TEXT NOT NULL,
    profile TEXT,
    tls TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE jobs (
    -- The order in which jobs were made.
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    serial TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'provisioning', 'succeeded', 'failed', 'complete')),
    outcome TEXT CHECK (outcome IN ('succeeded', 'failed')),
    step TEXT,
    failed_step TEXT,
    failure TEXT,
    recipe BLOB NOT NULL,
    recipe_sha256 TEXT NOT NULL,
    schema_id TEXT NOT NULL,
    task_target TEXT NOT NULL,
    retry_of TEXT,
    created_by TEXT NOT NULL,
    cancelled INTEGER NOT NULL DEFAULT 0 CHECK (cancelled IN (0, 1)),
    -- Whether something was asked of the BMC that clean-up has to undo.
    mounted INTEGER NOT NULL DEFAULT 0 CHECK (mounted IN (0, 1)),
    -- Each reset of the machine is written down before it is asked for, so that none is repeated.
    boot_reset TEXT NOT NULL DEFAULT 'none' CHECK (boot_reset IN ('none', 'begun', 'done')),
    cleanup_reset TEXT NOT NULL DEFAULT 'none' CHECK (cleanup_reset IN ('none', 'begun', 'done')),
    -- What the budget of the phase has lost while a controller worked on the job.
    phase TEXT NOT NULL DEFAULT 'boot' CHECK (phase IN ('boot', 'webhook', 'cleanup')),
    spent_ms INTEGER NOT NULL DEFAULT 0,
    lease_owner TEXT,
    lease_until INTEGER,
    iso_removed INTEGER NOT NULL DEFAULT 0 CHECK (iso_removed IN (0, 1)),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    completed_at INTEGER,
    CHECK ((state IN ('succeeded', 'failed', 'complete')) = (outcome IS NOT NULL)),
    CHECK ((state = 'complete') = (completed_at IS NOT NULL)),
    CHECK (outcome IS NOT 'failed' OR failed_step IS NOT NULL)
) STRICT;

-- The rule itself: at most one job of a server is under way.
CREATE UNIQUE INDEX jobs_active ON jobs (serial) WHERE state <> 'complete';
CREATE INDEX jobs_by_serial ON jobs (serial, number);
CREATE INDEX jobs_under_way ON jobs (number) WHERE state <> 'complete';
CREATE INDEX jobs_completed ON jobs (completed_at) WHERE state = 'complete';

CREATE TABLE events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    job INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    step TEXT,
    message TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_job ON events (job, number);

-- The reports of a machine that were taken, by the id that it gave them.
CREATE TABLE deliveries (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    job INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
    delivery_id TEXT NOT NULL,
    UNIQUE (job, delivery_id)
) STRICT;

-- Answers that are given again when a client repeats a request.
CREATE TABLE idempotency (
    user TEXT NOT NULL,
    key TEXT NOT NULL,
    request_sha256 TEXT NOT NULL,
    job INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (user, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_job ON idempotency (job);
