//! Wrappings: encodings, compressions, archives and packages around a file, up to five deep.

use std::fmt::Write as _;
use std::io::Write as _;

use super::dice::{Dice, LOWER, LOWNUM};
use super::text::{base64, crc32, json_escaped, percent};

/// One way to wrap bytes.
#[derive(Clone, Copy, Debug)]
pub struct Wrap {
    /// Its name in labels.
    pub name: &'static str,
    /// What its file is called, `NAME` standing for a name.
    pub file: &'static str,
    /// How many layers it is.
    pub layers: usize,
    /// Takes text only.
    pub text: bool,
    /// Wraps; the second argument is the name of what is inside.
    pub wrap: fn(&[u8], &str, &mut Dice) -> Vec<u8>,
}

const fn wrap(
    name: &'static str,
    file: &'static str,
    layers: usize,
    text: bool,
    wrap: fn(&[u8], &str, &mut Dice) -> Vec<u8>,
) -> Wrap {
    Wrap {
        name,
        file,
        layers,
        text,
        wrap,
    }
}

/// All of them.
pub const WRAPS: &[Wrap] = &[
    wrap("base64", "NAME.yaml", 1, false, in_base64),
    wrap("base64-url", "NAME.json", 1, false, in_base64_url),
    wrap("base64-lines", "NAME.eml", 1, false, in_lines),
    wrap("hex", "NAME.conf", 1, false, in_hex),
    wrap("percent", "NAME.log", 1, true, in_percent),
    wrap("unicode-escapes", "NAME.json", 1, true, in_unicode),
    wrap("octal-escapes", "NAME.sh", 1, true, in_octal),
    wrap("quoted-printable", "NAME.eml", 1, true, in_quoted_printable),
    wrap("json-in-json", "NAME.json", 2, true, in_json),
    wrap("utf-16le", "NAME.txt", 1, true, |bytes, _, _| {
        utf16(bytes, u16::to_le_bytes)
    }),
    wrap("utf-16be", "NAME.txt", 1, true, |bytes, _, _| {
        utf16(bytes, u16::to_be_bytes)
    }),
    wrap("byte-order-mark", "NAME.env", 1, true, |bytes, _, _| {
        [&b"\xef\xbb\xbf"[..], bytes].concat()
    }),
    wrap("gbk", "NAME.ini", 1, true, in_gbk),
    wrap("gzip", "NAME.gz", 1, false, |bytes, _, _| gzip(bytes)),
    wrap("xz", "NAME.xz", 1, false, |bytes, _, _| xz(bytes)),
    wrap("zstd", "NAME.zst", 1, false, |bytes, _, _| zstd(bytes)),
    wrap("tar", "NAME.tar", 1, false, |bytes, name, _| {
        tar(&[(name, bytes)])
    }),
    wrap("tar-gzip", "NAME.tar.gz", 2, false, |bytes, name, _| {
        gzip(&tar(&[(name, bytes)]))
    }),
    wrap("zip", "NAME.zip", 1, false, |bytes, name, _| {
        zip(&[("README.txt", b"see inside\n"), (name, bytes)])
    }),
    wrap("jar", "NAME.jar", 1, false, in_jar),
    wrap("war", "NAME.war", 1, false, |bytes, name, _| {
        zip(&[
            ("WEB-INF/web.xml", b"<web-app/>"),
            (&format!("WEB-INF/classes/{name}"), bytes),
        ])
    }),
    wrap("docx", "NAME.docx", 1, true, in_docx),
    wrap("xlsx", "NAME.xlsx", 1, true, in_xlsx),
    wrap("deb", "NAME_1.0_amd64.deb", 3, false, in_deb),
    wrap("rpm", "NAME-1.0.x86_64.rpm", 3, false, in_rpm),
    wrap("sqlite", "NAME.db", 1, true, in_sqlite),
    wrap("helm-release", "NAME-release.yaml", 3, true, in_helm),
    wrap("image-layer", "NAME-image.tar", 2, false, in_image),
    wrap("pdf", "NAME.pdf", 2, true, in_pdf),
];

