//! What container runtimes' own files say of a container: its workload, its image, its pod, its layer.
//!
//! Docker, containerd, podman and CRI-O each write what they know below directories of root's; the
//! kubelet writes the names of pods and containers into the names of their logs. No socket is asked.
//! What they do not say is not known: then the id stands alone. Rootless podman's files are their
//! user's and are not asked.
//!
//! | what | where | taken |
//! |---|---|---|
//! | Docker | `ROOT/containers/ID/config.v2.json` | `Name`, `Config.Image`, compose's and the kubelet's labels |
//! | Docker | `ROOT/image/overlay2/layerdb/mounts/ID/mount-id` | the container's own layer |
//! | containerd | `/run/containerd/io.containerd.runtime.v2.task/NAMESPACE/ID/config.json` | annotations of its CRI plug-in and of nerdctl |
//! | CRI-O | `STORAGE/overlay-containers/ID/userdata/config.json` | annotations |
//! | podman, CRI-O | `/var/lib/containers/storage/overlay-containers/containers.json` | name, image, layer |
//! | kubelet | `/var/log/containers/POD_NAMESPACE_CONTAINER-ID.log`, `/var/log/pods/NAMESPACE_POD_UID` | the names |
//!
//! `ROOT` is `/var/lib/docker`, or `data-root` of `/etc/docker/daemon.json`.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Root, container};

/// Bytes of a runtime's description of one container.
const DESCRIPTION: usize = 4 << 20;
/// Bytes of a runtime's list of containers.
const LIST: usize = 16 << 20;
/// Containers whose description is kept.
const KEPT: usize = 1024;
/// Entries of a directory of containers or logs that are looked at.
const ENTRIES: usize = 16_384;
/// How long nobody is asked again about a container that nobody described. Stops: one that starts
/// programs all the time, each of which would read every runtime's files.
const MISSED_FOR: Duration = Duration::from_secs(1);
/// How old the table of layers may be when a layer is not in it.
const LAYERS_FOR: Duration = Duration::from_secs(10);

/// Where podman and CRI-O keep their containers, and what of them only lives until the next boot.
const STORAGE: &str = "/var/lib/containers/storage";
const RUN_STORAGE: &str = "/run/containers/storage";

/// What is known of a container. Names are raw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// Its id; an LXC or nspawn machine's name.
    pub id: Vec<u8>,
    /// The name of the workload that it runs, which is the same after a restart; else the id.
    pub name: Vec<u8>,
    /// Its image, by the name under which it was asked for.
    pub image: Option<Vec<u8>>,
    /// Where it runs in Kubernetes.
    pub pod: Option<PodName>,
}

/// A pod, and a container in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodName {
    /// The namespace.
    pub namespace: Vec<u8>,
    /// The pod.
    pub name: Vec<u8>,
    /// The container in it, where that is known.
    pub container: Option<Vec<u8>>,
}

/// What was read, until [`Root::forget`].
#[derive(Debug, Default)]
pub(crate) struct Cache {
    /// Each until when: without an end where a runtime has described it.
    described: HashMap<Vec<u8>, (Arc<Container>, Option<Instant>)>,
    layers: Option<Layers>,
}

impl Cache {
    fn known(&self, id: &[u8]) -> Option<Arc<Container>> {
        let (container, until) = self.described.get(id)?;
        let holds = until.is_none_or(|until| Instant::now() < until);
        holds.then(|| Arc::clone(container))
    }
}

impl Container {
    /// One of which only the id is known.
    fn undescribed(id: &[u8]) -> Container {
        Container {
            id: id.to_vec(),
            name: id.to_vec(),
            ..Container::default()
        }
    }
}

/// Which container's own layer is which.
#[derive(Debug)]
struct Layers {
    at: Instant,
    by_layer: HashMap<PathBuf, Vec<u8>>,
}

/// The container that a control group belongs to. Where a user made the group, root's runtimes are not
/// asked: it would take another's name.
#[must_use]
pub fn of_group(root: &Root, group: &container::Group) -> Option<Arc<Container>> {
    let id = group.container.as_deref()?;
    if group.delegated {
        return Some(Arc::new(Container::undescribed(id)));
    }
    Some(describe(root, id, group.pod.as_deref()))
}

/// What the runtimes say of container `id`, in the pod of this uid.
#[must_use]
pub fn describe(root: &Root, id: &[u8], pod: Option<&[u8]>) -> Arc<Container> {
    let lock = || {
        root.containers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    };
    if let Some(known) = lock().known(id) {
        return known;
    }
    let found = (id.len() == 64).then(|| find(root, id, pod)).flatten();
    // What a runtime has not written yet it may write the next moment: that is asked again.
    let until = found.is_none().then(|| Instant::now() + MISSED_FOR);
    let described = Arc::new(found.unwrap_or_else(|| Container::undescribed(id)));
    let mut cache = lock();
    if cache.described.len() >= KEPT {
        cache.described.clear();
    }
    cache
        .described
        .insert(id.to_vec(), (Arc::clone(&described), until));
    described
}

