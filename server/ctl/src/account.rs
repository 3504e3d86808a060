//! Which collector, trusted how, with which token: flags, else environment, else what `login` saved.
//!
//! A token is never taken from an argument, where every user of the machine could read it. What is
//! saved has mode 0600, and a wider one is refused.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::trouble::Trouble;

/// A collector and the way in.
pub(crate) struct Account {
    /// Its address, without a trailing slash.
    pub(crate) url: String,
    /// The authority to trust, PEM; the system's when absent.
    pub(crate) authority: Option<Vec<u8>>,
    /// The API token. Never printed.
    pub(crate) token: String,
}

/// What flags say.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Flags {
    /// The collector's address; else AKWATCH_URL, else what `login` saved.
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// The authority to trust, PEM; else AKWATCH_CA, else what `login` saved, else the system's.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// A file with the API token; else AKWATCH_TOKEN, else what `login` saved.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    url: String,
    #[serde(default)]
    authority: Option<String>,
    token: String,
}

impl Account {
    /// Finds the account that is in force.
    ///
    /// # Errors
    /// When there is none, or a file cannot be read.
    pub(crate) fn find(flags: &Flags) -> Result<Account, Trouble> {
        let saved = saved_path()
            .map(|path| read_saved(&path))
            .transpose()?
            .flatten();
        let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let own_url = flags.url.clone().or_else(|| env("AKWATCH_URL"));
        // What was saved belongs to one collector: its token is never sent to another.
        let saved = saved.filter(|saved| {
            own_url
                .as_deref()
                .is_none_or(|url| trimmed(url) == saved.url)
        });
        let url = own_url
            .or_else(|| saved.as_ref().map(|saved| saved.url.clone()))
            .ok_or(Trouble::NoAccount(""))?;
        let url = checked_url(&url)?;
        let ca = flags
            .ca
            .clone()
            .or_else(|| env("AKWATCH_CA").map(PathBuf::from));
        let authority = match ca {
            Some(path) => Some(read(&path)?.into_bytes()),
            None => saved
                .as_ref()
                .and_then(|saved| saved.authority.clone())
                .map(String::into_bytes),
        };
        let token = match &flags.token_file {
            Some(path) => read(path)?,
            None => env("AKWATCH_TOKEN")
                .or_else(|| saved.map(|saved| saved.token))
                .ok_or(Trouble::NoAccount(" with a token"))?,
        };
        Ok(Account {
            url,
            authority,
            token: checked_token(&token)?,
        })
    }

    /// Saves the account for later commands.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn save(&self) -> Result<PathBuf, Trouble> {
        let path = saved_path().ok_or_else(|| {
            Trouble::Usage("neither XDG_CONFIG_HOME nor HOME is set: nowhere to save".to_owned())
        })?;
        let authority = self
            .authority
            .as_ref()
            .map(|pem| String::from_utf8_lossy(pem).into_owned());
        let saved = Saved {
            url: self.url.clone(),
            authority,
            token: self.token.clone(),
        };
        let text = toml::to_string(&saved)
            .map_err(|_| Trouble::Usage("the account cannot be written".to_owned()))?;
        let failed = |source| Trouble::File {
            step: "write",
            path: path.clone(),
            source,
        };
        let directory = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(directory).map_err(failed)?;
        let temporary = path.with_extension("new");
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)
            .and_then(|mut file| {
                file.write_all(text.as_bytes())
                    .and_then(|()| file.sync_all())
            })
            .and_then(|()| fs::rename(&temporary, &path));
        written.map_err(failed)?;
        Ok(path)
    }
}

/// Checks an address.
///
/// # Errors
/// When it is not one of HTTPS.
pub(crate) fn checked_url(url: &str) -> Result<String, Trouble> {
    if url.starts_with("https://") && url.len() > 8 && url.is_ascii() {
        return Ok(trimmed(url).to_owned());
    }
    Err(Trouble::Usage(
        "the collector's address must begin with https://".to_owned(),
    ))
}

fn trimmed(url: &str) -> &str {
    url.trim_end_matches('/')
}

/// Checks a token's form; what is wrong with it is not repeated.
///
/// # Errors
/// When it is none.
pub(crate) fn checked_token(token: &str) -> Result<String, Trouble> {
    let token = token.trim();
    if token.starts_with("akw_") && token.len() < 128 && token.bytes().all(|b| b.is_ascii_graphic())
    {
        return Ok(token.to_owned());
    }
    Err(Trouble::Usage(
        "this is no API token: it begins with akw_. Make one in the console under People and tokens, \
         or by `akwatch-server api-token create`"
            .to_owned(),
    ))
}

fn saved_path() -> Option<PathBuf> {
    let set = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let config = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")))?;
    Some(config.join("akwatch").join("account.toml"))
}

fn read(path: &Path) -> Result<String, Trouble> {
    fs::read_to_string(path).map_err(|source| Trouble::File {
        step: "read",
        path: path.to_owned(),
        source,
    })
}

fn read_saved(path: &Path) -> Result<Option<Saved>, Trouble> {
    let mode = match fs::metadata(path) {
        Ok(metadata) => metadata.permissions().mode(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(Trouble::File {
                step: "read",
                path: path.to_owned(),
                source,
            });
        }
    };
    if mode & 0o077 != 0 {
        return Err(Trouble::Usage(format!(
            "others may have read the token in {}: revoke it, then `akwatch login` again",
            path.display()
        )));
    }
    let saved = toml::from_str(&read(path)?).map_err(|_| {
        Trouble::Usage(format!(
            "{} is damaged: `akwatch login` again",
            path.display()
        ))
    })?;
    Ok(Some(saved))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_https_and_tokens_are_not_repeated() {
        assert_eq!(
            checked_url("https://a:1/").ok().as_deref(),
            Some("https://a:1")
        );
        assert!(checked_url("http://a:1").is_err());
        let error = checked_token("hunter2hunter2").unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }

    #[test]
    fn a_saved_account_that_others_may_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("account.toml");
        assert!(read_saved(&path).unwrap().is_none());
        fs::write(&path, "url = 'https://a'\ntoken = 'akw_x'\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read_saved(&path).is_err());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read_saved(&path).unwrap().unwrap().url, "https://a");
    }
}
