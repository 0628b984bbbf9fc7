//! The configurations: each server's defaults, but for one worker, minimal responses, no rate limit, no privileges dropped,
//! loopback only, and all files in its own folder.

use std::path::Path;

use crate::zones::Zone;

pub(crate) fn heraldns(zone: &Zone, folder: &Path, port: u16) -> String {
    format!(
        "identity = \"bench\"
[dns]
listen = [\"127.0.0.1:{port}\"]
workers = 1
rate-limit = 0
[control]
socket = \"{0}/control.sock\"
[state]
directory = \"{0}/state\"
[web]
listen = \"\"
[[zone]]
name = \"{1}\"
file = \"{2}\"
",
        folder.display(),
        zone.apex,
        zone.file.display()
    )
}

pub(crate) fn nsd(zone: &Zone, folder: &Path, port: u16) -> String {
    format!(
        "server:
  ip-address: 127.0.0.1@{port}
  server-count: 1
  username: \"\"
  chroot: \"\"
  database: \"\"
  zonesdir: \"{0}\"
  pidfile: \"{0}/pid\"
  xfrdfile: \"{0}/xfrd\"
  zonelistfile: \"{0}/zones\"
  xfrdir: \"{0}\"
  minimal-responses: yes
  rrl-ratelimit: 0
  rrl-whitelist-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: \"{1}\"
  zonefile: \"{2}\"
",
        folder.display(),
        zone.apex,
        zone.file.display()
    )
}

pub(crate) fn knot(zone: &Zone, folder: &Path, port: u16) -> String {
    format!(
        "server:
    listen: 127.0.0.1@{port}
    rundir: \"{0}\"
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: warning
database:
    storage: \"{0}\"
zone:
  - domain: \"{1}\"
    file: \"{2}\"
",
        folder.display(),
        zone.apex,
        zone.file.display()
    )
}

pub(crate) fn bind(zone: &Zone, folder: &Path, port: u16) -> String {
    format!(
        "options {{
    directory \"{0}\";
    pid-file \"{0}/pid\";
    session-keyfile none;
    managed-keys-directory \"{0}\";
    listen-on port {port} {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    recursion no;
    minimal-responses yes;
    notify no;
}};
controls {{ }};
zone \"{1}\" {{ type primary; file \"{2}\"; }};
",
        folder.display(),
        zone.apex,
        zone.file.display()
    )
}

pub(crate) fn powerdns(folder: &Path, port: u16) -> String {
    format!(
        "launch=bind
bind-config={0}/zones.conf
bind-dnssec-db={0}/dnssec.db
local-address=127.0.0.1
local-port={port}
receiver-threads=1
distributor-threads=1
socket-dir={0}
security-poll-suffix=
",
        folder.display()
    )
}

pub(crate) fn powerdns_zones(zone: &Zone, folder: &Path) -> String {
    format!(
        "options {{ directory \"{}\"; }};\nzone \"{}\" {{ type master; file \"{}\"; }};\n",
        folder.display(),
        zone.apex,
        zone.file.display()
    )
}
