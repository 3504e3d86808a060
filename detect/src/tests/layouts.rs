//! One named value in every layout in which people and programs write one, under names of any language.
//!
//! Composed, not listed: a name, a value drawn for it, a layout, a file's name that may be of another
//! language altogether. Beside each stands what has the same layout and is no secret.

use super::{findings, outline, scan_bytes};
use crate::content::Format;
use crate::sample::Seed;

/// Where `NAME` and `VALUE` stand.
const LAYOUTS: &[&str] = &[
    "NAME = \"VALUE\"",
    "NAME='VALUE'",
    "NAME: \"VALUE\"",
    "NAME := \"VALUE\"",
    "NAME => 'VALUE',",
    ":NAME => \"VALUE\",",
    "if NAME == \"VALUE\":",
    "if (NAME !== 'VALUE') {",
    "NAME <- \"VALUE\"",
    "$NAME = 'VALUE';",
    "my $NAME = \"VALUE\";",
    "$this->NAME = 'VALUE';",
    "map.put(\"NAME\", \"VALUE\");",
    "os.environ[\"NAME\"] = \"VALUE\"",
    "define('NAME', 'VALUE');",
    "const NAME = `VALUE`;",
    "let NAME: String = \"VALUE\".to_string();",
    "static NAME: &str = \"VALUE\";",
    "private static final String NAME = \"VALUE\";",
    "public string NAME { get; set; } = \"VALUE\";",
    "Dim NAME As String = \"VALUE\"",
    "NAME = \"\"\"VALUE\"\"\"",
    "NAME = r'VALUE'",
    "NAME = b\"VALUE\"",
    "var NAME = @\"VALUE\";",
    "NAME: str = \"VALUE\",",
    "<add key=\"NAME\" value=\"VALUE\"/>",
    "#define NAME \"VALUE\"",
    "(def NAME \"VALUE\")",
    "(NAME . \"VALUE\")",
    "{NAME, \"VALUE\"},",
    "std::string NAME{\"VALUE\"};",
    "local NAME = [[VALUE]]",
    "char NAME[] = \"VALUE\";",
    "x = process.env.NAME || 'VALUE'",
    "NAME = os.environ.get(\"X\") or \"VALUE\"",
    "NAME = env(\"X\") ?? 'VALUE'",
    "NAME: ${X:VALUE}",
    "NAME = (\n    \"VALUE\"\n)",
    "NAME = \\\n    \"VALUE\"",
    "connect(host=\"h\", NAME=\"VALUE\", port=3)",
    "tool --NAME VALUE --other 3",
    "| NAME | VALUE |",
    "**NAME**: VALUE",
    "the NAME is \"VALUE\"",
    "\u{1b}[32mNAME\u{1b}[0m=\u{1b}[33mVALUE\u{1b}[0m",
    "{&quot;NAME&quot;:&quot;VALUE&quot;}",
    "<mxCell id=\"2\" value=\"&lt;div&gt;NAME: VALUE&lt;br&gt;&lt;/div&gt;\" style=\"x\"/>",
    "<mxCell id=\"2\" value=\"&lt;b&gt;NAME:&lt;/b&gt; &amp;quot;VALUE&amp;quot;\" style=\"x\"/>",
    "<input type=\"text\" placeholder=\"NAME: &quot;VALUE&quot;\"/>",
];

const NAMES: &[&str] = &[
    "password",
    "db_password",
    "DB_PASSWORD_PROD",
    "mysqlPassword",
    "REDIS_PASSWD",
    "rootPassword",
    "loginPasswd",
    "keystorePassword",
    "passphrase",
];

/// Files whose format is nobody's, or that of a program.
const FILES: &[&str] = &[
    "settings.py",
    "main.go",
    "a.js",
    "b.rb",
    "c.php",
    "notes.txt",
    "build.log",
];

