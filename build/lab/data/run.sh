#!/bin/sh
# SPDX-License-Identifier: AGPL-3.0-or-later
# Copyright (C) 2026 The Provisioner Authors
#
# Runs a site in one folder and in namespaces that end with this script: a libvirt VM, sushy-tools'
# emulator as its BMC, and the release's controller with a job for the VM. Exits with 0 when the installed
# system answers at its static address.
#
# The network has neither DHCP nor router advertisements, and the port of the host carries a VLAN. The
# clock of the VM starts in 2015, when no certificate of the site is valid yet.
#
#   run.sh CONTROLLER NOTARY TEST-ARTIFACTS
#
# The first is the folder of the program, the last that of the systems to install. MARKER is what the
# installed system prints on its console, ANSWER what it serves, PATIENCE the time limit in seconds.
set -eu

PATH=$1:$PATH:/usr/sbin:/sbin
notary=$2
artifacts=$3
# Documentation addresses (RFC 5737), as in network.json: the site's, and the host's over the VLAN.
site=192.0.2.1
host=192.0.2.10
vlan=42

# Nothing is downloaded from outside.
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY

ip link set lo up

# An isolated bridge with two ports: the host's, and the trunk of a switch that connects the VLAN with the
# site. The switch is a program, because not every kernel has VLANs. Debian's Python comes with that of
# libvirt.
ip link add bridge0 type bridge
for port in host0 trunk0 site0; do ip tuntap add dev "$port" mode tap; done
for port in host0 trunk0; do ip link set "$port" master bridge0 up; done
ip link set bridge0 up
ip address add "$site/24" dev site0
ip link set site0 up
/usr/bin/python3 switch.py trunk0 site0 "$vlan" >switch.log 2>&1 &

# Folders of unprivileged libvirt.
HOME=$PWD/home
XDG_RUNTIME_DIR=$HOME/run
XDG_CONFIG_HOME=$HOME/config
XDG_CACHE_HOME=$HOME/cache
XDG_DATA_HOME=$HOME/data
LIBVIRT_DEFAULT_URI=qemu:///session
export HOME XDG_RUNTIME_DIR XDG_CONFIG_HOME XDG_CACHE_HOME XDG_DATA_HOME LIBVIRT_DEFAULT_URI

# within SECONDS COMMAND...: runs COMMAND until it succeeds, and starts it for SECONDS at most.
within() {
    end=$(($(date +%s) + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$(date +%s)" -lt "$end" ] || return 1
        sleep 0.2
    done
}

# until_it WHAT COMMAND...: waits for COMMAND to succeed, for a minute at most.
until_it() {
    what=$1
    shift
    within 60 "$@" || {
        echo "$what did not come up within a minute" >&2
        exit 1
    }
}

# fetch URL...: one request of 5 seconds at most.
fetch() { curl --silent --fail --max-time 5 "$@"; }

# No DHCP server (ports 67 and 547, RFC 2131 and RFC 8415) and nothing that could send router
# advertisements (a raw ICMPv6 socket).
is_without_servers() {
    if grep -E -s '^ *[0-9]+: [0-9A-F]+:(0043|0223) ' /proc/net/udp /proc/net/udp6; then return 1; fi
    [ ! -e /proc/net/raw6 ] || [ "$(wc -l </proc/net/raw6)" -eq 1 ]
}

libvirtd >libvirtd.log 2>&1 &
until_it libvirtd test -S "$XDG_RUNTIME_DIR/libvirt/libvirt-sock"
virsh --quiet pool-create-as default dir --target "$PWD/pool"
virsh --quiet define machine.xml

# The emulator unpacks downloads in TMPDIR.
PYTHONPATH=$PWD/python TMPDIR=$PWD/pool sushy-emulator --config emulator.conf >emulator.log 2>&1 &
until_it "sushy-tools' emulator" fetch "http://$site:8000/redfish/v1/Systems"

# The certificate of the controller, signed by the site's own CA.
new_key() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc "$@"; }
new_key -x509 -days 2 -subj '/CN=The site' -keyout ca-key.pem -out ca.pem
new_key -subj '/CN=The controller' -keyout tls-key.pem -out tls.csr
echo "subjectAltName = IP:$site" >tls.ext
openssl x509 -req -in tls.csr -days 2 -extfile tls.ext -CA ca.pem -CAkey ca-key.pem -out tls.pem

printf 'smoke:%s\n' "$(controller api hash-password <secret)" >users
controller serve --config controller.toml >controller.log 2>&1 &
until_it "the controller" fetch --cacert ca.pem "https://$site:8443/readyz"

SSL_CERT_FILE=$PWD/ca.pem "$notary" push-test-artifacts --from "$artifacts" --to "$site:8443/site"
CONTROLLER_URL=https://$site:8443
CONTROLLER_CA=$PWD/ca.pem
CONTROLLER_USER=smoke
CONTROLLER_PASSWORD=$(cat secret)
export CONTROLLER_URL CONTROLLER_CA CONTROLLER_USER CONTROLLER_PASSWORD
controller servers put MACHINE1 --bmc-url "http://$site:8000" --bmc-user smoke --bmc-password-file secret \
    --network network.json
job=$(controller jobs create MACHINE1 recipe.json)
timeout "$PATIENCE" controller jobs watch "$job"
controller jobs get "$job" --json >job.json

is_without_servers || {
    echo "the site has a DHCP server or a router" >&2
    exit 1
}

# The job is done; the VM boots the installed system.
answers() { grep --quiet "$MARKER" console.log && fetch "http://$host/" | grep --quiet "$ANSWER"; }
within "$PATIENCE" answers || {
    echo "the installed system does not answer at $host: see console.log and switch.log" >&2
    exit 1
}
date --utc +%Y-%m-%dT%H:%M:%S.%3NZ >booted
