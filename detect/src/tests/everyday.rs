//! Passwords and keys in the everyday files and lines around a server, each in the syntax of its place:
//! blocks of code in notes, Makefiles, substituted commands, settings of clients, logins written as one.

use super::histories::made;
use super::{findings, outline, sample, scan_bytes};
use crate::content::Format;

/// Name of the file and its text; `{p}` is the password that has to be told, alone.
const TOLD: &[(&str, &str)] = &[
    ("README.md", "Run:\n\n```sh\nmysql -u root -p{p} app\n```\n"),
    (
        "README.md",
        "```console\n$ redis-cli -h 10.0.0.5 -a {p} ping\nPONG\n```\n",
    ),
    (
        "a.md",
        "```yaml\nenv:\n  - name: DB_PASSWORD\n    value: {p}\n```\n",
    ),
    ("a.md", "```\nsshpass -p {p} ssh root@10.0.0.3\n```\n"),
    (
        "a.md",
        "~~~ shell\nsshpass -p '{p}' scp a root@10.0.0.3:\n~~~\n",
    ),
    (
        "a.md",
        "1. Log in:\n\n   ```bash\n   sshpass -p {p} ssh root@h\n   ```\n",
    ),
    (
        "a.md",
        "```dockerfile\nFROM x\nRUN mysql -uroot -p{p} -e 'select 1'\n```\n",
    ),
    (
        "a.md",
        "```sql\nCREATE USER 'app'@'%' IDENTIFIED BY '{p}';\n```\n",
    ),
    (
        "a.md",
        "```netrc\nmachine h.corp.lan login ci password {p}\n```\n",
    ),
    (
        "a.md",
        "```make\ndump:\n\tmysqldump -uroot -p{p} app\n```\n",
    ),
    ("a.md", "````\n```\nmysql -uroot -p{p} app\n"),
    (
        "a.txt",
        "Then:\n\n    mysqldump -uroot -p{p} app > /tmp/x.sql\n\nand wait.\n",
    ),
    ("a.txt", "Then:\n\n\t$ sshpass -p {p} ssh h\n"),
    ("Makefile", "DB_PASSWORD = {p}\n"),
    ("Makefile", "export DB_PASSWORD := {p}\n"),
    ("Makefile", "override DB_PASS ?= '{p}'  # local\n"),
    ("Makefile", "dump:\n\tmysqldump -uroot -p{p} app > x.sql\n"),
    (
        "GNUmakefile",
        "login:\n\t-@docker login -u ci -p {p} registry.corp.lan\n",
    ),
    ("a.mk", "login: ; sshpass -p {p} ssh root@h\n"),
    (
        "Makefile",
        "run:\n\tdocker run -d \\\n\t  -e MYSQL_ROOT_PASSWORD={p} \\\n\t  mysql:8\n",
    ),
    (
        "Makefile",
        "deploy: export DB_PASSWORD = {p}\ndeploy:\n\t./deploy.sh\n",
    ),
    ("Makefile", "define ENVFILE\nDB_PASSWORD={p}\nendef\n"),
    (
        "Makefile",
        "run:\n\t@cd $$HOME; curl -u admin:{p} https://h.corp.lan/$$X\n",
    ),
    ("justfile", "login:\n    sshpass -p {p} ssh root@h\n"),
    (
        "a.sh",
        "docker login -u ci --password-stdin reg < <(echo \"{p}\")\n",
    ),
    (
        "a.sh",
        "gpg --batch --passphrase-fd 3 -d x.gpg 3< <(echo '{p}')\n",
    ),
    (
        "a.sh",
        "ansible-playbook a.yml --vault-password-file <(echo '{p}')\n",
    ),
    (
        "a.sh",
        "ansible-playbook a.yml --vault-password-file=<(echo {p})\n",
    ),
    (
        "a.sh",
        "mysql --defaults-extra-file=<(printf '[client]\\npassword=%s\\n' '{p}') app\n",
    ),
    (
        "a.sh",
        "openssl enc -aes-256-cbc -pass file:<(echo -n '{p}') -in a\n",
    ),
    ("a.sh", "curl -K <(echo 'user = \"admin:{p}\"') https://h\n"),
    (
        "a.sh",
        "curl --netrc-file <(echo 'machine h.lan login ci password {p}') https://h\n",
    ),
    ("a.sh", "sshpass -f <(echo '{p}') ssh root@h\n"),
    (
        "a.sh",
        "cryptsetup open --key-file <(echo -n '{p}') /dev/sdb1 x\n",
    ),
    (
        "a.sh",
        "diff <(mysql -uroot -p{p} -e 'show tables') b.txt\n",
    ),
    (".bash_history", "rar a -hp{p} backup.rar /srv\n"),
    (".bash_history", "7z a -p{p} -mhe=on backup.7z /srv\n"),
    (
        "/etc/ipsec.secrets",
        "# keys\n192.0.2.1 %any : PSK \"{p}\"\n",
    ),
    ("/etc/ipsec.secrets", "192.0.2.1 198.51.100.4: PSK {p}\n"),
    (
        "/etc/ipsec.d/vpn.secrets",
        "carol : EAP \"{p}\"\n: PIN %smartcard:50 %prompt\n",
    ),
    (
        "/etc/ipsec.d/vpn.secrets",
        "2001:db8::1 carol : XAUTH \"{p}\"\n",
    ),
    ("ipsec.secrets", ": RSA serverKey.pem \"{p}\"\n"),
    ("/root/.curlrc", "# me\nuser = \"admin:{p}\"\n"),
    ("/root/.curlrc", "--user admin:{p}\n"),
    ("/root/.curlrc", "-u admin:{p}\n"),
    ("/root/.curlrc", "proxy-user: \"app:{p}\"\n"),
    ("/root/.wgetrc", "user = admin\npassword = {p}\n"),
    ("/home/a/_netrc", "machine h.lan\nlogin ci\npassword {p}\n"),
    ("/etc/pgbouncer/userlist.txt", "\"app\" \"{p}\"\n"),
    (
        "user-data.txt",
        "#cloud-config\nchpasswd:\n  list: |\n    root:{p}\n  expire: false\n",
    ),
    (
        "a.yml",
        "#cloud-config\nchpasswd:\n  list:\n    - root:{p}\n    - app:RANDOM\n",
    ),
    (
        "a.yml",
        "#cloud-config\nchpasswd:\n  users:\n    - {name: root, password: {p}, type: text}\n",
    ),
    (
        "a.yml",
        "users:\n  - name: app\n    plain_text_passwd: {p}\n",
    ),
    (
        "user-data.txt",
        "#cloud-config\nruncmd:\n  - [ sh, -c, \"echo root:{p} | chpasswd\" ]\n",
    ),
    (
        "/var/lib/cloud/instances/i/user-data.txt.i",
        "Content-Type: multipart/mixed; boundary=\"X\"\nMIME-Version: 1.0\n\n--X\n\
         Content-Type: text/cloud-config\n\n#cloud-config\nchpasswd:\n  list: |\n    root:{p}\n--X--\n",
    ),
    (
        "a.properties",
        "db.url=jdbc:oracle:thin:app/{p}@//db.lan:1521/ORCL\n",
    ),
    (
        "A.java",
        "String url = \"jdbc:oracle:thin:app/{p}@db.lan:1521:ORCL\";\n",
    ),
    ("a.sh", "sqlplus /nolog <<EOF\nconnect app/{p}@ORCL\nEOF\n"),
    ("a.sql", "CONNECT app/{p}@ORCL;\n"),
    ("a.sql", "conn app/\"{p}\"@ORCL\n"),
    ("notes.txt", "user/pass: admin/{p}\n"),
    ("notes.txt", "username/password: admin / {p}\n"),
    ("notes.txt", "user:pass = admin:{p}\n"),
    (
        "notes.txt",
        "\u{8d26}\u{53f7}/\u{5bc6}\u{7801}: admin/{p}\n",
    ),
    (
        "notes.md",
        "\u{7528}\u{6237}\u{540d}/\u{5bc6}\u{7801}\u{ff1a}root / {p}\n",
    ),
    (
        "notes.md",
        "- \u{8d26}\u{53f7}\u{5bc6}\u{7801}\u{ff1a}admin/{p}\n",
    ),
    (
        "notes.txt",
        "\u{9ed8}\u{8ba4}\u{8d26}\u{53f7}\u{5bc6}\u{7801} admin/{p}\n",
    ),
    ("a.conf", "# \u{8d26}\u{53f7}/\u{5bc6}\u{7801}: admin/{p}\n"),
    (
        "main.go",
        "\tdb, err := sql.Open(\"mysql\", \"app:{p}@tcp(10.0.0.1:3306)/a?b=true\")\n",
    ),
    (
        "main.go",
        "db, _ := sql.Open(\"mysql\", \"root:{p}@/shop\")\n",
    ),
    (
        "main.go",
        "gorm.Open(mysql.Open(\"app:{p}@tcp(127.0.0.1:3306)/db\"), &gorm.Config{})\n",
    ),
    (
        "a.yaml",
        "dataSource: \"app:{p}@unix(/tmp/mysql.sock)/db\"\n",
    ),
    ("a.html", "<p>Password: <b>{p}</b></p>\n"),
];