/// What people and generators make of a password.
fn password(seed: &mut Seed) -> String {
    const WORDS: [&str; 8] = [
        "maple", "falcon", "copper", "garden", "rocket", "harbor", "dragon", "winter",
    ];
    const MIXED: &[u8] = b"abcdefghkmnpqrstuvwxyzABCDEFGHKMNPQRSTUVWXYZ23456789";
    let mut pick = |bound: usize| {
        let number = seed.next_number() >> 11;
        usize::try_from(number % bound as u64).expect("a small number")
    };
    let word = WORDS[pick(WORDS.len())];
    let capital = word[..1].to_uppercase() + &word[1..];
    let digits = 1000 + pick(8999);
    match pick(4) {
        0 => format!("{capital}{digits}!"),
        1 => format!("{word}{capital}{digits}"),
        2 => format!("{capital}@{digits}"),
        _ => {
            let noise: String = (0..11)
                .map(|_| char::from(MIXED[pick(MIXED.len())]))
                .collect();
            format!("{noise}7Kq")
        }
    }
}

fn told(file: &str, text: &str) -> (Vec<String>, Vec<String>) {
    let scan = scan_bytes(file, Format::Guess, text.as_bytes());
    let secrets = findings(&scan)
        .iter()
        .filter_map(|found| found.secret.as_ref())
        .map(|secret| String::from_utf8_lossy(secret.expose()).into_owned())
        .collect();
    (secrets, outline(&scan))
}

/// Marks of layouts without quotes that no source code has: there it would be an expression.
const BARE: [&str; 2] = ["**", "\u{1b}"];

fn is_text(file: &str) -> bool {
    file.starts_with("notes.") || file.starts_with("build.")
}

/// Values of one layout that may be missed, of all its files and names.
const MOST_FAULTS: usize = 2;