/// The wrapping of that name.
///
/// # Panics
/// When there is none: names are constants.
#[must_use]
pub fn named(name: &str) -> &'static Wrap {
    WRAPS
        .iter()
        .find(|wrap| wrap.name == name)
        .unwrap_or_else(|| panic!("no wrapping is called {name:?}"))
}

fn in_base64(bytes: &[u8], name: &str, dice: &mut Dice) -> Vec<u8> {
    let text = base64(bytes);
    match dice.below(3) {
        0 => format!("kind: Payload\nname: {name}\ncontent: {text}\n"),
        1 => {
            format!("write_files:\n  - path: /etc/{name}\n    encoding: b64\n    content: {text}\n")
        }
        _ => format!("run: echo {text} | base64 -d > /etc/{name}\n"),
    }
    .into_bytes()
}

fn in_base64_url(bytes: &[u8], name: &str, _: &mut Dice) -> Vec<u8> {
    let text = data_encoding::BASE64URL_NOPAD.encode(bytes);
    format!("{{\"file\": \"{name}\", \"body\": \"{text}\"}}\n").into_bytes()
}

fn in_lines(bytes: &[u8], name: &str, _: &mut Dice) -> Vec<u8> {
    let text = base64(bytes);
    let mut out = format!(
        "From: ops@acme.cn\r\nContent-Type: application/octet-stream; name=\"{name}\"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    )
    .into_bytes();
    for line in text.as_bytes().chunks(76) {
        out.extend_from_slice(line);
        out.extend(b"\r\n");
    }
    out
}

fn in_hex(bytes: &[u8], name: &str, _: &mut Dice) -> Vec<u8> {
    let text = data_encoding::HEXLOWER.encode(bytes);
    format!("{} = {text}\n", name.replace('.', "_")).into_bytes()
}

fn in_percent(bytes: &[u8], name: &str, _: &mut Dice) -> Vec<u8> {
    let text = percent(&String::from_utf8_lossy(bytes));
    format!("POST /admin/save?file={name}&content={text} HTTP/1.1\n").into_bytes()
}

fn in_unicode(bytes: &[u8], name: &str, dice: &mut Dice) -> Vec<u8> {
    let all = dice.once_in(2);
    let mut text = format!("{{\"file\": \"{name}\", \"text\": \"");
    for unit in String::from_utf8_lossy(bytes).encode_utf16() {
        let plain = u8::try_from(unit).is_ok_and(|byte| byte.is_ascii_alphanumeric());
        let _ = match char::from_u32(u32::from(unit)) {
            Some(letter) if plain && !all => write!(text, "{letter}"),
            _ => write!(text, "\\u{unit:04x}"),
        };
    }
    text.push_str("\"}\n");
    text.into_bytes()
}

fn in_octal(bytes: &[u8], name: &str, _: &mut Dice) -> Vec<u8> {
    let mut text = String::from("printf '");
    for byte in bytes {
        let _ = write!(text, "\\{byte:03o}");
    }
    let _ = writeln!(text, "' > /etc/{name}");
    text.into_bytes()
}

fn in_quoted_printable(bytes: &[u8], _: &str, _: &mut Dice) -> Vec<u8> {
    let mut text = String::from(
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n",
    );
    let mut width = 0;
    for &byte in bytes {
        let written = match byte {
            b'\n' => "\r\n".to_owned(),
            b'=' | 0..=31 | 127..=255 => format!("={byte:02X}"),
            _ => char::from(byte).to_string(),
        };
        width = if byte == b'\n' {
            0
        } else {
            width + written.len()
        };
        if width > 72 {
            text.push_str("=\r\n");
            width = written.len();
        }
        text.push_str(&written);
    }
    text.into_bytes()
}

fn in_json(bytes: &[u8], name: &str, _: &mut Dice) -> Vec<u8> {
    let inner = json_escaped(&String::from_utf8_lossy(bytes));
    let middle = format!("{{\"name\":\"{name}\",\"data\":\"{inner}\"}}");
    format!(
        "{{\"time\":\"2025-03-09T11:20:31Z\",\"level\":\"debug\",\"message\":\"{}\"}}\n",
        json_escaped(&middle)
    )
    .into_bytes()
}

fn utf16(bytes: &[u8], order: fn(u16) -> [u8; 2]) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let units = std::iter::once(0xfeff).chain(text.encode_utf16());
    units.flat_map(order).collect()
}

