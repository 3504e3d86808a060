//! Files without any credential that look as if they were full of them.

use std::fmt::Write as _;

use super::dice::{ALNUM, BASE64, Dice, HEX, LOWER, LOWNUM};
use super::page::{Host, Page};
use super::passwords;
use super::text::base64;

type Make = fn(&mut Dice) -> String;

const FILES: &[(&str, &str, Make)] = &[
    ("lock-file", "home/dev/app/package-lock.json", package_lock),
    ("lock-file", "home/dev/app/yarn.lock", yarn_lock),
    ("lock-file", "home/dev/tool/go.sum", go_sum),
    ("lock-file", "home/dev/core/Cargo.lock", cargo_lock),
    ("lock-file", "srv/app/requirements.txt", requirements),
    ("minified", "var/www/site/static/app.9f1c.min.js", minified),
    ("minified", "var/www/site/static/vendor.js.map", source_map),
    ("certificate", "etc/ssl/certs/acme.pem", certificates),
    (
        "public-key",
        "home/dev/.ssh/authorized_keys",
        authorized_keys,
    ),
    ("public-key", "home/dev/.ssh/known_hosts", known_hosts),
    ("public-key", "srv/app/jwt-public.pem", |dice| {
        passwords::public_key(dice)
    }),
    ("ciphertext", "home/deploy/secrets.enc.yaml", sops),
    (
        "ciphertext",
        "home/deploy/group_vars/all/vault.yml",
        ansible_vault,
    ),
    ("ciphertext", "home/deploy/k8s/sealed.yaml", sealed),
    ("ciphertext", "home/dev/dump.age", age),
    ("ciphertext", "home/dev/mail.asc", pgp_message),
    ("trace-log", "var/log/gateway/access.log", access_log),
    ("trace-log", "var/log/app/trace.json", trace_json),
    ("digests", "opt/release/SHA256SUMS", sums),
    ("digests", "home/dev/app/.git/packed-refs", packed_refs),
    ("hashes", "etc/nginx/.htpasswd", htpasswd),
    ("hashes", "etc/shadow", shadow),
    ("words", "usr/share/doc/app/manual.txt", manual),
    ("words", "srv/app/locales/zh.json", locale),
    ("words", "home/dev/app/src/auth.ts", source),
    ("words", "home/dev/app/LoginForm.java", java_source),
    ("presigned", "var/log/nginx/oss.log", presigned),
    ("data", "srv/app/logo.svg", image),
    ("data", "srv/app/icons.css", style_sheet),
];

/// Copies of each file, all different.
const COPIES: usize = 4;

/// Plants them on `hosts`.
pub fn plant(hosts: &mut [Host], dice: &mut Dice) {
    for (format, path, make) in FILES {
        for _ in 0..COPIES {
            let page = Page {
                text: make(dice),
                planted: Vec::new(),
            };
            let host = dice.below(hosts.len());
            hosts[host].put(path, format, page);
        }
    }
}

/// `lines` lines, each made by `line`.
fn lines(
    dice: &mut Dice,
    low: usize,
    high: usize,
    mut line: impl FnMut(&mut Dice) -> String,
) -> String {
    let mut text = String::new();
    for _ in 0..dice.within(low, high) {
        text.push_str(&line(dice));
        text.push('\n');
    }
    text
}

fn package_lock(dice: &mut Dice) -> String {
    let packages = lines(dice, 80, 200, |dice| {
        let name = dice.text(LOWER, 8);
        format!(
            "    \"node_modules/{name}\": {{\n      \"version\": \"{}.{}.0\",\n      \"resolved\": \"https://npm.corp.example/{name}/-/{name}-1.2.0.tgz\",\n      \"integrity\": \"sha512-{}\"\n    }},",
            dice.below(9),
            dice.below(40),
            base64(&dice.bytes(64))
        )
    });
    format!(
        "{{\n  \"name\": \"app\",\n  \"lockfileVersion\": 3,\n  \"packages\": {{\n{packages}    \"\": {{}}\n  }}\n}}\n"
    )
}

