//! The commands that check files without a server.

use std::path::Path;
use std::process::ExitCode;

use super::{REFUSED, fail, print};
use crate::config;

pub(super) fn check_config(file: &Path) -> ExitCode {
    match config::load(Some(file)) {
        Ok(_) => {
            print("ok\n");
            ExitCode::SUCCESS
        }
        Err(refused) => fail(REFUSED, &refused),
    }
}
