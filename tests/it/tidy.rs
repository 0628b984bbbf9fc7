//! The house's rules as tests: floors, file heads, file lengths, where unsafe code may be, README's paths.
//!
//! A rule no tool checks drifts; each of these was once a sentence in ARCHITECTURE.md.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The floors: the longest matching prefix of a module path counts. 0 is the ground.
const FLOORS: &[(&str, u8)] = &[
    ("base", 0),
    ("advertiser::nd::wire", 1),
    ("advertiser::ospf::wire", 1),
    ("advertiser::peers::wire", 1),
    ("advertiser", 2),
    ("router", 2),
    ("scheduler", 2),
    ("monitor::observation", 2),
    ("monitor::group", 2),
    ("monitor::load", 2),
    ("monitor::rate", 2),
    ("monitor::ledger", 2),
    ("dns", 2),
    ("monitor", 3),
    ("dns::server", 3),
    ("io", 3),
    ("control", 3),
    ("watch::tally", 2),
    ("watch", 3),
    ("app", 4),
    ("cli", 4),
    ("config", 4),
    ("main", 4),
    ("lib", 4),
];

/// Words of the outside world that nothing on floor 2 or below may know.
const OUTSIDE: &[&str] = &[
    "tokio",
    "socket2",
    "rustix",
    "nix",
    "netlink_sys",
    "sysinfo",
    "hickory_server",
    "rustls",
    "tokio_rustls",
    "axum",
    "std::fs",
    "std::thread",
    "std::net::UdpSocket",
    "std::net::TcpStream",
    "std::time::Instant",
    "std::time::SystemTime",
    "std::env",
    "std::process",
];

struct Source {
    path: PathBuf,
    /// `advertiser::nd::wire`
    module: String,
    /// Without its unit tests.
    code: String,
    text: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files_below(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, ending, found);
        } else if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
}

fn sources() -> Vec<Source> {
    let src = root().join("src");
    let mut paths = Vec::new();
    files_below(&src, "rs", &mut paths);
    paths.sort();
    paths.into_iter().map(|path| read(&src, path)).collect()
}

fn read(src: &Path, path: PathBuf) -> Source {
    let text = fs::read_to_string(&path).unwrap();
    let relative = path.strip_prefix(src).unwrap().with_extension("");
    let mut parts: Vec<&str> = relative.iter().map(|part| part.to_str().unwrap()).collect();
    if parts.last() == Some(&"mod") {
        parts.pop();
    }
    let code = text.split("#[cfg(test)]").next().unwrap().to_owned();
    Source {
        module: parts.join("::"),
        code,
        text,
        path,
    }
}

fn floor_of(module: &str) -> u8 {
    let matches = |prefix: &str| module == prefix || module.starts_with(&format!("{prefix}::"));
    let best = FLOORS
        .iter()
        .filter(|(prefix, _)| matches(prefix))
        .max_by_key(|(prefix, _)| prefix.len());
    best.unwrap_or_else(|| panic!("module {module} stands on no floor: add it to FLOORS in tests/it/tidy.rs"))
        .1
}

/// Every module path that `source` names through `crate::` or `super::`, comments left out.
fn imports(source: &Source) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in statements(&source.code) {
        for (position, _) in line.match_indices("crate::") {
            expand("", &line[position + "crate::".len()..], &mut found);
        }
        if let Some(rest) = line
            .trim_start()
            .strip_prefix("use super::")
            .or_else(|| line.trim_start().strip_prefix("pub use super::"))
        {
            let parent = source.module.rsplit_once("::").map_or("", |(parent, _)| parent);
            expand(parent, rest, &mut found);
        }
    }
    found
}

/// Code joined to statements, so that a `use` over several lines is one.
fn statements(code: &str) -> Vec<String> {
    let without_comments: String = code
        .lines()
        .map(|line| line.split("//").next().unwrap_or(""))
        .collect::<Vec<_>>()
        .join(" ");
    without_comments.split(';').map(str::to_owned).collect()
}

fn expand(prefix: &str, rest: &str, found: &mut BTreeSet<String>) {
    let end = rest
        .find(|character: char| !(character.is_ascii_alphanumeric() || character == '_' || character == ':'))
        .unwrap_or(rest.len());
    let head = rest[..end].trim_end_matches("::");
    let path = [prefix, head]
        .iter()
        .filter(|part| !part.is_empty())
        .copied()
        .collect::<Vec<_>>()
        .join("::");
    if !rest[end..].starts_with('{') {
        found.insert(path);
        return;
    }
    let (mut depth, mut start) = (0, end + 1);
    for (index, character) in rest[end..].char_indices().map(|(index, character)| (index + end, character)) {
        match character {
            '{' => depth += 1,
            ',' if depth == 1 => {
                expand(&path, rest[start..index].trim(), found);
                start = index + 1;
            }
            '}' => {
                depth -= 1;
                if depth == 0 {
                    expand(&path, rest[start..index].trim(), found);
                    return;
                }
            }
            _ => {}
        }
    }
}

