//! The files in which clouds' and developers' tools keep what they sign in with.

use super::clouds;
use super::dice::{Dice, HEX, LOWNUM};
use super::page::{Credential, Host, Page, Tier};
use super::passwords;
use super::text::base64;
use super::tokens;

/// A file of one cloud's key: label, path, cloud, and the text with `{I}`, `{S}` and `{T}`.
const FILES: &[(&str, &str, &str, &str)] = &[
    (
        "aws-credentials",
        "home/app/.aws/credentials",
        "aws",
        "[default]\naws_access_key_id = {I}\naws_secret_access_key = {S}\n\n[audit]\nrole_arn = arn:aws:iam::111122223333:role/audit\nsource_profile = default\n",
    ),
    (
        "aws-credentials",
        "root/.aws/credentials",
        "aws-sts",
        "[mfa]\naws_access_key_id={I}\naws_secret_access_key={S}\naws_session_token={T}\n",
    ),
    (
        "aws-cli-cache",
        "home/app/.aws/cli/cache/4f1c0e.json",
        "aws-sts",
        "{\"Credentials\": {\"AccessKeyId\": \"{I}\", \"SecretAccessKey\": \"{S}\", \"SessionToken\": \"{T}\", \"Expiration\": \"2031-01-01T00:00:00+00:00\"}}\n",
    ),
    (
        "aws-csv",
        "home/dev/Downloads/backup_accessKeys.csv",
        "aws",
        "Access key ID,Secret access key\n{I},{S}\n",
    ),
    (
        "aliyun-cli",
        "root/.aliyun/config.json",
        "alibaba",
        "{\n\t\"current\": \"default\",\n\t\"profiles\": [\n\t\t{\n\t\t\t\"name\": \"default\",\n\t\t\t\"mode\": \"AK\",\n\t\t\t\"access_key_id\": \"{I}\",\n\t\t\t\"access_key_secret\": \"{S}\",\n\t\t\t\"region_id\": \"cn-hangzhou\"\n\t\t}\n\t]\n}\n",
    ),
    (
        "aliyun-csv",
        "home/dev/Downloads/AccessKey.csv",
        "alibaba",
        "AccessKey ID,AccessKey Secret\r\n{I},{S}\r\n",
    ),
    (
        "alibabacloud",
        "home/app/.alibabacloud/credentials.ini",
        "alibaba",
        "[default]\nenable = true\ntype = access_key\naccess_key_id = {I}\naccess_key_secret = {S}\n",
    ),
    (
        "ossutil",
        "root/.ossutilconfig",
        "alibaba",
        "[Credentials]\nlanguage=CH\nendpoint=oss-cn-hangzhou.aliyuncs.com\naccessKeyID={I}\naccessKeySecret={S}\n",
    ),
    (
        "ossfs",
        "etc/passwd-ossfs",
        "alibaba",
        "dump-bucket:{I}:{S}\n",
    ),
    (
        "acme-sh",
        "root/.acme.sh/account.conf",
        "alibaba",
        "ACCOUNT_EMAIL='ops@acme.cn'\nSAVED_Ali_Key='{I}'\nSAVED_Ali_Secret='{S}'\nUSER_PATH='/usr/bin'\n",
    ),
    (
        "acme-sh",
        "home/web/.acme.sh/account.conf",
        "tencent",
        "SAVED_Tencent_SecretId='{I}'\nSAVED_Tencent_SecretKey='{S}'\n",
    ),
    (
        "tccli",
        "home/app/.tccli/default.credential",
        "tencent",
        "{\n  \"secretId\": \"{I}\",\n  \"secretKey\": \"{S}\"\n}\n",
    ),
    (
        "tencent-credentials",
        "root/.tencentcloud/credentials",
        "tencent",
        "[default]\nsecret_id = {I}\nsecret_key = {S}\n",
    ),
    (
        "coscmd",
        "root/.cos.conf",
        "tencent",
        "[common]\nsecret_id = {I}\nsecret_key = {S}\nbucket = dump-1250000000\nregion = ap-beijing\n",
    ),
    (
        "cosfs",
        "etc/passwd-cosfs",
        "tencent",
        "dump-1250000000:{I}:{S}\n",
    ),
    (
        "coscli-plain",
        "home/ops/.cos.yaml",
        "tencent",
        "cos:\n  base:\n    secretid: {I}\n    secretkey: {S}\n    sessiontoken: \"\"\n    protocol: https\n    disableencryption: \"true\"\n",
    ),
    (
        "ddns-go",
        "root/.ddns_go_config.yaml",
        "tencent",
        "dnsconf:\n  - name: \"\"\n    ipv4:\n      enable: true\n    dns:\n      name: tencentcloud\n      id: {I}\n      secret: {S}\n    ttl: \"600\"\nnotallowwanaccess: true\n",
    ),
    (
        "huawei-credentials",
        "home/app/.huaweicloud/credentials",
        "huawei",
        "[basic]\nak = {I}\nsk = {S}\n",
    ),
    (
        "hcloud",
        "root/.hcloud/config.json",
        "huawei",
        "{\"current\":\"default\",\"profiles\":[{\"name\":\"default\",\"mode\":\"AKSK\",\"accessKeyId\":\"{I}\",\"secretAccessKey\":\"{S}\",\"region\":\"cn-north-4\"}]}\n",
    ),
    (
        "obsutil",
        "root/.obsutilconfig",
        "huawei",
        "endpoint=obs.cn-north-4.myhuaweicloud.com\nak={I}\nsk={S}\ntoken=\nconnectTimeout=30\n",
    ),
    ("obsfs", "etc/passwd-obsfs", "huawei", "{I}:{S}\n"),
    (
        "volc",
        "home/app/.volc/config",
        "volcengine",
        "{\"ak\": \"{I}\", \"sk\": \"{S}\"}\n",
    ),
    (
        "tosutil",
        "root/.tosutilconfig",
        "volcengine",
        "endpoint=tos-cn-beijing.volces.com\nak={I}\nsk={S}\nregion=cn-beijing\n",
    ),
    (
        "bce",
        "root/.go-bcecli/credentials",
        "baidu",
        "[Defaults]\nAk = {I}\nSk = {S}\nSts =\n",
    ),
    (
        "qshell",
        "home/dev/.qshell/account.json",
        "qiniu",
        "{\"AccessKey\":\"{I}\",\"SecretKey\":\"{S}\",\"Name\":\"img\"}\n",
    ),
    (
        "s3cfg",
        "root/.s3cfg",
        "aws",
        "[default]\naccess_key = {I}\nbucket_location = US\ngpg_passphrase =\nhost_base = s3.amazonaws.com\nsecret_key = {S}\nuse_https = True\n",
    ),
    (
        "boto",
        "home/data/.boto",
        "aws",
        "[Credentials]\naws_access_key_id = {I}\naws_secret_access_key = {S}\n[Boto]\ndebug = 0\n",
    ),
    ("s3fs", "etc/passwd-s3fs", "aws", "{I}:{S}\n"),
    (
        "rclone",
        "home/app/.config/rclone/rclone.conf",
        "aws",
        "[remote]\ntype = s3\nprovider = AWS\nenv_auth = false\naccess_key_id = {I}\nsecret_access_key = {S}\nregion = us-east-1\n",
    ),
    (
        "rclone",
        "root/.config/rclone/rclone.conf",
        "backblaze",
        "[b2]\ntype = b2\naccount = {I}\nkey = {S}\nhard_delete = false\n",
    ),
    (
        "minio-client",
        "root/.mc/config.json",
        "minio",
        "{\n \"version\": \"10\",\n \"aliases\": {\n  \"backup\": {\n   \"url\": \"http://10.0.0.9:9000\",\n   \"accessKey\": \"{I}\",\n   \"secretKey\": \"{S}\",\n   \"api\": \"s3v4\"\n  }\n }\n}\n",
    ),
    (
        "velero",
        "home/deploy/credentials-velero",
        "aws",
        "[default]\naws_access_key_id={I}\naws_secret_access_key={S}\n",
    ),
    (
        "bt-panel",
        "www/server/panel/plugin/alioss/aliossAs.conf",
        "alibaba",
        "{I}|{S}|site-backup|oss-cn-hangzhou.aliyuncs.com|/bt_backup/\n",
    ),
    (
        "bt-panel",
        "www/server/panel/plugin/txcos/config.conf",
        "tencent",
        "{I}|{S}|ap-guangzhou|site-1250000000|/bt_backup/\n",
    ),
    (
        "certbot",
        "etc/letsencrypt/aliyun.ini",
        "alibaba",
        "dns_aliyun_access_key = {I}\ndns_aliyun_access_key_secret = {S}\n",
    ),
    (
        "picgo",
        "home/dev/.picgo/config.json",
        "qiniu",
        "{\"picBed\":{\"current\":\"qiniu\",\"qiniu\":{\"accessKey\":\"{I}\",\"secretKey\":\"{S}\",\"bucket\":\"img\"}}}\n",
    ),
    (
        "datax",
        "opt/datax/job/sync.json",
        "alibaba",
        "{\"job\":{\"content\":[{\"writer\":{\"name\":\"odpswriter\",\"parameter\":{\"project\":\"dw\",\"accessId\":\"{I}\",\"accessKey\":\"{S}\",\"table\":\"t\"}}}]}}\n",
    ),
    (
        "harbor",
        "opt/harbor/harbor.yml",
        "aws",
        "storage_service:\n  s3:\n    accesskey: {I}\n    secretkey: {S}\n    region: us-west-1\n    bucket: registry\n",
    ),
    (
        "scw",
        "home/dev/.config/scw/config.yaml",
        "scaleway",
        "access_key: {I}\nsecret_key: {S}\ndefault_region: fr-par\n",
    ),
    (
        "exoscale",
        "home/dev/.config/exoscale/exoscale.toml",
        "exoscale",
        "defaultaccount = \"acme\"\n\n[[accounts]]\n  key = \"{I}\"\n  name = \"acme\"\n  secret = \"{S}\"\n",
    ),
    (
        "lego-env",
        "etc/lego/env",
        "ovh",
        "OVH_ENDPOINT=ovh-eu\nOVH_APPLICATION_KEY={I}\nOVH_APPLICATION_SECRET={S}\nOVH_CONSUMER_KEY={T}\n",
    ),
    (
        "terraformrc",
        "home/deploy/.terraform.d/credentials.tfrc.json",
        "terraform",
        "{\n  \"credentials\": {\n    \"app.terraform.io\": {\n      \"token\": \"{S}\"\n    }\n  }\n}\n",
    ),
    (
        "npmrc",
        "home/dev/.npmrc",
        "npm",
        "registry=https://npm.corp.example/\n//npm.corp.example/:_authToken={S}\n",
    ),
    (
        "pypirc",
        "home/dev/.pypirc",
        "pypi",
        "[pypi]\nusername = __token__\npassword = {S}\n",
    ),
    (
        "git-credentials",
        "home/dev/.git-credentials",
        "github",
        "https://lihua:{S}@github.com\n",
    ),
    (
        "gh-hosts",
        "home/dev/.config/gh/hosts.yml",
        "github-oauth",
        "github.com:\n    user: lihua\n    oauth_token: {S}\n    git_protocol: https\n",
    ),
    (
        "netrc-token",
        "home/ci/.netrc",
        "gitlab",
        "machine gitlab.acme.cn login oauth2 password {S}\n",
    ),
    (
        "cargo-credentials",
        "home/dev/.cargo/credentials.toml",
        "crates",
        "[registry]\ntoken = \"{S}\"\n",
    ),
    (
        "gem-credentials",
        "home/dev/.gem/credentials",
        "rubygems",
        "---\n:rubygems_api_key: {S}\n",
    ),
    (
        "doctl",
        "home/ops/.config/doctl/config.yaml",
        "digitalocean",
        "access-token: {S}\noutput: text\n",
    ),
    (
        "gitlab-runner",
        "etc/gitlab-runner/config.toml",
        "gitlab-runner",
        "concurrent = 4\n[[runners]]\n  name = \"docker\"\n  url = \"https://gitlab.acme.cn\"\n  token = \"{S}\"\n  executor = \"docker\"\n",
    ),
    (
        "kubeconfig",
        "home/deploy/.kube/config",
        "kubernetes-jwt",
        "apiVersion: v1\nkind: Config\nusers:\n- name: ci\n  user:\n    token: {S}\n",
    ),
    ("vault-token", "root/.vault-token", "vault", "{S}"),
    (
        "k3s-token",
        "var/lib/rancher/k3s/server/node-token",
        "k3s",
        "{S}\n",
    ),
];

