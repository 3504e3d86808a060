//! What hosts are asked: to read nothing for a while, and to read again. One host, or all that carry a
//! label.

use std::collections::BTreeMap;

use akwatch_proto::agent::LONGEST_PAUSE_SECONDS;
use akwatch_proto::people::{AskedHosts, HostsChosen, PauseHosts};

use crate::one::host_id;
use crate::rest::Rest;
use crate::show::{self, Output};
use crate::trouble::Trouble;
use crate::words;

/// What is asked.
#[derive(Clone, Debug, clap::Subcommand)]
pub(crate) enum Ask {
    /// Read nothing for a while. Heartbeats go on, the hosts are shown as paused, what they hold is
    /// unknown, and it ends by itself.
    Pause {
        #[command(flatten)]
        hosts: Which,
        /// How long, from when a host hears of it: `30m`, `2h`, at most a day.
        #[arg(long = "for", value_name = "LENGTH", default_value = "1h", value_parser = length)]
        length: u32,
    },
    /// Read again; a pause that somebody on a host asked for goes on there.
    Resume {
        #[command(flatten)]
        hosts: Which,
    },
}

/// Which hosts.
#[derive(Clone, Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Which {
    /// One, by its id, or by its name if no other host has it.
    host: Option<String>,
    /// Every host that carries this label; given more than once, one of them is enough.
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
}

/// Asks them.
pub(crate) async fn ask(rest: &Rest, ask: &Ask, output: Output) -> Result<(), Trouble> {
    let (path, body, what) = match ask {
        Ask::Pause { hosts, length } => {
            let body = PauseHosts {
                hosts: chosen(rest, hosts).await?,
                seconds: *length,
            };
            ("hosts/pause", serde_json::to_vec(&body), "pause")
        }
        Ask::Resume { hosts } => {
            let body = chosen(rest, hosts).await?;
            ("hosts/resume", serde_json::to_vec(&body), "read again")
        }
    };
    let body = body.map_err(|_| Trouble::Usage("what is asked cannot be written".to_owned()))?;
    let asked: AskedHosts = rest.post(path, body).await?;
    if output != Output::Table {
        let row = vec![asked.hosts.to_string()];
        return show::rows(output, &asked, &["hosts"], &[row]);
    }
    let hosts = words::count(asked.hosts, "host");
    show::text(&format!(
        "{hosts} asked to {what}; `akwatch hosts` says what each does.\n"
    ))
}

async fn chosen(rest: &Rest, which: &Which) -> Result<HostsChosen, Trouble> {
    let host = match &which.host {
        Some(name) => Some(host_id(rest, name).await?),
        None => None,
    };
    let labels: BTreeMap<String, String> = which.labels.iter().cloned().collect();
    Ok(HostsChosen { host, labels })
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err("is not like env=prod".to_owned()),
    }
}

/// Seconds of a length like `30m`.
fn length(text: &str) -> Result<u32, String> {
    let form = || format!("is not like 90s, 30m or 2h, at most {LONGEST_PAUSE_SECONDS}s");
    let unit = text.chars().last().ok_or_else(form)?;
    let each = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return Err(form()),
    };
    let number: u32 = text[..text.len() - 1].parse().map_err(|_| form())?;
    number
        .checked_mul(each)
        .filter(|seconds| (1..=LONGEST_PAUSE_SECONDS).contains(seconds))
        .ok_or_else(form)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_has_a_unit_and_an_end() {
        assert_eq!(length("30m"), Ok(1800));
        assert_eq!(length("24h"), Ok(86_400));
        for bad in ["", "0s", "-1m", "25h", "7", "7y", "9999999999h", "1é"] {
            assert!(length(bad).is_err(), "{bad}");
        }
        assert!(label("env=prod").is_ok() && label("env").is_err() && label("=x").is_err());
    }
}
