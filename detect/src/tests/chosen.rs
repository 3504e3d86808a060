//! Passwords that people choose, where they keep them, and what looks like them.

use super::{findings, scan_bytes};
use crate::content::Format;

/// Files, texts, and the password in each: words, names with years, walks over a keyboard.
const CHOSEN: &[(&str, &str, &str)] = &[
    // Frameworks
    (
        "/srv/shop/src/main/resources/application.yml",
        "spring:\n  datasource:\n    url: jdbc:mysql://10.0.3.7:3306/shop\n    username: shop\n    password: shopadmin\n",
        "shopadmin",
    ),
    (
        "/srv/shop/config/application-prod.properties",
        "spring.datasource.username=billing\nspring.datasource.password=Billing@2021\n",
        "Billing@2021",
    ),
    (
        "/opt/erp/application.properties",
        "spring.redis.host=10.1.1.4\nspring.redis.password=gooseberry\n",
        "gooseberry",
    ),
    (
        "/opt/erp/bootstrap.yml",
        "nacos:\n  server-addr: 10.1.1.9:8848\n  username: nacos\n  password: nacosnacos\n",
        "nacosnacos",
    ),
    (
        "/srv/site/settings.py",
        "DATABASES = {\n    'default': {\n        'ENGINE': 'django.db.backends.postgresql',\n        'NAME': 'site',\n        'USER': 'site',\n        'PASSWORD': 'marmalade',\n        'HOST': 'db.internal',\n    }\n}\n",
        "marmalade",
    ),
    (
        "/srv/site/local_settings.py",
        "EMAIL_HOST = 'mail.acme.cn'\nEMAIL_HOST_USER = 'noreply'\nEMAIL_HOST_PASSWORD = 'Acme@123456'\n",
        "Acme@123456",
    ),
    (
        "/var/www/blog/.env",
        "DB_CONNECTION=mysql\nDB_HOST=127.0.0.1\nDB_USERNAME=blog\nDB_PASSWORD=blogblog\n",
        "blogblog",
    ),
    (
        "/var/www/blog/.env",
        "APP_ENV=production\nREDIS_PASSWORD=woaini1314\n",
        "woaini1314",
    ),
    (
        "/var/www/blog/.env.production",
        "MAIL_USERNAME=post\nMAIL_PASSWORD=sunflower\n",
        "sunflower",
    ),
    (
        "/var/www/html/wp-config.php",
        "<?php\ndefine( 'DB_NAME', 'wp' );\ndefine( 'DB_USER', 'wp' );\ndefine( 'DB_PASSWORD', 'butterfly' );\ndefine( 'DB_HOST', 'localhost' );\n",
        "butterfly",
    ),
    (
        "/var/www/html/config.php",
        "<?php\n$db_host = 'localhost';\n$db_user = 'forum';\n$db_pass = 'forumforum';\n",
        "forumforum",
    ),
    (
        "/var/www/html/inc/db.php",
        "<?php\n$conn = array(\n  'host' => '10.0.0.3',\n  'user' => 'crm',\n  'password' => 'Qwerty123',\n);\n",
        "Qwerty123",
    ),
    (
        "/srv/api/config/database.yml",
        "production:\n  adapter: mysql2\n  host: db1\n  username: rails\n  password: railsrails\n",
        "railsrails",
    ),
    (
        "/srv/api/config/default.json",
        "{\"mysql\": {\"host\": \"10.0.0.8\", \"user\": \"api\", \"password\": \"watermelon\"}}\n",
        "watermelon",
    ),
    (
        "/srv/api/config.js",
        "module.exports = {\n  db: {\n    host: '10.0.0.8',\n    user: 'api',\n    password: 'strawberry',\n  },\n};\n",
        "strawberry",
    ),
    (
        "/srv/api/appsettings.json",
        "{\"ConnectionStrings\": {\"Main\": \"Server=10.0.0.5;Database=erp;User Id=erp;Password=Winter2020;\"}}\n",
        "Winter2020",
    ),
    (
        "/srv/api/appsettings.json",
        "{\"Smtp\": {\"Host\": \"smtp.acme.cn\", \"UserName\": \"robot\", \"Password\": \"raspberry\"}}\n",
        "raspberry",
    ),
    (
        "/srv/legacy/web.config",
        "<configuration><appSettings><add key=\"SmtpPassword\" value=\"Dragonfly#1\"/></appSettings></configuration>\n",
        "Dragonfly#1",
    ),
    (
        "/opt/tomcat/conf/tomcat-users.xml",
        "<tomcat-users>\n<user username=\"deployer\" password=\"deploydeploy\" roles=\"manager-gui\"/>\n</tomcat-users>\n",
        "deploydeploy",
    ),
    (
        "/opt/tomcat/conf/server.xml",
        "<Connector port=\"8443\" keystoreFile=\"conf/k.jks\" keystorePass=\"kangaroo9\"/>\n",
        "kangaroo9",
    ),
    // Servers
    (
        "/etc/redis/redis.conf",
        "bind 0.0.0.0\nrequirepass redisredis\n",
        "redisredis",
    ),
    (
        "/etc/redis/redis.conf",
        "port 6379\nrequirepass Abc123456\n",
        "Abc123456",
    ),
    (
        "/etc/redis/redis.conf",
        "port 6379\nrequirepass 12345678\n",
        "12345678",
    ),
    (
        "/root/.my.cnf",
        "[client]\nuser=root\npassword=mysqlroot\n",
        "mysqlroot",
    ),
    (
        "/etc/mysql/conf.d/backup.cnf",
        "[mysqldump]\nuser = dump\npassword = \"1qaz@WSX\"\n",
        "1qaz@WSX",
    ),
    (
        "/opt/kafka/config/kafka_server_jaas.conf",
        "KafkaServer {\n  org.apache.kafka.common.security.plain.PlainLoginModule required\n  username=\"admin\"\n  password=\"kafkaadmin\";\n};\n",
        "kafkaadmin",
    ),
    (
        "/opt/kafka/config/server.properties",
        "ssl.keystore.password=honeydew\n",
        "honeydew",
    ),
    (
        "/etc/rabbitmq/rabbitmq.conf",
        "default_user = broker\ndefault_pass = bunnyrabbit\n",
        "bunnyrabbit",
    ),
    (
        "/etc/grafana/grafana.ini",
        "[security]\nadmin_user = admin\nadmin_password = grafana2022\n",
        "grafana2022",
    ),
    (
        "/etc/zabbix/zabbix_server.conf",
        "DBName=zabbix\nDBUser=zabbix\nDBPassword=zabbixzabbix\n",
        "zabbixzabbix",
    ),
    (
        "/etc/vsftpd/virtual.conf",
        "ftp_user=upload\nftp_password=letmein2020\n",
        "letmein2020",
    ),
    (
        "/etc/ldap.conf",
        "binddn cn=reader,dc=acme\nbindpw readreader\n",
        "readreader",
    ),
    (
        "/etc/wpa_supplicant/wpa_supplicant.conf",
        "network={\n  ssid=\"office\"\n  psk=\"beijing2008\"\n}\n",
        "beijing2008",
    ),
    (
        "/opt/minio/.env",
        "MINIO_ROOT_USER=minioadmin\nMINIO_ROOT_PASSWORD=minioadmin\n",
        "minioadmin",
    ),
    (
        "/opt/harbor/harbor.yml",
        "harbor_admin_password: Harbor12345\n",
        "Harbor12345",
    ),
    // Containers and tools
    (
        "/srv/stack/docker-compose.yml",
        "services:\n  db:\n    image: mysql:8\n    environment:\n      MYSQL_ROOT_PASSWORD: rootroot\n",
        "rootroot",
    ),
    (
        "/srv/stack/docker-compose.yml",
        "services:\n  db:\n    image: postgres:15\n    environment:\n      - POSTGRES_USER=app\n      - POSTGRES_PASSWORD=postgres\n",
        "postgres",
    ),
    (
        "/srv/stack/Dockerfile",
        "FROM mysql:8\nENV MYSQL_ROOT_PASSWORD=pineapple\n",
        "pineapple",
    ),
    (
        "/srv/chart/values.yaml",
        "mysql:\n  auth:\n    username: shop\n    password: peppermint\n",
        "peppermint",
    ),
    (
        "/etc/ansible/hosts",
        "[web]\nweb1 ansible_host=10.2.0.4 ansible_user=root ansible_ssh_pass=Huawei@123\n",
        "Huawei@123",
    ),
    (
        "/srv/play/inventory.ini",
        "[all:vars]\nansible_user=deploy\nansible_password=cucumber\n",
        "cucumber",
    ),
    (
        "/srv/play/group_vars/all.yml",
        "mysql_host: 10.0.0.9\nmysql_user: root\nmysql_password: P@ssw0rd\n",
        "P@ssw0rd",
    ),
    (
        "/srv/play/group_vars/all.yml",
        "zabbix_db_password: admin@123\n",
        "admin@123",
    ),
    (
        "/srv/infra/terraform.tfvars",
        "db_username = \"app\"\ndb_password = \"blackberry\"\n",
        "blackberry",
    ),
    // Commands
    (
        "/opt/scripts/backup.sh",
        "#!/bin/sh\nDB_USER=root\nDB_PASS=crocodile\nmysqldump -u$DB_USER -p$DB_PASS shop\n",
        "crocodile",
    ),
    (
        "/opt/scripts/dump.sh",
        "#!/bin/bash\nmysqldump -uroot -pchinadragon shop > /bak/shop.sql\n",
        "chinadragon",
    ),
    (
        "/opt/scripts/sync.sh",
        "sshpass -p 'Welcome@2023' rsync -a /srv root@10.0.0.4:/srv\n",
        "Welcome@2023",
    ),
    (
        "/root/.bash_history",
        "redis-cli -h 10.0.0.3 -a tangerine info\n",
        "tangerine",
    ),
    (
        "/root/.bash_history",
        "export PGPASSWORD=lemonade; psql -h db -U app\n",
        "lemonade",
    ),
    (
        "/var/spool/cron/root",
        "0 2 * * * mysqldump -uroot -pbackup2018 shop | gzip > /bak/shop.gz\n",
        "backup2018",
    ),
    (
        "/etc/systemd/system/app.service",
        "[Service]\nEnvironment=DB_PASSWORD=dandelion\n",
        "dandelion",
    ),
    (
        "/srv/ftp/upload.ini",
        "[ftp]\nhost=10.9.0.1\nuser=scan\npassword=scanscan\n",
        "scanscan",
    ),
    (
        "/home/li/connections.ini",
        "[oracle]\nserver=10.1.0.2\nuid=scott\npwd=tigertiger\n",
        "tigertiger",
    ),
    (
        "/srv/app/.env",
        "DATABASE_URL=postgres://shop:shopshop@db.internal:5432/shop\n",
        "shopshop",
    ),
    // Notes
    (
        "/srv/app/README.md",
        "# Deployment\n\nThe default password for user `admin` is \"gooseberry\".\n",
        "gooseberry",
    ),
    (
        "/root/notes.txt",
        "vpn\nuser: li\npassword: Lilei1987\n",
        "Lilei1987",
    ),
    (
        "/root/notes.txt",
        "jump host root, my password is zhangwei88\n",
        "zhangwei88",
    ),
    (
        "/root/账号.txt",
        "数据库 10.0.0.3\n用户名：root\n密码：woaibeijing\n",
        "woaibeijing",
    ),
    (
        "/root/readme.txt",
        "初始密码是 Aa123456，登录后请修改\n",
        "Aa123456",
    ),
    (
        "/opt/app/init.sh",
        "echo \"The password is 'Secret2020'\"\n",
        "Secret2020",
    ),
];

