//! Source code, tables and notes in which people leave credentials.

use std::fmt::Write as _;

use super::{Format, plain};
use crate::corpus::block::{Block, Entry};
use crate::corpus::dice::Dice;
use crate::corpus::names::Style;
use crate::corpus::text::json_escaped;

/// Those of this file.
pub(super) const FORMATS: &[Format] = &[
    Format {
        name: "python",
        paths: &["srv/PRODUCT/settings.py", "home/dev/PRODUCT/upload.py"],
        write: python,
        value: plain,
    },
    Format {
        name: "go",
        paths: &["home/dev/PRODUCT/main.go"],
        write: go,
        value: json_escaped,
    },
    Format {
        name: "java",
        paths: &["home/dev/PRODUCT/src/main/java/Config.java"],
        write: java,
        value: json_escaped,
    },
    Format {
        name: "javascript",
        paths: &["srv/PRODUCT/config.js", "var/www/PRODUCT/src/env.ts"],
        write: javascript,
        value: plain,
    },
    Format {
        name: "php-array",
        paths: &[
            "var/www/PRODUCT/config/filesystem.php",
            "www/wwwroot/PRODUCT/config.php",
        ],
        write: php_array,
        value: plain,
    },
    Format {
        name: "php-define",
        paths: &["var/www/PRODUCT/wp-config.php"],
        write: php_define,
        value: plain,
    },
    Format {
        name: "ruby",
        paths: &[
            "etc/gitlab/gitlab.rb",
            "srv/PRODUCT/config/initializers/store.rb",
        ],
        write: ruby,
        value: plain,
    },
    Format {
        name: "lua",
        paths: &["usr/local/openresty/lualib/PRODUCT.lua"],
        write: lua,
        value: json_escaped,
    },
    Format {
        name: "csharp",
        paths: &["home/dev/PRODUCT/Startup.cs"],
        write: csharp,
        value: json_escaped,
    },
    Format {
        name: "sql",
        paths: &["var/backups/PRODUCT.sql", "home/dba/dump-PRODUCT.sql"],
        write: sql,
        value: plain,
    },
    Format {
        name: "ipynb",
        paths: &["home/data/notebooks/PRODUCT.ipynb"],
        write: notebook,
        value: twice_escaped,
    },
    Format {
        name: "log",
        paths: &["var/log/PRODUCT/app.log", "opt/PRODUCT/nohup.out"],
        write: log,
        value: plain,
    },
    Format {
        name: "markdown",
        paths: &["home/dev/PRODUCT/README.md", "srv/wiki/PRODUCT.md"],
        write: markdown,
        value: plain,
    },
    Format {
        name: "notes",
        paths: &["home/dev/PRODUCT.txt", "root/账号.txt"],
        write: notes,
        value: plain,
    },
];

fn name(entry: &Entry, style: Style) -> String {
    entry.key.written(style).replace(['-', '.'], "_")
}

fn title(block: &Block, style: Style) -> String {
    let words: Vec<String> = block.title.split_whitespace().map(str::to_owned).collect();
    style.join(&words)
}

fn noted(text: &mut String, mark: &str, block: &Block) {
    if let Some(note) = &block.note {
        let _ = writeln!(text, "{mark} {note}");
    }
}

fn python(blocks: &[Block], dice: &mut Dice) -> String {
    let mut text = String::from("import os\n\nDEBUG = False\n\n");
    let flat = dice.once_in(2);
    for block in blocks {
        noted(&mut text, "#", block);
        let head = title(block, Style::Screaming);
        if flat {
            for entry in &block.entries {
                let _ = writeln!(
                    text,
                    "{head}_{} = '{}'",
                    name(entry, Style::Screaming),
                    entry.value
                );
            }
        } else {
            let _ = writeln!(text, "{head} = {{");
            for entry in &block.entries {
                let _ = writeln!(
                    text,
                    "    '{}': '{}',",
                    name(entry, Style::Snake),
                    entry.value
                );
            }
            text.push_str("}\n");
        }
        text.push('\n');
    }
    text
}

