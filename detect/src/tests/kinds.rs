//! What an audit with layouts of strangers found missing: pairs whose halves are told by columns, by a list
//! of names, by the string before; services by their own words; programs by what stands before them.

use super::{findings, outline, sample, scan_bytes};
use crate::content::Format;
use crate::sample::Seed;

/// A file and a text with `{id}` and `{secret}` of a pair without beginnings of their own.
const PAIRS: &[(&str, &str)] = &[
    (
        "a.py",
        "# huaweicloud\nobs_ak, obs_sk = '{id}', '{secret}'\n",
    ),
    (
        "a.js",
        "// huaweicloud\nconst [obsAk, obsSk] = ['{id}', '{secret}'];\n",
    ),
    (
        "a.rs",
        "mod obs {\n    pub const OBS_AK: &str = \"{id}\";\n    pub const OBS_SK: &str = \"{secret}\";\n}\n",
    ),
    (
        "A.swift",
        "struct Obs {\n    static let obsAccessKey: String = \"{id}\"\n    static let obsSecretKey: String = \"{secret}\"\n}\n",
    ),
    (
        "a.md",
        "# huaweicloud\n\n| env | access_key | secret_key |\n|-----|:---|---|\n| prod | `{id}` | `{secret}` |\n",
    ),
    (
        "a.sql",
        "INSERT INTO settings VALUES (1,'obs.access_key','{id}','x');\nINSERT INTO settings VALUES (2,'obs.secret_key','{secret}','x');\n",
    ),
    (
        "a.sql",
        "CREATE TABLE obs_accounts (name text, obs_ak text, obs_sk text);\nINSERT INTO obs_accounts VALUES ('prod', '{id}', '{secret}');\n",
    ),
    (
        "a.csv",
        "name,provider,obsAk,obsSk\nprod,huaweicloud,{id},{secret}\n",
    ),
];

#[test]
fn pairs_are_read_in_the_layouts_of_strangers() {
    for (name, text) in PAIRS {
        for seed in 0..8 {
            let made = sample("huawei.access-key", seed);
            let text = text
                .replace("{id}", &made.id)
                .replace("{secret}", &made.secret);
            let scan = scan_bytes(name, Format::Guess, text.as_bytes());
            let found = findings(&scan);
            let linked = found.len() == 1
                && found[0]
                    .id
                    .as_ref()
                    .is_some_and(|id| id.as_str() == made.id)
                && found[0]
                    .secret
                    .as_ref()
                    .is_some_and(|s| s.expose() == made.secret.as_bytes());
            assert!(linked, "{name} {} {:#?}", text.len(), outline(&scan));
        }
    }
}

/// Calls, not lists: `auth=(…)` beside another argument names nothing but its own.
#[test]
fn arguments_are_no_list_of_names() {
    let text = "requests.get(u, auth=('admin', 'V9WytP1tDQ7sRx'))\n";
    let scan = scan_bytes("a.py", Format::Guess, text.as_bytes());
    assert_eq!(findings(&scan).len(), 1, "{:#?}", outline(&scan));
}

/// Ten pairs of one kind under names that end differently, in any order.
#[test]
fn shuffled_halves_find_each_other_by_what_their_names_share() {
    const NAMES: [(&str, &str); 8] = [
        ("{w}_S3_ACCESS_KEY", "{w}_S3_SECRET_KEY"),
        ("{w}_APP_KEY", "{w}_APP_SECRET"),
        ("KEYID_{w}", "KEYSECRET_{w}"),
        ("ACCESS_KEY_ID_{w}", "ACCESS_KEY_SECRET_{w}"),
        ("{w}_OSS_AK", "{w}_OSS_SK"),
        ("{w}.awsKey", "{w}.awsSecret"),
        ("oss_{w}_access_id", "oss_{w}_access_secret"),
        ("{w}_ACCESS_KEY", "{w}_ACCESS_SECRET"),
    ];
    const WORDS: [&str; 10] = [
        "PROD", "DEV", "MEDIA", "LOGS", "BILLING", "SEARCH", "MAIL", "ARCHIVE", "STAGING", "BACKUP",
    ];
    for (number, (id, secret)) in (0_u64..).zip(NAMES) {
        let made: Vec<_> = (0..10)
            .map(|n| sample("alibaba.access-key", number * 16 + n))
            .collect();
        let mut lines: Vec<String> = Vec::new();
        for (made, word) in made.iter().zip(WORDS) {
            lines.push(format!("{}={}\n", id.replace("{w}", word), made.id));
            lines.push(format!("{}={}\n", secret.replace("{w}", word), made.secret));
        }
        let mut seed = Seed(number + 99);
        for at in (1..lines.len()).rev() {
            let other = usize::try_from(seed.next_number() % (at as u64 + 1)).unwrap_or(0);
            lines.swap(at, other);
        }
        let text = lines.concat();
        let scan = scan_bytes(".env", Format::Guess, text.as_bytes());
        for made in &made {
            let linked = scan.matches.iter().any(|found| {
                found.id.as_ref().is_some_and(|id| id.as_str() == made.id)
                    && found
                        .secret
                        .as_ref()
                        .is_some_and(|s| s.expose() == made.secret.as_bytes())
            });
            assert!(linked, "{id} {:#?}", outline(&scan));
        }
    }
}

