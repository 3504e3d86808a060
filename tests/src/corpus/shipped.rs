//! What is shipped to customers and holds the developer's keys: packages of mobile applications and
//! mini-programs, bundles of front ends, documents.

use super::clouds;
use super::dice::{ALNUM, Dice, LOWER};
use super::page::{Credential, Host, Page};
use super::passwords;
use super::text::json_escaped;
use super::tokens;
use super::wrap;

/// Packages of each kind.
const EACH: usize = 8;

/// Plants them on `hosts`.
pub fn plant(hosts: &mut [Host], dice: &mut Dice) {
    for _ in 0..EACH {
        let (text, credentials) = script(dice);
        let apk = wrap::zip(&[
            ("AndroidManifest.xml", b"\x03\0\x08\0\x28\x01\0\0"),
            ("classes.dex", &dex(dice)),
            ("assets/config/index.js", text.as_bytes()),
        ]);
        put(hosts, "srv/release/app", "apk", apk, credentials, dice);

        let (text, credentials) = property_list(dice);
        let ipa = wrap::zip(&[
            ("Payload/Acme.app/Info.plist", text.as_bytes()),
            ("Payload/Acme.app/Acme", b"\xcf\xfa\xed\xfe"),
        ]);
        put(hosts, "srv/release/app", "ipa", ipa, credentials, dice);

        let (text, credentials) = script(dice);
        let package = mini_program(&[
            ("/app-config.json", b"{\"pages\":[]}"),
            ("/app-service.js", text.as_bytes()),
        ]);
        put(
            hosts,
            "srv/release/mini",
            "wxapkg",
            package,
            credentials,
            dice,
        );

        let (text, credentials) = bundle(dice);
        page(
            hosts,
            &format!(
                "var/www/shop/dist/js/app.{}.js",
                dice.text("0123456789abcdef", 8)
            ),
            "bundle",
            text,
            credentials,
            dice,
        );

        let (text, credentials) = source_map(dice);
        page(
            hosts,
            "var/www/shop/dist/js/app.js.map",
            "source-map",
            text,
            credentials,
            dice,
        );

        let (text, credentials) = web_page(dice);
        page(
            hosts,
            "var/www/shop/index.html",
            "html",
            text,
            credentials,
            dice,
        );
    }
}

fn put(
    hosts: &mut [Host],
    directory: &str,
    kind: &'static str,
    bytes: Vec<u8>,
    credentials: Vec<Credential>,
    dice: &mut Dice,
) {
    let path = format!("{directory}/{}.{kind}", wrap::name(dice));
    let host = dice.below(hosts.len());
    hosts[host].put_bytes(&path, kind, bytes, credentials);
}

fn page(
    hosts: &mut [Host],
    path: &str,
    kind: &'static str,
    text: String,
    credentials: Vec<Credential>,
    dice: &mut Dice,
) {
    let mut page = Page {
        text,
        planted: Vec::new(),
    };
    for credential in credentials {
        page.plant(credential);
    }
    let host = dice.below(hosts.len());
    hosts[host].put(path, kind, page);
}

/// The clouds whose keys front ends are found to hold.
fn upload_key(dice: &mut Dice) -> Credential {
    let family = dice.one(&["alibaba", "tencent", "aws", "huawei", "qiniu", "volcengine"]);
    (clouds::cloud(family).make)(dice)
}

/// A script as compilers of mini-programs leave it.
fn script(dice: &mut Dice) -> (String, Vec<Credential>) {
    let key = upload_key(dice);
    let token = tokens::make(tokens::named("wechat-app"), dice);
    let name = vendor(&key);
    let text = format!(
        "define(\"utils/upload.js\",function(require,module,exports){{var e=require(\"./hmac\");module.exports={{{name}:{{accessKeyId:\"{}\",accessKeySecret:\"{}\",region:\"cn-east\"}},appSecret:\"{}\",timeout:{}}};}});\n",
        key.id.as_deref().unwrap_or_default(),
        key.secret,
        token.secret,
        dice.below(9000)
    );
    (text, vec![key, token])
}

/// What a developer calls the store of this key.
fn vendor(key: &Credential) -> &'static str {
    match key.family {
        "alibaba" => "aliOss",
        "tencent" => "cosConf",
        "aws" => "awsS3",
        "huawei" => "huaweiObs",
        "qiniu" => "qiniuKodo",
        _ => "volcTos",
    }
}

