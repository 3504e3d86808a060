//! Passwords, tokens and pairs where servers keep them: format by format, with key path and line.
//!
//! Longer than 800 lines because it is one table, a row a format.

use super::histories::made;
use super::{PROVIDERS, findings, outline, sample, scan_bytes};
use crate::content::Format;
use crate::places::FORMATS;

/// Name of the file, its text and how the field's path ends. `{p}` is a password, `{t}` a token.
const SHAPES: &[(&str, &str, &str)] = &[
    (
        "notes.txt",
        "shop\ndsn: svc:{p}@tcp(db:3306)/shop?parseTime=true\n",
        "dsn.password",
    ),
    (
        "app.yaml",
        "db:\n  dsn: \"app:{p}@tcp(db:3306)/shop?parseTime=true\"\n",
        "dsn.password",
    ),
    (
        "a.properties",
        "x.dsn=app\\:{p}@tcp(db\\:3306)/shop?parseTime\\=true\n",
        "dsn.password",
    ),
    (
        "main.go",
        "\tdbDsn = \"app:{p}@tcp(db:3306)/shop?parseTime=true\"\n",
        "dbDsn.password",
    ),
    (
        "appsettings.json",
        "{\n \"jdbcUrl\": \"jdbc:mysql://db:3306/shop?user=w&password={p}&useSSL=false\"\n}\n",
        "jdbcUrl.password",
    ),
    (
        "docker-compose.yml",
        "services:\n  a:\n    environment:\n      - DB_URL=jdbc:mysql://db/x?user=w&password={p}&useSSL=false\n",
        "password",
    ),
    (
        "A.java",
        "static final String URL = \"jdbc:mysql://db/x?user=w&password={p}&a=b\";\n",
        "password",
    ),
    (
        "notes.txt",
        "\u{6570}\u{636e}\u{5e93}\nconn_password\u{ff1a}{p}\n",
        "conn_password",
    ),
    (
        "/etc/postfix/sasl_passwd",
        "[smtp.x.org]:587 relay@x.org:{p}\n",
        "login.password",
    ),
    (
        "/etc/turnserver.conf",
        "realm=x\nuser=edge:{p}\n",
        "login.password",
    ),
    (
        "/etc/proftpd/conf.d/sql.conf",
        "SQLBackend mysql\nSQLConnectInfo ftp@localhost ftpuser {p}\n",
        "SQLConnectInfo.password",
    ),
    (
        "/etc/squid/conf.d/peers.conf",
        "cache_peer 10.0.0.1 parent 3128 0 no-query login=svc:{p}\n",
        "login.password",
    ),
    (
        "/root/.lesshst",
        ".less-history-file:\n.search\n\"x\n.shell\n\"!mysql -uroot -p{p} shop\n",
        "mysql.password",
    ),
    (
        "/root/.viminfo",
        "# Command Line History (newest to oldest):\n:%s/^password=.*/password={p}/\n",
        "password",
    ),
    (
        "/root/.rediscli_history",
        "acl setuser worker on >{p} ~* +@all\n",
        "redis-cli.password",
    ),
    (
        "/etc/spark/spark-defaults.conf",
        "spark.eventLog.enabled true\nspark.redis.password {p}\n",
        "spark.redis.password",
    ),
    (
        "ci.yml",
        "job:\n  script:\n    - |\n      cd x\n      mysql -uroot -p{p} shop\n",
        "mysql.password",
    ),
    (
        "settings.xml",
        "<a>\n<!-- <server><password>{p}</password></server> -->\n</a>\n",
        "password",
    ),
    // Files of one tool
    (
        "/root/.netrc",
        "machine x.org\nlogin bob\npassword {p}\n",
        "password",
    ),
    (
        "/root/.netrc",
        "machine a login b password {p}\nmachine c login d\n",
        "password",
    ),
    ("/root/.pgpass", "# x\ndb:5432:shop:app:{p}\n", "password"),
    (
        "/etc/ppp/chap-secrets",
        "# client server secret ip\nbob * {p} *\n",
        "password",
    ),
    ("/root/.git-credentials", "https://bob:{p}@git.x.org\n", ""),
    (
        "/root/.my.cnf",
        "[client]\nuser=root\npassword={p}\n",
        "client.password",
    ),
    (
        "/root/.pypirc",
        "[pypi]\nusername = u\npassword = {p}\n",
        "pypi.password",
    ),
    (
        "/root/.npmrc",
        "registry=https://r.x.org/\n//r.x.org/:_authToken={t}\n",
        "_authToken",
    ),
    // Words
    (
        "/etc/redis/redis.conf",
        "# requirepass foobared\nport 6379\nrequirepass {p}\n",
        "requirepass",
    ),
    (
        "/etc/redis/redis.conf",
        "masterauth \"{p}\"\n",
        "masterauth",
    ),
    (
        "/etc/redis/users.acl",
        "user default on >{p} ~* +@all\n",
        "user.password",
    ),
    (
        "/etc/nginx/nginx.conf",
        "http {\n  server {\n    fastcgi_param DB_PASSWORD {p};\n  }\n}\n",
        "DB_PASSWORD",
    ),
    (
        "/etc/nginx/conf.d/a.conf",
        "location / {\n  set $api_token \"{t}\";\n}\n",
        "api_token",
    ),
    (
        "/etc/nginx/conf.d/a.conf",
        "location / {\n  proxy_set_header Authorization \"Bearer {t}\";\n}\n",
        "Authorization",
    ),
    (
        "/etc/nginx/sites-enabled/x",
        "proxy_set_header X-Api-Key {t};\n",
        "X-Api-Key",
    ),
    (
        "/etc/keepalived/keepalived.conf",
        "vrrp_instance V {\n  authentication {\n    auth_type PASS\n    auth_pass {p}\n  }\n}\n",
        "auth_pass",
    ),
    (
        "/etc/haproxy/haproxy.cfg",
        "listen stats\n  stats auth admin:{p}\n",
        "auth.password",
    ),
    (
        "/etc/haproxy/haproxy.cfg",
        "userlist u\n  user bob insecure-password {p}\n",
        "insecure-password",
    ),
    (
        "/etc/apache2/apache2.conf",
        "<VirtualHost *:80>\n  SetEnv DB_PASSWORD {p}\n</VirtualHost>\n",
        "DB_PASSWORD",
    ),
    (
        "/etc/squid/squid.conf",
        "cache_peer p parent 3128 0 login=bob:{p}\n",
        "login.password",
    ),
    (
        "/etc/zabbix/zabbix_server.conf",
        "DBName=z\nDBPassword={p}\n",
        "DBPassword",
    ),
    (
        "/etc/mosquitto/conf.d/b.conf",
        "connection x\nremote_username u\nremote_password {p}\n",
        "remote_password",
    ),
    (
        "/etc/ldap/slapd.conf",
        "rootdn cn=a\nrootpw {p}\n",
        "rootpw",
    ),
    // Units, jobs, containers
    (
        "/etc/systemd/system/a.service",
        "[Service]\nEnvironment=DB_PASSWORD={p} PORT=80\n",
        "DB_PASSWORD",
    ),
    (
        "/etc/systemd/system/a.service.d/o.conf",
        "[Service]\nEnvironment=\"DB_PASSWORD={p}\"\n",
        "DB_PASSWORD",
    ),
    (
        "/etc/systemd/system/a.service",
        "[Service]\nExecStart=/bin/mysqldump -uroot \\\n  -p{p} shop\n",
        "mysqldump.password",
    ),
    (
        "/etc/systemd/system/a.service",
        "[Service]\nExecStart=/bin/redis-server --requirepass {p}\n",
        "requirepass",
    ),
    (
        "/etc/supervisor/conf.d/a.conf",
        "[program:a]\ncommand=/bin/a --db-password {p}\n",
        "db-password",
    ),
    (
        "/etc/supervisor/conf.d/a.conf",
        "[program:a]\nenvironment=PORT=\"80\",DB_PASSWORD=\"{p}\"\n",
        "DB_PASSWORD",
    ),
    (
        "/etc/cron.d/backup",
        "MAILTO=x\n0 3 * * * root mysqldump -uroot -p{p} shop > /b\n",
        "mysqldump.password",
    ),
    (
        "/var/spool/cron/root",
        "DB_PASSWORD={p}\n0 3 * * * /bin/x\n",
        "DB_PASSWORD",
    ),
    (
        "/etc/cron.d/backup",
        "0 3 * * * root mysqldump -uroot -p{p} shop > /b-$(date +\\%F)\n",
        "mysqldump.password",
    ),
    (
        "notes.txt",
        "== shop ==\n\ndb_password {p}\n",
        "db_password",
    ),
    ("账号.txt", "数据库密码 {p}\n", "数据库密码"),
    ("Dockerfile", "FROM x\nENV DB_PASSWORD={p}\n", "DB_PASSWORD"),
    ("Dockerfile", "FROM x\nENV DB_PASSWORD {p}\n", "DB_PASSWORD"),
    (
        "Dockerfile",
        "FROM x\nARG PORT=80\nRUN apt update && \\\n    # db\n    mysql -uroot -p{p} < x.sql\n",
        "mysql.password",
    ),
    (
        "Dockerfile",
        "FROM x\nCMD [\"redis-server\", \"--requirepass\", \"{p}\"]\n",
        "requirepass",
    ),
    (
        "docker-compose.yml",
        "services:\n  r:\n    command: redis-server --requirepass {p}\n",
        "requirepass",
    ),
    (
        "docker-compose.yml",
        "services:\n  r:\n    command: [\"redis-server\", \"--requirepass\", \"{p}\"]\n",
        "requirepass",
    ),
    (
        "docker-compose.yml",
        "services:\n  d:\n    environment:\n      MYSQL_ROOT_PASSWORD: {p}\n",
        "MYSQL_ROOT_PASSWORD",
    ),
    (
        "docker-compose.yml",
        "services:\n  d:\n    environment:\n      - MYSQL_ROOT_PASSWORD=${MYSQL_ROOT_PASSWORD:-{p}}\n",
        "MYSQL_ROOT_PASSWORD",
    ),
    (
        "pod.yaml",
        "spec:\n  containers:\n  - name: a\n    env:\n    - name: DB_PASSWORD\n      value: \"{p}\"\n",
        "DB_PASSWORD",
    ),
    (
        "pod.yaml",
        "spec:\n  containers:\n  - args:\n    - --port=80\n    - --db-password={p}\n",
        "db-password",
    ),
    (
        "secret.yaml",
        "kind: Secret\nstringData:\n  password: {p}\n",
        "stringData.password",
    ),
    (
        "config.v2.json",
        "{\"Config\":{\"Cmd\":[\"redis-server\",\"--requirepass\",\"{p}\"]}}",
        "requirepass",
    ),
    // Configuration of programs
    (
        "application.yml",
        "spring:\n  datasource:\n    url: jdbc:mysql://db/x\n    username: u\n    password: {p}\n",
        "spring.datasource.password",
    ),
    (
        "application.yml",
        "spring:\n  datasource:\n    password: ${DB_PASSWORD:{p}}\n",
        "spring.datasource.password",
    ),
    (
        "application.yml",
        "a: &x\n  password: &pw '{p}'\n",
        "a.password",
    ),
    (
        "application.yml",
        "a: 1\n---\nb:\n  \"password\": \"{p}\"\n",
        "b.password",
    ),
    (
        "application.properties",
        "spring.datasource.password={p}\n",
        "spring.datasource.password",
    ),
    (
        "application.properties",
        "spring.datasource.password = \\\n    {p}\n",
        "spring.datasource.password",
    ),
    (
        "config.json5",
        "{\n  // x\n  db: {\n    password: '{p}', // y\n  },\n}\n",
        "db.password",
    ),
    ("config.toml", "[db]\npassword = \"{p}\"\n", "db.password"),
    (
        "config.toml",
        "db = { user = \"u\", password = \"{p}\" }\n",
        "db.password",
    ),
    ("config.ini", "[db]\npassword: {p}\n", "db.password"),
    (
        "hosts",
        "[web]\nw1 ansible_host=10.0.0.1 ansible_ssh_pass={p} ansible_user=u\n",
        "ansible_ssh_pass",
    ),
    (".env", "export DB_PASSWORD='{p}' # x\n", "DB_PASSWORD"),
    (
        "web.config",
        "<configuration><appSettings>\n<add key=\"DbPassword\" value=\"{p}\"/>\n</appSettings></configuration>\n",
        "DbPassword",
    ),
    (
        "web.config",
        "<connectionStrings>\n<add name=\"x\" connectionString=\"Server=d;User Id=u;Password={p};\"/>\n</connectionStrings>\n",
        "Password",
    ),
    (
        "settings.xml",
        "<settings><servers><server>\n<id>x</id>\n<username>u</username>\n<password>{p}</password>\n</server></servers></settings>\n",
        "password",
    ),
    (
        "hive-site.xml",
        "<configuration>\n<property>\n<name>javax.jdo.option.ConnectionPassword</name>\n<value>{p}</value>\n</property>\n</configuration>\n",
        "javax.jdo.option.ConnectionPassword",
    ),
    (
        "context.xml",
        "<Context>\n<Resource name=\"jdbc/x\" username=\"u\" password=\"{p}\"/>\n</Context>\n",
        "password",
    ),
    (
        "beans.xml",
        "<bean>\n<property name=\"password\"><value>{p}</value></property>\n</bean>\n",
        "password",
    ),
    (
        "main.tf",
        "variable \"db_password\" {\n  type    = string\n  default = \"{p}\"\n}\n",
        "db_password",
    ),
    (
        "main.tf",
        "resource \"aws_db_instance\" \"x\" {\n  username = \"u\"\n  password = \"{p}\"\n}\n",
        "aws_db_instance.x.password",
    ),
    (
        "prod.tfvars",
        "region = \"x\"\ndb_password = \"{p}\"\n",
        "db_password",
    ),
    (
        "prod.tfvars",
        "db = {\n  user     = \"u\"\n  password = \"{p}\"\n}\n",
        "db.password",
    ),
    (
        "terraform.tfstate",
        "{\"outputs\":{\"db_password\":{\"value\":\"{p}\",\"type\":\"string\"}}}",
        "db_password",
    ),
    (
        "dump.sql",
        "CREATE USER 'a'@'%' IDENTIFIED BY '{p}';\n",
        "password",
    ),
    (
        "dump.sql",
        "INSERT INTO `sys_config` (`config_id`,`config_key`,`config_value`) VALUES\n(1,'a.b','c'),\n(2,'mail.password','{p}');\n",
        "mail.password",
    ),
    (
        "dump.sql",
        "INSERT INTO accounts (name, password) VALUES ('bob', '{p}');\n",
        "accounts.password",
    ),
    (
        "export.csv",
        "name,url,username,password\nx,https://x.org,bob,{p}\n",
        "password",
    ),
    (
        "export.csv",
        "\"名称\",\"用户名\",\"密码\"\n\"x\",\"bob\",\"{p}\"\n",
        "密码",
    ),
    (
        "nb.ipynb",
        "{\"cells\":[{\"source\":[\"import x\\n\",\"db_password = '{p}'  # live\\n\"]}]}",
        "db_password",
    ),
    // Programs
    (
        "config.php",
        "<?php\ndefine('DB_PASSWORD', '{p}');\n",
        "DB_PASSWORD",
    ),
    (
        "config.php",
        "<?php\nreturn [\n  'db' => [\n    'password' => '{p}',\n  ],\n];\n",
        "password",
    ),
    (
        "config.php",
        "<?php\n$config['db']['password'] = '{p}';\n",
        "password",
    ),
    (
        "wp-config.php",
        "<?php\n$dbpassword = \"{p}\";\n",
        "dbpassword",
    ),
    (
        "db.py",
        "conn = connect(host='x', user='u', password='{p}')\n",
        "password",
    ),
    (
        "settings.py",
        "DATABASES = {\n  'default': {\n    'PASSWORD': '{p}',\n  }\n}\n",
        "PASSWORD",
    ),
    ("a.py", "os.environ['DB_PASSWORD'] = '{p}'\n", "DB_PASSWORD"),
    (
        "a.py",
        "password = os.getenv('DB_PASSWORD', '{p}')\n",
        "DB_PASSWORD",
    ),
    ("main.go", "const dbPassword = \"{p}\"\n", "dbPassword"),
    (
        "main.go",
        "os.Setenv(\"DB_PASSWORD\", \"{p}\")\n",
        "DB_PASSWORD",
    ),
    (
        "A.java",
        "class A {\n  private static final String DB_PASSWORD = \"{p}\";\n}\n",
        "DB_PASSWORD",
    ),
    ("A.java", "ds.setPassword(\"{p}\");\n", "setPassword"),
    ("A.java", "props.put(\"password\", \"{p}\");\n", "password"),
    (
        "A.java",
        "DriverManager.getConnection(\"jdbc:mysql://db/x\", \"u\", \"{p}\");\n",
        "",
    ),
    ("A.java", "@Value(\"${db.password:{p}}\")\n", ""),
    (
        "a.js",
        "const db = { user: 'u', password: '{p}' };\n",
        "password",
    ),
    ("a.ts", "process.env.DB_PASSWORD = `{p}`;\n", "DB_PASSWORD"),
    ("a.ts", "const password: string = \"{p}\";\n", ""),
    ("a.rb", "DB = { :password => '{p}' }\n", "password"),
    ("a.rb", "ENV['DB_PASSWORD'] ||= '{p}'\n", "DB_PASSWORD"),
    (
        "A.cs",
        "var c = new NetworkCredential(\"u\", \"{p}\");\n",
        "",
    ),
    (
        "A.cs",
        "const string DbPassword = @\"{p}\";\n",
        "DbPassword",
    ),
    ("a.js", "mongoose.connect('mongodb://app:{p}@db/x');\n", ""),
    ("a.py", "smtp.login('a@x.org', '{p}')\n", ""),
    (
        "a.php",
        "$db = new mysqli('localhost', 'root', '{p}', 'shop');\n",
        "",
    ),
    // Histories of clients
    (
        "/root/.mysql_history",
        "_HiStOrY_V2_\nALTER\\040USER\\040'a'@'%'\\040IDENTIFIED\\040BY\\040'{p}';\n",
        "password",
    ),
    (
        "/root/.mysql_history",
        "set password for 'a'@'b' = password('{p}');\n",
        "password",
    ),
    (
        "/root/.psql_history",
        "select 1;\nALTER USER app WITH PASSWORD '{p}';\n",
        "PASSWORD",
    ),
    (
        "/root/.psql_history",
        "\\connect \"host=db user=u password={p}\"\n",
        "password",
    ),
    (
        "/root/.rediscli_history",
        "ping\nAUTH {p}\n",
        "redis-cli.password",
    ),
    (
        "/root/.rediscli_history",
        "auth default {p}\n",
        "redis-cli.password",
    ),
    (
        "/root/.rediscli_history",
        "CONFIG SET requirepass \"{p}\"\n",
        "redis-cli.password",
    ),
    (
        "/root/.sqlite_history",
        ".open x.db\nPRAGMA key = '{p}';\nINSERT INTO u(name,password) VALUES('a','b');\n",
        "",
    ),
    (
        "/root/.mongosh/mongosh_repl_history",
        "db.createUser({user:'a',pwd:'{p}',roles:[]})\n",
        "pwd",
    ),
    ("/root/.dbshell", "db.auth('admin', '{p}')\n", ""),
    (
        "/root/.python_history",
        "import x\nredis.Redis(host='r', password='{p}')\n",
        "password",
    ),
    (
        "/root/.python_history",
        "DB_PASSWORD = '{p}'\n",
        "DB_PASSWORD",
    ),
    (
        "/root/.node_repl_history",
        "const c = {host: 'x', password: '{p}'}\n",
        "password",
    ),
    (
        "/root/.irb_history",
        "Mysql2::Client.new(password: '{p}')\n",
        "password",
    ),
    (
        "/root/.zsh_history",
        ": 1700000000:0;mysql -uroot -p{p}\n",
        "mysql.password",
    ),
    (
        "/root/.zsh_history",
        ": 1700000000:0;cd x\\\nexport DB_PASSWORD='{p}'\n",
        "DB_PASSWORD",
    ),
    (
        "fish_history",
        "- cmd: set -x DB_PASSWORD '{p}'\n  when: 1700000000\n",
        "DB_PASSWORD",
    ),
    (
        "fish_history",
        "- cmd: mysql -uroot \\\\\\n  -p{p}\n  when: 1700000000\n",
        "mysql.password",
    ),
    (
        "/root/.sh_history",
        "mysql -uroot -p{p}\n",
        "mysql.password",
    ),
    (
        "ConsoleHost_history.txt",
        "$env:DB_PASSWORD = \"{p}\"\n",
        "DB_PASSWORD",
    ),
    (
        "ConsoleHost_history.txt",
        "$c = ConvertTo-SecureString '{p}' -AsPlainText -Force\n",
        "password",
    ),
    (
        "ConsoleHost_history.txt",
        "Connect-Server -Server x -User u -Password {p}\n",
        "Password",
    ),
    (
        "/root/.viminfo",
        "# Registers:\n\"\"1\tLINE\t0\n\tDB_PASSWORD={p}\n|3,1,1,1,1,0,1700000000,\"DB_PASSWORD=\"\n",
        "DB_PASSWORD",
    ),
    (
        "/root/.viminfo",
        "# Command Line History (newest to oldest):\n:!mysql -uroot -p{p}\n",
        "mysql.password",
    ),
];