#[test]
fn who_runs_a_store_gives_its_users_any_name() {
    let text = "MINIO_ROOT_USER=backup-writer12\nMINIO_ROOT_PASSWORD=xK8Qdq2RtWz9Vb3p\n";
    let scan = scan_bytes(".env", Format::Guess, text.as_bytes());
    let found = findings(&scan);
    assert_eq!(found.len(), 1, "{:#?}", outline(&scan));
    let id = found[0]
        .id
        .as_ref()
        .map(akwatch_proto::credential::CredentialId::as_str);
    assert_eq!(id, Some("backup-writer12"), "{:#?}", outline(&scan));
}

/// A name, a value and the rule that tells it.
const NAMED: &[(&str, &str, &str)] = &[
    (
        "AZURE_OPENAI_KEY",
        "4f0c1e9a7b3d5826ce914a07fb3d5c21",
        "azure.openai-key",
    ),
    (
        "APP_KEY",
        "base64:Zk3Rt8vQx2ZpLw7Bc5Nd9Hf4Gs6Ty1Ue0AoKiMjWqP8=",
        "laravel.app-key",
    ),
    (
        "RABBITMQ_ERLANG_COOKIE",
        "QZKXWVJPLMRTBNCDHGFS",
        "rabbitmq.erlang-cookie",
    ),
    (
        "AGORA_APP_CERTIFICATE",
        "4f0c1e9a7b3d5826ce914a07fb3d5c21",
        "agora.certificate",
    ),
    (
        "JUHE_APP_KEY",
        "4f0c1e9a7b3d5826ce914a07fb3d5c21",
        "juhe.app-key",
    ),
    (
        "PD_ROUTING_KEY",
        "4f0c1e9a7b3d5826ce914a07fb3d5c21",
        "pagerduty.routing-key",
    ),
    (
        "TMDB_API_KEY",
        "4f0c1e9a7b3d5826ce914a07fb3d5c21",
        "tmdb.key",
    ),
    ("PUSHER_APP_SECRET", "4f0c1e9a7b3d5826ce91", "pusher.secret"),
    (
        "XXL_JOB_ACCESS_TOKEN",
        "Zk3Rt8vQx2ZpLw7Bc5Nd9Hf4Gs6Ty1Ue",
        "xxl-job.access-token",
    ),
    ("DNSLA_KEY", "Zk3Rt8vQx2ZpLw7Bc5Nd9Hf4Gs6Ty1Ue", "dnsla.key"),
    (
        "BAIDU_MAP_AK",
        "Zk3Rt8vQx2ZpLw7Bc5Nd9Hf4Gs6Ty1Ue",
        "baidu.map-key",
    ),
];

#[test]
fn services_are_told_by_their_own_words() {
    for (name, value, rule) in NAMED {
        for text in [
            format!("A=1\n{name}={value}\n"),
            format!("app:\n  {}: {value}\n", name.to_ascii_lowercase()),
        ] {
            let file = if text.starts_with("app") {
                "a.yml"
            } else {
                ".env"
            };
            let scan = scan_bytes(file, Format::Guess, text.as_bytes());
            let found = findings(&scan);
            let told = found.len() == 1 && found[0].rule.as_str() == *rule;
            assert!(told, "{text} {:#?}", outline(&scan));
        }
    }
}