/// Comments in GBK above text in ASCII: database password, Alibaba Cloud, Huawei Cloud, key.
fn in_gbk(bytes: &[u8], _: &str, dice: &mut Dice) -> Vec<u8> {
    let words: [&[u8]; 4] = [
        b"\xca\xfd\xbe\xdd\xbf\xe2\xc3\xdc\xc2\xeb",
        b"\xb0\xa2\xc0\xef\xd4\xc6",
        b"\xbb\xaa\xce\xaa\xd4\xc6",
        b"\xc3\xdc\xd4\xbf",
    ];
    let mut out = b"; ".to_vec();
    for _ in 0..dice.within(1, 4) {
        out.extend_from_slice(dice.one(&words));
    }
    out.push(b'\n');
    out.extend(bytes.iter().filter(|byte| byte.is_ascii()));
    out
}

/// A gzip stream.
#[must_use]
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder
        .write_all(bytes)
        .expect("invariant: memory takes all");
    encoder.finish().expect("invariant: memory takes all")
}

/// A zlib stream.
#[must_use]
pub fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder
        .write_all(bytes)
        .expect("invariant: memory takes all");
    encoder.finish().expect("invariant: memory takes all")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).expect("invariant: memory takes all")
}

/// An xz stream of uncompressed LZMA2 chunks, by the published description of the format.
#[must_use]
pub fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut out = b"\xfd7zXZ\0".to_vec();
    let flags = [0, 1]; // the check is CRC-32
    out.extend(flags);
    out.extend(crc32(&flags).to_le_bytes());
    // Block header: size, no sizes given, LZMA2 with a dictionary of 8 MiB, padding.
    let header = [2, 0, 0x21, 1, 0x16, 0, 0, 0];
    out.extend(header);
    out.extend(crc32(&header).to_le_bytes());
    let mut block = Vec::new();
    for (number, chunk) in bytes.chunks(0x1_0000).enumerate() {
        block.push(if number == 0 { 1 } else { 2 });
        let size = u16::try_from(chunk.len() - 1).expect("invariant: a chunk fits 64 KiB");
        block.extend(size.to_be_bytes());
        block.extend_from_slice(chunk);
    }
    block.push(0);
    let unpadded = header.len() + 4 + block.len() + 4;
    block.resize(block.len().next_multiple_of(4), 0);
    out.extend(&block);
    out.extend(crc32(bytes).to_le_bytes());
    let mut index = vec![0, 1];
    index.extend(variable(unpadded));
    index.extend(variable(bytes.len()));
    index.resize(index.len().next_multiple_of(4), 0);
    let sum = crc32(&index).to_le_bytes();
    index.extend(sum);
    out.extend(&index);
    let backward = u32::try_from(index.len() / 4 - 1)
        .unwrap_or(0)
        .to_le_bytes();
    let tail = [&backward[..], &flags].concat();
    out.extend(crc32(&tail).to_le_bytes());
    out.extend(tail);
    out.extend(b"YZ");
    out
}

/// Seven bits a byte, the lowest first.
fn variable(mut number: usize) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or(0);
        number >>= 7;
        out.push(if number > 0 { low | 0x80 } else { low });
        if number == 0 {
            return out;
        }
    }
}

/// A tar archive.
#[must_use]
pub fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, *bytes)
            .expect("invariant: memory takes all");
    }
    tar.into_inner().expect("invariant: memory takes all")
}

/// A zip archive.
#[must_use]
pub fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated);
    for (name, bytes) in members {
        writer
            .start_file(*name, options)
            .expect("invariant: memory takes all");
        writer
            .write_all(bytes)
            .expect("invariant: memory takes all");
    }
    writer
        .finish()
        .expect("invariant: memory takes all")
        .into_inner()
}

