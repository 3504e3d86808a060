//! The examples that people copy are what their readers take: checked by the readers' own programs.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

#[test]
fn cloud_init_takes_its_example() -> Result<()> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/cloud-init/agent.yaml");
    let mut schema = Command::new("cloud-init");
    schema.args(["schema", "--config-file"]).arg(&file);
    let Ok(output) = schema.output() else {
        return Ok(()); // `cargo xtask test` installs it
    };
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() && said.contains("Valid"), "{said}");
    // It refuses what it does not know, so that its word means something.
    let directory = tempfile::tempdir()?;
    let wrong = directory.path().join("wrong.yaml");
    let text = std::fs::read_to_string(&file)?;
    std::fs::write(
        &wrong,
        text.replace("write_files:", "write_files: 3\nother_files:"),
    )?;
    let refused = Command::new("cloud-init")
        .args(["schema", "--config-file"])
        .arg(&wrong)
        .output()?;
    ensure!(!refused.status.success(), "a wrong example was taken");
    Ok(())
}
