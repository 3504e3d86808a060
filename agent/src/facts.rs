//! What this host is, from its own files only.
//!
//! No daemon is asked, no name is resolved and no metadata address is called: a fact that no file
//! states is left empty. Facts are claims; the collector shows them as such. The machine id itself
//! stays here, since other programs treat it as confidential; a digest under our own context goes out.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use akwatch_proto::agent::{CloudFacts, HostFacts};
use akwatch_proto::{limits, text};
use sha2::{Digest, Sha256};

/// Bytes of one file of facts. Stops: a link to a device in its place.
const FILE: u64 = 256 * 1024;

/// Characters of one fact.
const FACT: usize = 256;

/// Prepended to the machine id before it is hashed.
const MACHINE_CONTEXT: &[u8] = b"akwatch machine v1\0";

/// Reads the facts of the host whose root is `root`, with the `labels` of its configuration and whether
/// that calls it ephemeral.
#[must_use]
pub fn read(root: &Path, labels: BTreeMap<String, String>, ephemeral: bool) -> HostFacts {
    let host = Files(root);
    HostFacts {
        hostname: host
            .line("proc/sys/kernel/hostname")
            .or_else(|| host.line("etc/hostname"))
            .unwrap_or_default(),
        machine: host.machine(),
        os: host.os(),
        kernel: host.line("proc/sys/kernel/osrelease").unwrap_or_default(),
        architecture: std::env::consts::ARCH.to_owned(),
        addresses: addresses(),
        time_zone: host.time_zone(),
        agent: env!("CARGO_PKG_VERSION").to_owned(),
        labels,
        ephemeral,
        cloud: host.cloud(),
    }
}

/// A host's files.
struct Files<'a>(&'a Path);

impl Files<'_> {
    fn text(&self, path: &str) -> Option<String> {
        let mut bytes = Vec::new();
        let file = std::fs::File::open(self.0.join(path)).ok()?;
        file.take(FILE).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The first line that is not empty, fit to be shown.
    fn line(&self, path: &str) -> Option<String> {
        let text = self.text(path)?;
        text.lines()
            .map(str::trim)
            .find(|line| !line.is_empty())
            .map(fact)
    }

    fn machine(&self) -> String {
        let Some(id) = self.line("etc/machine-id") else {
            return String::new();
        };
        let digest = Sha256::new()
            .chain_update(MACHINE_CONTEXT)
            .chain_update(id)
            .finalize();
        data_encoding::HEXLOWER.encode(&digest)
    }

    fn os(&self) -> String {
        let release = self
            .text("etc/os-release")
            .or_else(|| self.text("usr/lib/os-release"))
            .unwrap_or_default();
        release
            .lines()
            .find_map(|line| line.strip_prefix("PRETTY_NAME="))
            .map(|name| fact(name.trim_matches(['"', '\''])))
            .unwrap_or_default()
    }

    fn time_zone(&self) -> String {
        let linked = std::fs::read_link(self.0.join("etc/localtime")).ok();
        linked
            .and_then(|link: PathBuf| {
                let link = link.to_string_lossy().into_owned();
                link.split_once("zoneinfo/").map(|(_, zone)| fact(zone))
            })
            .or_else(|| self.line("etc/timezone"))
            .unwrap_or_default()
    }

    /// The cloud, as the firmware's tables and cloud-init's files name it.
    fn cloud(&self) -> Option<CloudFacts> {
        let dmi = |name: &str| {
            self.line(&format!("sys/class/dmi/id/{name}"))
                .unwrap_or_default()
        };
        let words = [
            "sys_vendor",
            "product_name",
            "bios_vendor",
            "chassis_asset_tag",
            "board_vendor",
        ]
        .map(dmi)
        .join(" ");
        let told = self
            .text("run/cloud-init/instance-data.json")
            .unwrap_or_default();
        let told: serde_json::Value = serde_json::from_str(&told).unwrap_or_default();
        let told = |key: &str| told["v1"][key].as_str().map(fact).unwrap_or_default();
        let provider = provider(&words).map_or_else(|| told("cloud_name"), str::to_owned);
        if provider.is_empty() || provider == "none" || provider == "unknown" {
            return None;
        }
        let instance = Some(told("instance_id"))
            .filter(|id| !id.is_empty())
            .or_else(|| self.line("var/lib/cloud/data/instance-id"))
            .unwrap_or_default();
        Some(CloudFacts {
            provider,
            account: String::new(), // no file of this host states it
            region: told("region"),
            zone: told("availability_zone"),
            instance,
        })
    }
}