/// Pairs: names of the vendor, or none where the format has its own.
const PAIRS: &[(&str, &str)] = &[
    (
        "/www/server/panel/plugin/alioss/config.conf",
        "{id}|{sk}|bucket|oss-cn-x.aliyuncs.com\n",
    ),
    (
        ".ddns_go_config.yaml",
        "dnsconf:\n- name: x\n  dns:\n    name: x\n    id: {id}\n    secret: {sk}\n",
    ),
    ("/etc/passwd-s3fs", "{id}:{sk}\n"),
    ("/etc/passwd-ossfs", "bucket:{id}:{sk}\n"),
    ("/home/u/.passwd-s3fs", "# x\nbucket:{id}:{sk}\n"),
    (
        "AccessKey.csv",
        "\u{feff}AccessKey ID,AccessKey Secret\n{id},{sk}\n",
    ),
    ("SecretKey.csv", "SecretId,SecretKey\n{id},{sk}\n"),
    (
        "credentials.csv",
        "User Name,Access Key Id,Secret Access Key\n\"bob\",\"{id}\",\"{sk}\"\n",
    ),
    ("rootkey.csv", "AWSAccessKeyId={id}\nAWSSecretKey={sk}\n"),
    (
        "main.tf",
        "provider \"x\" {\n  region = \"r\"\n  {in} = \"{id}\"\n  {sn} = \"{sk}\"\n}\n",
    ),
    ("backend.hcl", "{in} = \"{id}\"\n{sn} = \"{sk}\"\n"),
    (
        "dump.sql",
        "INSERT INTO cloud (id, {in}, {sn}) VALUES (1, '{id}', '{sk}');\n",
    ),
    (
        "spark-defaults.conf",
        "spark.hadoop.fs.s3a.{in} {id}\nspark.hadoop.fs.s3a.{sn} {sk}\n",
    ),
    ("flink-conf.yaml", "s3.{in}: {id}\ns3.{sn}: {sk}\n"),
    (
        "job.json",
        "{\"job\":{\"content\":[{\"reader\":{\"parameter\":{\"{in}\":\"{id}\",\"{sn}\":\"{sk}\"}}}]}}",
    ),
    (
        "a.service",
        "[Service]\nEnvironment={IN}={id}\nEnvironment={SN}={sk}\n",
    ),
    (
        "x.yaml",
        "profiles:\n- &base\n  {in}: {id}\n  {sn}: {sk}\n- other: 1\n",
    ),
    ("account.conf", "SAVED_{IN}='{id}'\nSAVED_{SN}='{sk}'\n"),
    (
        "rclone.conf",
        "[r]\ntype = s3\naccess_key_id = {id}\nsecret_access_key = {sk}\n",
    ),
    (".boto", "[Credentials]\n{in} = {id}\n{sn} = {sk}\n"),
    (
        "nacos/config/x/snapshot/app",
        "server:\n  port: 80\nx:\n  {in}: {id}\n  {sn}: {sk}\n",
    ),
    (
        "/opt/data/app/config-cache/app+default+ns.properties",
        "a=b\nx.{in}={id}\nx.{sn}={sk}\n",
    ),
    (
        "nginx.conf",
        "location / {\n  set ${in} {id};\n  set ${sn} \"{sk}\";\n}\n",
    ),
    (
        "/root/.python_history",
        "c = Client({in}='{id}', {sn}='{sk}')\n",
    ),
    (
        "ConsoleHost_history.txt",
        "$env:{IN}='{id}'\n$env:{SN}='{sk}'\n",
    ),
    (
        "nb.ipynb",
        "{\"cells\":[{\"source\":[\"{in} = '{id}'\\n\",\"{sn} = '{sk}'\\n\"]}]}",
    ),
];

