//! Formats of configuration files.

use std::fmt::Write as _;

use super::{Format, plain};
use crate::corpus::block::{Block, Entry};
use crate::corpus::dice::Dice;
use crate::corpus::names::Style;
use crate::corpus::text::{json_escaped, shell_word, xml_escaped};

/// Those of this file.
pub(super) const FORMATS: &[Format] = &[
    Format {
        name: "yaml",
        paths: &[
            "srv/PRODUCT/config/application-prod.yml",
            "opt/PRODUCT/conf/settings.yaml",
            "etc/PRODUCT/PRODUCT.yaml",
        ],
        write: yaml,
        value: quoted_yaml,
    },
    Format {
        name: "yaml-documents",
        paths: &[
            "srv/PRODUCT/deploy/values.yaml",
            "home/deploy/PRODUCT/vars.yml",
        ],
        write: documents,
        value: quoted_yaml,
    },
    Format {
        name: "json",
        paths: &[
            "srv/PRODUCT/appsettings.Production.json",
            "opt/PRODUCT/config.json",
            "home/app/PRODUCT/conf.json",
        ],
        write: json,
        value: json_escaped,
    },
    Format {
        name: "json5",
        paths: &[
            "srv/PRODUCT/config/default.json5",
            "opt/PRODUCT/settings.jsonc",
        ],
        write: json5,
        value: json_escaped,
    },
    Format {
        name: "toml",
        paths: &[
            "etc/PRODUCT/config.toml",
            "srv/PRODUCT/pyproject-deploy.toml",
        ],
        write: toml,
        value: json_escaped,
    },
    Format {
        name: "ini",
        paths: &[
            "etc/PRODUCT/PRODUCT.ini",
            "opt/PRODUCT/conf/app.cfg",
            "usr/local/etc/PRODUCT.conf",
        ],
        write: ini,
        value: plain,
    },
    Format {
        name: "properties",
        paths: &[
            "opt/PRODUCT/WEB-INF/classes/jdbc.properties",
            "srv/PRODUCT/config/bootstrap.properties",
        ],
        write: properties,
        value: escaped_properties,
    },
    Format {
        name: "apollo",
        paths: &["opt/data/PRODUCT/config-cache/PRODUCT+default+application.properties"],
        write: flat_properties,
        value: escaped_properties,
    },
    Format {
        name: "nacos",
        paths: &[
            "home/app/nacos/config/fixed-10.0.3.7_8848_nacos/snapshot/DEFAULT_GROUP/PRODUCT-prod.yaml",
        ],
        write: yaml,
        value: quoted_yaml,
    },
    Format {
        name: "xml",
        paths: &[
            "opt/PRODUCT/conf/context-beans.xml",
            "srv/PRODUCT/config/settings.xml",
        ],
        write: xml,
        value: xml_escaped,
    },
    Format {
        name: "xml-attributes",
        paths: &[
            "opt/tomcat/conf/server-PRODUCT.xml",
            "srv/PRODUCT/web.config",
        ],
        write: attributes,
        value: xml_escaped,
    },
    Format {
        name: "hadoop-xml",
        paths: &[
            "etc/hadoop/conf/core-site.xml",
            "opt/hive/conf/hive-site.xml",
            "opt/flink-PRODUCT/conf/yarn-site.xml",
        ],
        write: hadoop,
        value: xml_escaped,
    },
    Format {
        name: "dotenv",
        paths: &[
            "srv/PRODUCT/.env",
            "opt/PRODUCT/.env.production",
            "home/app/PRODUCT/prod.env",
        ],
        write: dotenv,
        value: shell_value,
    },
    Format {
        name: "environment",
        paths: &["etc/default/PRODUCT", "etc/sysconfig/PRODUCT"],
        write: dotenv,
        value: shell_value,
    },
    Format {
        name: "spark-defaults",
        paths: &["opt/spark/conf/spark-defaults.conf"],
        write: spark,
        value: plain,
    },
    Format {
        name: "flink",
        paths: &["opt/flink/conf/flink-conf.yaml"],
        write: flat_yaml,
        value: quoted_yaml,
    },
];

fn style(dice: &mut Dice, all: &[Style]) -> Style {
    dice.one(all)
}

/// A value as YAML has it: in double quotes when it would not stand alone.
fn quoted_yaml(value: &str) -> String {
    let plain = value
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_./+=".contains(&byte))
        && value.bytes().any(|byte| byte.is_ascii_alphabetic())
        && !value.starts_with(['-', '=']);
    if plain {
        value.to_owned()
    } else {
        format!("\"{}\"", json_escaped(value))
    }
}

fn comment(text: &mut String, mark: &str, block: &Block, indent: &str) {
    if let Some(note) = &block.note {
        let _ = writeln!(text, "{indent}{mark} {note}");
    }
}

