//! Runtimes' files as they lie on real hosts, below a root of the test's own.

use super::*;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const UID: &str = "0a1b2c3d-1111-2222-3333-444455556666";

fn write(base: &Path, path: &str, text: &str) {
    let file = base.join(path.replace("UID", UID).replace("ID", ID));
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text.replace("ID", ID)).unwrap();
}

/// Namespace, pod and container.
type InPod<'a> = (&'a str, &'a str, Option<&'a str>);

/// Describes the container of these files: name, image, pod.
#[track_caller]
fn check(files: &[(&str, &str)], expected: (&str, Option<&str>, Option<InPod<'_>>)) {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        write(dir.path(), path, text);
    }
    let root = Root::at(dir.path()).unwrap();
    let found = describe(&root, ID.as_bytes(), Some(UID.as_bytes()));
    let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).unwrap();
    let pod = found.pod.as_ref().map(|pod| {
        let container = pod.container.as_ref().map(text);
        (text(&pod.namespace), text(&pod.name), container)
    });
    let (name, image, expected_pod) = expected;
    assert_eq!(text(&found.name), name.replace("ID", ID));
    assert_eq!(found.image.as_ref().map(text).as_deref(), image);
    let expected_pod = expected_pod.map(|(namespace, name, container)| {
        (
            namespace.to_owned(),
            name.to_owned(),
            container.map(str::to_owned),
        )
    });
    assert_eq!(pod, expected_pod);
    assert_eq!(found.id, ID.as_bytes());
}

