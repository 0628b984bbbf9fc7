//! A zone of 20,000 names signed with ECDSA P-256 and NSEC3, no salt, no iterations, no opt-out (RFC 9276): half of them
//! delegations, a third of these secure, and half of them hosts.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use heraldns::base::random::Random;

use super::registry::Registry;
use super::{address, address_text, address_text_v6, write_head};

const DELEGATIONS: u64 = 10_000;
/// Every so manieth delegation has a DS record.
const SECURE: u64 = 3;
const HOSTERS: u64 = 200;
const HOSTS: u64 = 10_000;

pub(super) fn write(output: &mut impl io::Write) -> io::Result<()> {
    write_head(output, "signed.test")?;
    for number in 0..DELEGATIONS {
        let hoster = Random::seeded(number).below(HOSTERS);
        writeln!(
            output,
            "dom{number:05} NS ns1.hoster{hoster:03}.net.\ndom{number:05} NS ns2.hoster{hoster:03}.net."
        )?;
        if number % SECURE == 0 {
            writeln!(output, "dom{number:05} DS {} 13 2 {number:064x}", number & 0xffff)?;
        }
    }
    for number in 0..HOSTS {
        writeln!(output, "host{number:05} AAAA {}", address_text_v6(2, number))?;
        writeln!(output, "host{number:05} A {}", address_text(number))?;
    }
    Ok(())
}

/// Signs the zone file with a new key; says where the signed one is.
pub(super) fn sign(apex: &str, file: &Path) -> io::Result<PathBuf> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let key = run(
        Command::new("dnssec-keygen").args(["-q", "-a", "ECDSAP256SHA256", "-f", "KSK", apex]),
        folder,
    )?;
    let key = key.trim();
    let public = fs::read_to_string(folder.join(format!("{key}.key")))?;
    let record = public.lines().find(|line| !line.starts_with(';')).unwrap_or_default();
    let text = fs::read_to_string(file)?;
    fs::write(file, format!("{text}{record}\n"))?;
    let signed = file.with_extension("signed");
    let mut command = Command::new("dnssec-signzone");
    command.args(["-z", "-P", "-3", "-", "-H", "0", "-O", "full", "-e", "+31536000", "-o", apex, "-f"]);
    run(command.arg(&signed).arg(file).arg(key), folder)?;
    Ok(signed)
}

fn run(command: &mut Command, folder: &Path) -> io::Result<String> {
    let output = command.current_dir(folder).stdin(Stdio::null()).output()?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!("{}: {text}", command.get_program().display())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

pub(super) fn sentinel() -> (String, [u8; 4]) {
    (format!("host{:05}", HOSTS - 1), address(HOSTS - 1))
}

/// The mix of the large zone; every asker wants signatures.
pub(super) fn question(random: &mut Random) -> (String, u16) {
    Registry {
        delegations: DELEGATIONS,
        hosts: HOSTS,
        digits: 5,
    }
    .question(random)
}