fn yaml(blocks: &[Block], dice: &mut Dice) -> String {
    let style = style(dice, &[Style::Snake, Style::Camel, Style::Kebab]);
    let step = dice.one(&["  ", "    "]);
    let deep = dice.once_in(2);
    let mut text = String::from("# managed by hand\n");
    if deep {
        text.push_str("app:\n");
    }
    let base = if deep { step } else { "" };
    for block in blocks {
        comment(&mut text, "#", block, base);
        let _ = writeln!(text, "{base}{}:", style.join(&words(&block.title)));
        for entry in &block.entries {
            let _ = writeln!(
                text,
                "{base}{step}{}: {}",
                entry.key.written(style),
                quoted_yaml(&entry.value)
            );
        }
    }
    text
}

fn documents(blocks: &[Block], dice: &mut Dice) -> String {
    let style = style(dice, &[Style::Snake, Style::Camel]);
    let mut text = String::new();
    for (number, block) in blocks.iter().enumerate() {
        text.push_str("---\n");
        comment(&mut text, "#", block, "");
        let _ = writeln!(
            text,
            "kind: Settings\nname: {}\nbase: &base{number}\n  tier: backend",
            Style::Kebab.join(&words(&block.title))
        );
        text.push_str("spec:\n");
        let _ = writeln!(text, "  <<: *base{number}\n  items:");
        let (first, rest) = block.entries.split_at(block.entries.len().min(1));
        for entry in first {
            let _ = writeln!(
                text,
                "    - {}: {}",
                entry.key.written(style),
                quoted_yaml(&entry.value)
            );
        }
        for entry in rest {
            let _ = writeln!(
                text,
                "      {}: {}",
                entry.key.written(style),
                quoted_yaml(&entry.value)
            );
        }
    }
    text
}

fn flat_yaml(blocks: &[Block], _: &mut Dice) -> String {
    let mut text = String::new();
    for block in blocks {
        comment(&mut text, "#", block, "");
        for entry in &block.entries {
            let _ = writeln!(
                text,
                "{}: {}",
                dotted(block, entry),
                quoted_yaml(&entry.value)
            );
        }
        text.push('\n');
    }
    text
}

fn dotted(block: &Block, entry: &Entry) -> String {
    format!(
        "{}.{}",
        Style::Dotted.join(&words(&block.title)),
        entry.key.written(Style::Kebab)
    )
}

fn json(blocks: &[Block], dice: &mut Dice) -> String {
    let style = style(dice, &[Style::Camel, Style::Pascal, Style::Snake]);
    let step = dice.one(&["  ", "    ", "\t"]);
    let listed = dice.once_in(4);
    let mut text = String::from("{\n");
    if listed {
        let _ = writeln!(text, "{step}\"services\": [");
    }
    for (number, block) in blocks.iter().enumerate() {
        let last = if number + 1 == blocks.len() { "" } else { "," };
        let title = style.join(&words(&block.title));
        if listed {
            let _ = writeln!(text, "{step}{{ \"name\": \"{title}\",");
        } else {
            let _ = writeln!(text, "{step}\"{title}\": {{");
        }
        for (number, entry) in block.entries.iter().enumerate() {
            let last = if number + 1 == block.entries.len() {
                ""
            } else {
                ","
            };
            let _ = writeln!(
                text,
                "{step}{step}\"{}\": \"{}\"{last}",
                entry.key.written(style),
                json_escaped(&entry.value)
            );
        }
        let _ = writeln!(text, "{step}}}{last}");
    }
    if listed {
        let _ = writeln!(text, "{step}]");
    }
    text + "}\n"
}

fn json5(blocks: &[Block], dice: &mut Dice) -> String {
    let style = style(dice, &[Style::Camel, Style::Snake]);
    let mut text = String::from("// local overrides\n{\n");
    for block in blocks {
        comment(&mut text, "//", block, "  ");
        let _ = writeln!(text, "  {}: {{", style.join(&words(&block.title)));
        for entry in &block.entries {
            let _ = writeln!(
                text,
                "    {}: \"{}\",",
                style_name(entry, style),
                json_escaped(&entry.value)
            );
        }
        text.push_str("  },\n");
    }
    text + "}\n"
}

/// A name without what would need quotes.
fn style_name(entry: &Entry, style: Style) -> String {
    entry.key.written(style).replace(['-', '.'], "_")
}

fn toml(blocks: &[Block], dice: &mut Dice) -> String {
    let style = style(dice, &[Style::Snake, Style::Kebab]);
    let mut text = String::from("title = \"service\"\n");
    for block in blocks {
        text.push('\n');
        comment(&mut text, "#", block, "");
        let _ = writeln!(text, "[{}]", Style::Dotted.join(&words(&block.title)));
        for entry in &block.entries {
            let _ = writeln!(
                text,
                "{} = \"{}\"",
                entry.key.written(style),
                json_escaped(&entry.value)
            );
        }
    }
    text
}

fn ini(blocks: &[Block], dice: &mut Dice) -> String {
    let style = style(dice, &[Style::Snake, Style::Camel, Style::Dotted]);
    let sign = dice.one(&[" = ", "=", ": "]);
    let mut text = String::from("; generated on install\n");
    for block in blocks {
        comment(&mut text, dice.one(&[";", "#"]), block, "");
        let _ = writeln!(text, "[{}]", Style::Snake.join(&words(&block.title)));
        for entry in &block.entries {
            let _ = writeln!(text, "{}{sign}{}", entry.key.written(style), entry.value);
        }
        text.push('\n');
    }
    text
}