#[test]
fn docker_says_name_image_and_composed_service() {
    let file = "var/lib/docker/containers/ID/config.v2.json";
    check(
        &[(
            file,
            r#"{"ID":"ID","Name":"/web_1","Config":{"Image":"nginx:1.25","Labels":{"com.docker.compose.project":"shop","com.docker.compose.service":"web"}}}"#,
        )],
        ("shop/web", Some("nginx:1.25"), None),
    );
    check(
        &[(
            file,
            r#"{"Name":"/cache","Config":{"Image":"redis","Labels":{}}}"#,
        )],
        ("cache", Some("redis"), None),
    );
    check(
        &[
            ("etc/docker/daemon.json", r#"{"data-root":"/data/docker"}"#),
            (
                "data/docker/containers/ID/config.v2.json",
                r#"{"Name":"/moved","Config":{"Image":"app:2"}}"#,
            ),
        ],
        ("moved", Some("app:2"), None),
    );
}

#[test]
fn containerd_says_image_and_pod_of_the_kubelets_containers_and_the_name_of_nerdctls() {
    check(
        &[(
            "run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json",
            r#"{"ociVersion":"1.1.0","annotations":{"io.kubernetes.cri.container-type":"container","io.kubernetes.cri.image-name":"registry.example.org/api:7","io.kubernetes.cri.sandbox-namespace":"prod","io.kubernetes.cri.sandbox-name":"api-7d9c5b4f6d-x2x7q","io.kubernetes.cri.container-name":"main"}}"#,
        )],
        (
            "prod/api/main",
            Some("registry.example.org/api:7"),
            Some(("prod", "api-7d9c5b4f6d-x2x7q", Some("main"))),
        ),
    );
    check(
        &[(
            "run/containerd/io.containerd.runtime.v2.task/default/ID/config.json",
            r#"{"annotations":{"nerdctl/name":"proxy","nerdctl/image-ref":"docker.io/library/envoy:1"}}"#,
        )],
        ("proxy", Some("docker.io/library/envoy:1"), None),
    );
}

#[test]
fn podman_and_crio_say_name_image_and_pod() {
    check(
        &[(
            "var/lib/containers/storage/overlay-containers/containers.json",
            r#"[{"id":"ff","names":["other"]},{"id":"ID","names":["db"],"image":"aa","layer":"bb","metadata":"{\"image-name\":\"docker.io/library/postgres:16\",\"image-id\":\"aa\",\"name\":\"db\"}"}]"#,
        )],
        ("db", Some("docker.io/library/postgres:16"), None),
    );
    check(
        &[(
            "run/containers/storage/overlay-containers/ID/userdata/config.json",
            r#"{"annotations":{"io.kubernetes.cri-o.ImageName":"quay.io/acme/api:3","io.kubernetes.pod.namespace":"prod","io.kubernetes.pod.name":"api-0","io.kubernetes.container.name":"main"}}"#,
        )],
        (
            "prod/api-0/main",
            Some("quay.io/acme/api:3"),
            Some(("prod", "api-0", Some("main"))),
        ),
    );
}

#[test]
fn the_kubelets_logs_name_what_no_runtime_describes() {
    check(
        &[(
            "var/log/containers/api-7d9c5b4f6d-x2x7q_prod_side-car-ID.log",
            "",
        )],
        (
            "prod/api/side-car",
            None,
            Some(("prod", "api-7d9c5b4f6d-x2x7q", Some("side-car"))),
        ),
    );
    // Of the pod alone the container's name is not known: the id stands.
    check(
        &[("var/log/pods/prod_api-7d9c5b4f6d-x2x7q_UID/main/0.log", "")],
        ("ID", None, Some(("prod", "api-7d9c5b4f6d-x2x7q", None))),
    );
    check(&[], ("ID", None, None));
    check(
        &[("var/lib/docker/containers/ID/config.v2.json", "{ not json")],
        ("ID", None, None),
    );
}

#[test]
fn a_pods_name_survives_its_replacement() {
    assert_eq!(without_replica("api-7d9c5b4f6d-x2x7q"), "api");
    assert_eq!(without_replica("db-0"), "db-0");
    assert_eq!(without_replica("logs-x2x7q"), "logs");
    assert_eq!(without_replica("single"), "single");
}

#[test]
fn what_a_runtime_writes_later_is_known_then_and_kept_until_it_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::at(dir.path()).unwrap();
    let name = || String::from_utf8(describe(&root, ID.as_bytes(), None).name.clone()).unwrap();
    assert_eq!(name(), ID);
    let file = "var/lib/docker/containers/ID/config.v2.json";
    write(dir.path(), file, r#"{"Name":"/web"}"#);
    while name() == ID {
        std::thread::yield_now(); // nobody is asked again for a while
    }
    assert_eq!(name(), "web");
    write(dir.path(), file, r#"{"Name":"/renamed"}"#);
    assert_eq!(name(), "web");
    root.forget();
    assert_eq!(name(), "renamed");
}

#[test]
fn a_stopped_containers_layer_is_its_own_and_an_images_is_nobodys() {
    let dir = tempfile::tempdir().unwrap();
    let at = |path: &str, text: &str| write(dir.path(), path, text);
    at(
        "var/lib/docker/containers/ID/config.v2.json",
        r#"{"Name":"/web","Config":{"Image":"nginx"}}"#,
    );
    at(
        "var/lib/docker/image/overlay2/layerdb/mounts/ID/mount-id",
        "9f8e\n",
    );
    let stored = "1".repeat(64);
    at(
        "var/lib/containers/storage/overlay-containers/containers.json",
        &format!(r#"[{{"id":"{stored}","names":["db"],"layer":"77aa"}}]"#),
    );
    let root = Root::at(dir.path()).unwrap();
    let owner = |path: &str| {
        let (container, inside) = of_layer(&root, Path::new(path))?;
        let name = String::from_utf8(container.name.clone()).unwrap();
        Some((name, inside.to_str().unwrap().to_owned()))
    };
    let found = |name: &str, inside: &str| Some((name.to_owned(), inside.to_owned()));
    let web = "/var/lib/docker/overlay2/9f8e/diff/etc/app.env";
    assert_eq!(owner(web), found("web", "/etc/app.env"));
    let db = "/var/lib/containers/storage/overlay/77aa/diff/root/diff/x";
    assert_eq!(owner(db), found("db", "/root/diff/x"));
    assert_eq!(
        owner("/var/lib/docker/overlay2/0000/diff/etc/app.env"),
        None
    );
    assert_eq!(owner("/srv/overlay2/9f8e/diff/etc/app.env"), None);
    assert_eq!(owner("/srv/app/.env"), None);
}
