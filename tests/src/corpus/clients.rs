//! What database clients, interpreters and editors remember.

use std::fmt::Write as _;

use super::clouds;
use super::dice::Dice;
use super::page::{Credential, Host, Page};
use super::passwords;
use super::tokens;

type Make = fn(&mut Dice, &mut Page);

const KINDS: &[(&str, &str, Make)] = &[
    ("mysql-history", "home/dba/.mysql_history", mysql),
    ("psql-history", "home/dba/.psql_history", psql),
    ("redis-history", "home/dba/.rediscli_history", redis),
    ("sqlite-history", "home/dev/.sqlite_history", sqlite),
    (
        "mongosh-history",
        "home/dba/.mongodb/mongosh/mongosh_repl_history",
        mongosh,
    ),
    ("python-history", "home/data/.python_history", python),
    ("node-history", "home/dev/.node_repl_history", node),
    ("irb-history", "home/dev/.irb_history", ruby),
    (
        "powershell-history",
        "home/dev/.local/share/powershell/PSReadLine/ConsoleHost_history.txt",
        powershell,
    ),
    ("less-history", "root/.lesshst", less),
    ("viminfo", "root/.viminfo", viminfo),
];

/// Files of each kind.
const EACH: usize = 4;

/// Plants them on `hosts`.
pub fn plant(hosts: &mut [Host], root: &Dice) {
    for (name, path, make) in KINDS {
        let mut dice = root.fork(name);
        for _ in 0..EACH {
            let mut page = Page::default();
            make(&mut dice, &mut page);
            let host = dice.below(hosts.len());
            hosts[host].put(path, name, page);
        }
    }
}

fn password(dice: &mut Dice) -> Credential {
    passwords::plain_secret("client-password", dice)
}

/// Appends a line made of a secret.
fn say(page: &mut Page, credential: Credential, line: impl Fn(&Credential) -> String) {
    let text = line(&credential);
    page.text.push_str(&text);
    page.text.push('\n');
    page.plant(credential);
}

fn quiet(page: &mut Page, line: &str) {
    page.text.push_str(line);
    page.text.push('\n');
}

/// The client's library writes a blank as `\040`.
fn mysql(dice: &mut Dice, page: &mut Page) {
    let spaced = |text: String| text.replace(' ', "\\040");
    quiet(page, "_HiStOrY_V2_");
    quiet(page, &spaced("show processlist;".to_owned()));
    for template in [
        "CREATE USER 'app'@'%' IDENTIFIED BY '{P}';",
        "alter user root@localhost identified with mysql_native_password by '{P}';",
        "SET PASSWORD FOR 'bi'@'%' = PASSWORD('{P}');",
        "grant all on shop.* to 'svc'@'10.%' identified by '{P}';",
        "change master to master_host='10.0.3.4', master_user='repl', master_password='{P}';",
        "update sys_user set password='{P}' where name='admin';",
    ] {
        say(page, password(dice), |one| {
            spaced(template.replace("{P}", &one.secret))
        });
        quiet(
            page,
            &spaced("select count(*) from orders where token is null;".to_owned()),
        );
    }
}

fn psql(dice: &mut Dice, page: &mut Page) {
    for template in [
        "ALTER USER app WITH PASSWORD '{P}';",
        "create role bi login password '{P}';",
        "\\c postgresql://svc:{P}@10.0.4.7/orders",
        "CREATE USER MAPPING FOR app SERVER old OPTIONS (user 'ro', password '{P}');",
        "create subscription s connection 'host=10.1.1.9 user=repl password={P} dbname=shop' publication p;",
    ] {
        say(page, password(dice), |one| {
            template.replace("{P}", &one.secret)
        });
        quiet(page, "select passwd is null from pg_shadow;");
    }
}

fn redis(dice: &mut Dice, page: &mut Page) {
    for template in [
        "auth {P}",
        "AUTH app {P}",
        "config set requirepass {P}",
        "CONFIG SET masterauth {P}",
        "acl setuser worker on >{P} ~* +@all",
    ] {
        say(page, password(dice), |one| {
            template.replace("{P}", &one.secret)
        });
        quiet(page, "get session:4711");
    }
}

fn sqlite(dice: &mut Dice, page: &mut Page) {
    quiet(page, ".tables");
    let key = (clouds::cloud("alibaba").make)(dice);
    say(page, key, |key| {
        format!(
            "insert into accounts(provider,access_key,secret_key) values('aliyun','{}','{}');",
            key.id.as_deref().unwrap_or_default(),
            key.secret
        )
    });
    say(page, password(dice), |one| {
        format!("update users set password = '{}' where id = 1;", one.secret)
    });
}