/// The container whose own layer holds `path`, and the path inside it. Image layers, which many share,
/// are nobody's.
#[must_use]
pub fn of_layer(root: &Root, path: &Path) -> Option<(Arc<Container>, PathBuf)> {
    // A running container's layer is the upper directory of an overlay: that says where it ends.
    let mounts = root.mounts();
    if let Some((upper, point)) = mounts.upper_above(path) {
        let inside = Path::new("/").join(path.strip_prefix(upper).ok()?);
        let id = point.iter().rev().find(|part| is_id(part.as_bytes()));
        let id = match id.filter(|_| point.starts_with("/run/containerd")) {
            Some(id) => id.as_bytes().to_vec(),
            None => layer_owner(root, upper)?,
        };
        return Some((describe(root, &id, None), inside));
    }
    let mut layers = path.ancestors().filter(|above| above.ends_with("diff"));
    let layer = layers.find(|layer| is_layer(root, layer))?;
    let inside = Path::new("/").join(path.strip_prefix(layer).ok()?);
    let id = layer_owner(root, layer)?;
    Some((describe(root, &id, None), inside))
}

fn is_id(part: &[u8]) -> bool {
    part.len() == 64 && part.iter().all(u8::is_ascii_hexdigit)
}

/// Whether a directory has the name of a layer of Docker's or podman's.
fn is_layer(root: &Root, layer: &Path) -> bool {
    let Some(store) = layer.parent().and_then(Path::parent) else {
        return false;
    };
    store == docker_root(root).join("overlay2") || store == Path::new(STORAGE).join("overlay")
}

fn layer_owner(root: &Root, layer: &Path) -> Option<Vec<u8>> {
    let lock = || {
        root.containers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    };
    if let Some(layers) = &lock().layers {
        let owner = layers.by_layer.get(layer).cloned();
        if owner.is_some() || layers.at.elapsed() < LAYERS_FOR {
            return owner;
        }
    }
    let by_layer = read_layers(root);
    let owner = by_layer.get(layer).cloned();
    let at = Instant::now();
    lock().layers = Some(Layers { at, by_layer });
    owner
}

fn read_layers(root: &Root) -> HashMap<PathBuf, Vec<u8>> {
    let mut by_layer = HashMap::new();
    let docker = docker_root(root);
    let mounts = docker.join("image/overlay2/layerdb/mounts");
    for id in root.list(&mounts, ENTRIES).unwrap_or_default() {
        let file = mounts.join(OsStr::from_bytes(&id)).join("mount-id");
        let Ok(layer) = root.read(&file, 4096) else {
            continue;
        };
        let layer = layer.trim_ascii();
        if is_id(&id) && !layer.is_empty() && !layer.contains(&b'/') {
            let layer = docker.join("overlay2").join(OsStr::from_bytes(layer));
            by_layer.insert(layer.join("diff"), id);
        }
    }
    let storage = Path::new(STORAGE).join("overlay");
    for container in stored(root) {
        if let (Some(id), Some(layer)) = (container["id"].as_str(), container["layer"].as_str())
            && !layer.contains('/')
        {
            by_layer.insert(storage.join(layer).join("diff"), id.as_bytes().to_vec());
        }
    }
    by_layer
}

fn docker_root(root: &Root) -> PathBuf {
    let named = json(root, Path::new("/etc/docker/daemon.json"), DESCRIPTION);
    let named = named.and_then(|it| Some(PathBuf::from(it["data-root"].as_str()?)));
    named
        .filter(|path| path.is_absolute())
        .unwrap_or_else(|| PathBuf::from("/var/lib/docker"))
}

fn find(root: &Root, id: &[u8], pod: Option<&[u8]>) -> Option<Container> {
    let name = OsStr::from_bytes(id);
    let said = of_docker(root, name)
        .or_else(|| of_containerd(root, name))
        .or_else(|| of_storage(root, id));
    let logged = || logged_as(root, id).or_else(|| pod_logged_as(root, pod?));
    let (found, pod) = match said {
        Some(Said { name, image, pod }) => ((name, image), pod.or_else(logged)),
        None => ((None, None), Some(logged()?)),
    };
    let (own, image) = found;
    let workload = pod.as_ref().and_then(workload_of).or(own);
    Some(Container {
        name: workload.unwrap_or_else(|| id.to_vec()),
        id: id.to_vec(),
        image,
        pod,
    })
}

/// What one runtime says.
#[derive(Default)]
struct Said {
    name: Option<Vec<u8>>,
    image: Option<Vec<u8>>,
    pod: Option<PodName>,
}

