//! Formats of operations: units, cron, containers, clusters, infrastructure as code.

use std::fmt::Write as _;

use super::{Format, plain};
use crate::corpus::block::{Block, Entry};
use crate::corpus::dice::Dice;
use crate::corpus::names::{Key, Style};
use crate::corpus::text::{base64, json_escaped, shell_word};

/// Those of this file.
pub(super) const FORMATS: &[Format] = &[
    Format {
        name: "unit",
        paths: &["etc/systemd/system/PRODUCT.service"],
        write: unit,
        value: unit_value,
    },
    Format {
        name: "unit-drop-in",
        paths: &["etc/systemd/system/PRODUCT.service.d/override.conf"],
        write: drop_in,
        value: unit_value,
    },
    Format {
        name: "crontab",
        paths: &["etc/cron.d/PRODUCT", "var/spool/cron/crontabs/app"],
        write: crontab,
        value: plain,
    },
    Format {
        name: "dockerfile",
        paths: &[
            "srv/PRODUCT/Dockerfile",
            "home/dev/PRODUCT/docker/Dockerfile.prod",
        ],
        write: dockerfile,
        value: shell_word,
    },
    Format {
        name: "compose-list",
        paths: &["srv/PRODUCT/docker-compose.yml", "opt/PRODUCT/compose.yaml"],
        write: compose_list,
        value: plain,
    },
    Format {
        name: "compose-map",
        paths: &["srv/PRODUCT/docker-compose.prod.yml"],
        write: compose_map,
        value: quoted,
    },
    Format {
        name: "secret-data",
        paths: &[
            "home/deploy/k8s/PRODUCT-secret.yaml",
            "etc/kubernetes/addons/PRODUCT.yaml",
        ],
        write: secret_data,
        value: encoded,
    },
    Format {
        name: "secret-string-data",
        paths: &["home/deploy/k8s/PRODUCT-secrets.yml"],
        write: string_data,
        value: quoted,
    },
    Format {
        name: "pod-env",
        paths: &[
            "etc/kubernetes/manifests/PRODUCT.yaml",
            "home/deploy/k8s/PRODUCT-deployment.yaml",
        ],
        write: pod,
        value: quoted,
    },
    Format {
        name: "nginx",
        paths: &[
            "etc/nginx/conf.d/PRODUCT.conf",
            "usr/local/openresty/nginx/conf/PRODUCT.conf",
        ],
        write: nginx,
        value: plain,
    },
    Format {
        name: "tfvars",
        paths: &["home/deploy/infra/PRODUCT/terraform.tfvars"],
        write: tfvars,
        value: json_escaped,
    },
    Format {
        name: "hcl",
        paths: &[
            "home/deploy/infra/PRODUCT/main.tf",
            "etc/consul.d/PRODUCT.hcl",
        ],
        write: hcl,
        value: json_escaped,
    },
    Format {
        name: "tfstate",
        paths: &["home/deploy/infra/PRODUCT/terraform.tfstate"],
        write: tfstate,
        value: json_escaped,
    },
    Format {
        name: "supervisor",
        paths: &["etc/supervisor/conf.d/PRODUCT.conf"],
        write: supervisor,
        value: plain,
    },
    Format {
        name: "profile",
        paths: &[
            "etc/profile.d/PRODUCT.sh",
            "home/app/.bashrc",
            "root/.profile",
        ],
        write: profile,
        value: shell_word,
    },
    Format {
        name: "script",
        paths: &[
            "opt/PRODUCT/bin/deploy.sh",
            "usr/local/bin/PRODUCT-backup.sh",
        ],
        write: script,
        value: shell_word,
    },
    Format {
        name: "cloud-init",
        paths: &["var/lib/cloud/instances/i-0c1d/user-data.txt"],
        write: user_data,
        value: plain,
    },
    Format {
        name: "container-config",
        paths: &["var/lib/docker/containers/4f1c0e/config.v2.json"],
        write: container,
        value: json_escaped,
    },
];