fn mongosh(dice: &mut Dice, page: &mut Page) {
    for template in [
        "db.createUser({user: \"app\", pwd: \"{P}\", roles: [\"readWrite\"]})",
        "db.auth(\"admin\", \"{P}\")",
        "db.changeUserPassword('svc', '{P}')",
        "db.updateUser(\"bi\", {pwd: \"{P}\"})",
    ] {
        say(page, password(dice), |one| {
            template.replace("{P}", &one.secret)
        });
        quiet(page, "db.orders.find({token: {$exists: true}})");
    }
}

fn python(dice: &mut Dice, page: &mut Page) {
    quiet(page, "import boto3, oss2, requests");
    let aws = (clouds::cloud("aws").make)(dice);
    say(page, aws, |key| {
        format!(
            "s3 = boto3.client('s3', aws_access_key_id='{}', aws_secret_access_key='{}')",
            key.id.as_deref().unwrap_or_default(),
            key.secret
        )
    });
    let oss = (clouds::cloud("alibaba").make)(dice);
    say(page, oss, |key| {
        format!(
            "auth = oss2.Auth('{}', '{}')",
            key.id.as_deref().unwrap_or_default(),
            key.secret
        )
    });
    say(page, password(dice), |one| {
        format!(
            "conn = pymysql.connect(host='10.0.0.3', user='app', password='{}', db='shop')",
            one.secret
        )
    });
    let token = tokens::make(tokens::named("openai"), dice);
    say(page, token, |one| {
        format!("openai.api_key = \"{}\"", one.secret)
    });
    quiet(page, "print(len(token), password is None)");
}

fn node(dice: &mut Dice, page: &mut Page) {
    let key = (clouds::cloud("tencent").make)(dice);
    say(page, key, |key| {
        format!(
            "const cos = new COS({{ SecretId: '{}', SecretKey: '{}' }})",
            key.id.as_deref().unwrap_or_default(),
            key.secret
        )
    });
    let token = tokens::make(tokens::named("stripe"), dice);
    say(page, token, |one| {
        format!("const stripe = require('stripe')('{}')", one.secret)
    });
    say(page, password(dice), |one| {
        format!("new Client({{ user: 'app', password: '{}' }})", one.secret)
    });
    quiet(page, "process.env.SECRET_KEY");
}

fn ruby(dice: &mut Dice, page: &mut Page) {
    let key = (clouds::cloud("aws").make)(dice);
    say(page, key, |key| {
        format!(
            "Aws.config.update(credentials: Aws::Credentials.new('{}', '{}'))",
            key.id.as_deref().unwrap_or_default(),
            key.secret
        )
    });
    say(page, password(dice), |one| {
        format!("User.find(1).update(password: '{}')", one.secret)
    });
    quiet(page, "User.where(password_digest: nil).count");
}

fn powershell(dice: &mut Dice, page: &mut Page) {
    for template in [
        "$cred = New-Object PSCredential('app', (ConvertTo-SecureString '{P}' -AsPlainText -Force))",
        "net user deploy {P} /add",
        "Connect-VIServer -Server vc01 -User admin -Password {P}",
        "$env:DB_PASSWORD = \"{P}\"",
        "Invoke-Sqlcmd -ServerInstance db01 -Username sa -Password '{P}' -Query 'select 1'",
    ] {
        say(page, password(dice), |one| {
            template.replace("{P}", &one.secret)
        });
        quiet(page, "Get-Credential | Out-Null");
    }
    let key = (clouds::cloud("aws").make)(dice);
    say(page, key, |key| {
        format!(
            "Set-AWSCredential -AccessKey {} -SecretKey {} -StoreAs default",
            key.id.as_deref().unwrap_or_default(),
            key.secret
        )
    });
}

fn less(dice: &mut Dice, page: &mut Page) {
    quiet(page, ".less-history-file:");
    quiet(page, ".search");
    quiet(page, "\"password");
    let token = tokens::make(tokens::named("github"), dice);
    say(page, token, |one| format!("\"{}", one.secret));
    quiet(page, ".shell");
    say(page, password(dice), |one| {
        format!("!mysql -uroot -p{} shop", one.secret)
    });
}

fn viminfo(dice: &mut Dice, page: &mut Page) {
    let _ = writeln!(
        page.text,
        "# This viminfo file was generated by Vim 8.2.\n\n# Command Line History (newest to oldest):"
    );
    say(page, password(dice), |one| {
        format!(":%s/^password=.*/password={}/", one.secret)
    });
    quiet(page, "|2,0,1709000000,,\"w\"");
    quiet(page, "\n# Registers:\n\"\"1\tLINE\t0");
    let key = (clouds::cloud("alibaba").make)(dice);
    say(page, key, |key| {
        format!(
            "\taccess_key_id = {}\n\taccess_key_secret = {}",
            key.id.as_deref().unwrap_or_default(),
            key.secret
        )
    });
    quiet(page, "\n# File marks:\n'0  12  4  /etc/app/secret.yml");
}
