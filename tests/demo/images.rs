//! The server's image: how large, as whom it runs, what it may do.

use super::command::run;
use super::docker::Docker;

/// The issue's bound.
const LARGEST: u64 = 30_000_000;

pub(crate) fn small_and_unprivileged(docker: &Docker) {
    let inspect = |format: &str| {
        run(docker.docker().args(["image", "inspect", "heraldns", "--format", format]))
            .trim()
            .to_owned()
    };
    let size: u64 = inspect("{{.Size}}").parse().unwrap();
    println!(
        "figure: demo: the server's image has {:.1} MB (debug build, stripped)",
        size as f64 / 1e6
    );
    assert!(size < LARGEST, "{size} octets");
    assert_eq!(inspect("{{.Config.User}}"), "65532:65532");
    assert_eq!(inspect("{{json .Config.Healthcheck.Test}}"), r#"["CMD","/heraldns","status"]"#);
    // It starts without any capability, for what needs none.
    let folder = |name: &str| docker.context().join(name).display().to_string();
    let (servers, zones) = (folder("docker/servers"), folder("zones"));
    let checked = run(docker
        .docker()
        .args(["run", "--rm", "--network=none", "--read-only", "--cap-drop=ALL"])
        .args([
            "--volume",
            &format!("{servers}:/etc/heraldns:ro"),
            "--volume",
            &format!("{zones}:/zones:ro"),
        ])
        .args(["heraldns", "check-config", "/etc/heraldns/nd.toml"]));
    assert!(checked.contains("ok"), "{checked}");
}
