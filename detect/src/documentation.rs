//! Texts that systems and packages bring along for people, told by where they lie.
//!
//! Nobody keeps a live password in a manual: what such a text says by names alone is below the default
//! confidence. Keys that prove themselves are told wherever they lie.

/// Where systems and packages keep what people read, and an interpreter its own library: examples there
/// look like passwords and are none.
pub(crate) fn is_documentation(name: &[u8]) -> bool {
    const DIRECTORIES: [&[u8]; 7] = [
        b"/usr/share/man/",
        b"/usr/share/doc/",
        b"/usr/share/info/",
        b"/usr/share/locale/",
        b"/usr/share/help/",
        b"/usr/share/bash-completion/",
        b"/usr/share/zsh/",
    ];
    let packaged = || {
        PACKAGES.iter().any(|trees| {
            let inside = memchr::memmem::find(name, trees).map(|at| &name[at + trees.len()..]);
            inside.is_some_and(is_example)
        })
    };
    DIRECTORIES
        .iter()
        .any(|directory| name.starts_with(directory))
        || packaged()
        || is_interpreter(name)
}

/// Whether a file is part of a tree that a package manager or the system laid down: its defaults, types
/// and labels are everybody's. What is configured lies elsewhere.
pub(crate) fn is_packaged(name: &[u8]) -> bool {
    const TREES: [&[u8]; 9] = [
        b"/usr/share/",
        b"/usr/lib/",
        b"/usr/include/",
        b"/usr/src/",
        b"/.cargo/registry/",
        b"/go/pkg/mod/",
        b"/.m2/repository/",
        b"/vendor/",
        b"/bower_components/",
    ];
    let mut trees = PACKAGES.iter().chain(&TREES);
    trees.any(|tree| memchr::memmem::find(name, tree).is_some()) || is_interpreter(name)
}

/// Where package managers put what others wrote.
const PACKAGES: [&[u8]; 4] = [
    b"/site-packages/",
    b"/dist-packages/",
    b"/node_modules/",
    b"/gems/",
];

/// Whether a package's file is one of its texts for people, examples or tests.
fn is_example(name: &[u8]) -> bool {
    const PARTS: [&[u8]; 9] = [
        b"doc",
        b"docs",
        b"example",
        b"examples",
        b"test",
        b"tests",
        b"testing",
        b"fixtures",
        b"__tests__",
    ];
    let mut parts = name.rsplit(|&b| b == b'/');
    let file = parts.next().unwrap_or_default();
    let told = [
        &b".rst"[..],
        b".md",
        b".html",
        b".pyi",
        b"METADATA",
        b"RECORD",
    ];
    told.iter().any(|ending| file.ends_with(ending))
        || file.starts_with(b"example")
        || file.starts_with(b"test_")
        || parts.any(|part| PARTS.contains(&part))
}

/// Whether a file is of Python's own library, `…/lib/python3.11/urllib/request.py`.
fn is_interpreter(name: &[u8]) -> bool {
    const LIBRARY: &[u8] = b"/lib/python";
    memchr::memmem::find(name, LIBRARY).is_some_and(|at| {
        let rest = &name[at + LIBRARY.len()..];
        let version = rest
            .iter()
            .take_while(|b| b.is_ascii_digit() || **b == b'.')
            .count();
        let inside = rest[version..].strip_prefix(b"/").unwrap_or_default();
        rest[..version].contains(&b'.')
            && !inside.starts_with(b"site-packages/")
            && !inside.starts_with(b"dist-packages/")
            && !inside.is_empty()
    })
}
