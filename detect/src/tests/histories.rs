//! Lines that people type, one by one: true ones give their secret, look-alikes give nothing.
//!
//! Secrets are generated. `{p}` is a password, `{t}` a token, `{id}` and `{sk}` a key pair without a
//! beginning of its own, `{lt}` and `{ls}` one with it.

use super::{findings, outline, sample, scan_bytes};
use crate::content::Format;
use crate::sample::Seed;

/// What a shell's history holds.
const COMMANDS: &[&str] = &[
    // Databases
    "mysql -h db -uroot -p{p} app",
    "mysql -uroot -p'{p}'",
    "mysql --user=root --password={p} -e 'show tables'",
    "sudo mysqldump -u root -p\"{p}\" --all-databases > /tmp/all.sql",
    "mysqldump -h 10.0.0.5 -P 3306 -u app -p{p} shop | gzip > shop.sql.gz",
    "docker exec -it db mysql -uroot -p{p} shop",
    "docker exec db sh -c 'mysqldump -uroot -p{p} shop'",
    "mysqladmin -u root password '{p}'",
    "mysqladmin -u root -p{p} shutdown",
    "mysql -u root -e \"ALTER USER 'root'@'localhost' IDENTIFIED BY '{p}';\"",
    "mysql -e \"GRANT ALL ON *.* TO 'u'@'%' IDENTIFIED BY '{p}'\"",
    "MYSQL_PWD={p} mysql -h db",
    "export MYSQL_PWD='{p}'",
    "PGPASSWORD={p} psql -h db -U app",
    "PGPASSWORD='{p}' pg_dump -h db shop > s.sql",
    "psql \"host=db user=app password={p} dbname=x\"",
    "psql postgresql://app:{p}@db:5432/shop",
    "psql -c \"ALTER USER app WITH PASSWORD '{p}'\"",
    "sudo -u postgres psql -c \"CREATE ROLE app LOGIN PASSWORD '{p}';\"",
    "redis-cli -h r -a {p} ping",
    "redis-cli -h r -p 6380 --pass {p} info",
    "redis-cli -u redis://:{p}@10.0.0.9:6379/0",
    "redis-cli AUTH {p}",
    "redis-cli -h r CONFIG SET requirepass {p}",
    "REDISCLI_AUTH={p} redis-cli ping",
    "redis-server --requirepass {p} --port 6380",
    "mongo -u admin -p {p} --authenticationDatabase admin",
    "mongosh \"mongodb://app:{p}@db:27017/app\"",
    "mongodump --uri=mongodb+srv://app:{p}@cluster.x.net/app",
    "mongosh --eval 'db.createUser({user:\"a\",pwd:\"{p}\",roles:[]})'",
    "sqlplus system/{p}@orcl",
    "sqlplus -s scott/{p}@//db:1521/x @q.sql",
    "expdp scott/{p} directory=d dumpfile=x.dmp",
    "sqlcmd -S db -U sa -P '{p}' -Q 'select 1'",
    "clickhouse-client -h ch --password {p} --query 'select 1'",
    "clickhouse-client --host ch --user default --password={p}",
    "influx -username admin -password {p} -host x",
    "cqlsh -u cassandra -p {p} 10.0.0.3",
    "obclient -h127.0.0.1 -uroot@sys -p{p}",
    "sqoop import --connect jdbc:mysql://db/x --username u --password {p}",
    "mysql -h db -uroot -p{p} -e 'select 1' 2>/dev/null | head -1",
    "impdp system/{p}@db full=y",
    "disql root/{p}@crm-db-4.internal:5236",
    "mycli -u root -p {p} -h 10.43.96.70 payroll",
    "isql -v PROD bi {p}",
    "pt-online-schema-change --alter 'add column x int' D=erp,t=orders,u=svc,p={p} --execute",
    "taos -h member-db-9.internal -u bi -p{p}",
    "mysqlsh svc:{p}@10.46.190.93:33060/erp",
    "xmlstarlet ed -L -u '//password' -v '{p}' settings.xml",
    "kafka-configs.sh --alter --add-config 'SCRAM-SHA-512=[password={p}]' --entity-type users --entity-name root",
    "kafka-configs.sh --alter --add-config 'SCRAM-SHA-256=[iterations=8192,password={p}]' --entity-name r",
    "JAVA_OPTS=\"-Xmx1g -Djavax.net.ssl.keyStorePassword={p}\" ./catalina.sh run",
    "JAVA_OPTS=-Dkey.password={p} ./catalina.sh run",
    "net ads join -U bi%{p}",
    "influx -host wms-db -username deploy -password {p} -execute 'show databases'",
    "redis-cli ACL SETUSER worker on '>{p}' '~*' +@all",
    // Accounts of the system
    "echo '{p}' | passwd --stdin app",
    "echo 'root:{p}' | chpasswd",
    "echo \"deploy:{p}\" | sudo chpasswd",
    "chpasswd <<< 'app:{p}'",
    "echo {p} | sudo -S systemctl restart nginx",
    "printf '{p}\\n{p}\\n' | smbpasswd -s -a bob",
    "(echo '{p}'; echo '{p}') | passwd app",
    "htpasswd -bc /etc/nginx/.htpasswd admin {p}",
    "htpasswd -nb admin '{p}'",
    "net user bob {p} /add",
    "openssl passwd -6 '{p}'",
    "expect -c 'spawn ssh a@b; expect \"assword:\"; send \"{p}\\r\"; interact'",
    // Remote
    "sshpass -p '{p}' ssh root@10.0.0.1",
    "sshpass -p{p} scp a.tgz root@10.0.0.1:/tmp",
    "SSHPASS={p} sshpass -e ssh root@h",
    "ssh root@db 'mysql -uroot -p{p} -e \"show databases\"'",
    "ssh app@web \"export DB_PASSWORD={p} && ./run.sh\"",
    "ssh db mysql -uroot -p{p} shop",
    "plink -pw {p} root@10.0.0.1",
    "smbclient //nas/share -U 'corp\\bob%{p}'",
    "mount -t cifs //nas/s /mnt -o username=bob,password={p},vers=3.0",
    "lftp -u bob,{p} sftp://h",
    "lftp -e 'mirror' ftp://bob:{p}@h/",
    "ftp ftp://bob:{p}@10.0.0.1/",
    "rsync -a --password-file=/x a rsync://bob:{p}@h/m",
    "xfreerdp /v:10.0.0.1 /u:admin /p:{p}",
    "rdesktop -u admin -p {p} 10.0.0.1",
    "ipmitool -I lanplus -H 10.0.0.9 -U ADMIN -P {p} power status",
    "snmpwalk -v3 -u mon -A {p} -a SHA 10.0.0.1",
    "nmcli dev wifi connect home password {p}",
    "ldapsearch -x -D cn=admin,dc=x -w {p} -b dc=x",
    "ldapsearch -xLLL -H ldap://d -D cn=a -w'{p}'",
    "ldappasswd -x -D cn=a -w $OLD -s {p} uid=b",
    // HTTP
    "curl -u bob:{p} https://x.org/api",
    "curl -sSLu 'bob:{p}' https://x.org/api -o out",
    "curl -k --user bob:{p} https://x.org",
    "curl https://bob:{p}@x.org/file",
    "curl -H \"Authorization: Bearer {t}\" https://x.org",
    "curl -H 'Authorization: token {t}' https://git.x.org/api",
    "curl -s -H \"X-Api-Key: {t}\" https://x.org",
    "curl --header 'PRIVATE-TOKEN: {t}' https://git.x.org/api/v4/projects",
    "curl -X POST -d 'username=bob&password={p}' https://x.org/login",
    "curl -X POST -d '{\"username\":\"bob\",\"password\":\"{p}\"}' https://x.org/login",
    "curl -XPOST -H 'Content-Type: application/json' --data-raw '{\"client_secret\":\"{t}\"}' https://x",
    "curl -F 'token={t}' https://x.org/upload",
    "curl \"https://x.org/api?access_token={t}&x=1\"",
    "wget --user=bob --password={p} https://x.org/f",
    "wget --http-user=bob --http-password={p} https://x.org/f",
    "wget --header=\"Authorization: Bearer {t}\" https://x.org/f",
    "wget --header 'X-Auth-Token: {t}' https://x.org/f",
    "http -a bob:{p} https://x.org/api",
    "http POST https://x.org/login password={p}",
    "export https_proxy=http://bob:{p}@proxy:3128",
    "ALL_PROXY=socks5://bob:{p}@proxy:1080 curl x.org",
    // Sources and registries
    "git clone https://bob:{p}@git.x.org/a.git",
    "git remote set-url origin https://oauth2:{t}@gitlab.x.org/a.git",
    "git -c http.extraHeader=\"Authorization: Bearer {t}\" fetch",
    "svn co --username bob --password {p} https://svn.x.org/a",
    "docker login -u bob -p {p} reg.x.org",
    "docker login --username=bob --password='{p}' registry.cn-hangzhou.aliyuncs.com",
    "echo '{p}' | docker login -u bob --password-stdin reg.x.org",
    "echo {p} | docker login reg.x.org --username bob --password-stdin",
    "docker login -u bob --password-stdin reg.x.org <<< \"{p}\"",
    "podman login -u bob -p {p} quay.x.org",
    "skopeo copy --dest-creds bob:{p} docker://a docker://reg/b",
    "helm registry login reg.x.org -u bob -p {p}",
    "helm repo add x https://x.org --username bob --password {p}",
    "helm install db x/mysql --set auth.rootPassword={p}",
    "helm upgrade x . --set image.tag=1.2,db.password={p} --wait",
    "kubectl create secret generic x --from-literal=password={p}",
    "kubectl create secret docker-registry r --docker-server=x --docker-username=bob --docker-password={p}",
    "kubectl -n x set env deploy/a DB_PASSWORD={p}",
    "kubectl exec -it db-0 -- mysql -uroot -p{p}",
    "kubectl config set-credentials bob --token={t}",
    "oc login https://api.x:6443 --token={t}",
    "oc login -u admin -p {p} https://api.x:6443",
    "argocd login cd.x.org --username admin --password {p}",
    "docker run -d -e MYSQL_ROOT_PASSWORD={p} mysql:8",
    "docker run -d --env=POSTGRES_PASSWORD={p} postgres",
    "docker run -d redis redis-server --requirepass {p}",
    "docker build --build-arg NPM_TOKEN={t} .",
    "docker service create --env DB_PASSWORD={p} x",
    "printf '{p}' | docker secret create db_password -",
    "npm config set //npm.corp.example/:_authToken {t}",
    "echo \"//registry.x.org/:_authToken={t}\" > .npmrc",
    "twine upload -u bob -p {p} dist/*",
    "pip install -i https://bob:{p}@pypi.x.org/simple x",
    "mvn deploy -Dpassword={p}",
    "gradle publish -PmavenPassword={p}",
    "gh secret set DEPLOY_TOKEN --body {t}",
    "echo {t} | gh auth login --with-token",
    "vault login {t}",
    "VAULT_TOKEN={t} vault kv get secret/x",
    "vault kv put secret/db password={p}",
    "consul kv get -token={t} x",
    "etcdctl --user root:{p} get /x",
    "rabbitmqctl add_user app {p}",
    "rabbitmqctl change_password app '{p}'",
    "rabbitmqadmin -u app -p {p} list queues",
    "mosquitto_pub -h m -u dev -P {p} -t a -m b",
    // Infrastructure
    "ansible-playbook x.yml -e \"db_password={p}\"",
    "ansible all -i h, -m shell -a 'mysql -uroot -p{p} -e status'",
    "ansible-playbook x.yml --extra-vars '{\"db_password\":\"{p}\"}'",
    "ansible web -m ping -e ansible_ssh_pass={p} -e a=b",
    "terraform apply -var 'db_password={p}'",
    "TF_VAR_db_password='{p}' terraform plan",
    "keytool -genkey -alias x -keystore k.jks -storepass {p}",
    "keytool -importkeystore -srckeystore a -destkeystore b -deststorepass '{p}'",
    "openssl rsa -in k.pem -passin pass:{p} -out o.pem",
    "openssl enc -aes-256-cbc -in a -out b -k {p}",
    "openssl pkcs12 -export -in c.pem -inkey k.pem -out c.p12 -passout pass:'{p}'",
    "ssh-keygen -t rsa -N '{p}' -f k",
    "gpg --batch --passphrase '{p}' -c file",
    "zip -rP {p} a.zip d",
    "unzip -P '{p}' a.zip",
    "7z a -p{p} -mhe a.7z d",
    "java -jar a.jar --spring.datasource.password={p}",
    "java -Dspring.redis.password={p} -jar a.jar",
    "python manage.py createuser --password {p}",
    "sed -i 's/^DB_PASSWORD=.*/DB_PASSWORD={p}/' .env",
    "echo \"DB_PASSWORD={p}\" >> .env",
    "echo 'export API_TOKEN={t}' >> ~/.bashrc",
    "cat > .env <<EOF\nDB_PASSWORD={p}\nEOF",
    "cat <<'EOF' | kubectl apply -f -\nkind: Secret\nstringData:\n  password: {p}\nEOF",
    "tee /etc/my.cnf <<-EOF\n[client]\npassword={p}\nEOF",
    "bash -c 'export DB_PASSWORD={p}; ./run'",
    "env DB_PASSWORD={p} ./run",
    "sudo env \"DB_PASSWORD={p}\" ./run",
    "nohup ./server --port 80 --db-password {p} &",
    "./deploy.sh --token={t} prod",
    "DB_USER=u DB_PASSWORD={p} ./run > log 2>&1",
    "for h in a b; do sshpass -p {p} ssh root@$h uptime; done",
    "if true; then export DB_PASSWORD={p}; fi",
    "crontab -l | { cat; echo '0 1 * * * mysqldump -uroot -p{p} x'; } | crontab -",
    "export TOKEN=$(curl -s -u bob:{p} https://x.org/t)",
    "alias db='mysql -uroot -p{p}'",
    "watch -n1 'mysql -uroot -p{p} -e \"show processlist\"'",
    "s3fs b /mnt -o passwd_file=/x -o url=https://bob:{p}@s3.x.org",
    "su - app -c \"mysqldump -uapp -p{p} x\"",
    "swaks --to a@b --auth-user u --auth-password {p}",
    "borg init --encryption=repokey && export BORG_PASSPHRASE='{p}'",
    "RESTIC_PASSWORD={p} restic backup /etc",
    "sentry-cli --auth-token {t} releases list",
    "echo -n '{p}' | base64",
    "setx DB_PASSWORD {p}",
    "+ mysql -uroot -p{p} app",
    "# mysql -uroot -p{p} app",
    "supervisorctl -u admin -p {p} status",
    "nsenter -t 1 -m sh -c \"mysql -uroot -p{p}\"",
    "xargs -I{} mysql -uroot -p{p} -e 'kill {}'",
    "zkcli.sh addauth digest super:{p}",
    "airflow users create -u a -p {p} -r Admin -e a@b -f a -l b",
    "cypher-shell -u neo4j -p {p} 'match (n) return n'",
];

