//! Commands that carry a secret, as people type them: more than 150 shapes, and commands that look so
//! and carry none.
//!
//! In a shape `{P}` is a password, `{I}` `{S}` `{T}` an access key's id, secret and session token, `{K}` a
//! token; `{h}` a host, `{u}` a user, `{d}` a word, `{n}` a number.

use super::clouds;
use super::dice::Dice;
use super::names;
use super::page::{Credential, Tier};
use super::passwords;
use super::text::base64;
use super::tokens;

/// Shapes: what is in it, and the command. `password`, else the family of a cloud or a service.
pub const SHAPES: &[(&str, &str)] = &[
    // Databases and caches.
    ("password", "mysql -h {h} -u{u} -p{P} {d}"),
    (
        "password",
        "mysql --host={h} --user={u} --password={P} -e 'show processlist'",
    ),
    (
        "password",
        "mysqldump -u {u} -p'{P}' --single-transaction {d} | gzip > /backup/{d}.sql.gz",
    ),
    ("password", "mysqladmin -uroot -p{P} flush-hosts"),
    ("password", "MYSQL_PWD={P} mysql -u{u} {d} < fix.sql"),
    ("password", "mycli -u {u} -p {P} -h {h} {d}"),
    ("password", "mysqlsh {u}:{P}@{h}:33060/{d}"),
    (
        "password",
        "xtrabackup --backup --user={u} --password={P} --target-dir=/data/bk",
    ),
    (
        "password",
        "pt-online-schema-change --alter 'add column x int' D={d},t=orders,u={u},p={P} --execute",
    ),
    (
        "password",
        "PGPASSWORD={P} psql -h {h} -U {u} -d {d} -c 'select 1'",
    ),
    ("password", "psql postgresql://{u}:{P}@{h}/{d}"),
    (
        "password",
        "psql \"host={h} dbname={d} user={u} password={P}\"",
    ),
    (
        "password",
        "export PGPASSWORD='{P}'; pg_dump -h {h} -U {u} {d} > d.sql",
    ),
    (
        "password",
        "pg_basebackup -d 'host={h} user=replicator password={P}' -D /data",
    ),
    ("password", "redis-cli -h {h} -p 6380 -a {P} info"),
    (
        "password",
        "redis-cli -u redis://default:{P}@{h}:6379/0 keys '*'",
    ),
    ("password", "redis-cli --pass {P} --user {u} ping"),
    ("password", "REDISCLI_AUTH={P} redis-cli monitor"),
    ("password", "redis-server --requirepass {P} --port 6390"),
    ("password", "redis-cli config set requirepass {P}"),
    (
        "password",
        "mongo -u {u} -p {P} --authenticationDatabase admin {h}/{d}",
    ),
    ("password", "mongosh 'mongodb://{u}:{P}@{h}:27017/{d}'"),
    (
        "password",
        "mongodump --uri=mongodb://{u}:{P}@{h}/{d} --gzip",
    ),
    (
        "password",
        "mongorestore --host {h} --username {u} --password {P} dump/",
    ),
    ("password", "sqlplus {u}/{P}@{h}:1521/ORCL @report.sql"),
    (
        "password",
        "impdp system/{P}@orcl directory=dp dumpfile={d}.dmp",
    ),
    (
        "password",
        "sqlcmd -S {h} -U sa -P {P} -Q 'select @@version'",
    ),
    (
        "password",
        "bcp {d}.dbo.t out t.csv -c -S {h} -U {u} -P {P}",
    ),
    (
        "password",
        "clickhouse-client --host {h} --user {u} --password {P} -q 'select 1'",
    ),
    (
        "password",
        "curl 'http://{h}:8123/?user={u}&password={P}&query=select+1'",
    ),
    (
        "password",
        "influx -host {h} -username {u} -password {P} -execute 'show databases'",
    ),
    ("password", "cqlsh {h} -u {u} -p {P}"),
    (
        "password",
        "cypher-shell -u neo4j -p {P} 'match (n) return count(n)'",
    ),
    (
        "password",
        "beeline -u jdbc:hive2://{h}:10000/{d} -n {u} -p {P}",
    ),
    ("password", "isql -v PROD {u} {P}"),
    ("password", "tsql -H {h} -p 1433 -U {u} -P {P}"),
    ("password", "db2 connect to {d} user {u} using {P}"),
    ("password", "taos -h {h} -u {u} -p{P}"),
    ("password", "obclient -h{h} -P2883 -u{u}@tenant#c1 -p{P} -A"),
    (
        "password",
        "sqoop import --connect jdbc:mysql://{h}/{d} --username {u} --password {P} --table t",
    ),
    // Remote access.
    ("password", "sshpass -p {P} ssh {u}@{h} uptime"),
    ("password", "sshpass -p'{P}' scp -r dist/ {u}@{h}:/var/www"),
    (
        "password",
        "SSHPASS={P} sshpass -e rsync -az . {u}@{h}:/srv",
    ),
    ("password", "plink -ssh -pw {P} {u}@{h} ls"),
    ("password", "lftp -u {u},{P} sftp://{h} -e 'mirror -R; bye'"),
    ("password", "ncftpput -u {u} -p {P} {h} /in file.csv"),
    ("password", "curl -T out.csv ftp://{u}:{P}@{h}/in/"),
    ("password", "smbclient //{h}/share -U {u}%{P} -c 'ls'"),
    (
        "password",
        "mount -t cifs //{h}/data /mnt -o username={u},password={P},vers=3.0",
    ),
    ("password", "rdesktop -u {u} -p {P} {h}"),
    ("password", "xfreerdp /v:{h} /u:{u} /p:{P} /cert:ignore"),
    ("password", "net ads join -U {u}%{P}"),
    ("password", "echo '{u}:{P}' | chpasswd"),
    ("password", "echo {P} | passwd --stdin {u}"),
    ("password", "echo {P} | sudo -S systemctl restart nginx"),
    ("password", "useradd -m -p $(openssl passwd -6 {P}) {u}"),
    (
        "password",
        "ipmitool -I lanplus -H {h} -U ADMIN -P {P} power status",
    ),
    ("password", "racadm -r {h} -u root -p {P} getsysinfo"),
    ("password", "winexe -U {u}%{P} //{h} 'ipconfig'"),
    ("password", "evil-winrm -i {h} -u {u} -p {P}"),
    (
        "password",
        "snmpwalk -v3 -u {u} -l authPriv -a SHA -A {P} {h} system",
    ),
    ("password", "nmcli dev wifi connect office password {P}"),
    (
        "password",
        "openconnect --user={u} --passwd-on-stdin vpn.acme.cn <<< '{P}'",
    ),
    // HTTP clients.
    ("password", "curl -u {u}:{P} https://{h}/api/v2/status"),
    (
        "password",
        "curl --user '{u}:{P}' -X PUT https://{h}:9200/_cluster/settings -d @s.json",
    ),
    (
        "password",
        "curl https://{u}:{P}@{h}/repository/raw/x.tgz -O",
    ),
    (
        "password",
        "curl -x http://{u}:{P}@{h}:3128 https://example.org",
    ),
    (
        "password",
        "wget --user={u} --password={P} https://{h}/file.iso",
    ),
    (
        "password",
        "wget --http-user={u} --http-password={P} http://{h}/nightly.tar",
    ),
    ("password", "http -a {u}:{P} GET https://{h}/items"),
    ("password", "ab -n 100 -A {u}:{P} https://{h}/"),
    (
        "password",
        "aria2c --http-user={u} --http-passwd={P} https://{h}/x.iso",
    ),
    (
        "basic",
        "curl -H 'Authorization: Basic {B}' https://{h}/v1/jobs",
    ),
    (
        "password",
        "curl -d 'username={u}&password={P}' https://{h}/login",
    ),
    (
        "password",
        "curl -X POST https://{h}/api/login -H 'Content-Type: application/json' -d '{\"username\":\"{u}\",\"password\":\"{P}\"}'",
    ),
    ("password", "export https_proxy=http://{u}:{P}@{h}:8080"),
    // Registries, VCS.
    ("password", "docker login -u {u} -p {P} registry.{h}"),
    (
        "password",
        "docker login --username={u} --password={P} registry.cn-hangzhou.aliyuncs.com",
    ),
    (
        "password",
        "echo {P} | docker login -u {u} --password-stdin {h}",
    ),
    ("password", "podman login {h} -u {u} -p {P}"),
    ("password", "nerdctl login -u {u} -p {P} {h}"),
    (
        "password",
        "skopeo copy --src-creds {u}:{P} docker://{h}/a docker://b/a",
    ),
    (
        "password",
        "skopeo inspect --creds={u}:{P} docker://{h}/app",
    ),
    ("password", "crane auth login {h} -u {u} -p {P}"),
    (
        "password",
        "ctr -n k8s.io images pull --user {u}:{P} {h}/app:1",
    ),
    (
        "password",
        "buildah push --creds {u}:{P} app docker://{h}/app",
    ),
    ("password", "helm registry login {h} -u {u} -p {P}"),
    (
        "password",
        "helm repo add corp https://{h}/charts --username {u} --password {P}",
    ),
    ("password", "git clone https://{u}:{P}@git.{h}/team/{d}.git"),
    ("github", "git clone https://{K}@github.com/acme/{d}.git"),
    (
        "github",
        "git remote set-url origin https://x-access-token:{K}@github.com/acme/{d}",
    ),
    (
        "gitlab",
        "git clone https://oauth2:{K}@gitlab.acme.cn/team/{d}.git",
    ),
    (
        "gitlab",
        "curl --header 'PRIVATE-TOKEN: {K}' https://gitlab.acme.cn/api/v4/projects",
    ),
    (
        "github",
        "curl -H 'Authorization: token {K}' https://api.github.com/user/repos",
    ),
    ("github", "export GITHUB_TOKEN={K}"),
    ("github", "echo {K} | gh auth login --with-token"),
    (
        "gitlab-runner",
        "gitlab-runner register --non-interactive --url https://gitlab.acme.cn --token {K} --executor docker",
    ),
    (
        "password",
        "svn co https://{h}/svn/{d} --username {u} --password {P} --no-auth-cache",
    ),
    ("npm", "npm config set //npm.corp.example/:_authToken {K}"),
    (
        "npm",
        "echo '//npm.corp.example/:_authToken={K}' >> ~/.npmrc",
    ),
    ("pypi", "twine upload -u __token__ -p {K} dist/*"),
    ("crates", "cargo login {K}"),
    (
        "nuget",
        "dotnet nuget push app.nupkg --api-key {K} --source https://api.nuget.org/v3/index.json",
    ),
    (
        "password",
        "mvn deploy -Dnexus.user={u} -Dnexus.password={P}",
    ),
    (
        "password",
        "pip install -i https://{u}:{P}@{h}/simple acme-sdk",
    ),
    // Clouds.
    (
        "aws",
        "aws configure set aws_access_key_id {I} && aws configure set aws_secret_access_key {S}",
    ),
    (
        "aws",
        "export AWS_ACCESS_KEY_ID={I} AWS_SECRET_ACCESS_KEY={S}",
    ),
    (
        "aws",
        "AWS_ACCESS_KEY_ID={I} AWS_SECRET_ACCESS_KEY={S} aws s3 ls",
    ),
    (
        "aws-sts",
        "export AWS_ACCESS_KEY_ID={I} AWS_SECRET_ACCESS_KEY={S} AWS_SESSION_TOKEN={T}",
    ),
    (
        "aws",
        "s3cmd --access_key={I} --secret_key={S} ls s3://logs",
    ),
    (
        "aws",
        "docker run -e AWS_ACCESS_KEY_ID={I} -e AWS_SECRET_ACCESS_KEY={S} acme/sync",
    ),
    (
        "aws",
        "terraform apply -var access_key={I} -var secret_key={S}",
    ),
    (
        "aws",
        "rclone copy /data :s3:bucket --s3-access-key-id {I} --s3-secret-access-key {S}",
    ),
    (
        "aws",
        "eksctl create cluster --profile x; export AWS_SECRET_ACCESS_KEY={S} AWS_ACCESS_KEY_ID={I}",
    ),
    (
        "alibaba",
        "aliyun configure set --profile ak --mode AK --access-key-id {I} --access-key-secret {S} --region cn-hangzhou",
    ),
    (
        "alibaba",
        "ossutil config -e oss-cn-beijing.aliyuncs.com -i {I} -k {S}",
    ),
    (
        "alibaba",
        "ossutil64 cp a.tgz oss://dump/ -i {I} -k {S} -e oss-cn-hangzhou.aliyuncs.com",
    ),
    (
        "alibaba",
        "export ALICLOUD_ACCESS_KEY={I}; export ALICLOUD_SECRET_KEY={S}",
    ),
    (
        "alibaba",
        "export Ali_Key={I} Ali_Secret={S}; acme.sh --issue --dns dns_ali -d a.cn",
    ),
    (
        "tencent",
        "tccli configure set secretId {I} secretKey {S} region ap-shanghai",
    ),
    (
        "tencent",
        "coscmd config -a {I} -s {S} -b dump-1250000000 -r ap-beijing",
    ),
    (
        "tencent",
        "coscli config set --secret_id {I} --secret_key {S}",
    ),
    (
        "tencent",
        "TENCENTCLOUD_SECRET_ID={I} TENCENTCLOUD_SECRET_KEY={S} terraform plan",
    ),
    (
        "huawei",
        "obsutil config -i={I} -k={S} -e=obs.cn-north-4.myhuaweicloud.com",
    ),
    (
        "huawei",
        "hcloud configure set --cli-profile=default --cli-access-key={I} --cli-secret-key={S}",
    ),
    ("huawei", "export HW_ACCESS_KEY={I} HW_SECRET_KEY={S}"),
    (
        "volcengine",
        "tosutil config -i {I} -k {S} -e tos-cn-beijing.volces.com -re cn-beijing",
    ),
    (
        "volcengine",
        "ve configure set --profile default --access-key {I} --secret-key {S} --region cn-beijing",
    ),
    (
        "baidu",
        "bcecmd --conf-path . configure --access-key {I} --secret-key {S}",
    ),
    ("qiniu", "qshell account {I} {S} {u}"),
    (
        "ucloud",
        "ucloud config --public-key {I} --private-key {S} --region cn-bj2",
    ),
    ("minio", "mc alias set local http://minio:9000 {I} {S}"),
    ("minio", "mc config host add backup https://{h} {I} {S}"),
    (
        "minio",
        "docker run -d -e MINIO_ROOT_USER={I} -e MINIO_ROOT_PASSWORD={S} minio/minio server /data",
    ),
    (
        "azure-storage",
        "az storage blob upload --account-name {I} --account-key {S} -c x -f a -n a",
    ),
    (
        "azure-client-secret",
        "az login --service-principal -u http://ci -p {S} --tenant acme.onmicrosoft.com",
    ),
    ("backblaze", "b2 authorize-account {I} {S}"),
    (
        "backblaze",
        "B2_ACCOUNT_ID={I} B2_ACCOUNT_KEY={S} restic -r b2:bk:/ snapshots",
    ),
    ("digitalocean", "doctl auth init -t {S}"),
    ("linode", "LINODE_CLI_TOKEN={S} linode-cli linodes list"),
    ("hetzner", "HCLOUD_TOKEN={S} hcloud server list"),
    ("ibm", "ibmcloud login --apikey {S} -r eu-de"),
    (
        "cloudflare",
        "curl -H 'Authorization: Bearer {S}' https://api.cloudflare.com/client/v4/zones",
    ),
    (
        "cloudflare-global",
        "curl -H 'X-Auth-Email: ops@acme.cn' -H 'X-Auth-Key: {S}' https://api.cloudflare.com/client/v4/zones",
    ),
    ("scaleway", "scw init access-key={I} secret-key={S}"),
    (
        "exoscale",
        "EXOSCALE_API_KEY={I} EXOSCALE_API_SECRET={S} exo compute instance list",
    ),
    // Clusters, secrets, monitoring.
    (
        "password",
        "kubectl create secret generic {d}-db --from-literal=password={P}",
    ),
    (
        "password",
        "kubectl create secret docker-registry regcred --docker-server={h} --docker-username={u} --docker-password={P}",
    ),
    (
        "kubernetes-jwt",
        "kubectl --token={K} --server=https://{h}:6443 get pods",
    ),
    (
        "kubernetes-jwt",
        "kubectl config set-credentials ci --token={K}",
    ),
    (
        "kubeadm",
        "kubeadm join {h}:6443 --token {K} --discovery-token-unsafe-skip-ca-verification",
    ),
    ("swarm-join", "docker swarm join --token {K} {h}:2377"),
    (
        "k3s",
        "curl -sfL https://get.k3s.io | K3S_URL=https://{h}:6443 K3S_TOKEN={K} sh -",
    ),
    (
        "openshift",
        "oc login --token={K} --server=https://{h}:6443",
    ),
    ("password", "oc login -u {u} -p {P} https://{h}:8443"),
    ("rancher", "rancher login https://{h} --token {K}"),
    (
        "password",
        "helm install {d} corp/app --set mysql.auth.rootPassword={P} -n prod",
    ),
    (
        "password",
        "helm upgrade {d} corp/app --set-string redis.password={P}",
    ),
    ("vault", "vault login {K}"),
    ("vault", "VAULT_TOKEN={K} vault kv get secret/app"),
    ("password", "vault kv put secret/{d} password={P}"),
    ("consul", "consul kv get -token={K} app/config"),
    (
        "argocd",
        "argocd app sync {d} --auth-token {K} --server {h}",
    ),
    (
        "password",
        "argocd login {h} --username admin --password {P} --insecure",
    ),
    ("tailscale", "tailscale up --authkey={K} --ssh"),
    ("ngrok", "ngrok config add-authtoken {K}"),
    (
        "password",
        "ansible all -m ping -e ansible_password={P} -i hosts",
    ),
    (
        "password",
        "ansible-playbook site.yml --extra-vars \"ansible_become_pass={P}\"",
    ),
    ("password", "etcdctl --user root:{P} get / --prefix"),
    ("password", "rabbitmqctl add_user {u} {P}"),
    ("password", "rabbitmqctl change_password {u} {P}"),
    ("password", "rabbitmqadmin -u {u} -p {P} list queues"),
    (
        "password",
        "kafka-configs.sh --alter --add-config 'SCRAM-SHA-512=[password={P}]' --entity-type users --entity-name {u}",
    ),
    ("password", "mosquitto_pub -h {h} -u {u} -P {P} -t t -m x"),
    ("password", "mosquitto_passwd -b /etc/mosquitto/pw {u} {P}"),
    ("password", "htpasswd -bc /etc/nginx/.htpasswd {u} {P}"),
    (
        "password",
        "ldapsearch -x -H ldap://{h} -D cn=admin,dc=acme,dc=cn -w {P} -b dc=acme,dc=cn",
    ),
    (
        "password",
        "ldapmodify -H ldap://{h} -D cn={u} -w {P} -f m.ldif",
    ),
    ("password", "kinit {u}@ACME.CN <<< {P}"),
    ("password", "keytool -list -keystore app.jks -storepass {P}"),
    (
        "password",
        "keytool -importkeystore -srckeystore a.p12 -srcstorepass {P} -destkeystore b.jks",
    ),
    (
        "password",
        "openssl pkcs12 -in a.p12 -out a.pem -passin pass:{P} -nodes",
    ),
    (
        "password",
        "openssl enc -aes-256-cbc -d -in b.enc -out b -k {P}",
    ),
    (
        "password",
        "openssl rsa -in k.pem -passin pass:{P} -out k2.pem",
    ),
    (
        "password",
        "gpg --batch --passphrase {P} -d dump.gpg > dump",
    ),
    ("password", "zip -r -P {P} out.zip out/"),
    ("password", "unzip -P {P} in.zip"),
    ("password", "7z x -p{P} in.7z"),
    ("password", "unrar x -p{P} in.rar"),
    ("password", "RESTIC_PASSWORD={P} restic -r /bk snapshots"),
    (
        "password",
        "borg init --encryption=repokey; export BORG_PASSPHRASE='{P}'",
    ),
    (
        "password",
        "duplicity --encrypt-key x /srv ftp://{u}:{P}@{h}/bk",
    ),
    (
        "password",
        "java -Dspring.datasource.password={P} -jar app.jar",
    ),
    (
        "password",
        "java -jar app.jar --spring.redis.password={P} --server.port=8081",
    ),
    (
        "password",
        "JAVA_OPTS=\"-Djavax.net.ssl.keyStorePassword={P}\" ./catalina.sh run",
    ),
    (
        "password",
        "docker run -d -e MYSQL_ROOT_PASSWORD={P} -p 3306:3306 mysql:8",
    ),
    (
        "password",
        "docker run --env POSTGRES_PASSWORD={P} postgres:15",
    ),
    ("password", "docker exec -it db mysql -uroot -p{P}"),
    (
        "password",
        "kubectl exec -it db-0 -- psql postgres://{u}:{P}@localhost/{d}",
    ),
    (
        "grafana-service",
        "curl -H 'Authorization: Bearer {K}' https://grafana.acme.cn/api/dashboards/home",
    ),
    ("password", "curl -s http://admin:{P}@{h}:3000/api/org"),
    (
        "slack-webhook",
        "curl -X POST --data '{\"text\":\"done\"}' {K}",
    ),
    (
        "dingtalk-robot",
        "curl '{K}' -H 'Content-Type: application/json' -d '{\"msgtype\":\"text\"}'",
    ),
    (
        "feishu-hook",
        "curl -X POST {K} -d '{\"msg_type\":\"text\"}'",
    ),
    ("wecom-hook", "curl '{K}' -d '{\"msgtype\":\"text\"}'"),
    (
        "telegram",
        "curl https://api.telegram.org/bot{K}/getUpdates",
    ),
    (
        "openai",
        "curl https://api.openai.com/v1/models -H \"Authorization: Bearer {K}\"",
    ),
    ("anthropic", "export ANTHROPIC_API_KEY={K}"),
    ("dashscope", "export DASHSCOPE_API_KEY={K}"),
    ("huggingface", "huggingface-cli login --token {K}"),
    ("sentry", "sentry-cli --auth-token {K} releases list"),
    (
        "datadog",
        "DD_API_KEY={K} DD_SITE=datadoghq.eu bash -c \"$(curl -L https://install.datadoghq.com/scripts/install_script.sh)\"",
    ),
    (
        "newrelic",
        "newrelic profile add --profile default --apiKey {K} --region eu",
    ),
    (
        "sonarqube",
        "sonar-scanner -Dsonar.host.url=https://sonar.acme.cn -Dsonar.token={K}",
    ),
    ("stripe", "curl https://api.stripe.com/v1/charges -u {K}:"),
    ("heroku", "HEROKU_API_KEY={K} heroku apps"),
    ("netlify", "netlify deploy --prod --auth {K}"),
    ("vercel", "vercel deploy --token {K}"),
    ("fly", "export FLY_API_TOKEN=\"{K}\""),
    ("terraform", "export TF_TOKEN_app_terraform_io={K}"),
    (
        "password",
        "xmlstarlet ed -L -u '//password' -v '{P}' settings.xml",
    ),
    (
        "password",
        "sed -i 's/^password=.*/password={P}/' app.properties",
    ),
    (
        "password",
        "expect -c 'spawn ssh {u}@{h}; expect \"assword:\"; send \"{P}\\r\"; interact'",
    ),
    (
        "password",
        "nacos-cli --username nacos --password {P} --server {h}:8848 list",
    ),
    (
        "password",
        "curl -X POST 'http://{h}:8848/nacos/v1/auth/login' -d 'username=nacos&password={P}'",
    ),
    ("password", "zkCli.sh -server {h} addauth digest {u}:{P}"),
    (
        "password",
        "influxd backup -portable; influx auth create --username {u} --password {P}",
    ),
    ("password", "gsql -d {d} -U {u} -W {P} -p 5432"),
    ("password", "disql {u}/{P}@{h}:5236"),
    ("password", "ksql -U {u} -W {P} -d {d} -h {h}"),
];