/// The environment variable of an entry: its section's title goes before a name that is not documented.
fn variable(block: &Block, entry: &Entry) -> String {
    let name = entry.key.written(Style::Screaming);
    let titled = !matches!(entry.key, Key::Exact(_)) && !block.credentials.is_empty();
    let name = if titled {
        format!("{}_{name}", Style::Screaming.join(&words(&block.title)))
    } else {
        name
    };
    name.replace(['.', '-'], "_")
}

fn pairs(blocks: &[Block]) -> impl Iterator<Item = (&Block, &Entry)> {
    blocks
        .iter()
        .flat_map(|block| block.entries.iter().map(move |entry| (block, entry)))
}

fn unit_value(value: &str) -> String {
    value.replace('%', "%%")
}

fn environment(text: &mut String, blocks: &[Block], dice: &mut Dice) {
    for block in blocks {
        if let Some(note) = &block.note {
            let _ = writeln!(text, "# {note}");
        }
        for entry in &block.entries {
            let (name, value) = (variable(block, entry), unit_value(&entry.value));
            let _ = if value.contains(' ') || dice.once_in(2) {
                writeln!(text, "Environment=\"{name}={value}\"")
            } else {
                writeln!(text, "Environment={name}={value}")
            };
        }
    }
}

fn unit(blocks: &[Block], dice: &mut Dice) -> String {
    let mut text = String::from(
        "[Unit]\nDescription=Internal service\nAfter=network-online.target\n\n[Service]\nUser=app\n",
    );
    environment(&mut text, blocks, dice);
    text + "ExecStart=/opt/app/bin/server --config /etc/app.yml\nRestart=on-failure\n\n[Install]\nWantedBy=multi-user.target\n"
}

fn drop_in(blocks: &[Block], dice: &mut Dice) -> String {
    let mut text = String::from("[Service]\n");
    environment(&mut text, blocks, dice);
    text
}

fn crontab(blocks: &[Block], dice: &mut Dice) -> String {
    let mut text = String::from("SHELL=/bin/bash\nMAILTO=ops\n");
    for block in blocks {
        if let Some(note) = &block.note {
            let _ = writeln!(text, "# {note}");
        }
        for entry in &block.entries {
            let _ = writeln!(text, "{}={}", variable(block, entry), entry.value);
        }
        let _ = writeln!(
            text,
            "{} {} * * *  app  /opt/jobs/{}.sh >>/var/log/jobs.log 2>&1",
            dice.below(60),
            dice.below(24),
            Style::Kebab.join(&words(&block.title))
        );
    }
    text
}

fn dockerfile(blocks: &[Block], dice: &mut Dice) -> String {
    let mut text = String::from(
        "FROM registry.acme.cn/base/openjdk:17\nWORKDIR /app\nCOPY target/app.jar .\n",
    );
    for block in blocks {
        if let Some(note) = &block.note {
            let _ = writeln!(text, "# {note}");
        }
        for entry in &block.entries {
            let word = dice.one(&["ENV", "ENV", "ARG"]);
            let _ = writeln!(
                text,
                "{word} {}={}",
                variable(block, entry),
                shell_word(&entry.value)
            );
        }
    }
    text + "EXPOSE 8080\nENTRYPOINT [\"java\", \"-jar\", \"app.jar\"]\n"
}

fn compose_list(blocks: &[Block], _: &mut Dice) -> String {
    let mut text = String::from("services:\n");
    for (number, block) in blocks.iter().enumerate() {
        let _ = writeln!(
            text,
            "  svc{number}:\n    image: registry.acme.cn/app:{number}\n    environment:"
        );
        for entry in &block.entries {
            let _ = writeln!(text, "      - {}={}", variable(block, entry), entry.value);
        }
    }
    text
}

fn quoted(value: &str) -> String {
    format!("\"{}\"", json_escaped(value))
}

fn compose_map(blocks: &[Block], _: &mut Dice) -> String {
    let mut text = String::from("version: \"3.8\"\nservices:\n");
    for (number, block) in blocks.iter().enumerate() {
        let _ = writeln!(
            text,
            "  worker{number}:\n    image: registry.acme.cn/app:{number}\n    environment:"
        );
        for entry in &block.entries {
            let _ = writeln!(
                text,
                "      {}: {}",
                variable(block, entry),
                quoted(&entry.value)
            );
        }
        text.push_str("    restart: always\n");
    }
    text
}

