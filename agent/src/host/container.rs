//! What a control group says of a process: its systemd unit, its container.
//!
//! A container's id changes with every start, so it is no identity: its workload's name is asked of
//! the runtime's own files, which root wrote. Where they do not say, the id stands.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Root;

/// Bytes of a runtime's description of a container.
const DESCRIPTION: usize = 4 << 20;

/// What a control group's path says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// A systemd service.
    pub unit: Option<Vec<u8>>,
    /// It belongs to a user's own systemd.
    pub user_unit: bool,
    /// A container's id, or an LXC or nspawn machine's name.
    pub container: Option<Vec<u8>>,
}

/// Reads `/proc/PID/cgroup`, `cgroups(7)`: the unified hierarchy or systemd's own.
#[must_use]
pub fn of_cgroup(text: &[u8]) -> Group {
    let mut best: &[u8] = b"";
    for line in text.split(|&byte| byte == b'\n') {
        let mut fields = line.splitn(3, |&byte| byte == b':');
        let (Some(hierarchy), Some(controllers), Some(path)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let unified = hierarchy == b"0" || controllers == b"name=systemd";
        if (unified && path.len() > 1) || best.is_empty() {
            best = path;
        }
    }
    of_path(best)
}

fn of_path(path: &[u8]) -> Group {
    let parts: Vec<&[u8]> = path
        .split(|&byte| byte == b'/')
        .filter(|part| !part.is_empty())
        .collect();
    let container = parts.iter().rev().find_map(|part| container_id(part));
    let unit = parts
        .iter()
        .rev()
        .find(|part| part.ends_with(b".service") || part.ends_with(b".scope"))
        .filter(|part| part.ends_with(b".service") && container.is_none());
    // `user@1000.service` holds whatever that user's systemd started.
    let user_unit = parts
        .iter()
        .any(|part| part.starts_with(b"user@") && unit.is_none_or(|unit| unit != part));
    Group {
        unit: unit.map(|unit| unit.to_vec()),
        user_unit: user_unit && unit.is_some(),
        container,
    }
}

fn container_id(part: &[u8]) -> Option<Vec<u8>> {
    let name = part.strip_suffix(b".scope").unwrap_or(part);
    let last = name.rsplit(|&byte| byte == b'-').next().unwrap_or(name);
    if last.len() == 64 && last.iter().all(u8::is_ascii_hexdigit) {
        return Some(last.to_vec());
    }
    let machine = name
        .strip_prefix(b"machine-")
        .filter(|_| part.ends_with(b".scope"))
        .or_else(|| name.strip_prefix(b"lxc.payload."));
    machine.map(<[u8]>::to_vec)
}

/// The name of the workload that container `id` runs, from Docker's or containerd's files; else the
/// id.
#[must_use]
pub fn name_of(root: &Root, id: &[u8]) -> Vec<u8> {
    let id_name = OsStr::from_bytes(id);
    if id.len() != 64 {
        return id.to_vec();
    }
    let docker = Path::new("/var/lib/docker/containers").join(id_name);
    if let Some(name) =
        description(root, &docker.join("config.v2.json")).and_then(|it| docker_name(&it))
    {
        return name.into_bytes();
    }
    for namespace in ["k8s.io", "moby", "default"] {
        let task = PathBuf::from("/run/containerd/io.containerd.runtime.v2.task")
            .join(namespace)
            .join(id_name)
            .join("config.json");
        if let Some(name) = description(root, &task).and_then(|it| kubernetes_name(&it)) {
            return name.into_bytes();
        }
    }
    id.to_vec()
}

fn description(root: &Root, path: &Path) -> Option<serde_json::Value> {
    serde_json::from_slice(&root.read(path, DESCRIPTION).ok()?).ok()
}

fn docker_name(description: &serde_json::Value) -> Option<String> {
    let labels = &description["Config"]["Labels"];
    let label = |name: &str| labels[name].as_str();
    if let (Some(project), Some(service)) = (
        label("com.docker.compose.project"),
        label("com.docker.compose.service"),
    ) {
        return Some(format!("{project}/{service}"));
    }
    if let (Some(namespace), Some(pod), Some(name)) = (
        label("io.kubernetes.pod.namespace"),
        label("io.kubernetes.pod.name"),
        label("io.kubernetes.container.name"),
    ) {
        return Some(format!("{namespace}/{}/{name}", without_replica(pod)));
    }
    let name = description["Name"].as_str()?.trim_start_matches('/');
    (!name.is_empty()).then(|| name.to_owned())
}

fn kubernetes_name(description: &serde_json::Value) -> Option<String> {
    let note = |name: &str| description["annotations"][name].as_str();
    Some(format!(
        "{}/{}/{}",
        note("io.kubernetes.cri.sandbox-namespace")?,
        without_replica(note("io.kubernetes.cri.sandbox-name")?),
        note("io.kubernetes.cri.container-name")?,
    ))
}

/// A pod's name without what changes when it is made again: `api-7d9c5b4f6d-x2x7q` is `api`.
/// Kubernetes draws these endings from an alphabet without vowels.
fn without_replica(pod: &str) -> &str {
    let drawn = |part: &str| {
        part.bytes()
            .all(|b| b"bcdfghjklmnpqrstvwxz2456789".contains(&b))
    };
    let Some((rest, last)) = pod.rsplit_once('-') else {
        return pod;
    };
    if last.len() != 5 || !drawn(last) {
        return pod;
    }
    match rest.rsplit_once('-') {
        Some((name, hash)) if (6..=10).contains(&hash.len()) && drawn(hash) => name,
        _ => rest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[track_caller]
    fn check(cgroup: &str, unit: Option<&str>, container: Option<&str>) {
        let group = of_cgroup(cgroup.replace("ID", ID).as_bytes());
        assert_eq!(group.unit.as_deref(), unit.map(str::as_bytes), "{cgroup}");
        let container = container.map(|name| name.replace("ID", ID).into_bytes());
        assert_eq!(group.container, container, "{cgroup}");
    }

    #[test]
    fn units_and_containers_are_told_apart() {
        check(
            "0::/system.slice/payments.service\n",
            Some("payments.service"),
            None,
        );
        check(
            "0::/system.slice/payments.service/worker\n",
            Some("payments.service"),
            None,
        );
        check(
            "0::/user.slice/user-1000.slice/session-3.scope\n",
            None,
            None,
        );
        check(
            "0::/user.slice/user-1000.slice/user@1000.service/app.slice/a.service\n",
            Some("a.service"),
            None,
        );
        check(
            "0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-x-1.scope\n",
            None,
            None,
        );
        check("0::/system.slice/docker-ID.scope\n", None, Some("ID"));
        check(
            "0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-ID.scope\n",
            None,
            Some("ID"),
        );
        check(
            "5:cpu:/docker/ID\n1:name=systemd:/docker/ID\n",
            None,
            Some("ID"),
        );
        check(
            "0::/machine.slice/machine-web.scope/payload\n",
            None,
            Some("web"),
        );
        check("0::/\n", None, None);
        check("0::/init.scope\n", None, None);
        check("", None, None);
    }

    #[test]
    fn a_users_own_units_are_marked() {
        let group = of_cgroup(b"0::/user.slice/user-1.slice/user@1.service/app.slice/a.service");
        assert!(group.user_unit);
        assert!(!of_cgroup(b"0::/system.slice/a.service").user_unit);
    }

    #[test]
    fn a_pods_name_survives_its_replacement() {
        assert_eq!(without_replica("api-7d9c5b4f6d-x2x7q"), "api");
        assert_eq!(without_replica("db-0"), "db-0");
        assert_eq!(without_replica("logs-x2x7q"), "logs");
        assert_eq!(without_replica("single"), "single");
    }

    #[test]
    fn runtimes_files_give_the_workloads_name() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: String, text: &str| {
            let file = dir.path().join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        };
        let other = ID.replace('0', "f");
        at(
            format!("var/lib/docker/containers/{ID}/config.v2.json"),
            r#"{"Name":"/web_1","Config":{"Labels":{"com.docker.compose.project":"shop","com.docker.compose.service":"web"}}}"#,
        );
        at(
            format!("run/containerd/io.containerd.runtime.v2.task/k8s.io/{other}/config.json"),
            r#"{"annotations":{"io.kubernetes.cri.sandbox-namespace":"prod","io.kubernetes.cri.sandbox-name":"api-7d9c5b4f6d-x2x7q","io.kubernetes.cri.container-name":"main"}}"#,
        );
        let root = Root::at(dir.path()).unwrap();
        assert_eq!(name_of(&root, ID.as_bytes()), b"shop/web");
        assert_eq!(name_of(&root, other.as_bytes()), b"prod/api/main");
        let unknown = "a".repeat(64);
        assert_eq!(name_of(&root, unknown.as_bytes()), unknown.as_bytes());
    }
}