fn of_docker(root: &Root, id: &OsStr) -> Option<Said> {
    let file = docker_root(root).join("containers").join(id);
    let description = json(root, &file.join("config.v2.json"), DESCRIPTION)?;
    let labels = &description["Config"]["Labels"];
    let composed = match (
        labels["com.docker.compose.project"].as_str(),
        labels["com.docker.compose.service"].as_str(),
    ) {
        (Some(project), Some(service)) => Some(format!("{project}/{service}").into_bytes()),
        _ => None,
    };
    let own = bytes(&description["Name"]).map(|name| {
        let plain = name.strip_prefix(b"/").map(<[u8]>::to_vec);
        plain.unwrap_or(name)
    });
    Some(Said {
        name: composed.or(own.filter(|name| !name.is_empty())),
        image: bytes(&description["Config"]["Image"]),
        pod: kubelets(labels),
    })
}

fn of_containerd(root: &Root, id: &OsStr) -> Option<Said> {
    let tasks = Path::new("/run/containerd/io.containerd.runtime.v2.task");
    // Docker's own namespace is described by Docker.
    ["k8s.io", "default", "moby"].iter().find_map(|namespace| {
        let file = tasks.join(namespace).join(id).join("config.json");
        let notes = json(root, &file, DESCRIPTION)?["annotations"].take();
        let note = |name: &str| bytes(&notes[name]);
        let pod = (|| {
            Some(PodName {
                namespace: note("io.kubernetes.cri.sandbox-namespace")?,
                name: note("io.kubernetes.cri.sandbox-name")?,
                container: note("io.kubernetes.cri.container-name"),
            })
        })();
        Some(Said {
            name: note("nerdctl/name"),
            image: note("io.kubernetes.cri.image-name").or_else(|| note("nerdctl/image-ref")),
            pod,
        })
    })
}

/// podman and CRI-O, which share a storage.
fn of_storage(root: &Root, id: &[u8]) -> Option<Said> {
    let own = Path::new("overlay-containers")
        .join(OsStr::from_bytes(id))
        .join("userdata/config.json");
    let notes = [RUN_STORAGE, STORAGE].iter().find_map(|storage| {
        let description = json(root, &Path::new(storage).join(&own), DESCRIPTION);
        Some(description?["annotations"].take())
    });
    let listed = stored(root)
        .into_iter()
        .find(|it| it["id"].as_str().map(str::as_bytes) == Some(id));
    if notes.is_none() && listed.is_none() {
        return None;
    }
    let (notes, listed) = (notes.unwrap_or_default(), listed.unwrap_or_default());
    // What a runtime notes of a container is JSON in a string.
    let noted: Value = listed["metadata"]
        .as_str()
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let image = bytes(&notes["io.kubernetes.cri-o.ImageName"]);
    Some(Said {
        name: bytes(&listed["names"][0]).or_else(|| bytes(&noted["name"])),
        image: image.or_else(|| bytes(&noted["image-name"])),
        pod: kubelets(&notes),
    })
}

fn stored(root: &Root) -> Vec<Value> {
    let list = Path::new(STORAGE).join("overlay-containers/containers.json");
    match json(root, &list, LIST) {
        Some(Value::Array(all)) => all,
        _ => Vec::new(),
    }
}

/// The labels that the kubelet gives to what it has made.
fn kubelets(labels: &Value) -> Option<PodName> {
    let label = |name: &str| bytes(&labels[name]);
    Some(PodName {
        namespace: label("io.kubernetes.pod.namespace")?,
        name: label("io.kubernetes.pod.name")?,
        container: label("io.kubernetes.container.name"),
    })
}

/// The names in the log's: none of them may hold an underscore.
fn logged_as(root: &Root, id: &[u8]) -> Option<PodName> {
    let names = root.list(Path::new("/var/log/containers"), ENTRIES).ok()?;
    names.iter().find_map(|name| {
        let rest = name.strip_suffix(b".log")?.strip_suffix(id)?;
        let mut parts = rest.strip_suffix(b"-")?.splitn(3, |&byte| byte == b'_');
        Some(PodName {
            name: parts.next()?.to_vec(),
            namespace: parts.next()?.to_vec(),
            container: Some(parts.next()?.to_vec()),
        })
    })
}

fn pod_logged_as(root: &Root, uid: &[u8]) -> Option<PodName> {
    let names = root.list(Path::new("/var/log/pods"), ENTRIES).ok()?;
    names.iter().find_map(|name| {
        let rest = name.strip_suffix(uid)?.strip_suffix(b"_")?;
        let mut parts = rest.splitn(2, |&byte| byte == b'_');
        Some(PodName {
            namespace: parts.next()?.to_vec(),
            name: parts.next()?.to_vec(),
            container: None,
        })
    })
}

/// What a container of a pod is called whatever pod of its kind it runs in; none of the pod alone.
fn workload_of(pod: &PodName) -> Option<Vec<u8>> {
    let container = pod.container.as_deref()?;
    let name =
        std::str::from_utf8(&pod.name).map_or(&pod.name[..], |pod| without_replica(pod).as_bytes());
    Some([&pod.namespace, name, container].join(&b'/'))
}

fn json(root: &Root, path: &Path, limit: usize) -> Option<Value> {
    serde_json::from_slice(&root.read(path, limit).ok()?).ok()
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    value.as_str().map(|text| text.as_bytes().to_vec())
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
mod tests;