fn yarn_lock(dice: &mut Dice) -> String {
    lines(dice, 60, 120, |dice| {
        let name = dice.text(LOWER, 7);
        format!(
            "{name}@^2.0.0:\n  version \"2.1.{}\"\n  resolved \"https://registry.yarnpkg.com/{name}/-/{name}-2.1.0.tgz#{}\"\n  integrity sha512-{}\n",
            dice.below(30),
            dice.text(HEX, 40),
            base64(&dice.bytes(64))
        )
    })
}

fn go_sum(dice: &mut Dice) -> String {
    lines(dice, 80, 160, |dice| {
        format!(
            "github.com/{}/{} v1.{}.0 h1:{}",
            dice.text(LOWER, 6),
            dice.text(LOWER, 8),
            dice.below(40),
            base64(&dice.bytes(32))
        )
    })
}

fn cargo_lock(dice: &mut Dice) -> String {
    lines(dice, 60, 120, |dice| {
        format!(
            "[[package]]\nname = \"{}\"\nversion = \"0.{}.1\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \"{}\"\n",
            dice.text(LOWER, 7),
            dice.below(60),
            dice.text(HEX, 64)
        )
    })
}

fn requirements(dice: &mut Dice) -> String {
    lines(dice, 20, 60, |dice| {
        format!(
            "{}=={}.{}.0 --hash=sha256:{}",
            dice.text(LOWER, 8),
            dice.below(9),
            dice.below(20),
            dice.text(HEX, 64)
        )
    })
}

fn minified(dice: &mut Dice) -> String {
    let mut text = String::from(
        "!function(e,t){\"object\"==typeof exports?module.exports=t():e.App=t()}(this,function(){",
    );
    for _ in 0..dice.within(300, 700) {
        let (a, b, c) = (
            dice.text(LOWER, 1),
            dice.text(LOWER, 2),
            dice.text(ALNUM, 8),
        );
        let _ = match dice.below(7) {
            0 => write!(text, "var {a}=n({}),{b}=n.n({a});", dice.below(9999)),
            1 => write!(text, "{b}.password=function(e){{return e.token||\"\"}},"),
            2 => write!(text, "t.secretKey=t.secret_{b}=void 0;"),
            3 => write!(
                text,
                "{b}({{key:\"{c}\",accessKey:e.accessKey,token:{a}.token}}),"
            ),
            4 => write!(
                text,
                "e.exports=JSON.parse('{{\"login.password\":\"密码\",\"k\":\"{c}\"}}');"
            ),
            5 => write!(
                text,
                "i(\"data:font/woff2;base64,{}\"),",
                dice.text(BASE64, 400)
            ),
            _ => write!(
                text,
                "if({a}.type===\"password\")return {b}(\"input[type=password]\");"
            ),
        };
    }
    text + "});\n"
}

fn source_map(dice: &mut Dice) -> String {
    format!(
        "{{\"version\":3,\"sources\":[\"webpack:///./src/a.js\"],\"names\":[\"token\",\"password\",\"secret\"],\"mappings\":\"{}\",\"file\":\"vendor.js\"}}\n",
        lines(dice, 1, 1, |dice| dice
            .text("ACEGIKMOQSUWYacegikmoqsuwy,;+/0123456789", 9000))
        .trim()
    )
}

fn certificates(dice: &mut Dice) -> String {
    lines(dice, 2, 5, |dice| {
        format!(
            "# subject: CN=acme intermediate {}\n{}",
            dice.below(9),
            passwords::certificate(dice)
        )
    })
}

fn authorized_keys(dice: &mut Dice) -> String {
    lines(dice, 3, 9, |dice| match dice.below(2) {
        0 => format!(
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{} {}@laptop",
            dice.text(BASE64, 43),
            dice.text(LOWER, 5)
        ),
        _ => format!(
            "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQ{} {}@build",
            dice.text(BASE64, 500),
            dice.text(LOWER, 5)
        ),
    })
}

fn known_hosts(dice: &mut Dice) -> String {
    lines(dice, 5, 20, |dice| {
        format!(
            "|1|{}|{} ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABB{}=",
            base64(&dice.bytes(20)),
            base64(&dice.bytes(20)),
            dice.text(BASE64, 87)
        )
    })
}

