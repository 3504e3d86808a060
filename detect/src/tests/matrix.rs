//! Every cloud's pair in every layout, spelling and context: found, linked, whole, and nothing else.
//!
//! What is written here is composed, not listed: a vendor's names, a spelling, a place for the
//! vendor's own word (the key, a parent, the file's name, an endpoint, a comment) and a layout. A rule
//! that fits one file of these and not another is not general.

use super::{findings, outline, scan_bytes};
use crate::content::Format;
use crate::sample::{Sample, Seed};

/// A vendor: its rule, its words, its pairs of names, its storage endpoint.
struct Vendor {
    rule: &'static str,
    words: &'static [&'static str],
    names: &'static [(&'static str, &'static str)],
    endpoint: &'static str,
    /// Its ids have no beginning of their own: some word must say whose they are.
    plain: bool,
}

const fn vendor(
    rule: &'static str,
    words: &'static [&'static str],
    names: &'static [(&'static str, &'static str)],
    endpoint: &'static str,
    plain: bool,
) -> Vendor {
    Vendor {
        rule,
        words,
        names,
        endpoint,
        plain,
    }
}

const S3: &[(&str, &str)] = &[
    ("access key id", "secret access key"),
    ("access key", "secret key"),
    ("ak", "sk"),
];

const VENDORS: &[Vendor] = &[
    vendor(
        "alibaba.access-key",
        &["aliyun", "alibaba cloud", "oss", "sls"],
        &[
            ("access key id", "access key secret"),
            ("access key", "secret key"),
            ("access id", "access key"),
            ("ak", "sk"),
            ("key id", "key secret"),
        ],
        "oss-cn-hangzhou.aliyuncs.com",
        false,
    ),
    vendor(
        "tencent.access-key",
        &["tencent cloud", "qcloud", "cos"],
        &[
            ("secret id", "secret key"),
            ("access key id", "access key secret"),
            ("ak", "sk"),
        ],
        "cos.ap-guangzhou.myqcloud.com",
        false,
    ),
    vendor(
        "aws.access-key",
        &["aws", "amazon", "s3"],
        S3,
        "s3.us-east-1.amazonaws.com",
        false,
    ),
    vendor(
        "huawei.access-key",
        &["huawei cloud", "hw", "obs"],
        S3,
        "obs.cn-north-4.myhuaweicloud.com",
        true,
    ),
    vendor(
        "volcengine.access-key",
        &["volcengine", "volc", "tos"],
        S3,
        "tos-cn-beijing.volces.com",
        false,
    ),
    vendor(
        "kingsoft.access-key",
        &["ksyun", "ks3"],
        S3,
        "ks3-cn-beijing.ksyuncs.com",
        false,
    ),
    vendor(
        "baidu.access-key",
        &["bce", "bos", "baidu"],
        S3,
        "bj.bcebos.com",
        false,
    ),
    vendor(
        "jd.access-key",
        &["jdcloud", "jd"],
        S3,
        "s3.cn-north-1.jdcloud-oss.com",
        false,
    ),
    vendor(
        "qiniu.access-key",
        &["qiniu", "kodo"],
        S3,
        "s3-cn-east-1.qiniucs.com",
        true,
    ),
    vendor(
        "ucloud.access-key",
        &["ucloud", "us3"],
        &[("public key", "private key")],
        "cn-bj.ufileos.com",
        true,
    ),
    vendor(
        "qingcloud.access-key",
        &["qingcloud", "qingstor"],
        S3,
        "pek3a.qingstor.com",
        true,
    ),
    vendor(
        "ctyun.access-key",
        &["ctyun", "zos"],
        S3,
        "oos-cn.ctyunapi.cn",
        true,
    ),
    vendor(
        "gcp.hmac-key",
        &["gcs", "gcp"],
        S3,
        "storage.googleapis.com",
        false,
    ),
    vendor(
        "scaleway.access-key",
        &["scaleway", "scw"],
        S3,
        "s3.fr-par.scw.cloud",
        false,
    ),
    vendor(
        "digitalocean.spaces-key",
        &["spaces", "digitalocean"],
        S3,
        "nyc3.digitaloceanspaces.com",
        false,
    ),
    vendor(
        "exoscale.access-key",
        &["exoscale"],
        &[("api key", "api secret")],
        "sos-ch-gva-2.exo.io",
        false,
    ),
    vendor(
        "generic.access-key",
        &["minio", "ceph"],
        &[
            ("access key", "secret key"),
            ("access key id", "secret access key"),
        ],
        "http://minio.internal:9000",
        true,
    ),
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Context {
    Key,
    Parent,
    File,
    Endpoint,
    Comment,
    Nothing,
}

#[derive(Clone, Copy, Debug)]
enum Spelling {
    Snake,
    Camel,
    Pascal,
    Kebab,
    Screaming,
    Flat,
}

fn spelled(words: &str, spelling: Spelling) -> String {
    let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
    let capital = |word: &String| word[..1].to_uppercase() + &word[1..];
    match spelling {
        Spelling::Snake => words.join("_"),
        Spelling::Kebab => words.join("-"),
        Spelling::Screaming => words.join("_").to_uppercase(),
        Spelling::Flat => words.concat(),
        Spelling::Pascal => words.iter().map(capital).collect(),
        Spelling::Camel => {
            let rest: String = words[1..].iter().map(capital).collect();
            words[0].clone() + &rest
        }
    }
}

/// What a layout writes down.
struct Scene {
    id_name: String,
    secret_name: String,
    parent: String,
    file: String,
    endpoint: Option<String>,
    comment: Option<String>,
    made: Sample,
    seed: Seed,
    filled: u64,
}

impl Scene {
    fn pick(&mut self, bound: u64) -> u64 {
        (self.seed.next_number() >> 7) % bound
    }

    /// Names and values that are no credential, look-alikes among them.
    fn filler(&mut self, count: u64) -> Vec<(String, String)> {
        let random = |seed: &mut Seed, alphabet: &[u8], length: usize| -> String {
            (0..length)
                .map(|_| {
                    let at = (seed.next_number() >> 9) % alphabet.len() as u64;
                    char::from(alphabet[usize::try_from(at).unwrap()])
                })
                .collect()
        };
        (0..count)
            .map(|_| {
                self.filled += 1;
                let number = self.filled;
                let kind = self.pick(9);
                let seed = &mut self.seed;
                let (name, value) = match kind {
                    0 => ("port", "8080".to_owned()),
                    1 => ("timeout", "30s".to_owned()),
                    2 => ("commit", random(seed, b"0123456789abcdef", 40)),
                    3 => ("checksum", random(seed, b"0123456789abcdef", 32)),
                    4 => ("logDir", "/var/log/app/current".to_owned()),
                    5 => ("callback", "https://example.org/callback/v2".to_owned()),
                    6 => (
                        "traceId",
                        format!(
                            "{}-{}-{}-{}-{}",
                            random(seed, b"0123456789abcdef", 8),
                            random(seed, b"0123456789abcdef", 4),
                            random(seed, b"0123456789abcdef", 4),
                            random(seed, b"0123456789abcdef", 4),
                            random(seed, b"0123456789abcdef", 12)
                        ),
                    ),
                    7 => ("region", "cn-north-4".to_owned()),
                    _ => ("poolSize", "64".to_owned()),
                };
                (format!("{name}{number}"), value)
            })
            .collect()
    }

    /// All lines of one section as name and value: filler between and around the halves.
    fn pairs(&mut self) -> Vec<(String, String)> {
        let between = self.pick(16);
        let mut lines = self.filler(2);
        let swapped = self.pick(3) == 0;
        let mut halves = [
            (self.id_name.clone(), self.made.id.clone()),
            (self.secret_name.clone(), self.made.secret.clone()),
        ];
        if swapped {
            halves.reverse();
        }
        let [first, second] = halves;
        lines.push(first);
        lines.extend(self.filler(between));
        if let Some(endpoint) = &self.endpoint {
            lines.push(("endpoint".to_owned(), endpoint.clone()));
        }
        lines.push(second);
        lines.extend(self.filler(2));
        lines
    }

    fn note(&self, mark: &str) -> String {
        self.comment
            .as_ref()
            .map(|comment| format!("{mark} {comment}\n"))
            .unwrap_or_default()
    }

    fn named(&self, extension: &str) -> String {
        format!("{}.{extension}", self.file)
    }

    fn lines(&mut self, form: impl Fn(&str, &str) -> String) -> String {
        self.pairs()
            .iter()
            .map(|(name, value)| form(name, value))
            .collect()
    }
}

type Layout = (&'static str, fn(&mut Scene) -> (String, String));

/// The name as an environment variable.
fn upper(name: &str) -> String {
    let mut out = String::new();
    let mut previous = '_';
    for letter in name.chars() {
        if letter.is_uppercase() && previous.is_lowercase() {
            out.push('_');
        }
        out.push(if letter == '-' {
            '_'
        } else {
            letter.to_ascii_uppercase()
        });
        previous = letter;
    }
    out
}

const LAYOUTS: &[Layout] = &[
    ("dotenv", |s| {
        let text = s.lines(|n, v| format!("{}={v}\n", upper(n)));
        (s.named("env"), s.note("#") + &text)
    }),
    ("ini", |s| {
        let text = s.lines(|n, v| format!("{n} = {v}\n"));
        let parent = s.parent.clone();
        (
            s.named("ini"),
            format!(
                "[server]\nport = 80\n\n{}[{parent}]\n{text}\n[log]\nlevel = info\n",
                s.note(";")
            ),
        )
    }),
    ("yaml", |s| {
        let text = s.lines(|n, v| format!("    {n}: {v}\n"));
        let parent = s.parent.clone();
        (
            s.named("yml"),
            format!(
                "server:\n  port: 80\nstorage:\n{}  {parent}:\n{text}log:\n  level: info\n",
                s.note("  #")
            ),
        )
    }),
    ("yaml quoted", |s| {
        let text = s.lines(|n, v| format!("  {n}: \"{v}\"\n"));
        let parent = s.parent.clone();
        (s.named("yaml"), format!("{}{parent}:\n{text}", s.note("#")))
    }),
    ("json", |s| {
        let text = s.lines(|n, v| format!("      \"{n}\": \"{v}\",\n"));
        let parent = s.parent.clone();
        (
            s.named("json"),
            format!(
                "{{\n  \"server\": {{\"port\": 80}},\n  \"storage\": {{\n    \"{parent}\": {{\n{text}      \"end\": 1\n    }}\n  }}\n}}\n"
            ),
        )
    }),
    ("json in one line", |s| {
        let text = s.lines(|n, v| format!("\"{n}\":\"{v}\","));
        let parent = s.parent.clone();
        (
            s.named("json"),
            format!("{{\"{parent}\":{{{text}\"end\":1}},\"other\":{{\"a\":1}}}}"),
        )
    }),
    ("json in a string", |s| {
        let text = s.lines(|n, v| format!("\\\"{n}\\\":\\\"{v}\\\","));
        let parent = s.parent.clone();
        (
            s.named("json"),
            format!(
                "{{\"name\":\"x\",\"config\":\"{{\\\"{parent}\\\":{{{text}\\\"end\\\":1}}}}\"}}"
            ),
        )
    }),
    ("toml", |s| {
        let text = s.lines(|n, v| format!("{n} = \"{v}\"\n"));
        let parent = s.parent.clone();
        (
            s.named("toml"),
            format!(
                "[server]\nport = 80\n\n{}[storage.{parent}]\n{text}",
                s.note("#")
            ),
        )
    }),
    ("properties", |s| {
        let parent = s.parent.clone();
        let text = s.lines(|n, v| format!("{parent}.{n}={v}\n"));
        (s.named("properties"), s.note("#") + &text)
    }),
    ("xml elements", |s| {
        let text = s.lines(|n, v| format!("    <{n}>{v}</{n}>\n"));
        let parent = s.parent.clone();
        (
            s.named("xml"),
            format!(
                "<config>\n  {}  <{parent}>\n{text}  </{parent}>\n</config>\n",
                s.comment
                    .as_ref()
                    .map(|c| format!("<!-- {c} -->\n"))
                    .unwrap_or_default()
            ),
        )
    }),
    ("xml attributes", |s| {
        let text = s.lines(|n, v| format!(" {n}=\"{v}\""));
        let parent = s.parent.clone();
        (
            s.named("xml"),
            format!("<config>\n  <{parent}{text}/>\n</config>\n"),
        )
    }),
    ("hadoop xml", |s| {
        let parent = s.parent.clone();
        let text = s.lines(|n, v| {
            format!(
                "<property>\n  <name>fs.{parent}.{n}</name>\n  <value>{v}</value>\n</property>\n"
            )
        });
        (
            "core-site.xml".to_owned(),
            format!("<configuration>\n{text}</configuration>\n"),
        )
    }),
    ("export", |s| {
        let text = s.lines(|n, v| format!("export {}=\"{v}\"\n", upper(n)));
        (
            s.named("sh"),
            format!("#!/bin/bash\nset -e\n{}{text}./run\n", s.note("#")),
        )
    }),
    ("dockerfile", |s| {
        let text = s.lines(|n, v| format!("ENV {}={v}\n", upper(n)));
        (
            "Dockerfile".to_owned(),
            format!("FROM debian\n{}{text}CMD [\"run\"]\n", s.note("#")),
        )
    }),
    ("compose", |s| {
        let text = s.lines(|n, v| format!("      {}: {v}\n", upper(n)));
        (
            "docker-compose.yml".to_owned(),
            format!(
                "services:\n  web:\n    image: x\n    environment:\n{}{text}",
                s.note("      #")
            ),
        )
    }),
    ("kubernetes", |s| {
        let text =
            s.lines(|n, v| format!("        - name: {}\n          value: \"{v}\"\n", upper(n)));
        (
            s.named("yaml"),
            format!(
                "kind: Deployment\nspec:\n  containers:\n    - name: app\n      env:\n{}{text}",
                s.note("        #")
            ),
        )
    }),
    ("unit", |s| {
        let text = s.lines(|n, v| format!("Environment=\"{}={v}\"\n", upper(n)));
        (
            "app.service".to_owned(),
            format!(
                "[Unit]\nDescription=app\n\n[Service]\n{}{text}ExecStart=/usr/bin/app\n",
                s.note("#")
            ),
        )
    }),
    ("python", |s| {
        let text = s.lines(|n, v| format!("{} = \"{v}\"\n", upper(n)));
        (
            s.named("py"),
            format!(
                "import os\n\n{}{text}\n\ndef main():\n    pass\n",
                s.note("#")
            ),
        )
    }),
    ("python dictionary", |s| {
        let text = s.lines(|n, v| format!("    '{n}': '{v}',\n"));
        let parent = s.parent.replace('-', "_");
        (
            s.named("py"),
            format!("import os\n\n{}{parent} = {{\n{text}}}\n", s.note("#")),
        )
    }),
    ("python call", |s| {
        let text = s.lines(|n, v| format!("    {}='{v}',\n", n.replace('-', "_")));
        let parent = s.parent.replace('-', "_");
        (
            s.named("py"),
            format!(
                "import os\n\n{}client = {parent}.Client(\n{text})\n",
                s.note("#")
            ),
        )
    }),
    ("go", |s| {
        let text = s.lines(|n, v| format!("\t{}: \"{v}\",\n", n.replace('-', "_")));
        let parent = s.parent.replace('-', "_");
        (
            s.named("go"),
            format!(
                "package main\n\n{}var {parent} = Config{{\n{text}}}\n",
                s.note("//")
            ),
        )
    }),
    ("java constants", |s| {
        let text =
            s.lines(|n, v| format!("    private static final String {} = \"{v}\";\n", upper(n)));
        (
            s.named("java"),
            format!("public class Keys {{\n{}{text}}}\n", s.note("    //")),
        )
    }),
    ("java setters", |s| {
        let text = s.lines(|n, v| {
            let n = n.replace('-', "_");
            format!(
                "    config.set{}{}(\"{v}\");\n",
                n[..1].to_uppercase(),
                &n[1..]
            )
        });
        let parent = s.parent.replace('-', "");
        (
            s.named("java"),
            format!(
                "class A {{\n  void {parent}() {{\n{}{text}  }}\n}}\n",
                s.note("    //")
            ),
        )
    }),
    ("javascript", |s| {
        let text = s.lines(|n, v| format!("  {}: '{v}',\n", n.replace('-', "_")));
        let parent = s.parent.replace('-', "_");
        (
            s.named("js"),
            format!("{}module.exports.{parent} = {{\n{text}}};\n", s.note("//")),
        )
    }),
    ("javascript constants", |s| {
        let text = s.lines(|n, v| format!("const {} = '{v}';\n", n.replace('-', "_")));
        (s.named("js"), s.note("//") + &text)
    }),
    ("php array", |s| {
        let text = s.lines(|n, v| format!("    '{n}' => '{v}',\n"));
        let parent = s.parent.clone();
        (
            s.named("php"),
            format!(
                "<?php\nreturn [\n{}  '{parent}' => [\n{text}  ],\n];\n",
                s.note("//")
            ),
        )
    }),
    ("php define", |s| {
        let text = s.lines(|n, v| format!("define('{}', '{v}');\n", upper(n)));
        (s.named("php"), format!("<?php\n{}{text}", s.note("//")))
    }),
    ("hcl", |s| {
        let text = s.lines(|n, v| format!("  {} = \"{v}\"\n", n.replace('-', "_")));
        let parent = s.parent.clone();
        (
            s.named("tf"),
            format!("{}provider \"{parent}\" {{\n{text}}}\n", s.note("#")),
        )
    }),
    ("command flags", |s| {
        let text = s.lines(|n, v| format!(" --{} {v}", n.replace('_', "-")));
        let parent = s.parent.replace('_', "-");
        (s.named("sh"), format!("#!/bin/sh\n{parent}-sync{text}\n"))
    }),
    ("notes", |s| {
        let text = s.lines(|n, v| format!("{n}: {v}\n"));
        let parent = s.parent.clone();
        (
            s.named("txt"),
            format!("Meeting notes\n\n{parent} account\n{text}\nbye\n"),
        )
    }),
    ("environ", |s| {
        let text = s.lines(|n, v| format!("{}={v}\0", upper(n)));
        ("environ".to_owned(), text)
    }),
];

fn scene(vendor: &Vendor, context: Context, seed: u64) -> Scene {
    let mut seed = Seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 77);
    let made = Sample::of(&super::rules(), vendor.rule, &mut seed).expect("the rule exists");
    let mut pick = |bound: usize| -> usize {
        usize::try_from((seed.next_number() >> 11) % bound as u64).unwrap()
    };
    let word = vendor.words[pick(vendor.words.len())];
    let (id, secret) = vendor.names[pick(vendor.names.len())];
    let spelling = [
        Spelling::Snake,
        Spelling::Camel,
        Spelling::Pascal,
        Spelling::Kebab,
        Spelling::Screaming,
        Spelling::Flat,
    ][pick(6)];
    // `ak` glued to a word, in one case, is a word of its own.
    let spelling = match spelling {
        Spelling::Flat if id.len() <= 4 => Spelling::Snake,
        other => other,
    };
    let full = |name: &str| match context {
        Context::Key => spelled(&format!("{word} {name}"), spelling),
        _ => spelled(name, spelling),
    };
    let neutral = ["storage", "backend", "primary", "main"][pick(4)].to_owned();
    Scene {
        id_name: full(id),
        secret_name: full(secret),
        parent: match context {
            Context::Parent => spelled(word, Spelling::Kebab),
            _ => neutral,
        },
        file: match context {
            Context::File => spelled(word, Spelling::Kebab),
            _ => "settings".to_owned(),
        },
        endpoint: (context == Context::Endpoint).then(|| vendor.endpoint.to_owned()),
        comment: (context == Context::Comment).then(|| format!("{word} credentials")),
        made,
        seed,
        filled: 0,
    }
}

/// What went wrong with one scene, if anything.
fn fault(vendor: &Vendor, context: Context, layout: &Layout, seed: u64) -> Option<String> {
    let mut scene = scene(vendor, context, seed);
    let (file, text) = (layout.1)(&mut scene);
    // Some layouts have no room for the context.
    let shown = match context {
        Context::Comment => scene
            .comment
            .as_ref()
            .is_some_and(|c| text.contains(c.as_str())),
        Context::File => file.starts_with(&scene.file),
        Context::Parent => {
            text.contains(&scene.parent)
                || text.contains(&scene.parent.replace('-', ""))
                || text.contains(&scene.parent.replace('-', "_"))
        }
        _ => true,
    };
    if !shown
        || (context == Context::Nothing && vendor.plain && vendor.rule != "generic.access-key")
    {
        return None;
    }
    let format = if file == "environ" {
        Format::Environ
    } else {
        Format::Guess
    };
    let scan = scan_bytes(&file, format, text.as_bytes());
    let told = findings(&scan);
    let linked = told.iter().any(|found| {
        found
            .id
            .as_ref()
            .is_some_and(|id| id.as_str() == scene.made.id)
            && found
                .secret
                .as_ref()
                .is_some_and(|s| s.expose() == scene.made.secret.as_bytes())
    });
    let right = told.iter().any(|found| found.rule.as_str() == vendor.rule);
    let what = match (linked, told.len()) {
        (true, 1) if right => return None,
        (true, 1) => "rule",
        (true, _) => "extra",
        (false, 0) => "missed",
        (false, _) => "unlinked",
    };
    Some(format!(
        "{what}\t{}\t{context:?}\t{}\t{seed}\n{file}\n{text}\n{:#?}",
        vendor.rule,
        layout.0,
        outline(&scan)
    ))
}

#[test]
fn every_cloud_in_every_layout() {
    let contexts = [
        Context::Key,
        Context::Parent,
        Context::File,
        Context::Endpoint,
        Context::Comment,
        Context::Nothing,
    ];
    let mut faults = Vec::new();
    let mut tried = 0;
    for vendor in VENDORS {
        for context in contexts {
            for layout in LAYOUTS {
                for seed in 0..2 {
                    tried += 1;
                    faults.extend(fault(vendor, context, layout, seed * 7919 + tried));
                }
            }
        }
    }
    // A random value may by chance be all letters, or hold a word.
    assert!(
        faults.len() * 1000 <= usize::try_from(tried).expect("a small number"),
        "{} of {tried}\n=====\n{}",
        faults.len(),
        faults.join("\n=====\n")
    );
}