fn check(shape: &(&str, &str, &str), seed: u64) -> Result<(), String> {
    let (file, template, field) = *shape;
    let (password, token) = made(seed);
    let text = template.replace("{p}", &password).replace("{t}", &token);
    let wanted = if template.contains("{t}") {
        token
    } else {
        password
    };
    let scan = scan_bytes(file, Format::Guess, text.as_bytes());
    let found = findings(&scan);
    let context = || format!("{file} {template:?} {:?}", outline(&scan));
    let right = found.len() == 1
        && found[0]
            .secret
            .as_ref()
            .is_some_and(|secret| secret.expose() == wanted.as_bytes());
    if !right {
        return Err(context());
    }
    let at = text.find(&wanted).expect("it is there");
    let mut line = 1 + text[..at].matches('\n').count();
    // A continued value begins where its key's line does.
    if template.contains("= \\\n") {
        line -= 1;
    }
    let told = found[0]
        .spot
        .field
        .as_deref()
        .map(String::from_utf8_lossy)
        .unwrap_or_default();
    let placed = found[0].spot.line as usize == line;
    let ends = told.to_lowercase().ends_with(&field.to_lowercase());
    (placed && ends)
        .then_some(())
        .ok_or_else(|| format!("line {line}, field {told}: {}", context()))
}