/// The same of what clients and editors remember.
const REMEMBERED: &[(&str, &str)] = &[
    (
        ".mysql_history",
        "_HiStOrY_V2_\nsystem\\040mysqldump\\040-uroot\\040-p{p}\\040a\n",
    ),
    (".mysql_history", "system mysql -uroot -p{p} a\n"),
    (
        ".mysql_history",
        "_HiStOrY_V2_\n\\\\!\\040mysql\\040-uroot\\040-p{p}\n",
    ),
    (".rediscli_history", "SET app:smtp:password \"{p}\"\n"),
    (".rediscli_history", "hset user:1 name bob password {p}\n"),
    (".rediscli_history", "config set primaryauth {p}\n"),
    (
        ".python_history",
        "cur.execute(\"ALTER USER root IDENTIFIED BY '{p}'\")\n",
    ),
    (".python_history", "os.system('mysql -uroot -p{p} x')\n"),
    (".node_repl_history", "jwt.sign({a: 1}, '{p}')\n"),
    (".irb_history", "system('mysql -uroot -p{p}')\n"),
    (".irb_history", "`sshpass -p {p} ssh h`\n"),
    (
        ".viminfo",
        "# Command Line History (newest to oldest):\n:%s#OLD#password: {p}#g\n",
    ),
    (
        ".app.conf.swp",
        "b0VIM 9.0\0\0\u{1}\u{2}root\0/etc/app.conf\0\0\0tp\0\0\0port: 80\0password = {p}\0a\0",
    ),
];