#[test]
fn a_password_is_told_in_every_layout() {
    let mut seed = Seed(20);
    let mut faults = Vec::new();
    for layout in LAYOUTS {
        let before = faults.len();
        let bare = BARE.iter().any(|mark| layout.contains(mark));
        for file in FILES.iter().filter(|file| !bare || is_text(file)) {
            for name in NAMES {
                let value = password(&mut seed);
                let text = layout.replace("NAME", name).replace("VALUE", &value);
                let (secrets, outline) = told(file, &format!("{text}\n"));
                if secrets != [value] {
                    faults.push(format!("{file}: {text}\n{outline:#?}"));
                }
            }
        }
        // A generator may by chance write a word, and a name's own rules may know a form better.
        if faults.len() - before <= MOST_FAULTS {
            faults.truncate(before);
        }
    }
    assert!(faults.is_empty(), "{}\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn what_stands_for_a_password_is_told_in_no_layout() {
    const NONE: &[&str] = &[
        "changeme",
        "your-password-here",
        "${DB_PASSWORD}",
        "{{ vault_password }}",
        "password_field",
        "com.acme.Password",
        "getPassword()",
        "Enter your password",
        "xxxxxxxxxxxx",
        "********",
    ];
    let mut faults = Vec::new();
    for layout in LAYOUTS {
        for file in FILES {
            for (number, value) in NONE.iter().enumerate() {
                let name = NAMES[number % NAMES.len()];
                let text = layout.replace("NAME", name).replace("VALUE", value);
                let (secrets, outline) = told(file, &format!("{text}\n"));
                if !secrets.is_empty() {
                    faults.push(format!("{file}: {text}\n{outline:#?}"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}\n{}", faults.len(), faults.join("\n"));
}

fn check(file: &str, text: &str, secrets: &[&str]) {
    let (found, outline) = told(file, text);
    assert_eq!(found, secrets, "{file}: {text}\n{outline:#?}");
}

#[test]
fn short_words_and_qualifiers_say_password() {
    check("a.env", "MYSQLPASS=Copper4711!\n", &["Copper4711!"]);
    check("a.env", "rootpwd=Copper4711!\n", &["Copper4711!"]);
    check("a.env", "COMPASS=Copper4711!\n", &[]);
    check(
        "a.env",
        "DB_PASSWORD_STAGING=Copper4711!\n",
        &["Copper4711!"],
    );
    check("a.env", "PASSWORD_POLICY=Copper4711!\n", &[]);
    check("a.env", "密码=Copper4711!\n", &["Copper4711!"]);
    check("a.env", "비밀번호=Copper4711!\n", &["Copper4711!"]);
    check("a.env", "Passwort=Copper4711!\n", &["Copper4711!"]);
}

#[test]
fn quotes_that_enclose_nothing_do_not_hide_a_key() {
    let key = "9b00ba4d730d07e715db09eeb007265b9b1a6388";
    for clutter in ["\"=\"", "='\"", " '=\t'", "=\t=\"", " = = =", "=`''"] {
        for end in ["", "\\n", "\\r", ";"] {
            for file in ["a.ini", "a.properties", "a.env", "a.py", "a.txt"] {
                let text = format!("sendbird_token {clutter}{key}{end}\n");
                check(file, &text, &[key]);
            }
        }
    }
    check("a.ini", "sendbird_token = \"\"\n", &[]);
    check("a.ini", "sendbird_token = \"\" # \"none of them\"\n", &[]);
}

#[test]
fn unquoted_values_in_code_are_no_expressions() {
    check("a.py", "password=2bkJgtJDiLcq1t\n", &["2bkJgtJDiLcq1t"]);
    check("a.py", "password: nCzx8A8#!\n", &["nCzx8A8#!"]);
    for line in [
        "password=default_password1",
        "password = settings.DB_PASSWORD2",
        "password = 0x5f3759df",
        "token = session.token1",
        "password = a1 if b2 else c3",
    ] {
        check("a.py", &format!("{line}\n"), &[]);
    }
}

#[test]
fn lists_of_logins_are_told_to_their_end() {
    let mut seed = Seed(3);
    let values: Vec<String> = (0..40).map(|_| password(&mut seed)).collect();
    let lines: Vec<String> = values
        .iter()
        .enumerate()
        .map(|(at, value)| match at % 3 {
            0 => format!("id:master,pw:{value}"),
            1 => format!("user=master password={value}"),
            _ => format!("ID:master/PWD:{value}"),
        })
        .collect();
    for file in ["a.yml", "a.txt", "a.conf", "a.json"] {
        let (found, _) = told(file, &(lines.join("\n") + "\n"));
        let missed = values.iter().filter(|value| !found.contains(value)).count();
        assert!(missed <= 1, "{file}: {missed}");
    }
}

#[test]
fn what_a_page_says_is_told_as_it_is_meant() {
    for file in ["a.txt", "a.drawio", "a.html", "a.xml"] {
        check(
            file,
            "<mxCell value=\"&lt;div&gt;db password: Cop&amp;lt;47&amp;amp;11!&lt;/div&gt;\" style=\"x\"/>\n",
            &["Cop<47&11!"],
        );
        check(
            file,
            "<mxCell value=\"pass: Cop&amp;lt;&amp;gt;4711&amp;amp;\" style=\"x\"/>\n",
            &["Cop<>4711&"],
        );
        check(
            file,
            "<a href=\"https://h.example.com/?token=&quot;Qx93hTz81mKp02Vw&quot;\">x</a>\n",
            &["Qx93hTz81mKp02Vw"],
        );
        check(
            file,
            "<b onclick=\"alert(&quot;password:Copper4711!&quot;)\">x</b>\n",
            &["Copper4711!"],
        );
        check(
            file,
            "<p title=\"password: &lt;none&gt; &amp;amp; more\">x</p>\n",
            &[],
        );
        check(
            file,
            "<p title=\"a &lt;b password: see the &quot;manual&quot;\">x</p>\n",
            &[],
        );
    }
}

#[test]
fn values_beside_neither_name_nor_separator_are_told() {
    for file in ["a.txt", "a.cs", "a.py", "a.ps1", "a.spec"] {
        for text in [
            "$p = ConvertTo-SecureString \"Copper#4711\" -AsPlainText -Force\n",
            "$p = ConvertTo-SecureString -String 'Copper#4711' -AsPlainText -Force\n",
            "(ConvertTo-SecureString -AsPlainText -Force -String \"Copper#4711\")\n",
        ] {
            check(file, text, &["Copper#4711"]);
        }
        if file != "a.ps1" {
            let text = "run(\"ConvertTo-SecureString \\\"Copper#4711\\\" -Force\")\n";
            check(file, text, &["Copper#4711"]);
        }
        check(
            file,
            "$p = ConvertTo-SecureString $plain -AsPlainText -Force\n",
            &[],
        );
        if file == "a.ps1" {
            continue;
        }
        check(file, "%define password Copper4711x\n", &["Copper4711x"]);
        check(file, "%global db_password Copper4711x\n", &["Copper4711x"]);
        check(file, "%define password %(cat file)\n", &[]);
        check(
            file,
            "if (user.password.equals(\"Copper4711x\")) {\n",
            &["Copper4711x"],
        );
        check(
            file,
            "if (\"Copper4711x\".equals(password)) {\n",
            &["Copper4711x"],
        );
        check(file, "if (\"Copper4711x\".equals(version)) {\n", &[]);
    }
}

#[test]
fn a_default_is_told_by_the_name_that_takes_it() {
    for file in ["a.py", "a.php", "a.go", "a.txt"] {
        for text in [
            "password = os.getenv(\"DBPW\", \"Copper4711x\")\n",
            "if password := getenv(\"X\", \"Copper4711x\"):\n",
            "$password = getenv('X', 'Copper4711x');\n",
            "db_password = os.environ.get(\"X\", b\"Copper4711x\")\n",
        ] {
            check(file, text, &["Copper4711x"]);
        }
        check(file, "version = os.getenv(\"X\", \"Copper4711x\")\n", &[]);
        check(file, "password = f(x) + env(\"X\", \"Copper4711x\")\n", &[]);
    }
}

#[test]
fn strings_that_go_on_over_lines_are_one() {
    let key = "b7Jq0tWz4vXn9LrE2yPc8KdHs6UaM1gF5oTiQwZk3Rxe";
    let (one, two) = key.split_at(20);
    for file in ["a.py", "a.c", "a.txt"] {
        check(file, &format!("api_key = '{one}\\\n{two}'\n"), &[key]);
        check(file, &format!("key_wrap = '{one}\\\n{two}'  # x\n"), &[key]);
        check(
            file,
            &format!("api_key = \"\"\"{two}\n{one}\"\"\"\n"),
            &[&format!("{two}{one}")],
        );
    }
    check(
        "a.py",
        "password = 'see the manual\\\n for what it is'\n",
        &[],
    );
}

#[test]
fn names_that_say_it_first_need_what_can_be_nothing_else() {
    let key = "b7Jq0tWz4vXn9LrE2yPc8KdHs6UaM1gF5oTiQwZk3Rxe";
    check(
        "a.go",
        &format!("var secret_of_staging = \"{key}\"\n"),
        &[key],
    );
    check("a.js", &format!("{{token_one: '{key}'}}\n"), &[key]);
    check("a.go", &format!("var key_fingerprint = \"{key}\"\n"), &[]);
    check("a.go", &format!("var secret_id = \"{key}\"\n"), &[]);
    check("a.go", &format!("var monkey_of_staging = \"{key}\"\n"), &[]);
    check(
        "a.go",
        "var key_of_staging = \"8d969eef6ecad3c29a3a629280e686cf0c3f5d5a\"\n",
        &[],
    );
}

#[test]
fn what_a_call_is_given_may_name_a_value_and_the_name_of_a_resource_is_none() {
    check(
        "a.txt",
        "print(\"x, password: Copper4711!\")\n",
        &["Copper4711!"],
    );
    check(
        "a.txt",
        "f(\"SecretArn\", \"arn:aws:secretsmanager:eu-west-1:111122223333:secret:maple-Xq67Zj\")\n",
        &[],
    );
}

#[test]
fn an_address_inside_an_address_has_its_own_query() {
    check(
        "a.js",
        "url = \"https://h.example.com/1?next%3D2%26token%3DQx93hTz81mKp02VwLs%26v%3D3\";\n",
        &["Qx93hTz81mKp02VwLs"],
    );
    check(
        "a.js",
        "url = \"https://h.example.com/1?a=1%26token%3dQx93hTz81mKp02VwLs&v=3\";\n",
        &["Qx93hTz81mKp02VwLs"],
    );
}