fn encoded(value: &str) -> String {
    base64(value.as_bytes())
}

fn secret_data(blocks: &[Block], dice: &mut Dice) -> String {
    let style = dice.one(&[Style::Kebab, Style::Screaming, Style::Camel]);
    manifests(blocks, "data", style, encoded)
}

fn string_data(blocks: &[Block], dice: &mut Dice) -> String {
    let style = dice.one(&[Style::Kebab, Style::Screaming, Style::Snake]);
    manifests(blocks, "stringData", style, quoted)
}

fn manifests(blocks: &[Block], section: &str, style: Style, value: fn(&str) -> String) -> String {
    let mut text = String::new();
    for block in blocks {
        let name = Style::Kebab.join(&words(&block.title));
        let _ = writeln!(
            text,
            "---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\n  namespace: prod\ntype: Opaque\n{section}:"
        );
        for entry in &block.entries {
            let _ = writeln!(
                text,
                "  {}: {}",
                entry.key.written(style),
                value(&entry.value)
            );
        }
    }
    text
}

fn pod(blocks: &[Block], _: &mut Dice) -> String {
    let mut text = String::from(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: worker\nspec:\n  template:\n    spec:\n      containers:\n",
    );
    for (number, block) in blocks.iter().enumerate() {
        let _ = writeln!(
            text,
            "        - name: c{number}\n          image: registry.acme.cn/app@sha256:{}\n          env:",
            "ab12".repeat(16)
        );
        for entry in &block.entries {
            let _ = writeln!(
                text,
                "            - name: {}\n              value: {}",
                variable(block, entry),
                quoted(&entry.value)
            );
        }
        text.push_str("            - name: DB_PASSWORD\n              valueFrom:\n                secretKeyRef:\n                  name: db-credentials\n                  key: password\n");
    }
    text
}

fn nginx(blocks: &[Block], _: &mut Dice) -> String {
    let mut text = String::from(
        "server {\n    listen 443 ssl;\n    ssl_certificate_key /etc/ssl/private/site.key;\n",
    );
    for block in blocks {
        if let Some(note) = &block.note {
            let _ = writeln!(text, "    # {note}");
        }
        let _ = writeln!(
            text,
            "    location /{}/ {{",
            Style::Kebab.join(&words(&block.title))
        );
        for entry in &block.entries {
            let name =
                Style::Snake.join(&words(&block.title)) + "_" + &entry.key.written(Style::Snake);
            let _ = writeln!(
                text,
                "        set ${} \"{}\";",
                name.to_lowercase().replace(['-', '.'], "_"),
                entry.value
            );
        }
        text.push_str("        proxy_pass http://backend;\n    }\n");
    }
    text + "}\n"
}

fn tfvars(blocks: &[Block], _: &mut Dice) -> String {
    let mut text = String::new();
    for block in blocks {
        if let Some(note) = &block.note {
            let _ = writeln!(text, "# {note}");
        }
        let title = Style::Snake.join(&words(&block.title));
        for entry in &block.entries {
            let _ = writeln!(
                text,
                "{title}_{} = \"{}\"",
                entry.key.written(Style::Snake).to_lowercase(),
                json_escaped(&entry.value)
            );
        }
        text.push('\n');
    }
    text
}

fn hcl(blocks: &[Block], dice: &mut Dice) -> String {
    let mut text = String::from("terraform {\n  required_version = \">= 1.5\"\n}\n");
    for block in blocks {
        if let Some(note) = &block.note {
            let _ = writeln!(text, "# {note}");
        }
        let kind = dice.one(&["provider", "module", "backend"]);
        let _ = writeln!(
            text,
            "{kind} \"{}\" {{",
            Style::Snake.join(&words(&block.title))
        );
        for entry in &block.entries {
            let _ = writeln!(
                text,
                "  {} = \"{}\"",
                entry.key.written(Style::Snake),
                json_escaped(&entry.value)
            );
        }
        text.push_str("}\n");
    }
    text
}