fn sops(dice: &mut Dice) -> String {
    let mut text = String::from("database:\n");
    for name in ["password", "secret_key", "api_token"] {
        let _ = writeln!(
            text,
            "    {name}: ENC[AES256_GCM,data:{},iv:{},tag:{},type:str]",
            base64(&dice.bytes(15)),
            base64(&dice.bytes(32)),
            base64(&dice.bytes(16))
        );
    }
    let _ = writeln!(
        text,
        "sops:\n    kms:\n        - arn: arn:aws:kms:eu-west-1:111122223333:key/{}\n          enc: {}\n    mac: ENC[AES256_GCM,data:{},iv:{},tag:{},type:str]",
        dice.uuid(),
        dice.text(BASE64, 200),
        base64(&dice.bytes(64)),
        base64(&dice.bytes(32)),
        base64(&dice.bytes(16))
    );
    text
}

fn ansible_vault(dice: &mut Dice) -> String {
    format!(
        "$ANSIBLE_VAULT;1.1;AES256\n{}",
        lines(dice, 8, 30, |dice| dice.text("0123456789", 1)
            + &dice.text(HEX, 79))
    )
}

fn sealed(dice: &mut Dice) -> String {
    format!(
        "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: db\nspec:\n  encryptedData:\n    password: AgB{}\n    secret-key: AgA{}\n",
        dice.text(BASE64, 680),
        dice.text(BASE64, 680)
    )
}

fn age(dice: &mut Dice) -> String {
    format!(
        "-----BEGIN AGE ENCRYPTED FILE-----\n{}-----END AGE ENCRYPTED FILE-----\n",
        lines(dice, 6, 20, |dice| dice.text(BASE64, 64))
    )
}

fn pgp_message(dice: &mut Dice) -> String {
    format!(
        "-----BEGIN PGP MESSAGE-----\n\n{}={}\n-----END PGP MESSAGE-----\n",
        lines(dice, 6, 20, |dice| dice.text(BASE64, 64)),
        dice.text(BASE64, 4)
    )
}

fn access_log(dice: &mut Dice) -> String {
    lines(dice, 80, 200, |dice| {
        format!(
            "10.0.{}.{} - - [09/Mar/2025:11:20:{:02} +0800] \"GET /api/items?page={}&sig={} HTTP/1.1\" 200 {} \"-\" \"okhttp/4.9\" rid={} trace={}",
            dice.below(250),
            dice.below(250),
            dice.below(60),
            dice.below(50),
            dice.text(HEX, 32),
            dice.below(90_000),
            dice.uuid(),
            dice.text(HEX, 32)
        )
    })
}

fn trace_json(dice: &mut Dice) -> String {
    lines(dice, 50, 120, |dice| {
        format!(
            "{{\"ts\":\"2025-03-09T11:20:31Z\",\"trace_id\":\"{}\",\"span_id\":\"{}\",\"token_count\":{},\"session\":\"{}\",\"msg\":\"password check ok\",\"commit\":\"{}\"}}",
            dice.text(HEX, 32),
            dice.text(HEX, 16),
            dice.below(4000),
            dice.uuid(),
            dice.text(HEX, 40)
        )
    })
}

fn sums(dice: &mut Dice) -> String {
    lines(dice, 10, 40, |dice| {
        format!(
            "{}  {}-1.{}.tar.gz",
            dice.text(HEX, 64),
            dice.text(LOWER, 7),
            dice.below(40)
        )
    })
}

fn packed_refs(dice: &mut Dice) -> String {
    lines(dice, 10, 40, |dice| {
        format!("{} refs/tags/v1.{}.0", dice.text(HEX, 40), dice.below(90))
    })
}

fn htpasswd(dice: &mut Dice) -> String {
    lines(dice, 2, 6, |dice| {
        format!(
            "{}:$apr1${}${}",
            dice.text(LOWER, 5),
            dice.text(ALNUM, 8),
            dice.text(ALNUM, 22)
        )
    })
}

fn shadow(dice: &mut Dice) -> String {
    lines(dice, 4, 9, |dice| {
        format!(
            "{}:$6${}${}:19700:0:99999:7:::",
            dice.text(LOWER, 5),
            dice.text(ALNUM, 16),
            dice.text(ALNUM, 86)
        )
    })
}