/// Commands that look as if they carried a secret and carry none.
pub const HARMLESS: &[&str] = &[
    "mysql -u root -p {d}",
    "mysqldump --defaults-file=/root/.my.cnf -p3306 {d}",
    "redis-cli -h {h} -p 6379 ping",
    "ssh -p 2222 {u}@{h}",
    "docker run -p 8080:80 nginx",
    "docker login registry.acme.cn",
    "curl -u $USER:$PASS https://{h}/x",
    "curl -H \"Authorization: Bearer $TOKEN\" https://{h}/x",
    "export AWS_PROFILE=prod AWS_REGION=eu-west-1",
    "export DB_PASSWORD=$(vault kv get -field=password secret/db)",
    "export MYSQL_PWD=\"$(cat /run/secrets/db)\"",
    "read -s PASSWORD",
    "PGPASSWORD=$PW psql -h {h} -U {u}",
    "kubectl create secret generic s --from-file=password=/tmp/pw",
    "kubectl get secret db -o jsonpath='{.data.password}' | base64 -d",
    "openssl rand -base64 32",
    "openssl pkcs12 -in a.p12 -passin env:P12_PASS -nodes",
    "git commit -m 'rotate token and password handling'",
    "git checkout 9f1c0e7b5d3a2f4e6c8b0a1d2e3f405162738495",
    "docker pull app@sha256:3f1c0e7b5d3a2f4e6c8b0a1d2e3f4051627384950f1c0e7b5d3a2f4e6c8b0a1d",
    "vault token lookup",
    "passwd {u}",
    "gpg --passphrase-file /root/pw -d x.gpg",
    "ansible-playbook site.yml --ask-vault-pass",
    "ansible-playbook site.yml --vault-password-file ~/.vault",
    "grep -rn 'password' /etc/app",
    "vim /etc/app/secret.yaml",
    "less token.txt",
    "helm install x corp/app --set replicas=3,image.tag=v1.2.3",
    "aws s3 ls s3://bucket --profile backup",
    "aws sts get-caller-identity",
    "aliyun oss ls",
    "tar -czf - /srv | ssh {u}@{h} 'cat > b.tgz'",
    "scp -P 2222 -i ~/.ssh/id_rsa a {u}@{h}:/tmp",
    "mkdir -p /data/{d}/keys",
    "ps -ef | grep java",
    "tail -f /var/log/auth.log",
    "for p in 80 443; do nc -zv {h} $p; done",
    "unzip -p app.jar META-INF/MANIFEST.MF",
    "7z a -mx9 out.7z dir",
    "sudo -u postgres psql",
    "mongosh --port 27018",
    "sqlplus / as sysdba",
    "terraform apply -var-file=prod.tfvars",
    "ls -la",
    "cd /srv/{d}",
    "systemctl status {d}",
    "df -h",
    "free -m",
    "top",
    "make build",
    "python3 manage.py migrate",
    "npm run build",
    "journalctl -u {d} -f",
    "ip a",
    "cat /etc/os-release",
];

