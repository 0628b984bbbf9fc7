//! The commands that check files without a server.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use super::{REFUSED, USAGE, complain, fail, print};
use crate::config::{self, Checked};
use crate::dns::name::Name;
use crate::dns::zone::{self, Loaded, ZoneError};
use crate::io::clock;
use crate::io::files::{self, Includes};

pub(super) fn check_config(file: &Path) -> ExitCode {
    match config::check_file(file) {
        Ok(Checked::Router) => {
            print("ok\n");
            ExitCode::SUCCESS
        }
        Ok(Checked::Server(settings)) => {
            for warning in settings.zones.look().map(|found| found.left_out).unwrap_or_default() {
                complain(&format!("warning: {warning}"));
            }
            print("ok\n");
            ExitCode::SUCCESS
        }
        Err(refused) => fail(REFUSED, &refused),
    }
}

pub(super) fn check_zone(name: &str, file: &Path, print_zone: bool) -> ExitCode {
    let apex: Name = match name.parse() {
        Ok(apex) => apex,
        Err(error) => return fail(USAGE, &format_args!("error: '{name}' is no zone name: {error}")),
    };
    let text = match files::open(file) {
        Ok(opened) => opened.text,
        Err(error) => return fail(REFUSED, &format_args!("{}: error: {}", file.display(), error.source)),
    };
    let mut includes = Includes::of(file);
    match zone::load(&apex, &file.display().to_string(), text, &mut |name| includes.open(name)) {
        Err(errors) => fail(REFUSED, &lines(&errors)),
        Ok(Loaded { zone, mut warnings }) => {
            warnings.extend(zone::check_signing(&zone, &file.display().to_string(), clock::wall_clock()));
            if !warnings.is_empty() {
                complain(&lines(&warnings));
            }
            if print_zone {
                print(&zone::Printed(&zone).to_string());
            } else {
                let (serial, records, names) = (zone.serial(), zone.record_count(), zone.node_count());
                print(&format!("ok: zone {apex}, serial {serial}, {records} records at {names} names\n"));
            }
            ExitCode::SUCCESS
        }
    }
}

fn lines(errors: &[ZoneError]) -> String {
    let mut text = String::new();
    for (index, error) in errors.iter().enumerate() {
        let end = if index == 0 { "" } else { "\n" };
        let _ = write!(text, "{end}{error}");
    }
    text
}