/// A file, a text, and whether it tells `Kx7Rt2mWq9Lp`.
const ACCOUNTS: &[(&str, &str)] = &[
    (
        "a.py",
        "db = pymysql.connect('10.0.0.8', 'root', 'Kx7Rt2mWq9Lp', 'orders')\n",
    ),
    (
        "a.py",
        "c = cx_Oracle.connect('scott', 'Kx7Rt2mWq9Lp', 'db/orcl')\n",
    ),
    (
        "a.pl",
        "my $dbh = DBI->connect(\"DBI:mysql:x\", \"root\", \"Kx7Rt2mWq9Lp\");\n",
    ),
    (
        "a.php",
        "<?php\n$p = new PDO('mysql:host=h', 'root', 'Kx7Rt2mWq9Lp');\n",
    ),
    (
        "a.php",
        "<?php\n$c = mysqli_connect('h', 'root', 'Kx7Rt2mWq9Lp', 'd');\n",
    ),
    (
        "a.js",
        "const s = new Sequelize('db', 'user', 'Kx7Rt2mWq9Lp', { dialect: 'mysql' })\n",
    ),
    (
        "sentinel.conf",
        "sentinel auth-pass mymaster Kx7Rt2mWq9Lp\n",
    ),
    ("ks.cfg", "rootpw --plaintext Kx7Rt2mWq9Lp\n"),
    (
        "monitrc",
        "set httpd port 2812\n  allow admin:Kx7Rt2mWq9Lp\n",
    ),
    (
        ".msmtprc",
        "account x\nhost h\nuser u\npassword Kx7Rt2mWq9Lp\n",
    ),
    (
        "snmpd.conf",
        "createUser u SHA \"Kx7Rt2mWq9Lp\" AES \"Kx7Rt2mWq9Lp\"\n",
    ),
    (
        "sssd.conf",
        "[domain/x]\nldap_default_authtok = Kx7Rt2mWq9Lp\n",
    ),
    ("crontab", "5 4 * * * echo Kx7Rt2mWq9Lp | sudo -S ls\n"),
    (
        "crontab",
        "@daily root echo Kx7Rt2mWq9Lp | docker login -u u --password-stdin r.corp.lan\n",
    ),
    (
        "Dockerfile",
        "FROM x\nRUN echo 'Kx7Rt2mWq9Lp' | passwd --stdin root\n",
    ),
    (
        "ci.yml",
        "jobs:\n  b:\n    steps:\n    - run: |\n        set -e\n        redis-cli -h h -a Kx7Rt2mWq9Lp ping\n",
    ),
    (
        "ci.yml",
        "deploy:\n  script:\n    - smbclient //h/s Kx7Rt2mWq9Lp -U u\n",
    ),
    (".bash_history", "samba-tool user create bob Kx7Rt2mWq9Lp\n"),
    (
        ".bash_history",
        "grafana-cli admin reset-admin-password Kx7Rt2mWq9Lp\n",
    ),
    (
        ".bash_history",
        "squidclient -u u -w Kx7Rt2mWq9Lp mgr:info\n",
    ),
    (".bash_history", "at now <<< \"mysql -pKx7Rt2mWq9Lp\"\n"),
    (".bash_history", "htdigest -c f r u Kx7Rt2mWq9Lp\n"),
    (
        "notes.txt",
        "db.password=Kx7Rt2m\\=Wq9Lp\nmail.host=h\\:25\n",
    ),
];

#[test]
fn accounts_are_told_where_programs_keep_them() {
    for (name, text) in ACCOUNTS {
        let scan = scan_bytes(name, Format::Guess, text.as_bytes());
        let is = |secret: &crate::content::Secret| {
            secret.expose() == b"Kx7Rt2mWq9Lp" || secret.expose() == b"Kx7Rt2m=Wq9Lp"
        };
        let told = findings(&scan)
            .iter()
            .any(|found| found.secret.as_ref().is_some_and(is));
        assert!(told, "{name} {text} {:#?}", outline(&scan));
    }
}

