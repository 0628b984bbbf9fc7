//! Signs zone files with the tools of others: `ldns-signzone` and `dnssec-signzone`, the same keys for all zones, and `kzonesign`.
//!
//! They are made anew for each run; the key tag does not depend on the owner, so their files only change their names.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::zones::{Chain, Signer, Signing};

/// Owners of NSEC3 records that are asked for, of one zone.
const MOST_HASHED: usize = 2;

/// Key pairs that sign for every zone: the second one only beside the first.
#[derive(Debug)]
pub(crate) struct Keys {
    folder: PathBuf,
    pairs: [Key; 2],
}

#[derive(Debug)]
struct Key {
    /// The public key as a record without owner.
    record: String,
    private: String,
    /// Algorithm and tag, as in the names of key files.
    suffix: String,
}

impl Key {
    /// Makes a key in a folder.
    fn generate(folder: &Path, algorithm: &str) -> Self {
        let output = Command::new("dnssec-keygen")
            .args(["-q", "-a", algorithm, "-f", "KSK", "-K"])
            .arg(folder)
            .arg("key.test")
            .output()
            .unwrap();
        let base = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        assert!(
            output.status.success() && !base.is_empty(),
            "dnssec-keygen: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let read = |ending: &str| fs::read_to_string(folder.join(format!("{base}{ending}"))).unwrap();
        let public = read(".key");
        let record = public.lines().find_map(|line| line.strip_prefix("key.test. ")).unwrap().to_owned();
        Self {
            record,
            private: read(".private"),
            suffix: base.trim_start_matches("Kkey.test.").to_owned(),
        }
    }

    /// Writes its files for the zone `apex` into a folder; says how they begin.
    fn write(&self, folder: &Path, apex: &str) -> PathBuf {
        let base = folder.join(format!("K{}{}", apex.to_ascii_lowercase(), self.suffix));
        fs::write(base.with_file_name(file_name(&base, ".key")), format!("{apex} {}\n", self.record)).unwrap();
        fs::write(base.with_file_name(file_name(&base, ".private")), &self.private).unwrap();
        base
    }
}

impl Keys {
    /// Makes the keys in a folder.
    pub(crate) fn generate(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            pairs: ["ECDSAP256SHA256", "ED25519"].map(|algorithm| Key::generate(folder, algorithm)),
        }
    }

    /// Signs the zone `apex` that is in `file`; says where the signed one is. `None` if the signer refuses the zone.
    pub(crate) fn sign(&self, apex: &str, file: &Path, signing: &Signing) -> Option<PathBuf> {
        let keys = if signing.twice { &self.pairs[..] } else { &self.pairs[..1] };
        let signed = file.with_extension("signed");
        let mut command = match signing.signer {
            Signer::Knot => return kzonesign(&self.folder, apex, file, &signing.chain),
            Signer::Ldns => ldns_signzone(&signing.chain),
            Signer::Dnssec => {
                let mut text = fs::read_to_string(file).unwrap();
                for key in keys {
                    text += &format!("{apex} 3600 {}\n", key.record.trim_start_matches("3600 "));
                }
                fs::write(file, text).unwrap();
                dnssec_signzone(&signing.chain)
            }
        };
        command.args(["-o", apex, "-f"]).arg(&signed).arg(file);
        command.args(keys.iter().map(|key| key.write(&self.folder, apex)));
        command.current_dir(&self.folder).stdin(Stdio::null());
        let output = command.output().unwrap();
        output.status.success().then_some(signed)
    }
}

/// The owners of NSEC3 records in a signed zone file, some of them.
pub(crate) fn hashed_owners(signed: &Path) -> Vec<String> {
    let text = fs::read_to_string(signed).unwrap();
    let owner = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let (owner, record_type) = (words.next()?, words.nth(1).filter(|word| *word != "IN").or_else(|| words.next())?);
        (record_type == "NSEC3").then(|| owner.to_owned())
    };
    text.lines().filter_map(owner).take(MOST_HASHED).collect()
}

fn file_name(base: &Path, ending: &str) -> String {
    format!("{}{ending}", base.file_name().unwrap().to_str().unwrap())
}

fn ldns_signzone(chain: &Chain) -> Command {
    let mut command = Command::new("ldns-signzone");
    if let Chain::Nsec3 { iterations, salt, opt_out } = chain {
        command.args(["-n", "-t", &iterations.to_string()]);
        if !salt.is_empty() {
            command.args(["-s", salt]);
        }
        if *opt_out {
            command.arg("-p");
        }
    }
    command
}

fn dnssec_signzone(chain: &Chain) -> Command {
    let mut command = Command::new("dnssec-signzone");
    command.args(["-z", "-P", "-n", "1", "-O", "full"]);
    if let Chain::Nsec3 { iterations, salt, opt_out } = chain {
        let salt = if salt.is_empty() { "-" } else { salt };
        command.args(["-3", salt, "-H", &iterations.to_string()]);
        if *opt_out {
            command.arg("-A");
        }
    }
    command
}

/// Knot makes a key of its own for each zone, and takes its wishes from a configuration.
fn kzonesign(folder: &Path, apex: &str, file: &Path, chain: &Chain) -> Option<PathBuf> {
    let chain = match chain {
        Chain::Nsec => "off".to_owned(),
        Chain::Nsec3 { iterations, opt_out, .. } => {
            // a salt would be another one with each run
            let opt_out = if *opt_out { "on" } else { "off" };
            format!("on\n    nsec3-iterations: {iterations}\n    nsec3-salt-length: 0\n    nsec3-opt-out: {opt_out}")
        }
    };
    let (configuration, signed) = (file.with_extension("kzonesign"), file.with_extension("signed"));
    let text = format!(
        "database:
    storage: \"{0}/kzonesign\"
policy:
  - id: wish
    single-type-signing: on
    nsec3: {chain}
zone:
  - domain: \"{apex}\"
    file: \"{1}\"
    dnssec-signing: on
    dnssec-policy: wish
    semantic-checks: off
    journal-content: none
    zonefile-load: whole
",
        folder.display(),
        file.display()
    );
    fs::write(&configuration, text).unwrap();
    fs::create_dir_all(folder.join("kzonesign")).unwrap();
    let output_folder = file.with_extension("folder");
    fs::create_dir(&output_folder).unwrap();
    let mut command = Command::new("kzonesign");
    command.arg("-c").arg(configuration).arg("-o").arg(&output_folder).arg(apex);
    let output = command.current_dir(folder).stdin(Stdio::null()).output().unwrap();
    let made = fs::read_dir(&output_folder).unwrap().next()?.unwrap();
    fs::rename(made.path(), &signed).unwrap();
    output.status.success().then_some(signed)
}