fn tfstate(blocks: &[Block], dice: &mut Dice) -> String {
    let mut text = format!(
        "{{\n  \"version\": 4,\n  \"terraform_version\": \"1.5.7\",\n  \"serial\": 12,\n  \"lineage\": \"{}\",\n  \"resources\": [\n",
        dice.uuid()
    );
    for (number, block) in blocks.iter().enumerate() {
        let _ = writeln!(
            text,
            "    {{\n      \"mode\": \"managed\",\n      \"type\": \"{}\",\n      \"name\": \"main\",\n      \"instances\": [\n        {{\n          \"attributes\": {{",
            Style::Snake.join(&words(&block.title))
        );
        for (number, entry) in block.entries.iter().enumerate() {
            let last = if number + 1 == block.entries.len() {
                ""
            } else {
                ","
            };
            let _ = writeln!(
                text,
                "            \"{}\": \"{}\"{last}",
                entry.key.written(Style::Snake),
                json_escaped(&entry.value)
            );
        }
        let last = if number + 1 == blocks.len() { "" } else { "," };
        let _ = writeln!(text, "          }}\n        }}\n      ]\n    }}{last}");
    }
    text + "  ]\n}\n"
}

fn supervisor(blocks: &[Block], _: &mut Dice) -> String {
    let mut text = String::new();
    for block in blocks {
        let list: Vec<String> = block
            .entries
            .iter()
            .map(|entry| format!("{}=\"{}\"", variable(block, entry), entry.value))
            .collect();
        let _ = writeln!(
            text,
            "[program:{}]\ncommand=/opt/app/run\nenvironment={}\nautorestart=true\n",
            Style::Snake.join(&words(&block.title)),
            list.join(",")
        );
    }
    text
}

fn profile(blocks: &[Block], _: &mut Dice) -> String {
    let mut text = String::from("# ~/.profile\numask 022\nexport PATH=$PATH:/opt/bin\n");
    for block in blocks {
        if let Some(note) = &block.note {
            let _ = writeln!(text, "# {note}");
        }
        for entry in &block.entries {
            let _ = writeln!(
                text,
                "export {}={}",
                variable(block, entry),
                shell_word(&entry.value)
            );
        }
    }
    text
}

fn script(blocks: &[Block], _: &mut Dice) -> String {
    let mut text = String::from("#!/usr/bin/env bash\nset -euo pipefail\n");
    for block in blocks {
        if let Some(note) = &block.note {
            let _ = writeln!(text, "# {note}");
        }
        for entry in &block.entries {
            let _ = writeln!(
                text,
                "{}={}",
                variable(block, entry).to_lowercase(),
                shell_word(&entry.value)
            );
        }
        let _ = writeln!(
            text,
            "run_{} \"$1\" || exit 1",
            Style::Snake.join(&words(&block.title))
        );
    }
    text
}

fn user_data(blocks: &[Block], _: &mut Dice) -> String {
    let mut text = String::from("#cloud-config\npackages:\n  - jq\nwrite_files:\n");
    for block in blocks {
        let _ = writeln!(
            text,
            "  - path: /etc/{}.env\n    permissions: '0600'\n    content: |",
            Style::Kebab.join(&words(&block.title))
        );
        for entry in &block.entries {
            let _ = writeln!(text, "      {}={}", variable(block, entry), entry.value);
        }
    }
    text + "runcmd:\n  - systemctl restart app\n"
}

fn container(blocks: &[Block], dice: &mut Dice) -> String {
    let env: Vec<String> = pairs(blocks)
        .map(|(block, entry)| {
            format!(
                "\"{}={}\"",
                variable(block, entry),
                json_escaped(&entry.value)
            )
        })
        .collect();
    format!(
        "{{\"State\":{{\"Running\":true,\"Pid\":4711}},\"ID\":\"{}\",\"Config\":{{\"Hostname\":\"4f1c\",\"Env\":[\"PATH=/usr/bin\",{}],\"Cmd\":[\"/server\"]}}}}\n",
        dice.text("0123456789abcdef", 64),
        env.join(",")
    )
}

fn words(title: &str) -> Vec<String> {
    title.split_whitespace().map(str::to_owned).collect()
}