/// Key pairs on one line, or on two.
const PAIRS: &[&str] = &[
    "export {IN}={id}\nexport {SN}={sk}",
    "aliyun configure set --access-key-id {id} --access-key-secret {sk} --region x",
    "aliyun configure set --profile p --mode AK --access-key-id {id} --access-key-secret '{sk}'",
    "ossutil config -e oss-cn-x.aliyuncs.com -i {id} -k {sk}",
    "ossutil64 ls oss://b -i {id} -k {sk}",
    "tccli configure set secretId {id} secretKey {sk}",
    "tccli configure set secretId {id}\ntccli configure set secretKey {sk}",
    "coscmd config -a {id} -s {sk} -b b -r ap-x",
    "coscli config add -i {id} -k {sk}",
    "hcloud configure set --cli-access-key={id} --cli-secret-key={sk}",
    "obsutil config -i={id} -k={sk} -e=obs.x.com",
    "ve configure set --profile p --access-key {id} --secret-key {sk}",
    "tosutil config -i {id} -k {sk} -re x",
    "bcecmd -ak {id} -sk {sk} ls",
    "mc alias set m https://s3.x.org {id} {sk}",
    "mc config host add m https://s3.x.org {id} {sk} --api S3v4",
    "mc alias set --api S3v4 m https://s3.x.org {id} {sk}",
    "s3cmd --access_key={id} --secret_key={sk} ls",
    "qshell account {id} {sk} name",
    "rclone config create r s3 provider Other access_key_id {id} secret_access_key {sk}",
    "AWS_ACCESS_KEY_ID={id} AWS_SECRET_ACCESS_KEY={sk} aws s3 ls",
    "aws configure set aws_access_key_id {id}\naws configure set aws_secret_access_key {sk}",
    "aws configure set aws_access_key_id {id} --profile p && aws configure set aws_secret_access_key {sk} --profile p",
    "echo {id}:{sk} > /etc/passwd-s3fs",
    "docker run -e OSS_ACCESS_KEY_ID={id} -e OSS_ACCESS_KEY_SECRET={sk} x",
    "kubectl create secret generic c --from-literal=access-key-id={id} --from-literal=secret-access-key={sk}",
    "terraform apply -var access_key={id} -var secret_key={sk}",
    "helm install x . --set s3.accessKey={id},s3.secretKey={sk}",
    "cat > ~/.aws/credentials <<EOF\n[default]\naws_access_key_id = {id}\naws_secret_access_key = {sk}\nEOF",
    "export Ali_Key=\"{id}\"\nexport Ali_Secret=\"{sk}\"\nacme.sh --issue --dns dns_ali",
    "./tool --ak {id} --sk {sk}",
    "restic -o s3.x -r s3:x && export AWS_ACCESS_KEY_ID={id} AWS_SECRET_ACCESS_KEY={sk}",
    "set -gx AWS_ACCESS_KEY_ID {id}; set -gx AWS_SECRET_ACCESS_KEY {sk}",
];