fn property_list(dice: &mut Dice) -> (String, Vec<Credential>) {
    let key = upload_key(dice);
    let name = vendor(&key);
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<plist version=\"1.0\">\n<dict>\n  <key>CFBundleIdentifier</key>\n  <string>cn.acme.app</string>\n  <key>{name}AccessKeyId</key>\n  <string>{}</string>\n  <key>{name}AccessKeySecret</key>\n  <string>{}</string>\n</dict>\n</plist>\n",
        key.id.as_deref().unwrap_or_default(),
        key.secret
    );
    (text, vec![key])
}

/// A package of WeChat's form: a head, an index of names, offsets and sizes, the files.
fn mini_program(files: &[(&str, &[u8])]) -> Vec<u8> {
    let number = |length: usize| u32::try_from(length).unwrap_or(0).to_be_bytes();
    let index_length = 4 + files.iter().map(|(name, _)| 12 + name.len()).sum::<usize>();
    let body_length: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    let mut out = vec![0xbe, 0, 0, 0, 0];
    out.extend(number(index_length));
    out.extend(number(body_length));
    out.push(0xed);
    out.extend(number(files.len()));
    let mut at = 14 + index_length;
    for (name, bytes) in files {
        out.extend(number(name.len()));
        out.extend(name.bytes());
        out.extend(number(at));
        out.extend(number(bytes.len()));
        at += bytes.len();
    }
    for (_, bytes) in files {
        out.extend_from_slice(bytes);
    }
    out
}

/// A file of Android's byte code in form: nothing in it but names.
fn dex(dice: &mut Dice) -> Vec<u8> {
    let mut out = b"dex\n035\0".to_vec();
    for _ in 0..60 {
        let name = format!("Lcom/acme/{}/{};", dice.text(LOWER, 5), dice.text(ALNUM, 8));
        out.push(u8::try_from(name.len()).unwrap_or(0));
        out.extend(name.bytes());
        out.push(0);
    }
    out
}

/// Minified code with a key in the middle of it.
fn bundle(dice: &mut Dice) -> (String, Vec<Credential>) {
    let key = upload_key(dice);
    let maps = (clouds::cloud("gcp-api-key").make)(dice);
    let mut text = String::from("(()=>{\"use strict\";var e={");
    for _ in 0..80 {
        text.push_str(&format!(
            "{}:(t,n,r)=>{{r.d(n,{{Z:()=>a}});const a={}}},",
            dice.below(9999),
            dice.below(99)
        ));
    }
    let name = vendor(&key);
    text.push_str(&format!(
        "1207:(e,t)=>{{t.{name}={{accessKeyId:\"{}\",accessKeySecret:\"{}\"}},t.mapKey=\"{}\",t.password=e=>e.value}}}}}})();\n",
        key.id.as_deref().unwrap_or_default(),
        key.secret,
        maps.secret
    ));
    (text, vec![key, maps])
}

fn source_map(dice: &mut Dice) -> (String, Vec<Credential>) {
    let key = upload_key(dice);
    let name = vendor(&key);
    let source = format!(
        "export const {name} = {{\n  accessKeyId: '{}',\n  accessKeySecret: '{}',\n}};\n",
        key.id.as_deref().unwrap_or_default(),
        key.secret
    );
    let text = format!(
        "{{\"version\":3,\"file\":\"app.js\",\"sources\":[\"webpack:///src/upload.ts\"],\"sourcesContent\":[\"{}\"],\"names\":[],\"mappings\":\"AAAA,SAAS,IAAM\"}}\n",
        json_escaped(&source)
    );
    (text, vec![key])
}

fn web_page(dice: &mut Dice) -> (String, Vec<Credential>) {
    let key = upload_key(dice);
    let password = passwords::plain_secret("password", dice);
    let name = vendor(&key);
    let text = format!(
        "<!doctype html>\n<html><head>\n<!-- test account: demo / password: {} -->\n<script>\n  window.{name} = {{ accessKeyId: \"{}\", accessKeySecret: \"{}\" }};\n</script>\n</head><body><input type=\"password\" name=\"password\"></body></html>\n",
        password.secret,
        key.id.as_deref().unwrap_or_default(),
        key.secret
    );
    (text, vec![key, password])
}