fn go(blocks: &[Block], dice: &mut Dice) -> String {
    let mut text = String::from("package main\n\nimport \"fmt\"\n\n");
    let constants = dice.once_in(2);
    for block in blocks {
        noted(&mut text, "//", block);
        if constants {
            text.push_str("const (\n");
            for entry in &block.entries {
                let _ = writeln!(
                    text,
                    "\t{}{} = \"{}\"",
                    title(block, Style::Camel),
                    name(entry, Style::Pascal),
                    json_escaped(&entry.value)
                );
            }
            text.push_str(")\n\n");
        } else {
            let _ = writeln!(text, "var {} = Options{{", title(block, Style::Camel));
            for entry in &block.entries {
                let _ = writeln!(
                    text,
                    "\t{}: \"{}\",",
                    name(entry, Style::Pascal),
                    json_escaped(&entry.value)
                );
            }
            text.push_str("}\n\n");
        }
    }
    text + "func main() { fmt.Println(\"up\") }\n"
}

fn java(blocks: &[Block], _: &mut Dice) -> String {
    let mut text = String::from("package com.acme;\n\npublic final class Config {\n");
    for block in blocks {
        noted(&mut text, "    //", block);
        for entry in &block.entries {
            let _ = writeln!(
                text,
                "    private static final String {}_{} = \"{}\";",
                title(block, Style::Screaming),
                name(entry, Style::Screaming),
                json_escaped(&entry.value)
            );
        }
    }
    text + "}\n"
}

fn javascript(blocks: &[Block], dice: &mut Dice) -> String {
    let quote = dice.one(&["'", "\"", "`"]);
    let mut text = String::from("module.exports = {\n");
    for block in blocks {
        noted(&mut text, "  //", block);
        let _ = writeln!(text, "  {}: {{", title(block, Style::Camel));
        for entry in &block.entries {
            let _ = writeln!(
                text,
                "    {}: {quote}{}{quote},",
                name(entry, Style::Camel),
                entry.value
            );
        }
        text.push_str("  },\n");
    }
    text + "};\n"
}

fn php_array(blocks: &[Block], _: &mut Dice) -> String {
    let mut text = String::from("<?php\nreturn [\n    'default' => 'local',\n");
    for block in blocks {
        noted(&mut text, "    //", block);
        let _ = writeln!(text, "    '{}' => [", title(block, Style::Snake));
        for entry in &block.entries {
            let _ = writeln!(
                text,
                "        '{}' => '{}',",
                name(entry, Style::Snake),
                entry.value
            );
        }
        text.push_str("    ],\n");
    }
    text + "];\n"
}

fn php_define(blocks: &[Block], _: &mut Dice) -> String {
    let mut text = String::from("<?php\n");
    for block in blocks {
        noted(&mut text, "//", block);
        for entry in &block.entries {
            let _ = writeln!(
                text,
                "define( '{}_{}', '{}' );",
                title(block, Style::Screaming),
                name(entry, Style::Screaming),
                entry.value
            );
        }
    }
    text + "require_once ABSPATH . 'wp-settings.php';\n"
}

fn ruby(blocks: &[Block], _: &mut Dice) -> String {
    let mut text = String::from("external_url 'https://git.acme.cn'\n");
    for block in blocks {
        noted(&mut text, "#", block);
        for entry in &block.entries {
            let _ = writeln!(
                text,
                "{}['{}'] = '{}'",
                title(block, Style::Snake),
                name(entry, Style::Snake),
                entry.value
            );
        }
    }
    text
}

fn lua(blocks: &[Block], _: &mut Dice) -> String {
    let mut text = String::from("local _M = {}\n");
    for block in blocks {
        noted(&mut text, "--", block);
        let _ = writeln!(text, "_M.{} = {{", title(block, Style::Snake));
        for entry in &block.entries {
            let _ = writeln!(
                text,
                "  {} = \"{}\",",
                name(entry, Style::Snake),
                json_escaped(&entry.value)
            );
        }
        text.push_str("}\n");
    }
    text + "return _M\n"
}

fn csharp(blocks: &[Block], _: &mut Dice) -> String {
    let mut text = String::from("namespace Acme;\npublic static class Startup {\n");
    for block in blocks {
        for entry in &block.entries {
            let _ = writeln!(
                text,
                "    public const string {}{} = \"{}\";",
                title(block, Style::Pascal),
                name(entry, Style::Pascal),
                json_escaped(&entry.value)
            );
        }
    }
    text + "}\n"
}

