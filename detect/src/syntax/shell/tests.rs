//! What words of commands become, name by name.

use super::*;
use crate::syntax::Scopes;

fn check(line: &str, expected: &[(&str, &str)]) {
    let mut scopes = Scopes::new();
    let mut fields = Fields {
        fields: Vec::new(),
        scopes: &mut scopes,
    };
    let text = line.as_bytes();
    script(text, 0..text.len(), Scopes::ROOT, &mut fields);
    for (name, value) in expected {
        assert!(
            fields.fields.iter().any(|field| {
                field.path == name.as_bytes() && field.value(text) == value.as_bytes()
            }),
            "{line}: no {name}={value}; fields {:?}",
            fields
                .fields
                .iter()
                .map(|f| (
                    String::from_utf8_lossy(&f.path),
                    String::from_utf8_lossy(f.value(text))
                ))
                .collect::<Vec<_>>()
        );
    }
}

#[test]
fn flags_and_assignments_become_fields() {
    check("export A_KEY='x y' B=2", &[("A_KEY", "x y"), ("B", "2")]);
    check("AWS_SECRET=abc aws s3 ls", &[("AWS_SECRET", "abc")]);
    check(
        "mysql -uroot -pHunter22 db",
        &[("mysql.password", "Hunter22")],
    );
    check(
        "sudo mysqldump -u root -p'Hunter 22' db > x",
        &[("mysqldump.password", "Hunter 22")],
    );
    check(
        "redis-cli -h db -a s3cret99 ping",
        &[("redis-cli.password", "s3cret99")],
    );
    check(
        "curl -u bob:hunter222 https://x/",
        &[("curl.password", "hunter222")],
    );
    check(
        "mc alias set m https://s3 AKX SKX",
        &[("mc.access-key-id", "AKX"), ("mc.secret-key", "SKX")],
    );
    check(
        "obsutil config -i=AKX -k=SKX -e=obs.x",
        &[
            ("obsutil.access-key-id", "AKX"),
            ("obsutil.secret-key", "SKX"),
        ],
    );
    check(
        "aliyun configure set --access-key-id AKX --access-key-secret SKX",
        &[("access-key-id", "AKX"), ("access-key-secret", "SKX")],
    );
    check(
        "aws configure set aws_secret_access_key SKX",
        &[("aws.secret-key", "SKX")],
    );
    check(
        "* * * * * root coscmd config -a AKX -s SKX",
        &[("coscmd.secret-id", "AKX"), ("coscmd.secret-key", "SKX")],
    );
    check(
        "docker run -e COS_SECRET_KEY=SKX img",
        &[("COS_SECRET_KEY", "SKX")],
    );
    check(
        "terraform apply -var 'secret_key=SKX'",
        &[("secret_key", "SKX")],
    );
    check(
        "java -Daliyun.secretKey=SKX -jar a.jar",
        &[("aliyun.secretKey", "SKX")],
    );
    check("set -gx TOKEN abc", &[("TOKEN", "abc")]);
    check(
        "echo 'x' | sshpass -p Hunter22 ssh a@b",
        &[("sshpass.password", "Hunter22")],
    );
    check("a \\\n  --secret-key SKX", &[("secret-key", "SKX")]);
}