fn manual(dice: &mut Dice) -> String {
    lines(dice, 20, 60, |dice| {
        dice.one(&[
            "To set the password, run `app passwd` and follow the prompts.",
            "password: the password of the account (required)",
            "The access key id and the secret access key are shown once.",
            "  --token TOKEN      token used for authentication",
            "  -p, --password     ask for the password",
            "export SECRET_KEY=<your secret key>",
            "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "Set `api_key` in the configuration to your API key.",
            "Password must contain at least 8 characters, one digit and one symbol.",
            "用户名: admin  密码: 安装时设置",
            "token = get_token(client_id, client_secret)",
            "mysql -u root -p",
        ])
        .to_owned()
    })
}

fn locale(dice: &mut Dice) -> String {
    let body = lines(dice, 20, 50, |dice| {
        let (key, value) = dice.one(&[
            ("login.password", "请输入密码"),
            ("login.passwordRepeat", "再次输入密码"),
            ("token.expired", "令牌已过期"),
            ("secret.copy", "复制密钥"),
            ("error.password", "Incorrect password, try again"),
            ("apiKey.create", "Create API key"),
            ("reset.password", "Passwort-zuruecksetzen2"),
            ("access_key.hint", "AccessKey ID and secret"),
        ]);
        format!("  \"{key}.{}\": \"{value}\",", dice.text(LOWNUM, 3))
    });
    format!("{{\n{body}  \"end\": \"\"\n}}\n")
}

fn source(dice: &mut Dice) -> String {
    lines(dice, 20, 60, |dice| {
        dice.one(&[
            "export const TOKEN_STORAGE_KEY = 'auth.token.v2';",
            "const password = form.getFieldValue('password');",
            "  secret: process.env.SESSION_SECRET,",
            "  accessKeySecret: config.get('oss.accessKeySecret'),",
            "if (password.length < 8) throw new Error('PasswordTooShort');",
            "  const token = await getToken({ audience: API_URL });",
            "headers: { Authorization: `Bearer ${token}` },",
            "const secretKey = this.configService.get<string>('SECRET_KEY');",
            "type Credentials = { accessKey: string; secretKey: string };",
            "// TODO: move the api key into the vault",
            "it('rejects a wrong password', async () => {",
            "  passwordHash: await bcrypt.hash(password, 12),",
            "const PASSWORD_REGEX = /^(?=.*[A-Z])(?=.*\\d)[A-Za-z\\d@$!%*?&]{8,}$/;",
        ])
        .to_owned()
    })
}

fn java_source(dice: &mut Dice) -> String {
    lines(dice, 20, 60, |dice| {
        dice.one(&[
            "    private String passwordFieldLabel = \"passwordField\";",
            "    @Value(\"${spring.datasource.password}\") private String password;",
            "    public static final String ACCESS_KEY_SECRET = \"accessKeySecret\";",
            "    String secret = System.getenv(\"OSS_ACCESS_KEY_SECRET\");",
            "    private final PasswordEncoder encoder = new BCryptPasswordEncoder();",
            "    log.info(\"token refreshed for user {}\", userId);",
            "    conf.set(\"fs.oss.accessKeySecret\", props.getProperty(\"oss.secret\"));",
            "    if (!passwordEncoder.matches(raw, user.getPassword())) {",
            "    public static final String TOKEN_HEADER = \"X-Access-Token\";",
        ])
        .to_owned()
    })
}

/// Signed requests: the id stands there, the secret does not.
fn presigned(dice: &mut Dice) -> String {
    lines(dice, 20, 60, |dice| {
        format!(
            "GET /a.jpg?OSSAccessKeyId=LTAI5t{}&Expires=1741500000&Signature={} HTTP/1.1 200 rid={}",
            dice.text(ALNUM, 18),
            super::text::percent(&base64(&dice.bytes(20))),
            dice.text("0123456789ABCDEF", 24)
        )
    })
}

fn image(dice: &mut Dice) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\"><image href=\"data:image/png;base64,{}\"/></svg>\n",
        dice.text(BASE64, 4000)
    )
}

fn style_sheet(dice: &mut Dice) -> String {
    lines(dice, 20, 60, |dice| {
        format!(
            ".token-{}{{color:#{};background:url(data:image/svg+xml;base64,{})}} input[type=\"password\"]{{width:{}px}}",
            dice.text(LOWER, 4),
            dice.text(HEX, 6),
            dice.text(BASE64, 120),
            dice.below(400)
        )
    })
}
