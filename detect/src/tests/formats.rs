//! Each format gives the key path, the exact line and one match for each pair.

use super::{PROVIDERS, findings, outline, sample, scan_bytes};
use crate::content::Format;

/// Name of the file, its text and what the field's last words are (`{sn}`: the secret's name).
const SHAPES: &[(&str, &str, &str)] = &[
    (
        ".env",
        "# settings\nPORT=80\n{IN}={id}\n{SN}={secret}\n",
        "{SN}",
    ),
    (".env", "{IN}=\"{id}\"\n{SN}='{secret}'  # live\n", "{SN}"),
    (
        "app.conf",
        "export {IN}={id}\nexport {SN}=\"{secret}\"\n",
        "{SN}",
    ),
    (
        "a.ini",
        "[default]\nregion = x\n\n[live]\n{in} = {id}\n{sn} = {secret}\n",
        "live.{sn}",
    ),
    (
        "a.properties",
        "a=b\n{in}={id}\n{sn}=\\\n  {secret}\n",
        "{sn}",
    ),
    ("a.properties", "{in} : {id}\n{sn} {secret}\n", "{sn}"),
    (
        "a.yml",
        "server:\n  port: 80\ncloud:\n  live:\n    {in}: {id}\n    {sn}: '{secret}' # x\n",
        "cloud.live.{sn}",
    ),
    (
        "a.yaml",
        "- name: a\n  {in}: \"{id}\"\n  {sn}: \"{secret}\"\n- name: b\n",
        "[0].{sn}",
    ),
    ("a.yaml", "a: {{in}: {id}, {sn}: {secret}}\n", "a.{sn}"),
    (
        "deploy.yaml",
        "spec:\n  env:\n  - name: {IN}\n    value: {id}\n  - name: {SN}\n    value: {secret}\n",
        "{SN}",
    ),
    (
        "docker-compose.yml",
        "services:\n  web:\n    environment:\n      - {IN}={id}\n      - {SN}={secret}\n",
        "{SN}",
    ),
    (
        "cm.yaml",
        "kind: ConfigMap\ndata:\n  app.properties: |\n    a=b\n    {in}={id}\n    {sn}={secret}\n",
        "{sn}",
    ),
    (
        "ci.yml",
        "job:\n  script:\n    - export {IN}={id}\n    - export {SN}={secret}\n",
        "{SN}",
    ),
    (
        "a.json",
        "{\n  \"a\": {\n    \"{in}\": \"{id}\",\n    \"{sn}\": \"{secret}\"\n  }\n}\n",
        "a.{sn}",
    ),
    (
        "a.json",
        "[{\"x\":1},{\"{in}\":\"{id}\",\"{sn}\":\"{secret}\"}]",
        "[1].{sn}",
    ),
    (
        "config.v2.json",
        "{\"Config\":{\"Env\":[\"PATH=/bin\",\"{IN}={id}\",\"{SN}={secret}\"]}}",
        "{SN}",
    ),
    (
        "a.toml",
        "[cloud]\n{in} = \"{id}\"\n{sn} = \"{secret}\"\n",
        "cloud.{sn}",
    ),
    (
        "a.xml",
        "<c>\n <{in}>{id}</{in}>\n <{sn}>{secret}</{sn}>\n</c>\n",
        "c.{sn}",
    ),
    (
        "core-site.xml",
        "<configuration>\n<property>\n<name>fs.{in}</name>\n<value>{id}</value>\n</property>\n<property>\n<name>fs.{sn}</name>\n<value>{secret}</value>\n</property>\n</configuration>\n",
        "fs.{sn}",
    ),
    (
        "beans.xml",
        "<b><property name=\"{in}\" value=\"{id}\"/>\n<property name=\"{sn}\" value=\"{secret}\"/></b>\n",
        "{sn}",
    ),
    (
        "run.sh",
        "#!/bin/sh\nset -e\nexport {IN}={id}\nexport {SN}={secret}\n./run\n",
        "{SN}",
    ),
    ("run.sh", "{IN}={id} {SN}={secret} ./run\n", "{SN}"),
    (
        "run.sh",
        "docker run -e {IN}={id} -e {SN}={secret} img\n",
        "{SN}",
    ),
    (
        "run.sh",
        "tool --access-key-id {id} \\\n  --access-key-secret={secret} --{in} x\n",
        "access-key-secret",
    ),
    (
        "Dockerfile",
        "FROM x\nENV {IN}={id} \\\n    {SN}={secret}\n",
        "{SN}",
    ),
    ("Dockerfile", "ENV {IN} {id}\nENV {SN} {secret}\n", "{SN}"),
    (
        ".bash_history",
        "ls\n#1700000000\nexport {IN}={id}\n#1700000001\nexport {SN}={secret}\ncd\n",
        "{SN}",
    ),
    (
        ".zsh_history",
        ": 1700000000:0;export {IN}={id}\n: 1700000001:0;export {SN}={secret}\n",
        "{SN}",
    ),
    (
        "fish_history",
        "- cmd: set -gx {IN} {id}\n  when: 1\n- cmd: set -gx {SN} {secret}\n  when: 2\n",
        "{SN}",
    ),
    (
        "x.service",
        "[Service]\nEnvironment=\"{IN}={id}\" \"{SN}={secret}\"\nExecStart=/bin/x\n",
        "{SN}",
    ),
    (
        "x.service",
        "[Service]\nEnvironment={IN}={id}\nEnvironment={SN}={secret}\n",
        "{SN}",
    ),
    (
        "main.py",
        "import os\n\nclient = Client(\n    {in}=\"{id}\",\n    {sn}=\"{secret}\",\n)\n",
        "{sn}",
    ),
    (
        "Main.java",
        "class A {\n  static final String {IN} = \"{id}\";\n  static final String {SN} = \"{secret}\";\n}\n",
        "{SN}",
    ),
    (
        "a.js",
        "const c = {\n  {in}: '{id}',\n  {sn}: '{secret}',\n};\n",
        "{sn}",
    ),
    (
        "a.php",
        "define('{IN}', '{id}');\ndefine('{SN}', '{secret}');\n",
        "{SN}",
    ),
    (
        "a.go",
        "c := Config{\n\t{in}: \"{id}\",\n\t{sn}: \"{secret}\",\n}\n",
        "{sn}",
    ),
    (
        "main.tf",
        "provider \"x\" {\n  {in} = \"{id}\"\n  {sn} = \"{secret}\"\n}\n",
        "{sn}",
    ),
    (
        "notes.txt",
        "keys for the {in} account\n{in}: {id}\n{sn}: {secret}\n",
        "{sn}",
    ),
    (
        "app.log",
        "2026 INFO start {in}={id} {sn}={secret} ok\n",
        "{sn}",
    ),
    (".env", "# {IN}={id}\n# {SN}={secret}\nPORT=80\n", "{SN}"),
    ("a.yml", "a: 1\n#  {in}: {id}\n#  {sn}: {secret}\n", "{sn}"),
    (
        "a.json",
        "{\"env\":\"{\\\"{in}\\\":\\\"{id}\\\",\\\"{sn}\\\":\\\"{secret}\\\"}\"}",
        "env.{sn}",
    ),
    (
        "a.json",
        "{\"file\":\"{in}={id}\\n{sn}={secret}\\n\"}",
        "file.{sn}",
    ),
];

