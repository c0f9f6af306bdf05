# SPDX-License-Identifier: AGPL-3.0-or-later
# Copyright (C) 2026 The Provisioner Authors

"""Boots the host behind each BMC that is named once from a virtual CD, by sushy."""

import sys
import time

import sushy
from sushy import auth


def wait(what, resource, done):
    """Looks at the resource until it is as it should be."""
    for _ in range(500):
        resource.refresh(force=True)
        if done(resource):
            return
        time.sleep(0.02)
    raise SystemExit(f"{resource.path}: not {what}")


def drives(system):
    """The drives that take a CD by its URL."""
    try:
        owner = system.virtual_media
    except sushy.exceptions.MissingAttributeError:
        owner = system.managers[0].virtual_media
    return [
        drive
        for drive in owner.get_members()
        if sushy.VIRTUAL_MEDIA_CD in drive.media_types
        and not drive.identity.startswith(("RDOC", "Remote"))
    ]


def install(url):
    """What a job does."""
    login = auth.SessionOrBasicAuth("admin", "password")
    root = sushy.Sushy(url, auth=login, verify=False)
    system = root.get_system()
    assert system.power_state == sushy.PowerState.ON, system.power_state
    drive = drives(system)[0]
    drive.insert_media("http://media.test/maintenance.iso")
    wait("inserted", drive, lambda it: it.inserted)
    system.set_system_boot_options(sushy.BootSource.CD, enabled=sushy.BootSourceOverrideEnabled.ONCE)
    system.refresh(force=True)
    assert system.boot.enabled == sushy.BootSourceOverrideEnabled.ONCE, system.boot.enabled
    allowed = system.get_allowed_reset_system_values()
    graceful, forced = sushy.ResetType.GRACEFUL_RESTART, sushy.ResetType.FORCE_RESTART
    system.reset_system(graceful if graceful in allowed else forced)
    off = sushy.BootSourceOverrideEnabled.DISABLED
    wait("booted", system, lambda it: it.boot.enabled == off)
    drive.eject_media()
    wait("ejected", drive, lambda it: not it.inserted)
    login.close()


for address in sys.argv[1:]:
    install(address)
