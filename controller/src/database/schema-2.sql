-- SPDX-License-Identifier: AGPL-3.0-or-later
-- Copyright (C) 2026 The Provisioner Authors

-- The id of the key that encrypts `password`; NULL: it is plain text.
ALTER TABLE servers ADD COLUMN password_key TEXT;
-- A JSON object of texts.
ALTER TABLE servers ADD COLUMN labels TEXT NOT NULL DEFAULT '{}';
-- NULL: from before this was recorded.
ALTER TABLE servers ADD COLUMN created_by TEXT;
ALTER TABLE servers ADD COLUMN updated_by TEXT;
ALTER TABLE jobs ADD COLUMN cancelled_by TEXT;

-- No text grows without a limit, whatever the program checked before. Bytes, as the program counts them.
CREATE TRIGGER servers_limits_insert BEFORE INSERT ON servers
WHEN octet_length(NEW.serial) > 255 OR octet_length(NEW.bmc_url) > 2048
    OR octet_length(NEW.username) > 256 OR octet_length(NEW.password) > 1024
    OR octet_length(NEW.profile) > 64 OR octet_length(NEW.tls) > 131072
    OR octet_length(NEW.labels) > 8192 OR octet_length(NEW.created_by) > 256
BEGIN SELECT RAISE(ABORT, 'a value of the server is too long'); END;
CREATE TRIGGER servers_limits_update BEFORE UPDATE OF bmc_url, username, profile, tls, labels ON servers
WHEN octet_length(NEW.bmc_url) > 2048 OR octet_length(NEW.username) > 256
    OR octet_length(NEW.profile) > 64 OR octet_length(NEW.tls) > 131072
    OR octet_length(NEW.labels) > 8192 OR octet_length(NEW.updated_by) > 256
BEGIN SELECT RAISE(ABORT, 'a value of the server is too long'); END;
CREATE TRIGGER jobs_limits BEFORE INSERT ON jobs
WHEN octet_length(NEW.serial) > 255 OR octet_length(NEW.created_by) > 256
    OR octet_length(NEW.schema_id) > 1024 OR octet_length(NEW.task_target) > 255
BEGIN SELECT RAISE(ABORT, 'a value of the job is too long'); END;
CREATE TRIGGER events_limits BEFORE INSERT ON events
WHEN octet_length(NEW.message) > 65536 OR octet_length(NEW.kind) > 64
    OR octet_length(NEW.step) > 512
BEGIN SELECT RAISE(ABORT, 'a value of the event is too long'); END;

-- Who did what. Rows are added, and removed only from the oldest on.
CREATE TABLE audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    -- What was done, and what was refused, have limits of their own: a stranger can't push the former out.
    kind TEXT NOT NULL CHECK (kind IN ('change', 'refusal')),
    actor TEXT CHECK (octet_length(actor) <= 256),
    address TEXT CHECK (octet_length(address) <= 64),
    action TEXT NOT NULL CHECK (octet_length(action) <= 64),
    object TEXT CHECK (octet_length(object) <= 1024),
    detail TEXT CHECK (octet_length(detail) <= 1024)
) STRICT;
CREATE INDEX audit_by_kind ON audit (kind, number);
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_is_removed_from_the_oldest_on BEFORE DELETE ON audit
WHEN OLD.number > (SELECT min(number) FROM audit WHERE kind = OLD.kind)
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
