//! The systemd units: what would blind a sensor is absent, what hardens is present, and the tool that
//! systemd brings agrees, where it is installed.

#![allow(
    clippy::unwrap_used,
    clippy::tests_outside_test_module,
    reason = "the whole file is a test, fixtures included"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

fn path(unit: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../systemd")
        .join(unit)
}

/// The settings of a unit, comments left out.
fn settings(unit: &str) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(path(unit)).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// Every value of a setting, joined: systemd reads repeated lines as one list.
fn value(unit: &str, key: &str) -> Option<String> {
    let settings = settings(unit);
    let mut values = settings.iter().filter(|(name, _)| name == key).peekable();
    values.peek()?;
    Some(
        values
            .map(|(_, value)| value.as_str())
            .collect::<Vec<_>>()
            .join(" "),
    )
}

const ROLES: [&str; 4] = [
    "akwatch-agent.service",
    "akwatch-marker.service",
    "akwatch-detector.service",
    "akwatch-reporter.service",
];

#[test]
fn nothing_blinds_the_units_that_sense() {
    for unit in ["akwatch-agent.service", "akwatch-marker.service"] {
        for key in [
            "PrivateTmp",
            "PrivateUsers",
            "PrivatePIDs",
            "InaccessiblePaths",
            "TemporaryFileSystem",
            "RootDirectory",
            "RootImage",
            "ProcSubset",
            "ProtectKernelModules",
        ] {
            assert_eq!(value(unit, key), None, "{unit} {key}");
        }
        let home = value(unit, "ProtectHome");
        assert!(
            !matches!(home.as_deref(), Some("yes" | "true" | "tmpfs")),
            "{unit}"
        );
        let calls = value(unit, "SystemCallFilter").unwrap();
        assert!(
            !calls.split(' ').any(|word| word == "~@privileged"),
            "{unit}"
        );
    }
    for key in ["PrivateNetwork", "RestrictRealtime", "ProtectProc"] {
        assert_eq!(value("akwatch-agent.service", key), None, "{key}");
    }
    assert_eq!(
        value("akwatch-agent.service", "LimitRTPRIO").as_deref(),
        Some("1")
    );
}

#[test]
fn each_role_is_a_unit_with_its_own_user_in_one_slice() {
    let users = std::fs::read_to_string(path("akwatch-agent.sysusers.conf")).unwrap();
    for unit in ROLES {
        let user = value(unit, "User").unwrap();
        assert!(
            users
                .lines()
                .any(|line| line.split_whitespace().nth(1) == Some(&user)),
            "{user}"
        );
        assert_eq!(value(unit, "Slice").as_deref(), Some("akwatch-agent.slice"));
        assert_eq!(value(unit, "NoNewPrivileges").as_deref(), Some("yes"));
        let bounding = value(unit, "CapabilityBoundingSet").unwrap();
        assert_eq!(
            value(unit, "AmbientCapabilities").as_deref(),
            Some(&*bounding)
        );
        let expected = match unit {
            "akwatch-agent.service" => "CAP_DAC_READ_SEARCH CAP_SYS_PTRACE CAP_NET_ADMIN",
            "akwatch-marker.service" => "CAP_SYS_ADMIN",
            _ => "",
        };
        assert_eq!(bounding, expected, "{unit}");
        if unit != "akwatch-agent.service" {
            assert_eq!(
                value(unit, "BindsTo").as_deref(),
                Some("akwatch-agent.service")
            );
        }
    }
}

/// A bootstrap string that cannot be put away has the path unit start the enrollment again at once; a
/// collector that is away, every few seconds: the limit ends the one and never the other.
#[test]
fn the_enrollment_is_not_started_again_and_again_for_ever() {
    let number = |key: &str| -> u32 {
        let value = value("akwatch-enroll.service", key).unwrap();
        value.parse().unwrap()
    };
    let (interval, burst) = (number("StartLimitIntervalSec"), number("StartLimitBurst"));
    assert!(interval > 0 && burst <= 20, "{burst} in {interval} s");
    assert!(burst * number("RestartSec") > interval, "it ends a wait");
}

#[test]
fn the_slice_bounds_memory_tasks_processors_and_disks() {
    let unit = "akwatch-agent.slice";
    for (key, expected) in [
        ("MemoryHigh", "64M"),
        ("MemoryMax", "96M"),
        ("MemorySwapMax", "0"),
        ("TasksMax", "64"),
        ("CPUQuota", "100%"),
        ("CPUWeight", "20"),
        ("IOWeight", "20"),
        ("IOReadBandwidthMax", "/ 64M /home 64M /var 64M"),
        ("IOWriteBandwidthMax", "/ 16M /var 16M"),
    ] {
        assert_eq!(value(unit, key).as_deref(), Some(expected), "{key}");
    }
}

#[test]
fn the_detector_has_no_voice_and_no_network() {
    let unit = "akwatch-detector.service";
    for key in ["StandardInput", "StandardOutput", "StandardError"] {
        assert_eq!(value(unit, key).as_deref(), Some("null"), "{key}");
    }
    for key in ["PrivateNetwork", "PrivateUsers", "PrivateTmp"] {
        assert_eq!(value(unit, key).as_deref(), Some("yes"), "{key}");
    }
    assert_eq!(
        value(unit, "RestrictAddressFamilies").as_deref(),
        Some("AF_UNIX")
    );
}

#[test]
fn the_exposure_that_systemd_sees_is_within_the_goals() {
    for (unit, tenths) in [
        ("akwatch-agent.service", 25),
        ("akwatch-marker.service", 15),
        ("akwatch-reporter.service", 12),
        ("akwatch-detector.service", 4),
        ("akwatch-server.service", 15),
    ] {
        let Ok(output) = Command::new("systemd-analyze")
            .args(["security", "--offline=yes", "--no-pager"])
            .arg(path(unit))
            .output()
        else {
            return; // systemd is not installed here
        };
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let Some(level) = said.lines().find_map(|line| line.split("level for").nth(1)) else {
            return; // older than 250: it does not judge files
        };
        let level = level
            .split_whitespace()
            .find_map(|word| word.parse::<f32>().ok())
            .unwrap();
        #[expect(clippy::cast_possible_truncation, reason = "a level is 0.0 to 10.0")]
        let level = (level * 10.0).round() as i32;
        assert!(
            level <= tenths,
            "{unit}: {level} tenths, the goal is {tenths}"
        );
    }
}
