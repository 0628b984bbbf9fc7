//! The programs that are compared: where they are, how they are called, what they are told.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::configurations;
use crate::servers::Place;
use crate::zones::{Kind, Zone};

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Program {
    /// This project's.
    Heraldns,
    /// The distribution's NSD.
    Nsd,
    /// NSD built from the distribution's source with recvmmsg and packed structures; HERALDNS_BENCH_NSD names the program.
    NsdBuilt,
    /// Knot DNS.
    Knot,
    /// BIND.
    Bind,
    /// PowerDNS with its bind backend.
    Powerdns,
    /// Turns each query round.
    Reflector,
}

impl Program {
    pub(crate) const ALL: [Self; 7] = [
        Self::Heraldns,
        Self::Nsd,
        Self::NsdBuilt,
        Self::Knot,
        Self::Bind,
        Self::Powerdns,
        Self::Reflector,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Heraldns => "heraldns",
            Self::Nsd => "nsd",
            Self::NsdBuilt => "nsd-built",
            Self::Knot => "knot",
            Self::Bind => "bind",
            Self::Powerdns => "powerdns",
            Self::Reflector => "reflector",
        }
    }

    /// Whether it reads zones and its answers mean something.
    pub(crate) fn answers(self) -> bool {
        self != Self::Reflector
    }

    /// The file to execute, if it is on this machine.
    pub(crate) fn executable(self, heraldns: &Path) -> Option<PathBuf> {
        let path = match self {
            Self::Heraldns => heraldns.canonicalize().ok(),
            Self::Nsd => find("nsd"),
            Self::NsdBuilt => std::env::var_os("HERALDNS_BENCH_NSD").map(PathBuf::from),
            Self::Knot => find("knotd"),
            Self::Bind => find("named"),
            Self::Powerdns => find("pdns_server"),
            Self::Reflector => std::env::current_exe().ok(),
        };
        path.filter(|path| path.is_file())
    }

    /// The arguments for a server in the foreground.
    pub(crate) fn arguments(self, configuration: &Path, address: SocketAddr, place: Place<'_>) -> Vec<String> {
        let file = configuration.display();
        let folder = configuration.parent().unwrap_or(Path::new(".")).display();
        let text = match self {
            // valgrind knows no pidfd, by which the guardian watches its child
            Self::Heraldns if matches!(place, Place::Callgrind(_)) => format!("main-process --config {file}"),
            Self::Heraldns => format!("serve --config {file}"),
            Self::Nsd | Self::NsdBuilt => format!("-d -c {file}"),
            Self::Knot => format!("-c {file}"),
            Self::Bind => format!("-f -4 -n 1 -c {file}"),
            Self::Powerdns => format!("--config-dir={folder}"),
            Self::Reflector => format!("--reflect {address}"),
        };
        text.split(' ').map(str::to_owned).collect()
    }

    /// The version that a program tells; empty if it has none.
    pub(crate) fn version(self, heraldns: &Path) -> String {
        let told = self.executable(heraldns).zip(self.version_argument());
        let output = told.and_then(|(path, argument)| Command::new(path).arg(argument).stdin(Stdio::null()).output().ok());
        let text = output.map_or_else(String::new, |output| {
            String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
        });
        let is_version = |word: &&str| word.contains('.') && word.starts_with(|first: char| first.is_ascii_digit());
        let words = text.split(|letter: char| letter.is_whitespace() || letter == ',' || letter == '-');
        words.into_iter().find(is_version).unwrap_or_default().to_owned()
    }

    fn version_argument(self) -> Option<&'static str> {
        match self {
            Self::Nsd | Self::NsdBuilt | Self::Bind => Some("-v"),
            Self::Knot => Some("-V"),
            Self::Heraldns | Self::Powerdns => Some("--version"),
            Self::Reflector => None,
        }
    }

    /// Writes what the program is told into its folder; says where.
    pub(crate) fn write_configuration(self, zone: &Zone, folder: &Path, port: u16) -> io::Result<PathBuf> {
        let (name, text) = match self {
            Self::Heraldns => ("heraldns.toml", configurations::heraldns(zone, folder, port)),
            Self::Nsd | Self::NsdBuilt => ("nsd.conf", configurations::nsd(zone, folder, port)),
            Self::Knot => ("knot.conf", configurations::knot(zone, folder, port)),
            Self::Bind => ("named.conf", configurations::bind(zone, folder, port)),
            Self::Powerdns => ("pdns.conf", configurations::powerdns(folder, port)),
            Self::Reflector => ("nothing", String::new()),
        };
        let path = folder.join(name);
        fs::write(&path, text)?;
        if self == Self::Powerdns {
            fs::write(folder.join("zones.conf"), configurations::powerdns_zones(zone, folder))?;
            prepare_powerdns(zone, folder)?;
        }
        Ok(path)
    }
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/local/sbin", "/usr/sbin"].map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// PowerDNS keeps beside the zone whether and how it is signed.
fn prepare_powerdns(zone: &Zone, folder: &Path) -> io::Result<()> {
    let run = |arguments: &[&str]| {
        let mut command = Command::new("pdnsutil");
        command
            .arg(format!("--config-dir={}", folder.display()))
            .args(arguments)
            .stdin(Stdio::null());
        let output = command.output()?;
        match output.status.success() {
            true => Ok(()),
            false => Err(io::Error::other(format!(
                "pdnsutil {arguments:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            ))),
        }
    };
    run(&["create-bind-db", &format!("{}/dnssec.db", folder.display())])?;
    match zone.kind {
        Kind::Nsec3 => {
            run(&["set-nsec3", zone.apex, "1 0 0 -"])?;
            run(&["set-presigned", zone.apex])
        }
        Kind::Small | Kind::Large => Ok(()),
    }
}