fn fill(text: &str, names: (&str, &str), id: &str, secret: &str) -> String {
    text.replace("{IN}", &names.0.to_uppercase())
        .replace("{SN}", &names.1.to_uppercase())
        .replace("{in}", names.0)
        .replace("{sn}", names.1)
        .replace("{id}", id)
        .replace("{secret}", secret)
}

fn check(rule: &str, names: (&str, &str), shape: &(&str, &str, &str), seed: u64) {
    let (file, template, field) = *shape;
    let made = sample(rule, seed);
    let text = fill(template, names, &made.id, &made.secret);
    let scan = scan_bytes(file, Format::Guess, text.as_bytes());
    let found = findings(&scan);
    let context = format!(
        "{rule} seed {seed} in {file}: {template:?}\n{:#?}",
        outline(&scan)
    );
    assert_eq!(found.len(), 1, "one match: {context}");
    let found = found[0];
    assert_eq!(found.rule.as_str(), rule, "{context}");
    assert_eq!(
        found
            .id
            .as_ref()
            .map(akwatch_proto::credential::CredentialId::as_str),
        Some(made.id.as_str()),
        "id: {context}"
    );
    let secret = found.secret.as_ref().expect("a secret").expose();
    assert!(secret == made.secret.as_bytes(), "secret: {context}");
    let at = text.find(&made.secret).expect("it was planted");
    let line = 1 + text[..at].matches('\n').count();
    // A continued properties value begins where its key's line does.
    let line = if template.contains("\\\n  {secret}") {
        line - 1
    } else {
        line
    };
    assert_eq!(found.spot.line as usize, line, "line: {context}");
    let field = fill(field, names, "", "");
    let told = found
        .spot
        .field
        .as_deref()
        .map(String::from_utf8_lossy)
        .unwrap_or_default();
    assert!(
        told.ends_with(&field),
        "field {told} for {field}: {context}"
    );
    assert!(scan.unread.is_empty() && !scan.too_many, "{context}");
}