/// Passwords in files that are a form of their own: label, path, text with `{P}` (or `{B}`, base64 of
/// user and password).
const PASSWORD_FILES: &[(&str, &str, &str)] = &[
    (
        "netrc",
        "home/app/.netrc",
        "machine repo.acme.cn\n  login svc\n  password {P}\n",
    ),
    (
        "pgpass",
        "home/app/.pgpass",
        "db1.internal:5432:orders:app:{P}\n",
    ),
    (
        "my-cnf",
        "root/.my.cnf",
        "[client]\nuser=root\npassword={P}\nhost=127.0.0.1\n",
    ),
    (
        "chap-secrets",
        "etc/ppp/chap-secrets",
        "# client server secret IP\nbranch01 * {P} *\n",
    ),
    (
        "docker-login",
        "home/ci/.docker/config.json",
        "{\"auths\":{\"registry.acme.cn\":{\"auth\":\"{B}\"}}}\n",
    ),
    (
        "maven-settings",
        "home/ci/.m2/settings.xml",
        "<settings><servers><server><id>nexus</id><username>ci</username><password>{P}</password></server></servers></settings>\n",
    ),
    (
        "gradle-properties",
        "home/ci/.gradle/gradle.properties",
        "org.gradle.jvmargs=-Xmx2g\nnexusUser=ci\nnexusPassword={P}\n",
    ),
    (
        "composer-auth",
        "home/dev/.composer/auth.json",
        "{\"http-basic\":{\"repo.acme.cn\":{\"username\":\"ci\",\"password\":\"{P}\"}}}\n",
    ),
    (
        "wpa",
        "etc/wpa_supplicant/wpa_supplicant.conf",
        "network={\n  ssid=\"office\"\n  psk=\"{P}\"\n}\n",
    ),
    (
        "redis-conf",
        "etc/redis/redis.conf",
        "bind 127.0.0.1\nport 6379\nrequirepass {P}\nappendonly yes\n",
    ),
    (
        "rabbitmq",
        "etc/rabbitmq/rabbitmq.conf",
        "default_user = svc\ndefault_pass = {P}\n",
    ),
    (
        "mosquitto-bridge",
        "etc/mosquitto/conf.d/bridge.conf",
        "connection up\nremote_username edge\nremote_password {P}\n",
    ),
    (
        "kafka-jaas",
        "etc/kafka/jaas.conf",
        "KafkaClient {\n  org.apache.kafka.common.security.plain.PlainLoginModule required\n  username=\"svc\"\n  password=\"{P}\";\n};\n",
    ),
    (
        "cifs",
        "etc/samba/creds-nas",
        "username=backup\npassword={P}\ndomain=ACME\n",
    ),
    (
        "ldap-conf",
        "etc/nslcd.conf",
        "uri ldap://10.0.0.5\nbinddn cn=ro,dc=acme\nbindpw {P}\n",
    ),
    (
        "postfix-sasl",
        "etc/postfix/sasl_passwd",
        "[smtp.acme.cn]:587 relay@acme.cn:{P}\n",
    ),
    (
        "fstab",
        "etc/fstab",
        "//10.0.0.8/share /mnt cifs username=bk,password={P},uid=0 0 0\n",
    ),
    (
        "tomcat-users",
        "opt/tomcat/conf/tomcat-users.xml",
        "<tomcat-users>\n  <user username=\"admin\" password=\"{P}\" roles=\"manager-gui\"/>\n</tomcat-users>\n",
    ),
    (
        "filezilla",
        "home/dev/.config/filezilla/recentservers.xml",
        "<FileZilla3><Server><Host>ftp.acme.cn</Host><User>web</User><Pass encoding=\"base64\">{B64}</Pass></Server></FileZilla3>\n",
    ),
    (
        "ansible-inventory",
        "home/deploy/hosts.ini",
        "[db]\ndb1 ansible_host=10.0.2.2 ansible_user=root ansible_ssh_pass={P}\n",
    ),
    (
        "pip-conf",
        "etc/pip.conf",
        "[global]\nindex-url = https://ci:{P}@pypi.acme.cn/simple\n",
    ),
    (
        "apt-auth",
        "etc/apt/auth.conf.d/acme.conf",
        "machine deb.acme.cn login ci password {P}\n",
    ),
    (
        "yum-repo",
        "etc/yum.repos.d/acme.repo",
        "[acme]\nbaseurl=https://rpm.acme.cn/el8\nusername=ci\npassword={P}\n",
    ),
    (
        "git-config",
        "srv/app/.git/config",
        "[remote \"origin\"]\n\turl = https://ci:{P}@git.acme.cn/team/app.git\n",
    ),
    (
        "turnserver",
        "etc/turnserver.conf",
        "listening-port=3478\nuser=edge:{P}\nrealm=acme.cn\n",
    ),
    (
        "zabbix",
        "etc/zabbix/zabbix_server.conf",
        "LogFile=/var/log/zabbix/server.log\nDBUser=zabbix\nDBPassword={P}\n",
    ),
    (
        "pureftpd",
        "etc/proftpd/sql.conf",
        "SQLBackend mysql\nSQLConnectInfo ftp@localhost ftpuser {P}\n",
    ),
    (
        "squid",
        "etc/squid/conf.d/parent.conf",
        "cache_peer 10.0.0.1 parent 3128 0 no-query login=svc:{P}\n",
    ),
];

