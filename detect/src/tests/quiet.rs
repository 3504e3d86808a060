//! What looks like a credential and is none: nothing is told at the default confidence.

use super::{findings, outline, scan_bytes};
use crate::content::Format;

/// Files and texts, each like one that holds a secret.
const LOOK_ALIKES: &[(&str, &str)] = &[
    // The name of a kind of thing, and a digest of its description.
    (
        "schemas.py",
        "TYPES = {\n    \"AWS::ApiGateway::ApiKey\": \"3d104ea0be48564b\",\n}\n",
    ),
    (
        "schemas.json",
        "{\"AWS::SecretsManager::Secret\": \"c85175a4ebcce361\"}\n",
    ),
    // Tokens that mark a place in a listing, or a version.
    (
        "out.json",
        "{\"NextLockToken\": \"447e55ac-2396-4c6d-b9f9-86b67c17f8b5\"}\n",
    ),
    // A digest that begins like a token.
    (
        "RECORD",
        "x/y.pyi,sha256=glc_FZMyib4OhW7RQ42vav9er5-jeLUo8K4wfDaFsu8,1024\n",
    ),
    // A name in the place of a password.
    (
        "pip.py",
        "URL = \"https://aws:{auth_token}@{host}/simple/\"\n",
    ),
    // A sentence.
    (
        "ja.json",
        "{\"checks\": {\"pass\": \"ARIA属性は要素のロールに対して正しく使用されています2\"}}\n",
    ),
    // A key of which the middle is left out.
    (
        "howto.txt",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEAqKpRgnn6yq26U3yt5YFZquyukfRjbMXDcNOK4rMCxDR...fvY4te\n-----END RSA PRIVATE KEY-----\n",
    ),
    // What packages and interpreters bring along for people.
    (
        "/opt/x/lib/python3.11/site-packages/cli/examples/login.rst",
        "    \"Password\": \"h]6EszR}vJ*m\"\n",
    ),
    (
        "/opt/x/lib/python3.11/urllib/request.py",
        "add_password(realm='PDQ', passwd='geheim$parole9')\n",
    ),
];

#[test]
fn what_is_none_is_not_told() {
    for (name, text) in LOOK_ALIKES {
        let scan = scan_bytes(name, Format::Guess, text.as_bytes());
        assert!(
            findings(&scan).is_empty(),
            "{name} {text} {:?}",
            outline(&scan)
        );
    }
}

/// Names of functions and of types may mix letters and digits as keys do.
#[test]
fn what_a_program_calls_is_no_secret() {
    for (file, line) in [
        ("a.c", "  KEY *private_key = GetP384FixtureKey();"),
        ("a.c", "  secret_key = K512_PRIVKEY_get0(x);"),
        ("a.rs", "let signing_secret = Sha3X448SeedBin::default();"),
        ("a.go", "secretKey := HMAC256FromK2[0]"),
    ] {
        let scan = scan_bytes(file, Format::Guess, format!("{line}\n").as_bytes());
        assert!(findings(&scan).is_empty(), "{line}: {:#?}", outline(&scan));
    }
}

#[test]
fn what_packages_hold_beside_their_examples_is_told() {
    let text = "DATABASE_PASSWORD = 'h6EszRvJ9mQ2'\n";
    for name in [
        "/opt/x/lib/python3.11/site-packages/shop/settings.py",
        "/srv/web/node_modules/shop/config.js",
    ] {
        let scan = scan_bytes(name, Format::Guess, text.as_bytes());
        assert_eq!(findings(&scan).len(), 1, "{name} {:?}", outline(&scan));
    }
}