fn in_jar(bytes: &[u8], name: &str, _: &mut Dice) -> Vec<u8> {
    zip(&[
        (
            "META-INF/MANIFEST.MF",
            b"Manifest-Version: 1.0\nMain-Class: com.acme.Main\n",
        ),
        (&format!("BOOT-INF/classes/{name}"), bytes),
    ])
}

fn in_docx(bytes: &[u8], _: &str, _: &mut Dice) -> Vec<u8> {
    let mut body = String::new();
    for line in String::from_utf8_lossy(bytes).lines() {
        let line = super::text::xml_escaped(line);
        let _ = write!(
            body,
            "<w:p><w:r><w:t xml:space=\"preserve\">{line}</w:t></w:r></w:p>"
        );
    }
    let document = format!(
        "<?xml version=\"1.0\"?><w:document xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\"><w:body>{body}</w:body></w:document>"
    );
    zip(&[
        ("[Content_Types].xml", b"<Types/>"),
        ("word/document.xml", document.as_bytes()),
    ])
}

fn in_xlsx(bytes: &[u8], _: &str, _: &mut Dice) -> Vec<u8> {
    let mut body = String::new();
    for line in String::from_utf8_lossy(bytes).lines() {
        let _ = write!(body, "<si><t>{}</t></si>", super::text::xml_escaped(line));
    }
    let strings = format!(
        "<?xml version=\"1.0\"?><sst xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\">{body}</sst>"
    );
    zip(&[
        ("[Content_Types].xml", b"<Types/>"),
        ("xl/sharedStrings.xml", strings.as_bytes()),
    ])
}

fn in_deb(bytes: &[u8], name: &str, dice: &mut Dice) -> Vec<u8> {
    let control = gzip(&tar(&[(
        "./control",
        b"Package: acme\nVersion: 1.0\nArchitecture: amd64\n",
    )]));
    let data = tar(&[(&format!("./etc/acme/{name}"), bytes)]);
    let (data_name, data) = match dice.below(3) {
        0 => ("data.tar.gz", gzip(&data)),
        1 => ("data.tar.xz", xz(&data)),
        _ => ("data.tar.zst", zstd(&data)),
    };
    let mut out = b"!<arch>\n".to_vec();
    for (name, bytes) in [
        ("debian-binary", &b"2.0\n"[..]),
        ("control.tar.gz", &control),
        (data_name, &data),
    ] {
        out.extend(
            format!(
                "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
                1_700_000_000,
                0,
                0,
                100_644,
                bytes.len()
            )
            .bytes(),
        );
        out.extend_from_slice(bytes);
        if bytes.len() % 2 == 1 {
            out.push(b'\n');
        }
    }
    out
}

fn in_rpm(bytes: &[u8], name: &str, _: &mut Dice) -> Vec<u8> {
    let mut out = b"\xed\xab\xee\xdb\x03\x00\x00\x00\x00\x01".to_vec();
    let mut title = b"acme-1.0-1".to_vec();
    title.resize(66, 0);
    out.extend(title);
    out.extend([0, 1, 0, 5]);
    out.resize(96, 0);
    out.extend(rpm_header(&[])); // signatures: none
    out.extend(rpm_header(&[
        (1000, "acme"),
        (1124, "cpio"),
        (1125, "gzip"),
    ]));
    let path = format!("./etc/acme/{name}");
    let mut payload = cpio(&path, bytes);
    payload.extend(cpio("TRAILER!!!", b""));
    out.extend(gzip(&payload));
    out
}

fn rpm_header(strings: &[(u32, &str)]) -> Vec<u8> {
    let mut store = Vec::new();
    let mut index = Vec::new();
    for (tag, value) in strings {
        let at = u32::try_from(store.len()).unwrap_or(0);
        for number in [*tag, 6, at, 1] {
            index.extend(number.to_be_bytes());
        }
        store.extend(value.bytes());
        store.push(0);
    }
    store.resize(store.len().next_multiple_of(8), 0);
    let mut out = b"\x8e\xad\xe8\x01\0\0\0\0".to_vec();
    out.extend(u32::try_from(strings.len()).unwrap_or(0).to_be_bytes());
    out.extend(u32::try_from(store.len()).unwrap_or(0).to_be_bytes());
    out.extend(index);
    out.extend(store);
    out
}