/// What is no secret, although it looks like one.
const LOOK_ALIKES: &[&str] = &[
    "mysql -u root -p",
    "mysql -uroot -p app_production_db1",
    "mysql -uroot -p$MYSQL_PWD app",
    "mysql -uroot -p\"${DB_PASSWORD}\" app",
    "mysql -uroot -p$(cat /run/secrets/db-pass-01)",
    "mysql -uroot --password=<password> app",
    "export DB_PASSWORD=$(vault kv get -field=password secret/db1)",
    "export TOKEN=`cat ~/.token2`",
    "export DB_PASSWORD=",
    "docker login -u bob --password-stdin registry-1.example.org",
    "docker login -u bob -p $PASS reg.x.org",
    "docker run -p 8080:8080 -v data01:/var/lib x",
    "mkdir -p /srv/app2022/releases1",
    "ssh -p 2222 deploy@web01.example.org",
    "scp -P 2222 a1b2c3d4.tgz web01:/tmp",
    "curl -u bob https://x.org/api/v2",
    "curl -H 'Authorization: Bearer $TOKEN' https://x.org",
    "curl -H \"Content-Type: application/json2\" https://x.org",
    "curl -sSL https://x.org/get-2.0.sh | bash",
    "git checkout 9fceb02d0ae598e95dc970b74767f19372d61af8",
    "git commit -m 'fix password=xxxxxxxx in docs'",
    "psql -W -h db01 -U app_user1 shop_db1",
    "psql --no-password -h db01 shop",
    "redis-cli -h r1 -p 6379 ping",
    "tar -xzpf backup-2024.tgz",
    "rsync -avzP a1b2/ web01:/srv/app1/",
    "kubectl get secret db-password-1 -o jsonpath='{.data.password}'",
    "kubectl create secret generic x --from-file=password=/tmp/pw1.txt",
    "ansible-playbook x.yml --vault-password-file ~/.vault1",
    "openssl rsa -in k.pem -passin env:KEYPASS1 -out o.pem",
    "openssl rand -base64 32",
    "keytool -list -keystore k1.jks",
    "pip install token-bucket2==1.2.3",
    "apt install passwordsafe2",
    "vim /etc/password-policy2.conf",
    "grep -rn password= src/main/resources2",
    "grep 'secretKey: ' conf/app2.yml",
    "export PATH=/usr/local/go1.22/bin:$PATH",
    "export GOOGLE_APPLICATION_CREDENTIALS=/etc/gcp/key-01.json",
    "passwd deploy01",
    "ssh-keygen -t ed25519 -N '' -f key1",
    "echo 'done: 12 files, password unchanged'",
    "read -sp 'Password: ' PASSWORD1",
    "useradd -m -s /bin/bash deploy01",
    "cat /etc/passwd | awk -F: '{print $1}'",
    "export API_TOKEN=your-token-here-123",
    "aws s3 cp s3://bucket-01/a1 .",
    "sha256sum a1.iso | cut -d' ' -f1",
    "mc alias set m https://s3.x.org $AK $SK",
    "vault login -method=oidc role=dev01",
];

