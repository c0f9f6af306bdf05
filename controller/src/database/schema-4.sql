-- SPDX-License-Identifier: AGPL-3.0-or-later
-- Copyright (C) 2026 The Provisioner Authors

-- The last operation of a user on a server; times are milliseconds since 1970.
CREATE TABLE operations (
    serial TEXT PRIMARY KEY REFERENCES servers (serial) ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (octet_length(kind) <= 64),
    state TEXT NOT NULL CHECK (state IN ('running', 'succeeded', 'failed')),
    -- The result, or why it failed.
    message TEXT NOT NULL CHECK (octet_length(message) <= 16384),
    -- Of a firmware update: the name of its image, and the task monitor of the BMC.
    image TEXT CHECK (octet_length(image) <= 256),
    monitor TEXT CHECK (octet_length(monitor) <= 2048),
    created_by TEXT NOT NULL CHECK (octet_length(created_by) <= 256),
    created_at INTEGER NOT NULL,
    ended_at INTEGER,
    CHECK ((state = 'running') = (ended_at IS NULL))
) STRICT, WITHOUT ROWID;

-- The hardware of a server as its BMC listed it in the last inspection and in the one before, as JSON.
CREATE TABLE hardware (
    serial TEXT PRIMARY KEY REFERENCES servers (serial) ON DELETE CASCADE,
    at INTEGER NOT NULL,
    inventory TEXT NOT NULL CHECK (octet_length(inventory) <= 4194304),
    previous_at INTEGER,
    previous TEXT
) STRICT, WITHOUT ROWID;