fn escaped_properties(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('=', "\\=")
        .replace(':', "\\:")
        .replace('#', "\\#")
        .replace('!', "\\!")
}

fn properties(blocks: &[Block], dice: &mut Dice) -> String {
    let sign = dice.one(&["=", " = ", ":"]);
    let mut text = String::from("#Sat Mar 09 11:20:31 CST 2024\n");
    for block in blocks {
        comment(&mut text, "#", block, "");
        for (number, entry) in block.entries.iter().enumerate() {
            let value = escaped_properties(&entry.value);
            let holds = block
                .credentials
                .iter()
                .any(|one| one.secret == entry.value);
            if number % 4 == 3 && !holds {
                let _ = writeln!(text, "{}{sign}\\\n    {value}", dotted(block, entry));
            } else {
                let _ = writeln!(text, "{}{sign}{value}", dotted(block, entry));
            }
        }
    }
    text
}

fn flat_properties(blocks: &[Block], _: &mut Dice) -> String {
    let mut text = String::from("#Persisted by DefaultConfig\n");
    for entry in blocks
        .iter()
        .flat_map(|block| block.entries.iter().map(move |entry| (block, entry)))
    {
        let _ = writeln!(
            text,
            "{}={}",
            dotted(entry.0, entry.1),
            escaped_properties(&entry.1.value)
        );
    }
    text
}

fn xml(blocks: &[Block], dice: &mut Dice) -> String {
    let style = style(dice, &[Style::Camel, Style::Kebab, Style::Pascal]);
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<configuration>\n");
    for block in blocks {
        if let Some(note) = &block.note {
            let _ = writeln!(text, "  <!-- {note} -->");
        }
        let title = style.join(&words(&block.title));
        let _ = writeln!(text, "  <{title}>");
        for entry in &block.entries {
            let name = entry.key.written(style);
            let _ = writeln!(text, "    <{name}>{}</{name}>", xml_escaped(&entry.value));
        }
        let _ = writeln!(text, "  </{title}>");
    }
    text + "</configuration>\n"
}

fn attributes(blocks: &[Block], dice: &mut Dice) -> String {
    let style = style(dice, &[Style::Camel, Style::Pascal]);
    let mut text = String::from("<?xml version=\"1.0\"?>\n<settings>\n");
    let split = dice.once_in(2);
    for block in blocks {
        if split {
            let _ = writeln!(text, "  <group name=\"{}\">", block.title);
            for entry in &block.entries {
                let _ = writeln!(
                    text,
                    "    <add key=\"{}\" value=\"{}\" />",
                    entry.key.written(style),
                    xml_escaped(&entry.value)
                );
            }
            text.push_str("  </group>\n");
        } else {
            let _ = write!(text, "  <resource id=\"{}\"", block.title);
            for entry in &block.entries {
                let _ = write!(
                    text,
                    "\n      {}=\"{}\"",
                    entry.key.written(style),
                    xml_escaped(&entry.value)
                );
            }
            text.push_str("/>\n");
        }
    }
    text + "</settings>\n"
}

fn hadoop(blocks: &[Block], _: &mut Dice) -> String {
    let mut text = String::from("<?xml version=\"1.0\"?>\n<configuration>\n");
    for block in blocks {
        if let Some(note) = &block.note {
            let _ = writeln!(text, "<!-- {note} -->");
        }
        for entry in &block.entries {
            let _ = writeln!(
                text,
                "  <property>\n    <name>fs.{}</name>\n    <value>{}</value>\n  </property>",
                dotted(block, entry),
                xml_escaped(&entry.value)
            );
        }
    }
    text + "</configuration>\n"
}

fn shell_value(value: &str) -> String {
    shell_word(value)
}

fn dotenv(blocks: &[Block], dice: &mut Dice) -> String {
    let export = if dice.once_in(4) { "export " } else { "" };
    let titled = dice.once_in(2);
    let mut text = String::new();
    for block in blocks {
        comment(&mut text, "#", block, "");
        let title = Style::Screaming.join(&words(&block.title));
        for entry in &block.entries {
            let name = entry.key.written(Style::Screaming);
            // A documented name keeps its form; otherwise the section's title goes before it.
            let exact = matches!(entry.key, crate::corpus::names::Key::Exact(_));
            let name = if exact || (titled && block.credentials.is_empty()) {
                name
            } else {
                format!("{title}_{name}")
            };
            let _ = writeln!(text, "{export}{name}={}", shell_word(&entry.value));
        }
    }
    text
}

fn spark(blocks: &[Block], _: &mut Dice) -> String {
    let mut text = String::from("# defaults for spark-submit\n");
    for block in blocks {
        comment(&mut text, "#", block, "");
        for entry in &block.entries {
            let _ = writeln!(
                text,
                "spark.hadoop.fs.{}   {}",
                dotted(block, entry),
                entry.value
            );
        }
    }
    text
}

fn words(title: &str) -> Vec<String> {
    title.split_whitespace().map(str::to_owned).collect()
}