/// A password of twelve characters, a token of forty, none of which reads like a word.
pub(super) fn made(seed: u64) -> (String, String) {
    const LETTERS: &[u8] = b"abcdefghjkmnpqrstuvwxyzABCDEFGHJKMNPQRSTUVWXYZ23456789";
    let mut seed = Seed(seed);
    let mut text = |length: usize| -> String {
        (0..length)
            .map(|at| {
                let number = usize::try_from(seed.next_number() >> 33).unwrap();
                let from = if at % 4 == 3 { &LETTERS[46..] } else { LETTERS };
                char::from(from[number % from.len()])
            })
            .collect()
    };
    (format!("{}_{}", text(8), text(4)), text(40))
}

fn in_history(file: &str, format: Format, line: &str) -> crate::scan::Scan {
    let text = format!("ls -la\ncd /srv\n{line}\nhistory | tail\n");
    scan_bytes(file, format, text.as_bytes())
}

fn check(shape: &str, seed: u64) -> Result<(), String> {
    let (password, token) = made(seed);
    let line = shape.replace("{p}", &password).replace("{t}", &token);
    let wanted = if shape.contains("{t}") {
        token
    } else {
        password
    };
    let scan = in_history("/root/.bash_history", Format::Guess, &line);
    let found = findings(&scan);
    let right = found.len() == 1
        && found[0]
            .secret
            .as_ref()
            .is_some_and(|secret| secret.expose() == wanted.as_bytes());
    if !right {
        return Err(format!("{shape}: {:#?}", outline(&scan)));
    }
    let at = line.find(&wanted).expect("it is there");
    let number = 3 + line[..at].matches('\n').count();
    if found[0].spot.line as usize != number {
        return Err(format!(
            "{shape}: line {} is not {number}",
            found[0].spot.line
        ));
    }
    Ok(())
}

