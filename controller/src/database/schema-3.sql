-- SPDX-License-Identifier: AGPL-3.0-or-later
-- Copyright (C) 2026 The Provisioner Authors

-- The network of the host as JSON (network.json of a task ISO); NULL: DHCP.
ALTER TABLE servers ADD COLUMN network TEXT CHECK (octet_length(network) <= 16384);
