//! Instructions in user space per query, counted by callgrind: the same on every machine, however busy.
//!
//! Counting begins when the zone is loaded and nothing is done any more, and ends with the last answer. Everything that the
//! server's processes do in between is in it: answering, and what runs beside it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::load;
use crate::measurement::Bench;
use crate::process::Tree;
use crate::programs::Program;
use crate::servers::{Place, Server};
use crate::zones::Mix;

/// Asked before counting begins: what is done only once is not counted.
const WARMING: usize = 10_000;
/// A server is idle when it takes less than a fifth of a processor for so long: valgrind makes much of a heartbeat.
const LOOK: Duration = Duration::from_millis(500);
/// It is not waited longer for it to be.
const MOST_LOOKS: usize = 240;

/// What has been counted.
#[derive(Clone, Debug)]
pub(crate) struct Counted {
    pub(crate) instructions: u64,
    pub(crate) answered: usize,
    /// Files for callgrind_annotate.
    pub(crate) profiles: Vec<PathBuf>,
}

impl Counted {
    /// Instructions per answered query.
    pub(crate) fn each(&self) -> f64 {
        self.instructions as f64 / self.answered.max(1) as f64
    }
}

/// Runs a server below callgrind and asks it the bench's number of queries.
pub(crate) fn count(bench: &Bench<'_>, program: Program, mix: Mix, folder: &Path) -> io::Result<Counted> {
    let prefix = format!("{}-{mix}-{}.", bench.zone, program.name());
    fs::create_dir_all(folder)?;
    let folder = folder.canonicalize()?;
    for old in profiles(&folder, &prefix)? {
        fs::remove_file(old)?;
    }
    let file = folder.join(format!("{prefix}%p"));
    let mut server = bench.site.start(program, bench.zone, Place::Callgrind(&file))?;
    server.wait(bench.zone)?;
    let queries = bench.zone.queries(mix, 0, bench.queries + WARMING);
    load::ask(server.address, &queries, 0..WARMING, bench.pace)?;
    wait_until_idle(server.tree());
    switch(&server, "on")?;
    let outcome = load::ask(server.address, &queries, WARMING..queries.len(), bench.pace)?;
    switch(&server, "off")?;
    drop(server);
    let profiles = profiles(&folder, &prefix)?;
    let mut instructions = 0;
    for profile in &profiles {
        instructions += total(&fs::read_to_string(profile)?);
    }
    Ok(Counted {
        instructions,
        answered: outcome.answered,
        profiles,
    })
}

/// What a server still does after the load, such as checks of what is served, is not what a query costs.
fn wait_until_idle(tree: Tree) {
    for _ in 0..MOST_LOOKS {
        let before = tree.time();
        thread::sleep(LOOK);
        if u128::from(tree.time().since(before).total) * 5 < LOOK.as_nanos() {
            return;
        }
    }
}

/// Begins or ends the counting in all processes of a server.
fn switch(server: &Server, state: &str) -> io::Result<()> {
    for pid in server.tree().processes() {
        let mut command = Command::new("callgrind_control");
        command.args(["-i", state, &pid.to_string()]).stdin(Stdio::null());
        let output = command.output()?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            return Err(io::Error::other(format!("callgrind_control: {text}")));
        }
    }
    Ok(())
}

fn profiles(folder: &Path, prefix: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The instructions of a profile.
fn total(profile: &str) -> u64 {
    let totals = profile
        .lines()
        .filter_map(|line| line.strip_prefix("totals:")?.trim().parse::<u64>().ok());
    totals.sum()
}