#[test]
fn every_format_gives_its_passwords_with_path_and_line() {
    let mut missed: Vec<String> = Vec::new();
    for shape in SHAPES {
        missed.extend((11..13).find_map(|seed| check(shape, seed).err()));
    }
    assert!(
        missed.is_empty(),
        "{} of {}:\n{}",
        missed.len(),
        SHAPES.len(),
        missed.join("\n")
    );
}

#[test]
fn every_format_keeps_its_pairs() {
    let mut missed: Vec<String> = Vec::new();
    for (file, template) in PAIRS {
        for (rule, id, secret) in PROVIDERS {
            let made = sample(rule, 17);
            let text = template
                .replace("{IN}", &id.to_uppercase())
                .replace("{SN}", &secret.to_uppercase())
                .replace("{in}", id)
                .replace("{sn}", secret)
                .replace("{id}", &made.id)
                .replace("{sk}", &made.secret);
            let scan = scan_bytes(file, Format::Guess, text.as_bytes());
            let found = findings(&scan);
            let right = found.len() == 1
                && found[0]
                    .secret
                    .as_ref()
                    .is_some_and(|s| s.expose() == made.secret.as_bytes())
                && found[0]
                    .id
                    .as_ref()
                    .is_some_and(|id| id.as_str() == made.id);
            if !right {
                missed.push(format!("{rule} {file} {template:?} {:?}", outline(&scan)));
            }
        }
    }
    assert!(
        missed.is_empty(),
        "{}:\n{}",
        missed.len(),
        missed.join("\n")
    );
}