/// A member of a cpio archive in the new ASCII format.
fn cpio(name: &str, bytes: &[u8]) -> Vec<u8> {
    let fields = [
        1,
        0o100_644,
        0,
        0,
        1,
        0,
        bytes.len(),
        0,
        0,
        0,
        0,
        name.len() + 1,
        0,
    ];
    let mut out = b"070701".to_vec();
    for field in fields {
        out.extend(format!("{field:08x}").bytes());
    }
    out.extend(name.bytes());
    out.push(0);
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend_from_slice(bytes);
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

fn in_sqlite(bytes: &[u8], name: &str, _: &mut Dice) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    super::sqlite::database(
        "CREATE TABLE settings (name TEXT, body TEXT)",
        "settings",
        &[
            vec![name.to_owned(), text.into_owned()],
            vec!["theme".to_owned(), "dark".to_owned()],
        ],
    )
}

/// A release as Helm keeps it: base64 of base64 of gzip of JSON.
fn in_helm(bytes: &[u8], name: &str, _: &mut Dice) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let json = serde_json::json!({
        "name": "acme", "namespace": "prod", "version": 7,
        "chart": {"files": [{"name": name, "data": base64(text.as_bytes())}]},
        "info": {"status": "deployed"},
        "manifest": text,
    });
    let release = base64(base64(&gzip(json.to_string().as_bytes())).as_bytes());
    format!("apiVersion: v1\nkind: Secret\ntype: helm.sh/release.v1\nmetadata:\n  name: sh.helm.release.v1.acme.v7\ndata:\n  release: {release}\n").into_bytes()
}

/// What `docker save` writes: an image whose one layer holds the file.
fn in_image(bytes: &[u8], name: &str, dice: &mut Dice) -> Vec<u8> {
    let layer = tar(&[(&format!("app/{name}"), bytes)]);
    let id = dice.text("0123456789abcdef", 64);
    let manifest = format!(
        "[{{\"Config\":\"{id}.json\",\"RepoTags\":[\"acme/app:1\"],\"Layers\":[\"{id}/layer.tar\"]}}]"
    );
    tar(&[
        ("manifest.json", manifest.as_bytes()),
        (&format!("{id}/layer.tar"), &layer),
    ])
}

fn in_pdf(bytes: &[u8], _: &str, dice: &mut Dice) -> Vec<u8> {
    let mut content = String::from("BT /F1 10 Tf 40 780 Td 12 TL\n");
    for line in String::from_utf8_lossy(bytes).lines() {
        let line = line
            .replace('\\', "\\\\")
            .replace('(', "\\(")
            .replace(')', "\\)");
        let _ = writeln!(content, "({line}) Tj T*");
    }
    content.push_str("ET\n");
    let (filter, stream) = if dice.once_in(2) {
        ("/Filter /FlateDecode ", zlib(content.as_bytes()))
    } else {
        ("", content.into_bytes())
    };
    let mut out = b"%PDF-1.4\n1 0 obj << /Type /Catalog /Pages 2 0 R >> endobj\n2 0 obj << /Type /Pages /Kids [3 0 R] /Count 1 >> endobj\n3 0 obj << /Type /Page /Parent 2 0 R /Contents 4 0 R >> endobj\n".to_vec();
    out.extend(format!("4 0 obj << {filter}/Length {} >>\nstream\n", stream.len()).bytes());
    out.extend(stream);
    out.extend(b"\nendstream\nendobj\ntrailer << /Root 1 0 R >>\n%%EOF\n");
    out
}

/// A file's name without its extension.
pub fn name(dice: &mut Dice) -> String {
    format!("{}-{}", dice.text(LOWER, 5), dice.text(LOWNUM, 3))
}