/// The same layouts without a secret.
const NOTHING: &[(&str, &str)] = &[
    ("a.py", "first, second = 'alpha', 'beta'\n"),
    (
        "a.md",
        "| name | description |\n|---|---|\n| secret_key | the key, see vault |\n",
    ),
    (
        "a.md",
        "| option | password |\n|---|---|\n| `--db` | required |\n",
    ),
    (
        "a.sql",
        "INSERT INTO labels VALUES (1,'login.password','Enter your password','en');\n",
    ),
    ("a.csv", "name,secret_name\nprod,oss-backup\n"),
    (
        "a.cpp",
        "QObject::connect(\"sender\", \"signal\", \"receiver\");\n",
    ),
    (
        "ci.yml",
        "jobs:\n  b:\n    steps:\n    - run: mysql -u root -p\"$DB_PASSWORD\" app\n",
    ),
    ("crontab", "5 4 * * * echo done | mail root\n"),
    ("monitrc", "set httpd port 2812\n  allow localhost\n"),
    (
        ".env",
        "MINIO_ROOT_USER=minioadmin\nMINIO_REGION=cn-north-1\n",
    ),
    (".env", "AGORA_APP_ID=4f0c1e9a7b3d5826ce914a07fb3d5c21\n"),
    ("a.toml", "routing_key = \"orders.created.v2\"\n"),
];

#[test]
fn the_same_layouts_without_a_secret_tell_nothing() {
    for (name, text) in NOTHING {
        let scan = scan_bytes(name, Format::Guess, text.as_bytes());
        assert!(
            findings(&scan).is_empty(),
            "{name} {text} {:#?}",
            outline(&scan)
        );
    }
}

/// A mark that an address escapes divides it only where a name and a value follow.
#[test]
fn escaped_marks_of_addresses_divide_only_pairs() {
    for (text, secret) in [
        (
            "u = \"https://h.corp.lan/x?password=Kx7Rt2%26mWq9Lp\"\n",
            "Kx7Rt2%26mWq9Lp",
        ),
        (
            "u = \"https://h.corp.lan/x?next=%2Fy&password=Kx7Rt2mWq9Lp&z=1\"\n",
            "Kx7Rt2mWq9Lp",
        ),
        (
            "u = \"https://h.corp.lan/x?to=https%3A%2F%2Fg%2F%3Fa%3D1%26password%3DKx7Rt2mWq9Lp%26b%3D2\"\n",
            "Kx7Rt2mWq9Lp",
        ),
    ] {
        let scan = scan_bytes("a.py", Format::Guess, text.as_bytes());
        let told: Vec<&[u8]> = findings(&scan)
            .iter()
            .filter_map(|found| found.secret.as_ref().map(crate::content::Secret::expose))
            .collect();
        assert_eq!(told, [secret.as_bytes()], "{text} {:#?}", outline(&scan));
    }
    for text in [
        "u = \"https://h.corp.lan/x?q=cats%26dogs%26password%3D&z=1\"\n",
        "u = \"https://h.corp.lan/x?title=Johnson%26Johnson\"\n",
    ] {
        let scan = scan_bytes("a.py", Format::Guess, text.as_bytes());
        assert!(findings(&scan).is_empty(), "{text} {:#?}", outline(&scan));
    }
}

/// Words as passwords below trees of tests need more than elsewhere, and are told where they have it.
#[test]
fn words_below_tests_are_told_where_much_speaks_for_them() {
    let told = |name: &str, text: &str| {
        !findings(&scan_bytes(name, Format::Guess, text.as_bytes())).is_empty()
    };
    let full = "DB_HOST=10.2.0.3\nDB_USER=shop\nDB_PASSWORD=gooseberry\n";
    assert!(told("/srv/app/.env", full));
    assert!(told("/srv/app/tests/.env", full));
    assert!(!told(
        "/srv/app/tests/test_login.py",
        "password = 'gooseberry'\n"
    ));
    assert!(!told(
        "/srv/app/tests/labels.json",
        "{\"password\": \"gooseberry\"}\n"
    ));
    assert!(!told("/srv/app/docs/.env", full));
}

/// A bound of a line that is reached is said, not kept quiet.
#[test]
fn more_of_one_line_than_is_read_is_said() {
    for piece in [
        "the password is \"Kx7Rt2mWq9Lp\"; ",
        "--password Kx7Rt2mWq9Lp ",
    ] {
        for (count, all) in [(4, true), (200, false)] {
            let scan = scan_bytes("notes.txt", Format::Guess, piece.repeat(count).as_bytes());
            assert_eq!(scan.unread.is_empty(), all, "{piece} {count}");
        }
    }
}