#[test]
fn a_value_ends_where_its_format_says() {
    let cases = [
        (
            "/etc/cron.d/backup",
            "DB_PASSWORD = \"{p}&b;c#d\"\n0 3 * * * root /bin/x\n",
            "{p}&b;c#d",
        ),
        (
            "/etc/cron.d/backup",
            "0 3 * * * root mysqldump -uroot -p'{p}\\%9' shop\n",
            "{p}%9",
        ),
        (
            "/etc/systemd/system/a.service",
            "[Service]\nEnvironment=DB_PASSWORD={p}&b;c%%d PORT=1\n",
            "{p}&b;c%d",
        ),
        (
            "web.config",
            "<x><y name=\"password\" value=\"{p}&#64;1&#x21;\"/></x>\n",
            "{p}@1!",
        ),
        ("app.yml", "db:\n  password: \"{p}%57\"\n", "{p}%57"),
    ];
    for (file, template, wanted) in cases {
        let (password, _) = made(5);
        let text = template.replace("{p}", &password);
        let wanted = wanted.replace("{p}", &password);
        let scan = scan_bytes(file, Format::Guess, text.as_bytes());
        let found = findings(&scan);
        let whole = |found: &&crate::scan::Match| {
            let secret = found.secret.as_ref();
            secret.is_some_and(|secret| secret.expose() == wanted.as_bytes())
        };
        assert!(
            found.len() == 1 && found.iter().all(whole),
            "{file} {template:?} {:?}",
            outline(&scan)
        );
    }
}

