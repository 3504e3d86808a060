//! What a control group says of a process: its systemd unit, its container, its pod.
//!
//! A container's id changes with every start, so it is no identity: its workload's name is asked of
//! the runtime's own files, [`runtime`](super::runtime).

/// What a control group's path says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// A systemd service.
    pub unit: Option<Vec<u8>>,
    /// It belongs to a user's own systemd, and so does what its name says: that user chose it.
    pub user_unit: bool,
    /// It lies where a user makes groups of any name: a container's id there is that user's word.
    pub delegated: bool,
    /// A container's id, or an LXC or nspawn machine's name.
    pub container: Option<Vec<u8>>,
    /// The uid of a Kubernetes pod, with dashes.
    pub pod: Option<Vec<u8>>,
    /// The whole path.
    pub path: Vec<u8>,
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
    // `user@1000.service` holds whatever that user's systemd started, and that user made.
    let delegated = parts
        .iter()
        .any(|part| part.starts_with(b"user@") && unit.is_none_or(|unit| unit != part));
    Group {
        unit: unit.map(|unit| unit.to_vec()),
        user_unit: delegated && unit.is_some(),
        delegated,
        container,
        pod: parts.iter().rev().find_map(|part| pod_uid(part)),
        path: path.to_vec(),
    }
}

/// The pod's uid in `kubepods-burstable-podUID.slice`, where systemd names it with underscores, or in
/// `podUID`. The kubelet's own static pods have 32 hexadecimal digits instead of a UUID.
fn pod_uid(part: &[u8]) -> Option<Vec<u8>> {
    let name = part.strip_suffix(b".slice").unwrap_or(part);
    let last = name.rsplit(|&byte| byte == b'-').next().unwrap_or(name);
    // A slice's own dashes are levels, so the uid's are underscores there; elsewhere they are dashes.
    let uid = (last.strip_prefix(b"pod")).or_else(|| name.strip_prefix(b"pod"))?;
    let uid: Vec<u8> = uid
        .iter()
        .map(|b| if *b == b'_' { b'-' } else { *b })
        .collect();
    let known = matches!(uid.len(), 32 | 36);
    (known && uid.iter().all(|b| b.is_ascii_hexdigit() || *b == b'-')).then_some(uid)
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
        let group =
            format!("0::/user.slice/user-1.slice/user@1.service/app.slice/docker-{ID}.scope");
        assert!(of_cgroup(group.as_bytes()).delegated);
        let group = format!("0::/system.slice/docker-{ID}.scope");
        assert!(!of_cgroup(group.as_bytes()).delegated);
    }

    #[test]
    fn a_pods_uid_is_read_as_systemd_and_as_cgroupfs_write_it() {
        let uid = "0a1b2c3d-1111-2222-3333-444455556666";
        let flat = uid.replace('-', "_");
        for path in [
            format!(
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{flat}.slice/cri-containerd-{ID}.scope"
            ),
            format!("/kubepods/besteffort/pod{uid}/{ID}"),
        ] {
            let group = of_cgroup(format!("0::{path}\n").as_bytes());
            assert_eq!(group.pod.as_deref(), Some(uid.as_bytes()), "{path}");
            assert_eq!(group.container.as_deref(), Some(ID.as_bytes()), "{path}");
            assert_eq!(group.path, path.as_bytes());
        }
        assert_eq!(of_cgroup(b"0::/system.slice/podman.service").pod, None);
    }
}