/// The cloud whose firmware names itself with these words.
fn provider(words: &str) -> Option<&'static str> {
    const NAMES: &[(&str, &str)] = &[
        ("Alibaba", "alibaba"),
        ("Tencent", "tencent"),
        ("Huawei", "huawei"),
        ("Volcengine", "volcengine"),
        ("Bytedance", "volcengine"),
        ("Baidu", "baidu"),
        ("JD Cloud", "jd"),
        ("Kingsoft", "kingsoft"),
        ("UCloud", "ucloud"),
        ("Amazon", "aws"),
        ("Google", "gcp"),
        ("7783-7084-3265-9085-8269-3286-77", "azure"), // the asset tag of Azure's machines
        ("OracleCloud", "oracle"),
        ("DigitalOcean", "digitalocean"),
        ("Hetzner", "hetzner"),
    ];
    NAMES
        .iter()
        .find(|(word, _)| words.contains(word))
        .map(|(_, name)| *name)
}

/// The addresses of this host's interfaces but loopback and link-local, in order.
fn addresses() -> Vec<String> {
    let mut found: Vec<String> = nix::ifaddrs::getifaddrs()
        .into_iter()
        .flatten()
        .filter_map(|interface| {
            let address = interface.address?;
            if let Some(v4) = address.as_sockaddr_in() {
                let ip = v4.ip();
                return (!ip.is_loopback() && !ip.is_link_local()).then(|| ip.to_string());
            }
            let ip = address.as_sockaddr_in6()?.ip();
            (!ip.is_loopback() && !ip.is_unicast_link_local()).then(|| ip.to_string())
        })
        .collect();
    found.sort();
    found.dedup();
    found.truncate(limits::ADDRESSES);
    found
}

fn fact(raw: &str) -> String {
    text::cut(&text::escape(raw.as_bytes()), FACT)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Facts of a root with these files.
    fn check(files: &[(&str, &str)]) -> HostFacts {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        read(root.path(), BTreeMap::new(), false)
    }

    #[test]
    fn files_that_are_not_there_leave_facts_empty() {
        let facts = check(&[]);
        assert_eq!((facts.hostname.as_str(), facts.machine.as_str()), ("", ""));
        assert_eq!(facts.cloud, None);
    }

    #[test]
    fn the_machine_id_itself_does_not_go_out() {
        let id = "0123456789abcdef0123456789abcdef";
        let facts = check(&[("etc/machine-id", id)]);
        assert_eq!(facts.machine.len(), 64);
        assert!(!facts.machine.contains(id));
        assert_ne!(
            facts.machine,
            check(&[("etc/machine-id", "another")]).machine
        );
    }

    #[test]
    fn cloud_facts_come_from_firmware_and_cloud_init() {
        let facts = check(&[
            ("sys/class/dmi/id/sys_vendor", "Alibaba Cloud\n"),
            (
                "run/cloud-init/instance-data.json",
                r#"{"v1":{"cloud_name":"aliyun","region":"cn-hangzhou","availability_zone":"cn-hangzhou-h","instance_id":"i-1"}}"#,
            ),
        ]);
        let cloud = facts.cloud.unwrap();
        assert_eq!(cloud.provider, "alibaba");
        assert_eq!(
            (cloud.region.as_str(), cloud.zone.as_str()),
            ("cn-hangzhou", "cn-hangzhou-h")
        );
        assert_eq!(cloud.instance, "i-1");
    }

    #[test]
    fn hostile_facts_are_made_visible_and_short() {
        let facts = check(&[
            ("etc/os-release", "PRETTY_NAME=\"a\x1b[2J\"\n"),
            ("etc/hostname", &"h".repeat(9999)),
        ]);
        assert_eq!(facts.os, "a\\u{1b}[2J");
        assert!(facts.hostname.len() <= FACT);
    }

    #[test]
    fn this_host_names_its_kernel_and_no_loopback() {
        let facts = read(Path::new("/"), BTreeMap::new(), true);
        assert!(facts.ephemeral);
        assert!(!facts.kernel.is_empty());
        assert!(
            !facts
                .addresses
                .iter()
                .any(|address| address.starts_with("127.") || address == "::1")
        );
    }
}
