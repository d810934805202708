//! Where it was measured.

use std::{fs, process::Command};

/// One line a fact.
pub(crate) fn describe() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = field(&cpuinfo, "model name").unwrap_or("unknown processor");
    let cores = cpuinfo
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let kib: u64 = field(&read("/proc/meminfo"), "MemTotal")
        .and_then(|text| text.split(' ').next()?.parse().ok())
        .unwrap_or_default();
    let system = read("/etc/os-release");
    let system = system
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))
        .unwrap_or("Linux");
    let cgroups = if fs::metadata("/sys/fs/cgroup/cgroup.controllers").is_ok() {
        "v2"
    } else {
        "v1"
    };
    format!(
        "- {model}, {cores} cores, {} GiB\n- {}, Linux {}, cgroup {cgroups}\n- data directories on {}\n- {}, {}",
        kib / (1 << 20),
        system.trim_matches('"'),
        read("/proc/sys/kernel/osrelease").trim(),
        said(
            "df",
            &["--output=fstype,source", &std::env::temp_dir().to_string_lossy()]
        )
        .lines()
        .last()
        .unwrap_or("?"),
        said("rustc", &["--version"]),
        said("date", &["--utc", "+%Y-%m-%d"]),
    )
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim())
}

fn said(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    output.map_or_else(
        |_| "?".to_owned(),
        |out| String::from_utf8_lossy(&out.stdout).trim().to_owned(),
    )
}