fn check_pair(rule: &str, names: (&str, &str), shape: &str, seed: u64) -> Result<(), String> {
    let made = sample(rule, seed);
    let line = shape
        .replace("{IN}", &names.0.to_uppercase())
        .replace("{SN}", &names.1.to_uppercase())
        .replace("{id}", &made.id)
        .replace("{sk}", &made.secret);
    let scan = in_history("/root/.bash_history", Format::Guess, &line);
    let found = findings(&scan);
    let right = found.len() == 1
        && found[0]
            .secret
            .as_ref()
            .is_some_and(|secret| secret.expose() == made.secret.as_bytes())
        && found[0]
            .id
            .as_ref()
            .is_some_and(|id| id.as_str() == made.id);
    right
        .then_some(())
        .ok_or_else(|| format!("{rule} {shape}: {:#?}", outline(&scan)))
}

#[test]
fn what_is_typed_gives_its_secret() {
    assert!(COMMANDS.len() + PAIRS.len() + LOOK_ALIKES.len() >= 150);
    let mut missed: Vec<String> = Vec::new();
    for shape in COMMANDS {
        missed.extend((1..4).find_map(|seed| check(shape, seed).err()));
    }
    assert!(
        missed.is_empty(),
        "{} of {}: {}",
        missed.len(),
        COMMANDS.len(),
        missed.join("\n")
    );
}

#[test]
fn what_is_typed_keeps_its_pairs() {
    let mut missed: Vec<String> = Vec::new();
    for shape in PAIRS {
        for (rule, id, secret) in super::PROVIDERS {
            // Hexadecimal halves need names: digests stand side by side too.
            if shape.contains("{id}:{sk}") && rule == "baidu.access-key" {
                continue;
            }
            missed.extend(check_pair(rule, (id, secret), shape, 7).err());
        }
    }
    assert!(missed.is_empty(), "{}: {}", missed.len(), missed.join("\n"));
}

#[test]
fn what_only_looks_like_a_secret_gives_nothing() {
    let mut wrong: Vec<String> = Vec::new();
    for line in LOOK_ALIKES {
        let scan = in_history("/root/.bash_history", Format::Guess, line);
        if !findings(&scan).is_empty() {
            wrong.push(format!("{line}: {:#?}", outline(&scan)));
        }
    }
    assert!(wrong.is_empty(), "{}: {}", wrong.len(), wrong.join("\n"));
}
