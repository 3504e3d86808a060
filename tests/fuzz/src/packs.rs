//! Rule packs as an attacker would write them, and what they get.
//!
//! Whoever signs packs could try to read files out: a rule that takes anything makes a fingerprint of
//! anything. The floors are in code, so such a rule is set aside or finds nothing.

use akwatch_detect::{Detector, Format, Part, Position, RulePack, RuleSet};

use crate::targets::{check, limits};

/// Compiles any text as a pack: no panic, faults named, and what compiled scans.
pub fn compile(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let pack = RulePack {
        name: "fuzz".to_owned(),
        toml: text.to_owned(),
    };
    let (rules, faults) = RuleSet::compile(&[pack]);
    assert!(
        faults.iter().all(|fault| !fault.why.is_empty()),
        "a fault without its reason"
    );
    let sample = b"password: Tr0ub4dor-and-3 # a line\nid = AKIAQQQQQQQQQQQQQQQQ\n".to_vec();
    let mut detector = Detector::new(std::sync::Arc::new(rules), limits());
    let scan = detector.scan(&[part(&sample)]);
    check(&scan, &sample);
}

/// A text with nothing secret in it. Whatever a pack finds here, it has read out.
const PROSE: &str = "The quick brown fox jumps over the lazy dog, twice on Sundays.\n\
    root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n\
    127.0.0.1 localhost localhost.localdomain\nserver_name intranet.acme.example;\n\
    Meeting notes: the merger is to be announced on the third of May at nine.\n\
    salary: 82000\ncustomer: Wilhelmina Featherstonehaugh\n";

/// Rules that would read anything, by every shape the language has, varied by `data`.
///
/// # Panics
/// When any of them finds anything in a text without a secret.
pub fn read_out(data: &[u8]) {
    let mut numbers = data.iter().copied().chain(std::iter::repeat(0));
    let mut next = |bound: u8| numbers.next().unwrap_or(0) % bound;
    let classes = [
        "b64any", "alnum", "word", "hex", "digit", "urldot", "lower", "alpha", ".", "\\\\w",
        "[a-z]",
    ];
    let class = classes[usize::from(next(11))];
    let (low, high) = (next(40), next(120));
    let patterns = [
        format!("{{{class}:{low}-{high}}}"),
        format!("{{{class}:{low}}}"),
        format!("t{{{class}:{low}}}"),
        format!("the{{{class}:{low}-{high}}}"),
        format!("{class}{{{low},{high}}}"),
        ".".to_owned(),
        ".*".to_owned(),
        "(?s).+".to_owned(),
        String::new(),
    ];
    let pattern = &patterns[usize::from(next(9))];
    let words = [
        r#"["the"]"#,
        r#"[""]"#,
        r#"["a", "e", "o"]"#,
        r#"["salary", "root", "customer"]"#,
        "[]",
    ];
    let words = words[usize::from(next(5))];
    let kinds = ["token", "password", "secret-key", "access-key-pair"];
    let kind = kinds[usize::from(next(4))];
    let names = [r#"[""]"#, r#"["salary", "customer", "notes"]"#, "[]"][usize::from(next(3))];
    let by_word = next(2) == 0;
    let text = format!(
        "[[service]]\nid = \"thief.service\"\nwords = {words}\npatterns = ['''{pattern}''']\n\n\
         [[rule]]\nid = \"thief.rule\"\nprovider = \"thief\"\nkind = \"{kind}\"\nabout = \"a\"\nsource = \"b\"\nremedy = \"c\"\n\
         words = {words}\nby-word = {by_word}\nsecret-part = {{ patterns = ['''{pattern}'''], names = {names} }}\n"
    );
    let pack = RulePack {
        name: "thief".to_owned(),
        toml: text,
    };
    let (rules, _) = RuleSet::compile(&[pack]);
    let mut detector = Detector::new(std::sync::Arc::new(rules), limits());
    let prose = PROSE.as_bytes().to_vec();
    let scan = detector.scan(&[part(&prose)]);
    assert!(scan.matches.is_empty(), "a pack read out what is no secret");
}

fn part(bytes: &Vec<u8>) -> Part<'_> {
    Part {
        name: b"notes.txt",
        format: Format::Guess,
        start: Position::default(),
        source: bytes,
    }
}

/// Asks of every line of the prose, byte by byte, whether it goes on with a guess: a pack a guess, with
/// the guess as the rule's fixed part, as its word and as its name. A finding would be an answer.
///
/// # Panics
/// When any pack is answered.
pub fn guess_lines() {
    let prose = PROSE.as_bytes().to_vec();
    for line in PROSE.lines() {
        for length in [1, 8, line.len()] {
            let guess = line.get(..length.min(line.len())).unwrap_or(line);
            let word = guess
                .split(|letter: char| !letter.is_alphanumeric())
                .next()
                .unwrap_or("");
            let quoted = guess.replace('\'', "");
            let text = format!(
                "[[rule]]\nid = \"thief.guess\"\nprovider = \"thief\"\nkind = \"password\"\nabout = \"a\"\nsource = \"b\"\nremedy = \"c\"\n\
                 words = ['''{word}''']\nby-word = true\nsecret-part = {{ patterns = ['''{quoted}''', '''{quoted}{{b64any:0-40}}'''], names = ['''{word}'''] }}\n\n\
                 [[service]]\nid = \"thief.word\"\nwords = ['''{word}''']\npatterns = ['''{quoted}''']\n"
            );
            let pack = RulePack {
                name: "thief".to_owned(),
                toml: text,
            };
            let (rules, _) = RuleSet::compile(&[pack]);
            let mut detector = Detector::new(std::sync::Arc::new(rules), limits());
            let scan = detector.scan(&[part(&prose)]);
            assert!(
                scan.matches.is_empty(),
                "a pack was answered: {length} bytes of a line"
            );
        }
    }
}