/// What stands in the same places and is no password.
const NONE: &[(&str, &str)] = &[
    // Translations and labels
    (
        "/srv/app/src/i18n/de.json",
        "{\"username\": \"Benutzername\", \"password\": \"Kennwort\", \"login\": \"Anmelden\"}\n",
    ),
    (
        "/srv/app/locales/en.yml",
        "login:\n  username: Username\n  password: Password\n  submit: Continue\n",
    ),
    (
        "/srv/app/config/labels.json",
        "{\"username\": \"Username\", \"password\": \"Watchword\"}\n",
    ),
    (
        "/srv/app/messages_fr.properties",
        "login.password=Motdepasse\nlogin.user=Utilisateur\n",
    ),
    (
        "/srv/app/messages.properties",
        "password.invalid=Incorrect\nerror.password=Mismatched\n",
    ),
    (
        "/srv/app/lang/nl.php",
        "<?php\nreturn ['password' => 'Wachtwoord', 'email' => 'Mailadres'];\n",
    ),
    (
        "/srv/app/src/texts.ts",
        "export const texts = { user: 'Benutzer', password: 'Zugangswort' };\n",
    ),
    (
        "/srv/app/config/ui.json",
        "{\"labels\": {\"password\": \"watchword\"}, \"placeholder\": {\"password\": \"characters\"}}\n",
    ),
    (
        "/srv/app/zh.json",
        "{\"username\": \"用户名\", \"password\": \"请输入密码\"}\n",
    ),
    (
        "/srv/app/config.yml",
        "form:\n  password: textfield\n  username: textfield\n",
    ),
    // Prompts
    (
        "/opt/scripts/ask.sh",
        "read -s -p \"Enter password: \" password\n",
    ),
    ("/opt/scripts/ask.sh", "PASSWORD=\"Enter your password\"\n"),
    (
        "/opt/scripts/ask.py",
        "password = getpass.getpass('Password for deployment: ')\n",
    ),
    (
        "/opt/scripts/ask.sh",
        "echo \"password: cannot be empty\"\n",
    ),
    (
        "/etc/app/app.conf",
        "password_prompt = \"Password please\"\n",
    ),
    // Placeholders
    ("/srv/app/.env", "DB_PASSWORD=changeme\n"),
    ("/srv/app/.env", "DB_PASSWORD=your_password\n"),
    ("/srv/app/.env", "DB_PASSWORD=<password>\n"),
    ("/srv/app/.env", "DB_PASSWORD=yourpassword\n"),
    ("/srv/app/.env", "DB_PASSWORD=xxxxxxxxxx\n"),
    ("/srv/app/.env", "DB_PASSWORD=placeholder\n"),
    ("/srv/app/.env", "DB_PASSWORD=REPLACE_ME_NOW\n"),
    (
        "/srv/app/.env.example",
        "DB_HOST=localhost\nDB_USERNAME=app\nDB_PASSWORD=gooseberry\n",
    ),
    (
        "/srv/app/application.yml",
        "spring:\n  datasource:\n    username: root\n    password: password\n",
    ),
    (
        "/opt/jdk/net.properties",
        "javax.net.ssl.trustStorePassword=changeit\n",
    ),
    (
        "/etc/app/app.conf",
        "# user = app\n# password = gooseberry\n",
    ),
    // References
    (
        "/srv/app/application.yml",
        "spring:\n  datasource:\n    username: app\n    password: ${DB_PASSWORD}\n",
    ),
    (
        "/srv/app/deploy.yml",
        "env:\n  - name: DB_PASSWORD\n    valueFrom:\n      secretKeyRef:\n        name: shop-database\n        key: password\n",
    ),
    (
        "/srv/chart/templates/secret.yaml",
        "data:\n  password: {{ .Values.auth.password | b64enc }}\n",
    ),
    (
        "/srv/chart/values.yaml",
        "auth:\n  existingSecret: shop-secret\n  secretKeys:\n    adminPasswordKey: postgres-password\n",
    ),
    (
        "/srv/play/all.yml",
        "mysql_user: root\nmysql_password: \"{{ vault_mysql_password }}\"\n",
    ),
    (
        "/srv/infra/main.tf",
        "resource \"aws_db_instance\" \"x\" {\n  username = \"app\"\n  password = random_password.main.result\n}\n",
    ),
    (
        "/srv/infra/main.tf",
        "resource \"x\" \"y\" {\n  user     = \"app\"\n  password = var.dbpassword\n}\n",
    ),
    (
        "/srv/ci/Jenkinsfile",
        "withCredentials([usernamePassword(credentialsId: 'registry-login', passwordVariable: 'REGISTRY')]) {}\n",
    ),
    (
        "/srv/app/config.yml",
        "mysql:\n  user: root\n  password: db_password\n",
    ),
    (
        "/srv/app/main.go",
        "cfg := Config{User: user, Password: password}\n",
    ),
    // Descriptions
    (
        "/srv/infra/variables.tf",
        "variable \"db_password\" {\n  type        = string\n  description = \"Password of the database\"\n  sensitive   = true\n}\n",
    ),
    (
        "/srv/api/openapi.yaml",
        "components:\n  schemas:\n    Login:\n      properties:\n        username:\n          example: shopper\n        password:\n          type: string\n          example: gooseberry\n",
    ),
    (
        "/srv/api/swagger.json",
        "{\"example\": {\"username\": \"john\", \"password\": \"gooseberry\"}}\n",
    ),
    (
        "/srv/api/user.schema.json",
        "{\"properties\": {\"password\": {\"type\": \"string\", \"format\": \"password\"}}}\n",
    ),
    (
        "/srv/crd/crd.yaml",
        "spec:\n  properties:\n    password:\n      description: Reference\n      type: securestring\n",
    ),
    (
        "/srv/db/schema.sql",
        "CREATE TABLE users (id int, username varchar(64), password varchar(128) NOT NULL);\n",
    ),
    (
        "/srv/db/migrate.sql",
        "SELECT username, password FROM members WHERE password = passwordhash;\n",
    ),
    (
        "/srv/db/columns.yml",
        "columns:\n  user: login_name\n  password: login_secret\n",
    ),
    (
        "/srv/api/types.ts",
        "interface Login { username: string; password: CharacterString }\n",
    ),
    (
        "/srv/api/rules.js",
        "export const rules = { password: 'required|min:8', email: 'required|email' };\n",
    ),
    // Enumerations and states
    (
        "/srv/app/grant.py",
        "GRANTS = {'password': 'resource_owner', 'refresh': 'refresh_token'}\n",
    ),
    (
        "/srv/app/auth.py",
        "class Method:\n    PASSWORD = 'plaintext'\n    TOKEN = 'bearer'\n",
    ),
    (
        "/srv/app/auth.js",
        "if (method.password === 'required') { ask(); }\n",
    ),
    (
        "/srv/app/store.js",
        "const SHOW_PASSWORD = 'SHOW_PASSWORD';\nconst PASSWORD = 'passwordChanged';\n",
    ),
    (
        "/etc/pam.d/common-password",
        "password requisite pam_pwquality.so retry=3\npassword sufficient pam_unix.so\n",
    ),
    (
        "/etc/app/app.ini",
        "[auth]\npassword = disabled\nstorepass = encrypted\n",
    ),
    ("/etc/login.conf", "passwd_format=blowfish\n"),
    ("/etc/nsswitch.conf", "passwd: files systemd\n"),
    // Forms and styles
    (
        "/var/www/html/login.html",
        "<input type=\"password\" name=\"password\" id=\"loginPassword\" placeholder=\"characters\">\n",
    ),
    (
        "/var/www/html/login.html",
        "<label for=\"password\">Passphrase</label>\n",
    ),
    (
        "/var/www/html/site.css",
        ".password: gooseberry;\n#password { content: 'gooseberry' }\n",
    ),
    (
        "/srv/app/Login.vue",
        "<el-form-item label=\"Watchword\" prop=\"password\"><el-input v-model=\"form.password\"/></el-form-item>\n",
    ),
    (
        "/srv/app/login.js",
        "document.querySelector('#password').value = userInput;\nconst password = formData.get('password');\n",
    ),
    // Texts for people, tests, packages
    (
        "/srv/app/README.md",
        "The password is required. The password is 'optional' for guests.\n",
    ),
    (
        "/srv/app/docs/setup.md",
        "The default password is `gooseberry`.\n",
    ),
    (
        "/srv/app/tests/test_login.py",
        "client.login(username='bob', host='localhost', password='gooseberry')\n",
    ),
    (
        "/srv/web/node_modules/pg/lib/defaults.js",
        "module.exports = { host: 'localhost', user: 'app', password: 'gooseberry' }\n",
    ),
];

/// Whether `secret` is told at the default confidence.
fn tells(name: &str, text: &str, secret: &str) -> bool {
    let scan = scan_bytes(name, Format::Guess, text.as_bytes());
    let told = findings(&scan);
    let is = |value: &crate::content::Secret| value.expose() == secret.as_bytes();
    told.iter()
        .any(|found| found.secret.as_ref().is_some_and(is))
}

#[test]
fn words_that_people_choose_are_told_where_they_keep_them() {
    assert!(CHOSEN.len() >= 60);
    let missed: Vec<&str> = CHOSEN
        .iter()
        .filter(|(name, text, secret)| !tells(name, text, secret))
        .map(|&(_, text, _)| text)
        .collect();
    assert!(missed.is_empty(), "{} {missed:#?}", missed.len());
}

#[test]
fn what_only_looks_like_them_is_not_told() {
    assert!(NONE.len() >= 60);
    let told: Vec<(&str, &str)> = NONE
        .iter()
        .filter(|(name, text)| {
            !findings(&scan_bytes(name, Format::Guess, text.as_bytes())).is_empty()
        })
        .copied()
        .collect();
    assert!(told.is_empty(), "{} {told:#?}", told.len());
}