#[test]
fn every_provider_in_every_format() {
    for (rule, id, secret) in PROVIDERS {
        for shape in SHAPES {
            for seed in 1..4 {
                check(rule, (id, secret), shape, seed);
            }
        }
    }
}

#[test]
fn environments_and_arguments_are_read_by_their_nuls() {
    for (rule, id, secret) in PROVIDERS {
        let made = sample(rule, 5);
        let text = format!(
            "PATH=/bin\0{}={}\0HOME=/\0{}={}\0",
            id.to_uppercase(),
            made.id,
            secret.to_uppercase(),
            made.secret
        );
        let scan = scan_bytes("/proc/1/environ", Format::Environ, text.as_bytes());
        let found = findings(&scan);
        assert_eq!(found.len(), 1, "{rule} {:#?}", outline(&scan));
        assert_eq!(found[0].spot.line, 1);
        assert_eq!(
            found[0].spot.field.as_deref(),
            Some(secret.to_uppercase().as_bytes())
        );
        let text = format!(
            "/usr/bin/x\0--{id}\0{}\0--{secret}={}\0",
            made.id, made.secret
        );
        let scan = scan_bytes("/proc/1/cmdline", Format::Argv, text.as_bytes());
        let found = findings(&scan);
        assert_eq!(found.len(), 1, "{rule} {:#?}", outline(&scan));
        assert_eq!(found[0].rule.as_str(), rule);
    }
}

#[test]
fn files_that_hold_nothing_but_the_two_halves() {
    for rule in ["alibaba.access-key", "tencent.access-key", "aws.access-key"] {
        for template in [
            "bucket:{id}:{secret}\n",
            "{id}:{secret}\n",
            "AccessKey ID,AccessKey Secret\n{id},{secret}\n",
            "f.write({id}, {secret})\n",
            "key {id} / {secret}\n",
        ] {
            let made = sample(rule, 9);
            let text = fill(template, ("", ""), &made.id, &made.secret);
            let scan = scan_bytes("passwd-ossfs", Format::Guess, text.as_bytes());
            let found = findings(&scan);
            assert_eq!(found.len(), 1, "{rule} {template} {:#?}", outline(&scan));
            assert!(
                found[0]
                    .secret
                    .as_ref()
                    .is_some_and(|s| s.expose() == made.secret.as_bytes())
            );
        }
    }
}

#[test]
fn commands_carry_passwords_that_only_a_table_knows() {
    let secret = format!("T{}z", 987_654_321);
    let long = format!("{secret}Qw{secret}");
    for (line, value) in [
        ("mysql -h db -uroot -p{} app", &secret),
        ("PGPASSWORD={} psql -h db", &secret),
        ("redis-cli -h r -a {} ping", &secret),
        ("sshpass -p '{}' ssh root@10.0.0.1", &secret),
        ("docker login -u u -p {} reg.example.org", &secret),
        ("curl -u bob:{} https://x.org", &secret),
        ("curl -H \"Authorization: Bearer {}\" https://x.org", &long),
        ("mongo mongodb://app:{}@db:27017/app", &secret),
        ("mc alias set m https://s3.x somebody {}", &long),
        ("wget --user=bob --password={} https://x", &secret),
        ("ansible-playbook x.yml -e \"db_password={}\"", &secret),
        ("keytool -genkey -storepass {}", &secret),
        ("git clone https://bob:{}@git.x.org/a.git", &secret),
        ("ldapsearch -D cn=a -w {}", &secret),
        ("helm install x --set db.password={}", &secret),
        (
            "kubectl create secret generic x --from-literal=password={}",
            &secret,
        ),
        ("7z a -p{} a.7z b", &secret),
    ] {
        let text = format!("ls\n{}\ncd\n", line.replace("{}", value));
        let scan = scan_bytes("/root/.bash_history", Format::Guess, text.as_bytes());
        let found = findings(&scan);
        assert_eq!(found.len(), 1, "{line} {:#?}", outline(&scan));
        assert!(
            found[0]
                .secret
                .as_ref()
                .is_some_and(|s| s.expose() == value.as_bytes()),
            "{line}"
        );
        assert_eq!(found[0].spot.line, 2, "{line}");
    }
}