fn sql(blocks: &[Block], dice: &mut Dice) -> String {
    let mut text = String::from(
        "-- dump of settings\nCREATE TABLE `sys_config` (`id` int, `config_key` varchar(64), `config_value` text);\n",
    );
    let many = dice.once_in(2);
    for (number, block) in blocks.iter().enumerate() {
        let rows: Vec<String> = block
            .entries
            .iter()
            .enumerate()
            .map(|(row, entry)| {
                let key = format!(
                    "{}.{}",
                    title(block, Style::Dotted),
                    name(entry, Style::Camel)
                );
                format!(
                    "({}, '{key}', '{}')",
                    number * 100 + row,
                    entry.value.replace('\'', "''")
                )
            })
            .collect();
        if many {
            let _ = writeln!(text, "INSERT INTO `sys_config` VALUES {};", rows.join(","));
        } else {
            for row in rows {
                let _ = writeln!(text, "INSERT INTO `sys_config` VALUES {row};");
            }
        }
    }
    text
}

fn twice_escaped(value: &str) -> String {
    json_escaped(&json_escaped(value))
}

fn notebook(blocks: &[Block], dice: &mut Dice) -> String {
    let mut cells = Vec::new();
    for block in blocks {
        let mut lines = Vec::new();
        for entry in &block.entries {
            let line = format!(
                "{}_{} = \"{}\"\n",
                title(block, Style::Snake),
                name(entry, Style::Snake),
                json_escaped(&entry.value)
            );
            lines.push(format!("    \"{}\"", json_escaped(&line)));
        }
        cells.push(format!("  {{\n   \"cell_type\": \"code\",\n   \"execution_count\": {},\n   \"metadata\": {{}},\n   \"outputs\": [],\n   \"source\": [\n{}\n   ]\n  }}", dice.within(1, 90), lines.join(",\n")));
    }
    format!(
        "{{\n \"cells\": [\n{}\n ],\n \"nbformat\": 4,\n \"nbformat_minor\": 5\n}}\n",
        cells.join(",\n")
    )
}

fn log(blocks: &[Block], dice: &mut Dice) -> String {
    let mut text = String::new();
    for block in blocks {
        for _ in 0..dice.within(2, 6) {
            let _ = writeln!(
                text,
                "2025-03-{:02} {:02}:{:02}:07.{:03} INFO  [{}] c.a.Web - GET /api/v1/orders/{} 200 {}ms trace={}",
                dice.within(1, 28),
                dice.below(24),
                dice.below(60),
                dice.below(1000),
                dice.text("0123456789abcdef", 16),
                dice.below(100_000),
                dice.below(900),
                dice.text("0123456789abcdef", 32)
            );
        }
        let list: Vec<String> = block
            .entries
            .iter()
            .map(|entry| format!("{}={}", name(entry, Style::Camel), entry.value))
            .collect();
        let _ = writeln!(
            text,
            "2025-03-09 11:20:31.004 DEBUG [main] c.a.{} - effective settings: {{{}}}",
            title(block, Style::Pascal),
            list.join(", ")
        );
    }
    text
}

fn markdown(blocks: &[Block], _: &mut Dice) -> String {
    let mut text = String::from("# Deployment\n\nCopy the values below.\n");
    for block in blocks {
        let _ = writeln!(text, "\n## {}\n\n```", block.title);
        for entry in &block.entries {
            let _ = writeln!(text, "{}: {}", name(entry, Style::Snake), entry.value);
        }
        text.push_str("```\n");
    }
    text
}

fn notes(blocks: &[Block], dice: &mut Dice) -> String {
    let sign = dice.one(&["：", ": ", " = ", " "]);
    let mut text = String::new();
    for block in blocks {
        let _ = writeln!(
            text,
            "== {} ==",
            block.note.clone().unwrap_or_else(|| block.title.clone())
        );
        let _ = writeln!(text, "({})", block.title);
        for entry in &block.entries {
            let _ = writeln!(text, "{}{sign}{}", name(entry, Style::Snake), entry.value);
        }
        text.push('\n');
    }
    text
}