/// Copies of each file.
const EACH: usize = 3;

/// Plants them on `hosts`.
pub fn plant(hosts: &mut [Host], root: &Dice) {
    let mut dice = root.fork("vendors");
    for (format, path, family, text) in FILES {
        // One copy a host: the path is what the tool looks for.
        let first = dice.below(hosts.len());
        for copy in 0..EACH {
            let page = keyed(family, text, &mut dice);
            let host = (first + copy) % hosts.len();
            hosts[host].put(path, format, page);
        }
    }
    for (format, path, text) in PASSWORD_FILES {
        let first = dice.below(hosts.len());
        for copy in 0..EACH {
            let page = with_password(text, &mut dice);
            let host = (first + copy) % hosts.len();
            hosts[host].put(path, format, page);
        }
    }
}

fn keyed(family: &str, template: &str, dice: &mut Dice) -> Page {
    let cloud = clouds::CLOUDS.iter().find(|cloud| cloud.family == family);
    let mut credential = match cloud {
        Some(cloud) => (cloud.make)(dice),
        None => tokens::make(tokens::named(family), dice),
    };
    if !template.contains("{I}") {
        credential.id = None;
    }
    let text = template
        .replace("{I}", credential.id.as_deref().unwrap_or_default())
        .replace("{S}", &credential.secret)
        .replace("{T}", credential.also.first().map_or("", String::as_str));
    let mut page = Page {
        text,
        planted: Vec::new(),
    };
    page.plant(credential);
    page
}

fn with_password(template: &str, dice: &mut Dice) -> Page {
    let mut credential = Credential::lone(
        Tier::Generic,
        "file-password",
        passwords::plain_password(dice),
    );
    let user = format!("ci{}", dice.text(LOWNUM, 3));
    let both = base64(format!("{user}:{}", credential.secret).as_bytes());
    let alone = base64(credential.secret.as_bytes());
    let text = template
        .replace("{P}", &credential.secret)
        .replace("{B64}", &alone)
        .replace("{B}", &both);
    let needle = [&credential.secret, &both, &alone]
        .into_iter()
        .find(|needle| text.contains(needle.as_str()))
        .cloned()
        .unwrap_or_default();
    if template.contains("{B}") {
        credential.forms = vec![both, format!("{user}:{}", credential.secret)];
    }
    let head = format!("# {}\n", dice.text(HEX, 8));
    let text = if template.starts_with(['[', '#']) {
        head + &text
    } else {
        text
    };
    let mut page = Page {
        text,
        planted: Vec::new(),
    };
    page.plant_as(credential, needle);
    page
}