fn complain(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn arrows_only_run_down() {
    let mut problems = Vec::new();
    for source in sources().iter().filter(|source| source.module != "lib") {
        let own = floor_of(&source.module);
        for import in imports(source) {
            let first = import.split("::").next().unwrap_or("");
            if FLOORS.iter().all(|(prefix, _)| prefix.split("::").next() != Some(first)) {
                continue;
            }
            let target = floor_of(&import);
            if target > own {
                problems.push(format!("{} (floor {own}) imports {import} (floor {target})", source.path.display()));
            }
        }
    }
    complain(&problems);
}

#[test]
fn one_advertiser_never_imports_another() {
    let mut problems = Vec::new();
    for source in sources() {
        let Some(own) = source.module.strip_prefix("advertiser::").and_then(|rest| rest.split("::").next()) else {
            continue;
        };
        for import in imports(&source) {
            let other = import.strip_prefix("advertiser::").and_then(|rest| rest.split("::").next());
            if other.is_some_and(|other| other != own && root().join("src/advertiser").join(other).is_dir()) {
                problems.push(format!("{} imports {import}", source.path.display()));
            }
            if import.starts_with("scheduler::")
                && !matches!(
                    import.rsplit("::").next(),
                    Some("Decision" | "Intent" | "Withdrawal" | "CostClass" | "decision")
                )
            {
                problems.push(format!(
                    "{} imports {import}: an advertiser knows the scheduler's decision and nothing else",
                    source.path.display()
                ));
            }
        }
    }
    complain(&problems);
}

#[test]
fn machines_do_not_know_the_outside_world() {
    let mut problems = Vec::new();
    for source in sources()
        .iter()
        .filter(|source| source.module != "lib" && floor_of(&source.module) <= 2)
    {
        for statement in statements(&source.code) {
            for word in OUTSIDE {
                let named = statement.match_indices(word).any(|(at, _)| {
                    let before = statement[..at].chars().next_back();
                    let after = statement[at + word.len()..].chars().next();
                    !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') && (word.contains("::") || after == Some(':'))
                });
                if named {
                    problems.push(format!("{} names {word}", source.path.display()));
                }
            }
        }
    }
    complain(&problems);
}

#[test]
fn unsafe_code_stands_in_io_sys_alone_and_gives_its_reason() {
    let mut problems = Vec::new();
    for source in sources() {
        let uses = source
            .code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//") && line.contains("unsafe {"))
            .count();
        let reasons = source.code.matches("// SAFETY:").count();
        if source.module.starts_with("io::sys") {
            if uses > reasons {
                problems.push(format!("{}: {uses} unsafe blocks, {reasons} reasons", source.path.display()));
            }
        } else if uses > 0 || source.text.contains("allow(unsafe_code)") {
            problems.push(format!("{}: unsafe code outside io/sys", source.path.display()));
        }
    }
    complain(&problems);
}

#[test]
fn every_file_says_what_it_is_and_stays_short() {
    let mut problems = Vec::new();
    for source in sources() {
        if !source.text.starts_with("//! ") {
            problems.push(format!("{} does not open with //!", source.path.display()));
        }
        let lines = source.text.lines().count();
        if lines > 600 {
            problems.push(format!("{} has {lines} lines: two ideas in one room", source.path.display()));
        }
    }
    complain(&problems);
}

#[test]
fn the_means_of_claim_19_bear_their_names() {
    let named = [
        ("dns", "Service process (300)"),
        ("monitor", "Monitoring means (304)"),
        ("scheduler", "Service scheduling means (306)"),
        ("advertiser", "Sending means (308)"),
    ];
    for (module, name) in named {
        let text = fs::read_to_string(root().join("src").join(module).join("mod.rs")).unwrap();
        assert!(
            text.starts_with(&format!("//! {name}")),
            "src/{module}/mod.rs does not begin with {name}"
        );
    }
}

#[test]
fn the_paths_and_tests_that_the_documents_name_exist() {
    let mut tests = String::new();
    let mut paths = Vec::new();
    for folder in ["tests", "src"] {
        files_below(&root().join(folder), "rs", &mut paths);
    }
    for path in paths {
        tests.push_str(&fs::read_to_string(path).unwrap());
    }
    let mut problems = Vec::new();
    for document in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let text = fs::read_to_string(root().join(document)).unwrap();
        for word in text.split('`').skip(1).step_by(2) {
            let is_path = ["src/", "tests/", "docs/", "zones/", "docker/", "bench/"]
                .iter()
                .any(|start| word.starts_with(start));
            if is_path && !word.contains(['*', '{', ' ', 'N']) && !root().join(word).exists() {
                problems.push(format!("{document} names {word}, which is not there"));
            }
            let is_test = word.starts_with("claim_") && !word.contains('*');
            if is_test && !tests.contains(word) {
                problems.push(format!("{document} names the test {word}, which is not there"));
            }
        }
    }
    complain(&problems);
}
