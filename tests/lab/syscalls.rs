//! What a server asks the kernel for while nothing happens, seen by `strace`.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::clock::wait_for;
use crate::harness::network::Network;
use crate::harness::server::Server;

pub(crate) const TOOLS: [&str; 1] = ["strace"];

/// Three looks, one a second, on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);
/// `RTM_GETLINK` and `RTM_GETADDR` of linux/rtnetlink.h, as `strace` writes them where it does not know whose numbers they are.
const LINK: [&str; 2] = ["nlmsg_type=RTM_GETLINK", "nlmsg_type=0x12 "];
const ADDRESSES: [&str; 2] = ["nlmsg_type=RTM_GETADDR", "nlmsg_type=0x16 "];

/// The kernel answers for a link under the one lock of all its network settings, for which a server must not wait.
pub(crate) fn syscalls_a_link_is_not_asked_for_until_it_rings() {
    let network = Network::new(1);
    let server = Server::start_active(&network.hosts[0]);
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("sendto");
    let traced = || fs::read_to_string(&log).unwrap_or_default();
    let count = |names: [&str; 2]| traced().lines().filter(|line| names.iter().any(|name| line.contains(name))).count();

    let mut command = Command::new("strace");
    command.args([
        "-f",
        "-qq",
        "-e",
        "trace=sendto",
        "-p",
        &server.pids().main.as_raw_nonzero().to_string(),
        "-o",
    ]);
    let tracer = command.arg(&log).stdin(Stdio::null()).stderr(Stdio::null()).spawn();
    let _tracer = Tracer(tracer.expect("strace is installed"));
    wait_for(LIMIT, "the addresses are looked at three times", || count(ADDRESSES) >= 3);
    assert_eq!(count(LINK), 0, "{}", traced());

    network.switch.set_carrier(&server.host.port(), false);
    server.wait_for_state("withdrawn");
    assert!(count(LINK) > 0, "a link that rings is read: {}", traced());
}

/// Lets go of the traced process at the end, also when the test panics.
struct Tracer(Child);

impl Drop for Tracer {
    fn drop(&mut self) {
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        let _gone_already = pid.map(|pid| kill_process(pid, Signal::TERM));
        let _its_end_is_awaited = self.0.wait();
    }
}
