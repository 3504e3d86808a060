//! The commands, and how each ends.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::account::{Account, Flags};
use crate::ask;
use crate::decide;
use crate::lists::{self, FindingFilters};
use crate::one;
use crate::rest::Rest;
use crate::show::{self, Output};
use crate::trouble::Trouble;

/// Ask an akwatch collector which credentials lie where.
///
/// Exit status: 0 answered, 1 the collector refused or knows no such thing, 2 anything else.
#[derive(Parser)]
#[command(name = "akwatch", version, about, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    flags: Flags,
    /// How the answer is written.
    #[arg(long, global = true, value_enum, default_value_t)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Save a collector's address, authority and API token for later commands. The token is asked
    /// for without echo, or read from standard input.
    Login {
        /// The collector's address: https://COLLECTOR:8443.
        url: Option<String>,
    },
    /// List hosts; or have them read nothing for a while, and again.
    Hosts(lists::Hosts),
    /// One host.
    Host {
        #[command(subcommand)]
        command: Host,
    },
    /// List credentials, the worst first.
    Credentials(lists::Credentials),
    /// One credential.
    Credential {
        #[command(subcommand)]
        command: Credential,
    },
    /// List findings: one row a place.
    Findings(lists::Findings),
    /// Who holds this key, and of whom can nobody say?
    WhoHolds {
        /// The access key id, or `-` to paste the secret itself (not shown, sent once in a body,
        /// hashed on arrival, never stored).
        id: String,
    },
    /// Who did or saw what at the collector, newest first.
    Audit(lists::Audit),
    /// Write every finding that matches, as JSON lines or with `--output csv`.
    Export(FindingFilters),
}

#[derive(Subcommand)]
enum Host {
    /// Its score, coverage and findings.
    Show {
        /// Its id, or its name if no other host has it.
        host: String,
    },
    /// Give it these labels instead of those that it has; they say who may see it.
    Label {
        /// Its id, or its name if no other host has it.
        host: String,
        /// KEY=VALUE; none leaves the host to those who see the whole fleet.
        #[arg(value_name = "KEY=VALUE", value_parser = one::label)]
        labels: Vec<(String, String)>,
    },
    /// Refuse a certificate from now on, and its renewal.
    RevokeCertificate {
        /// Its serial number, as the audit log names it.
        serial: String,
    },
}

#[derive(Subcommand)]
enum Credential {
    /// Its verdict, score, places and history.
    Show {
        /// Its reference (`cr_…`) or its access key id.
        credential: String,
    },
    /// Say what is done about it: the next step of the work, or why there is none.
    Decide(decide::Decide),
}

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(dispatch(cli)),
        Err(error) => Err(Trouble::Output(error)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) if trouble.is_closed_pipe() => ExitCode::SUCCESS,
        Err(trouble) => {
            show::remark(&format!("akwatch: {trouble}"));
            ExitCode::from(trouble.status())
        }
    }
}

async fn dispatch(cli: Cli) -> Result<(), Trouble> {
    let (flags, output) = (cli.flags, cli.output);
    let rest = || Rest::new(Account::find(&flags)?);
    match cli.command {
        Command::Login { url } => one::login(&flags, url).await,
        Command::Hosts(lists::Hosts {
            ask: Some(asked), ..
        }) => ask::ask(&rest()?, &asked, output).await,
        Command::Hosts(asked) => lists::hosts(&rest()?, &asked, output).await,
        Command::Host {
            command: Host::Show { host },
        } => one::host(&rest()?, &host, output).await,
        Command::Host {
            command: Host::Label { host, labels },
        } => one::label_host(&rest()?, &host, labels, output).await,
        Command::Host {
            command: Host::RevokeCertificate { serial },
        } => one::revoke_certificate(&rest()?, &serial).await,
        Command::Credentials(asked) => lists::credentials(&rest()?, &asked, output).await,
        Command::Credential {
            command: Credential::Show { credential },
        } => one::credential(&rest()?, &credential, output).await,
        Command::Credential {
            command: Credential::Decide(asked),
        } => decide::decide(&rest()?, &asked, output).await,
        Command::Audit(asked) => lists::audit(&rest()?, &asked, output).await,
        Command::Findings(asked) => lists::findings(&rest()?, &asked, output).await,
        Command::WhoHolds { id } => one::who_holds(&rest()?, &id, output).await,
        Command::Export(filters) => one::export(&rest()?, &filters, output).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_commands_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_descending_sort_is_no_flag() {
        let args = [
            "akwatch",
            "credentials",
            "--sort",
            "-hosts",
            "--output",
            "json",
        ];
        assert!(Cli::try_parse_from(args).is_ok());
    }
}
