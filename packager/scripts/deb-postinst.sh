#!/bin/sh
# SPDX-License-Identifier: AGPL-3.0-or-later
# Copyright (C) 2026 The Provisioner Authors
#
# `postinst` of a Debian package: enable once, start or restart.

set -e
case "$1" in
    configure | abort-upgrade | abort-deconfigure | abort-remove)
        if command -v deb-systemd-helper >/dev/null; then
            deb-systemd-helper unmask UNIT >/dev/null || true
            if deb-systemd-helper --quiet was-enabled UNIT; then
                deb-systemd-helper enable UNIT >/dev/null || true
            else
                deb-systemd-helper update-state UNIT >/dev/null || true
            fi
        fi
        if [ -d /run/systemd/system ]; then
            systemctl --system daemon-reload >/dev/null || true
            action=start
            if [ -n "$2" ]; then
                action=restart
            fi
            deb-systemd-invoke "$action" UNIT >/dev/null || true
        fi
        ;;
esac
