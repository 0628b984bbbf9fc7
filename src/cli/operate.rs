//! The commands that talk to a running server.

use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::arguments::ServerArguments;
use super::{REFUSED, done_if, print, show};
use crate::control::Command;
use crate::control::client::{self, ClientError};
use crate::control::config::{default_router_socket, default_socket};
use crate::control::neighbors::Neighbors;
use crate::control::status::{Decision, DrainReceipt, Reloaded, Status, Zone, ZoneState};

impl ServerArguments {
    fn ask<T: DeserializeOwned>(self, command: &Command) -> Result<T, ClientError> {
        let configured = std::env::var_os("HERALDNS_CONTROL__SOCKET").map(PathBuf::from);
        let own = match command {
            Command::Neighbors => default_router_socket(),
            _ => default_socket(),
        };
        client::ask(&client::find_socket(self.socket.or(configured), own), command)
    }
}

fn refuse(error: &dyn Display) -> ExitCode {
    super::fail(REFUSED, &format_args!("error: {error}"))
}

pub(super) fn status(server: ServerArguments, json: bool) -> ExitCode {
    let status: Status = match server.ask(&Command::Status) {
        Ok(status) => status,
        Err(error) => return refuse(&error),
    };
    if json {
        if let Err(error) = print_json(&status) {
            return refuse(&error);
        }
    } else {
        print(&show::status(&status));
    }
    done_if(status.state.is_healthy())
}

fn print_json<T: Serialize>(value: &T) -> Result<(), serde_json::Error> {
    print(&format!("{}\n", serde_json::to_string_pretty(value)?));
    Ok(())
}

pub(super) fn zones(server: ServerArguments) -> ExitCode {
    match server.ask::<Vec<Zone>>(&Command::Zones) {
        Ok(zones) => {
            print(&show::zones(&zones));
            done_if(zones.iter().all(|zone| zone.state == ZoneState::Loaded))
        }
        Err(error) => refuse(&error),
    }
}

pub(super) fn reload(server: ServerArguments, zone: Option<String>) -> ExitCode {
    match server.ask::<Reloaded>(&Command::Reload { zone }) {
        Ok(reloaded) => {
            print(&show::reloaded(&reloaded));
            done_if(reloaded.failed == 0)
        }
        Err(error) => refuse(&error),
    }
}

pub(super) fn explain(server: ServerArguments, id: Option<u64>, json: bool) -> ExitCode {
    match server.ask::<Vec<Decision>>(&Command::Explain { id }) {
        Ok(decisions) if json => print_json(&decisions).map_or_else(|error| refuse(&error), |()| ExitCode::SUCCESS),
        Ok(decisions) => {
            print(&show::decisions(&decisions));
            ExitCode::SUCCESS
        }
        Err(error) => refuse(&error),
    }
}

pub(super) fn drain(server: ServerArguments, timeout: Option<Duration>, simulate: bool) -> ExitCode {
    match server.ask::<DrainReceipt>(&Command::Drain { timeout, simulate }) {
        Ok(receipt) => {
            print(&show::receipt(&receipt));
            done_if(receipt.complete)
        }
        Err(error) => refuse(&error),
    }
}

pub(super) fn undrain(server: ServerArguments) -> ExitCode {
    match server.ask::<Status>(&Command::Undrain) {
        Ok(status) => {
            print(&show::verdict(&status));
            ExitCode::SUCCESS
        }
        Err(error) => refuse(&error),
    }
}

pub(super) fn neighbors(server: ServerArguments, json: bool) -> ExitCode {
    match server.ask::<Neighbors>(&Command::Neighbors) {
        Ok(neighbors) if json => print_json(&neighbors).map_or_else(|error| refuse(&error), |()| ExitCode::SUCCESS),
        Ok(neighbors) => {
            print(&show::neighbors(&neighbors));
            done_if(neighbors.problems.is_empty())
        }
        Err(error) => refuse(&error),
    }
}
