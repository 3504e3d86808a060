//! What stands around the packages: a tree for apt, one for yum, checksums, and all in one file.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::build::{root, step};
use crate::prerequisites;

/// Writes trees, checksums and the bundle of the packages in `out`.
pub(super) fn write(out: &Path) -> Result<()> {
    prerequisites::install_for_dist()?;
    apt(out)?;
    yum(out)?;
    guide(out)?;
    sums(out)?;
    bundle(out)
}

/// The files of `directory` with this ending, in order of name.
pub(super) fn ending(directory: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|there| there == ending) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Empties `directory` and puts copies of `files` into it.
fn gather(directory: &Path, files: &[PathBuf]) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory)?;
    }
    fs::create_dir_all(directory)?;
    for file in files {
        let name = file.file_name().context("a file without a name")?;
        fs::copy(file, directory.join(name))?;
    }
    Ok(())
}

/// `deb [trusted=yes] file:/…/apt ./`, or the same over HTTPS: a flat tree.
fn apt(out: &Path) -> Result<()> {
    let directory = out.join("apt");
    gather(&directory, &ending(out, "deb")?)?;
    let list = |arguments: &[&str], file: &str| -> Result<()> {
        let output = directory.join(file);
        step(
            &format!("apt: {file}"),
            Command::new("apt-ftparchive")
                .args(arguments)
                .arg(".")
                .current_dir(&directory)
                .stdout(File::create(&output)?),
        )
    };
    list(&["packages"], "Packages")?;
    list(
        &["-o", "APT::FTPArchive::Release::Origin=akwatch", "release"],
        "Release",
    )
}

fn yum(out: &Path) -> Result<()> {
    let directory = out.join("yum");
    gather(&directory, &ending(out, "rpm")?)?;
    step(
        "yum: createrepo_c",
        Command::new("createrepo_c").arg("--quiet").arg(&directory),
    )
}

/// Who unpacks the bundle without a network also needs to be told what to do, and the examples that the
/// pages name: where they lie in a clone, so that links and commands lead to the same files.
const GUIDE: [&str; 4] = [
    "docs",
    "packaging/ansible",
    "packaging/cloud-init",
    "packaging/container",
];

fn guide(out: &Path) -> Result<()> {
    for directory in GUIDE {
        let there = out.join(directory);
        if there.exists() {
            fs::remove_dir_all(&there)?;
        }
        let above = there.parent().context("invariant: it is below `out`")?;
        fs::create_dir_all(above)?;
        let mut copy = Command::new("cp");
        copy.arg("-R").arg(root().join(directory)).arg(above);
        step(directory, &mut copy)?;
    }
    Ok(())
}

/// `sha256sum --check SHA256SUMS` of all files, in order of name.
fn sums(out: &Path) -> Result<()> {
    let file = out.join("SHA256SUMS");
    fs::remove_file(&file).ok();
    let listed = Command::new("sh")
        .args([
            "-c",
            "find . -type f ! -name '*.tar.gz' | LC_ALL=C sort | xargs sha256sum",
        ])
        .current_dir(out)
        .output()?;
    if !listed.status.success() || listed.stdout.is_empty() {
        bail!("sha256sum: {}", String::from_utf8_lossy(&listed.stderr));
    }
    Ok(fs::write(file, listed.stdout)?)
}

/// All of it in one file, which is written beside and then moved in: tar refuses what it is inside of.
fn bundle(out: &Path) -> Result<()> {
    let name = out
        .file_name()
        .context("an output directory without a name")?;
    let file = format!(
        "akwatch-{}-{}.tar.gz",
        env!("CARGO_PKG_VERSION"),
        name.to_string_lossy()
    );
    let beside = out.with_file_name(&file);
    step(
        "bundle",
        Command::new("tar")
            .args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner"])
            .args(["--exclude=*.tar.gz", "-czf"])
            .arg(&beside)
            .arg(".")
            .current_dir(out),
    )?;
    Ok(fs::rename(&beside, out.join(file))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever the pages of the bundle link to is in the bundle.
    #[test]
    fn no_link_of_the_guide_is_dead_in_the_bundle() {
        let out = tempfile::tempdir().unwrap();
        guide(out.path()).unwrap();
        let pages = ending(&out.path().join("docs/guide"), "md").unwrap();
        assert!(pages.len() >= 5, "{pages:?}");
        let mut links = 0;
        for page in &pages {
            let text = fs::read_to_string(page).unwrap();
            for (_, rest) in text
                .match_indices("](")
                .map(|(at, _)| text.split_at(at + 2))
            {
                let target = rest.split([')', '#']).next().unwrap_or_default();
                if target.is_empty() || target.contains("://") {
                    continue;
                }
                let at = page.parent().unwrap().join(target);
                assert!(at.exists(), "{}: {target}", page.display());
                links += 1;
            }
            // What a command or a sentence names from the top of the tree.
            for (at, _) in text.match_indices("packaging/") {
                let name: String = text[at..]
                    .chars()
                    .take_while(|one| one.is_alphanumeric() || "/._-".contains(*one))
                    .collect();
                let name = name.trim_end_matches(['.', '/']);
                assert!(out.path().join(name).exists(), "{}: {name}", page.display());
            }
        }
        assert!(links >= 6, "{links} links: the check is blind");
    }
}