#[test]
fn a_registry_login_is_its_password() {
    use base64::Engine as _;
    let (password, _) = made(3);
    let auth = base64::engine::general_purpose::STANDARD.encode(format!("bob:{password}"));
    let text = format!("{{\"auths\":{{\"reg.x.org\":{{\"auth\":\"{auth}\"}}}}}}");
    let scan = scan_bytes("/root/.docker/config.json", Format::Guess, text.as_bytes());
    let found = findings(&scan);
    assert_eq!(found.len(), 1, "{:#?}", outline(&scan));
    assert!(
        found[0]
            .secret
            .as_ref()
            .is_some_and(|s| s.expose() == password.as_bytes())
    );
    assert_eq!(
        found[0].spot.encoding,
        [akwatch_proto::place::Encoding::Base64]
    );
}

#[test]
fn no_format_minds_broken_text() {
    use crate::sample::Seed;
    const PIECES: &str = "$( ${ ${A:- } { [ ] ( ) < > <<E <<< = : ; | & # , ' \" ` \\ -p --password= \
        password= secret: - |- &a <!-- --> <![CDATA[ <p name=\" /> </p> mysql echo s/a/ INSERT INTO t VALUES \
        IDENTIFIED BY COPY stdin; %% \u{ff1a} \u{0} @tcp( jdbc:x? @h ENV CMD [\" //h/:_a= >x";
    let pieces: Vec<&str> = PIECES.split_whitespace().collect();
    let mut seed = Seed(4);
    let (password, token) = made(5);
    for (_, format) in FORMATS {
        for _ in 0..120 {
            let mut text = String::new();
            while text.len() < 160 {
                let number = usize::try_from(seed.next_number() >> 40).unwrap();
                match number % 96 {
                    at if at < pieces.len() => text.push_str(pieces[at]),
                    90 => text.push_str(&password),
                    91 => text.push_str(&token),
                    92..=95 => text.push('\n'),
                    _ => text.push(' '),
                }
            }
            let first = scan_bytes("", format, text.as_bytes());
            let again = scan_bytes("", format, text.as_bytes());
            assert_eq!(outline(&first), outline(&again), "{format:?} {text:?}");
            for found in &first.matches {
                let line = found.spot.line as usize;
                let last = 1 + text.matches('\n').count();
                assert!((1..=last).contains(&line), "{format:?} {text:?}");
            }
        }
    }
}

#[test]
fn hostile_openings_cost_no_search_each() {
    for (file, piece) in [
        ("a.sh", "$("),
        ("a.sh", "x <<E\n"),
        ("a.sh", "\"$(\n"),
        ("a.sh", "a'b\"\n"),
        ("a.sh", "`"),
        ("a.tf", "password = <<E\n"),
        ("a.sql", "INSERT INTO t (password) VALUES (('"),
        ("a.sql", "password '"),
        ("a.xml", "<!--password="),
        ("a.csv", "password,\"\n"),
        ("redis.conf", "requirepass \"\n"),
        (".bash_history", "echo $(echo \"$(\n"),
        ("a.ps1", "password `\n"),
        ("a.txt", "a\u{ff1a}"),
        ("a.yml", "password: '''''\n- |\n"),
    ] {
        let text = piece.repeat(20_000);
        let scan = scan_bytes(file, Format::Guess, text.as_bytes());
        let most = 64 * text.len() as u64;
        assert!(
            scan.work <= most,
            "{file} {piece:?}: {} bytes of work",
            scan.work
        );
    }
}