/// A command with what it carries.
#[derive(Clone, Debug)]
pub struct Typed {
    /// The command.
    pub text: String,
    /// What it carries.
    pub credential: Option<Credential>,
}

/// Types the command of `shape`.
pub fn typed(shape: &(&'static str, &str), dice: &mut Dice) -> Typed {
    let (kind, template) = *shape;
    let credential = match kind {
        "password" => passwords::plain_secret("command-password", dice),
        "basic" => {
            let password = passwords::plain_password(dice);
            let user = format!("svc{}", dice.within(1, 99));
            let header = base64(format!("{user}:{password}").as_bytes());
            Credential {
                forms: vec![header.clone()],
                also: vec![header],
                ..Credential::lone(Tier::Generic, "command-password", password)
            }
        }
        family => match clouds::CLOUDS.iter().find(|cloud| cloud.family == family) {
            Some(cloud) => (cloud.make)(dice),
            None => tokens::make(tokens::named(family), dice),
        },
    };
    let credential = if template.contains("{I}") {
        credential
    } else {
        Credential {
            id: None,
            ..credential
        }
    };
    let text = fill(template, dice)
        .replace("{P}", &credential.secret)
        .replace("{K}", &credential.secret)
        .replace("{S}", &credential.secret)
        .replace("{I}", credential.id.as_deref().unwrap_or_default())
        .replace("{T}", credential.also.first().map_or("", String::as_str))
        .replace("{B}", credential.also.first().map_or("", String::as_str));
    Typed {
        text,
        credential: Some(credential),
    }
}

/// Types a command that carries nothing.
pub fn harmless(dice: &mut Dice) -> Typed {
    let template = dice.one(HARMLESS);
    Typed {
        text: fill(template, dice),
        credential: None,
    }
}

fn fill(template: &str, dice: &mut Dice) -> String {
    let host = match dice.below(3) {
        0 => format!(
            "10.{}.{}.{}",
            dice.below(200),
            dice.below(200),
            dice.within(2, 250)
        ),
        1 => format!(
            "{}-db-{}.internal",
            dice.one(names::PRODUCTS),
            dice.within(1, 9)
        ),
        _ => format!("{}.acme.cn", dice.one(names::PRODUCTS)),
    };
    let user = dice.one(&[
        "root",
        "app",
        "svc_orders",
        "deploy",
        "readonly",
        "zhangsan",
        "bi",
    ]);
    template
        .replace("{h}", &host)
        .replace("{u}", user)
        .replace("{d}", dice.one(names::PRODUCTS))
        .replace("{n}", &dice.within(1, 999).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_150_shapes_and_each_carries_its_secret() {
        assert!(SHAPES.len() >= 150, "{}", SHAPES.len());
        let mut dice = Dice::new(3);
        for shape in SHAPES {
            let typed = typed(shape, &mut dice);
            let credential = typed.credential.expect("a secret");
            let held = std::iter::once(&credential.secret).chain(&credential.also);
            assert!(
                held.into_iter().any(|text| typed.text.contains(text)),
                "{shape:?}"
            );
            assert!(
                !typed.text.contains("{S}") && !typed.text.contains("{P}"),
                "{shape:?}"
            );
        }
    }
}
