//! A Docker of the test's own: `dockerd` as its child, with data, sockets and images in one temporary folder.
//!
//! No image can be pulled where this runs, so `debian:bookworm-slim` is made by debootstrap, Prometheus' image from Debian's
//! program, and heraldns is linked here and handed to the same Dockerfile that users build from. The daemon touches neither packet filter nor forwarding of the host.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::command::{now, run, wait_for};

/// Debian's: another one in the search path need not have what its builds need.
const DOCKER: &str = "/usr/bin/docker";

/// The daemon with the demo's images.
#[derive(Debug)]
pub(crate) struct Docker {
    folder: Mutex<Option<TempDir>>,
    path: PathBuf,
    daemon: Mutex<Child>,
}

impl Docker {
    pub(crate) fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("heraldns-demo-").tempdir().unwrap();
        let path = folder.path().to_owned();
        sweep_leftovers();
        let daemon = start_daemon(&path);
        let docker = Self {
            folder: Mutex::new(Some(folder)),
            path,
            daemon: Mutex::new(daemon),
        };
        wait_for(Duration::from_secs(30), "dockerd answers", || {
            docker.docker().arg("version").output().unwrap().status.success().then_some(())
        });
        copy_project(&docker.context());
        thread::scope(|scope| {
            scope.spawn(|| timed("the program linked statically", || link_program(&docker.context())));
            timed("debian:bookworm-slim made", || docker.make_debian());
        });
        timed("images built", || {
            docker.build("server", "heraldns");
            docker.build("router", "heraldns-router");
            docker.make_prometheus();
        });
        docker
    }

    /// `docker`, for this daemon.
    pub(crate) fn docker(&self) -> Command {
        let mut command = Command::new(DOCKER);
        command.env("DOCKER_HOST", self.host()).env("DOCKER_BUILDKIT", "1");
        command
    }

    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.path.join("docker.sock").display())
    }

    /// The copy of the project that the images are built from.
    pub(crate) fn context(&self) -> PathBuf {
        self.path.join("project")
    }

    /// Ends the daemon, and with it containerd, and removes all that it had.
    pub(crate) fn end(&self) {
        let mut daemon = self.daemon.lock().unwrap();
        kill_process(Pid::from_child(&daemon), Signal::TERM).unwrap();
        wait_for(Duration::from_secs(30), "dockerd ends", || daemon.try_wait().unwrap());
        drop(self.folder.lock().unwrap().take());
    }

    fn make_debian(&self) {
        let root = self.path.join("debian");
        run(Command::new("debootstrap").args(["--variant=minbase", "bookworm"]).arg(&root));
        let archive = self.path.join("debian.tar");
        run(Command::new("tar").arg("-C").arg(&root).arg("-cf").arg(&archive).arg("."));
        run(self.docker().arg("import").arg(&archive).arg("debian:bookworm-slim"));
        fs::remove_dir_all(root).unwrap();
        fs::remove_file(archive).unwrap();
    }

    /// What the compose file pulls: the program by that name, with its arguments from there.
    fn make_prometheus(&self) {
        let folder = self.path.join("prometheus");
        fs::create_dir(&folder).unwrap();
        let dockerfile = "FROM debian:bookworm-slim\nCOPY prometheus /bin/prometheus\nENTRYPOINT [\"/bin/prometheus\"]\n";
        fs::write(folder.join("Dockerfile"), dockerfile).unwrap();
        fs::copy("/usr/bin/prometheus", folder.join("prometheus")).unwrap();
        run(self.docker().args(["build", "--tag", prometheus_image()]).arg(&folder));
    }

    fn build(&self, target: &str, name: &str) {
        let mut build = self.docker();
        build
            .current_dir(self.context())
            .args(["build", "--network", "host", "--file", "docker/Dockerfile"])
            .args([
                "--build-arg",
                "BUILD_IMAGE=debian:bookworm-slim",
                "--target",
                target,
                "--tag",
                name,
                ".",
            ]);
        run(&mut build);
    }
}

/// As the compose file names it.
fn prometheus_image() -> &'static str {
    let images = include_str!("../../docker/compose.yaml")
        .lines()
        .filter_map(|line| line.trim().strip_prefix("image: "));
    images
        .into_iter()
        .find(|image| image.contains("/prometheus:"))
        .expect("the demo has Prometheus")
}

/// Bridges of an earlier run that was killed; those of a demo that runs here have containers on them, and are up.
fn sweep_leftovers() {
    let addresses = run(Command::new("ip").args(["-6", "-oneline", "address", "show", "to", "fd44:d5::/32"]));
    for name in addresses.lines().filter_map(|line| line.split_whitespace().nth(1)) {
        let is_up = fs::read_to_string(format!("/sys/class/net/{name}/operstate")).is_ok_and(|state| state.trim() == "up");
        if name.starts_with("br-") && !is_up {
            run(Command::new("ip").args(["link", "delete", name]));
        }
    }
}

fn start_daemon(folder: &Path) -> Child {
    let log = File::create(folder.join("log")).unwrap();
    let mut daemon = Command::new("setpriv");
    daemon
        .args([
            "--pdeathsig",
            "TERM",
            "dockerd",
            "--iptables=false",
            "--ip-forward=false",
            "--bridge=none",
        ])
        .arg("--host")
        .arg(format!("unix://{}", folder.join("docker.sock").display()));
    for (option, name) in [("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "pid")] {
        daemon.arg(option).arg(folder.join(name));
    }
    let path = std::env::var("PATH").unwrap_or_default();
    daemon
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// What .dockerignore lets through and the images of the test need: all but the sources.
fn copy_project(context: &Path) {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::create_dir(context).unwrap();
    for part in ["docker", "zones", ".dockerignore"] {
        run(Command::new("cp").arg("-r").arg(project.join(part)).arg(context));
    }
    fs::create_dir_all(context.join("docker/prebuilt")).unwrap();
}

/// Links the objects of this test run's build once more, statically, as the Dockerfile does. Then as they were: other tests
/// need the ordinary program. `DEMO_PROGRAM=FILE` is taken instead, if it is there: a release build, say.
fn link_program(context: &Path) {
    let program = context.join("docker/prebuilt/heraldns");
    if let Some(given) = std::env::var_os("DEMO_PROGRAM") {
        run(Command::new("strip").arg("-o").arg(&program).arg(given));
        return;
    }
    let built = Path::new(env!("CARGO_BIN_EXE_heraldns"));
    let profile = built
        .parent()
        .is_some_and(|folder| folder.ends_with("release"))
        .then_some("--release");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let build = |command: &str, flags: &[&str]| {
        let mut cargo = Command::new(&cargo);
        cargo.current_dir(env!("CARGO_MANIFEST_DIR")).arg(command);
        run(cargo.args(profile).args(["--quiet", "--bin", "heraldns"]).args(flags))
    };
    build("rustc", &["--", "-C", "target-feature=+crt-static"]);
    run(Command::new("strip").arg("-o").arg(&program).arg(built));
    build("build", &[]);
}

fn timed(what: &str, task: impl FnOnce()) {
    let begin = now();
    task();
    println!("figure: demo: {what} in {:.0} s", begin.elapsed().as_secs_f64());
}