/// What looks the same and tells nothing.
const QUIET: &[(&str, &str)] = &[
    (
        "a.md",
        "```sh\nmysql -u root -p app\nredis-cli -a $PASS\n```\n",
    ),
    (
        "a.md",
        "```\nThe -p option of mysql asks for a password\n```\n",
    ),
    (
        "Makefile",
        "run:\n\tmysql -u root -p$$MYSQL_PW -h $(HOST) app\n",
    ),
    (
        "Makefile",
        "DB_PASSWORD ?= $(shell pass show db)\nDB_PASS = $(PW)\n",
    ),
    ("a.sh", "diff <(sort passwords.txt) <(sort secrets.txt)\n"),
    (
        "a.sh",
        "ansible-playbook a.yml --vault-password-file <(pass show vault)\n",
    ),
    (
        "/etc/ipsec.secrets",
        ": RSA serverKey.pem\n: PIN %smartcard:50 %prompt\ninclude a.secrets\n",
    ),
    (
        "userlist.txt",
        "\"app\" \"md5{h}\"\n\"b\" \"SCRAM-SHA-256$4096:{h}\"\n",
    ),
    (
        "a.yml",
        "chpasswd:\n  list: |\n    root:R\n    app:RANDOM\n",
    ),
    ("a.yml", "url: jdbc:oracle:thin:@//db.corp.lan:1521/ORCL\n"),
    ("notes.txt", "user/pass: see /etc/app/credentials.json\n"),
    (
        "a.tfstate",
        "{\"resources\":[{\"type\":\"random_string\",\"instances\":[{\"attributes\":{\"result\":\"{h}\"},\"sensitive_attributes\":[]}]}]}",
    ),
    ("a.html", "<p>Password: <b>required</b></p>\n"),
];

#[test]
fn everyday_places_tell_their_passwords() {
    let mut faults = Vec::new();
    for (number, (name, shape)) in TOLD.iter().enumerate() {
        let (password, _) = made(number as u64);
        let text = shape.replace("{p}", &password);
        let scan = scan_bytes(name, Format::Guess, text.as_bytes());
        let told: Vec<&[u8]> = findings(&scan)
            .iter()
            .filter_map(|found| Some(found.secret.as_ref()?.expose()))
            .collect();
        if told != [password.as_bytes()] {
            faults.push(format!("{name} {shape:?}: {:?}", outline(&scan)));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn what_is_remembered_tells_its_passwords() {
    for (number, (name, shape)) in REMEMBERED.iter().enumerate() {
        let (password, _) = made(number as u64);
        let text = shape.replace("{p}", &password);
        let scan = scan_bytes(name, Format::Guess, text.as_bytes());
        let told: Vec<&[u8]> = findings(&scan)
            .iter()
            .filter_map(|found| Some(found.secret.as_ref()?.expose()))
            .collect();
        assert_eq!(
            told,
            [password.as_bytes()],
            "{name} {shape:?}: {:?}",
            outline(&scan)
        );
    }
}

#[test]
fn what_is_hashed_or_sealed_is_no_password() {
    let (hex, base64) = ("0f9a61d27b3c48e5".repeat(8), "Kf8zQ1mW7xT3vB9n".repeat(24));
    for shape in [
        format!("sha256:{}", &hex[..64]),
        format!("sha512-{}==", &base64[..86]),
        format!("sha256-{}=", &base64[..43]),
        format!("sha1-{}=", &base64[..27]),
        format!("md5{}", &hex[..32]),
        format!("*{}", hex[..40].to_uppercase()),
        format!("{{SHA}}{}=", &base64[..27]),
        format!("{{bcrypt}}$2a$10${}", &base64[..53]),
        format!(
            "SCRAM-SHA-256$4096:{}==${}=:{}=",
            &base64[..22],
            &base64[..43],
            &base64[8..51]
        ),
        format!("{{aes}}{}=", &base64[..43]),
        format!("kms:{}==", &base64[..62]),
        format!("ENC:{}", &hex[..64]),
        format!("CiQA{}", &base64[..80]),
        format!("AgA{}==", &base64[..340]),
    ] {
        for (name, line) in [
            ("a.env", format!("DB_PASSWORD={shape}\n")),
            ("a.yml", format!("db:\n  api_key: \"{shape}\"\n")),
            ("a.json", format!("{{\"secret_key\": \"{shape}\"}}")),
            ("Makefile", format!("TOKEN ?= {shape}\n")),
        ] {
            let scan = scan_bytes(name, Format::Guess, line.as_bytes());
            assert!(findings(&scan).is_empty(), "{line}: {:?}", outline(&scan));
        }
    }
}

#[test]
fn what_looks_alike_tells_nothing() {
    let digest = "0f9a61d27b3c48e5".repeat(2);
    for (name, shape) in QUIET {
        let text = shape.replace("{h}", &digest);
        let scan = scan_bytes(name, Format::Guess, text.as_bytes());
        assert!(
            findings(&scan).is_empty(),
            "{name} {shape:?}: {:?}",
            outline(&scan)
        );
    }
}

#[test]
fn a_state_of_terraform_says_what_is_sensitive() {
    let [first, second, third] = [1, 2, 3].map(|seed| made(seed).0);
    let text = format!(
        "{{\"outputs\":{{\"boot\":{{\"value\":\"{first}\",\"type\":\"string\",\"sensitive\":true}}}},\
         \"resources\":[{{\"type\":\"random_password\",\"instances\":[{{\"attributes\":\
         {{\"length\":16,\"result\":\"{second}\"}},\"sensitive_attributes\":[]}}]}},\
         {{\"type\":\"acme_db\",\"instances\":[{{\"attributes\":{{\"bootstrap\":\"{third}\"}},\
         \"sensitive_attributes\":[[{{\"type\":\"get_attr\",\"value\":\"bootstrap\"}}]]}}]}}]}}"
    );
    let scan = scan_bytes("prod.tfstate", Format::Guess, text.as_bytes());
    let told: Vec<&[u8]> = findings(&scan)
        .iter()
        .filter_map(|found| Some(found.secret.as_ref()?.expose()))
        .collect();
    assert_eq!(told.len(), 3, "{:?}", outline(&scan));
    for secret in [first, second, third] {
        assert!(told.contains(&secret.as_bytes()), "{:?}", outline(&scan));
    }
}

#[test]
fn an_app_role_is_told_by_the_id_beside_it_or_by_its_name() {
    const ROLE: &str = "70d05532-b23e-4f6f-a8f6-3fffafc7ef4c";
    const SECRET: &str = "0ebf4e3e-6947-4252-a01f-7824f2db0840";
    for (name, shape) in [
        (
            ".bash_history",
            "vault write auth/approle/login role_id={r} secret_id={s}\n",
        ),
        (
            "role.json",
            "{\"role_id\": \"{r}\", \"secret_id\": \"{s}\"}\n",
        ),
        (".env", "VAULT_ROLE_ID={r}\nVAULT_SECRET_ID={s}\n"),
        (".env", "VAULT_SECRET_ID={s}\n"),
        ("agent.hcl", "role_id = \"{r}\"\nsecret_id = \"{s}\"\n"),
        (
            ".bash_history",
            "curl -d '{\"role_id\":\"{r}\",\"secret_id\":\"{s}\"}' https://h/v1/auth/approle/login\n",
        ),
    ] {
        let text = shape.replace("{r}", ROLE).replace("{s}", SECRET);
        let scan = scan_bytes(name, Format::Guess, text.as_bytes());
        let told = findings(&scan);
        let one = told.len() == 1
            && told[0]
                .secret
                .as_ref()
                .is_some_and(|s| s.expose() == SECRET.as_bytes());
        assert!(one, "{name} {shape}: {:?}", outline(&scan));
    }
    let text = format!("{{\"client_id\": \"{ROLE}\", \"secret_id\": \"{SECRET}\"}}");
    let scan = scan_bytes("a.json", Format::Guess, text.as_bytes());
    assert!(findings(&scan).is_empty(), "{:?}", outline(&scan));
}

#[test]
fn a_message_tells_both_halves_of_a_key() {
    let one = sample("alibaba.access-key", 5);
    for shape in [
        "the access key is {i} and the secret is {s}.",
        "AK\u{ff1a}{i}\u{ff0c}SK\u{ff1a}{s}\u{3002}",
        "AccessKey ID: <code>{i}</code><br>AccessKey Secret: <code>{s}</code>",
    ] {
        let line = shape.replace("{i}", &one.id).replace("{s}", &one.secret);
        let text = format!("From: a@corp.lan\nSubject: keys\n\n{line}\n");
        let scan = scan_bytes("mail.eml", Format::Guess, text.as_bytes());
        let told = findings(&scan);
        assert_eq!(told.len(), 1, "{shape}: {:?}", outline(&scan));
        assert!(
            told[0].id.as_ref().is_some_and(|id| id.as_str() == one.id),
            "{shape}"
        );
    }
}
