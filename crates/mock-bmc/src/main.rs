// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Mock BMCs on the command line, to test a controller or a client.
#![forbid(unsafe_code)]

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use clap::builder::PossibleValuesParser;
use mock_bmc::{Behaviour, Config, Host, Mock, PERSONALITIES, find_personality, random};

/// Duration of POST.
const POST: Duration = Duration::from_secs(1);

/// Run mock BMCs with the Redfish behaviour of vendors
#[derive(Parser)]
#[command(
    after_help = "The user is admin; MOCK_BMC_PASSWORD has the password [default: password].\n\n\
                  Example, with two hosts that report to a controller:\n  \
                  mock-bmc --personality ilo --count 2 --controller http://127.0.0.1:8080"
)]
struct Cli {
    /// Vendor whose behaviour to copy, such as ilo or xcc; an unknown name lists all
    #[arg(long, value_name = "NAME", default_value = "generic", value_parser = names(), hide_possible_values = true)]
    personality: String,
    /// Use random quirks and faults instead of a vendor's; each further BMC has the next seed
    #[arg(long, value_name = "N", conflicts_with = "personality")]
    seed: Option<u64>,
    /// Port of the first BMC, the next ones for further BMCs; 0 selects free ones
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Number of BMCs
    #[arg(long, value_name = "N", default_value_t = 1)]
    count: u16,
    /// Serial number of the host; with --count, prefix of the serial numbers
    #[arg(long, default_value = "MOCK")]
    serial: String,
    /// Report success to this controller when a host boots from a virtual CD, with the secret on
    /// its task ISO
    #[arg(long, value_name = "URL")]
    controller: Option<String>,
}

/// Names of the personalities.
fn names() -> PossibleValuesParser {
    PERSONALITIES.iter().map(|personality| personality.name).collect::<Vec<_>>().into()
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let personality = find_personality(&cli.personality).context("unknown personality")?;
    let host = cli
        .controller
        .map(|controller| Host { controller: controller.trim_end_matches('/').to_owned() });
    let mut mocks = Vec::new();
    for index in 0..cli.count {
        let serial =
            if cli.count == 1 { cli.serial.clone() } else { format!("{}{index:04}", cli.serial) };
        let (mut config, rules) = match cli.seed {
            Some(seed) => random(seed.wrapping_add(index.into()), &serial),
            None => (Config::new(personality, &serial), Vec::new()),
        };
        if let Ok(password) = std::env::var("MOCK_BMC_PASSWORD") {
            config.password = password;
        }
        config.behaviour = Behaviour { post: POST, ..Behaviour::default() };
        let port = if cli.port == 0 { 0 } else { cli.port.saturating_add(index) };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mock = Mock::start_at(config, address).await;
        let mock = mock.with_context(|| format!("cannot listen on {address}"))?;
        for rule in rules {
            mock.fault(rule);
        }
        writeln!(io::stdout(), "{serial} {}", mock.url())
            .context("cannot write to standard output")?;
        let (mut boots, host) = (mock.watch_boots(), host.clone());
        tokio::spawn(async move {
            while let Some(boot) = boots.recv().await {
                eprintln!("{}: boots from {:?}", boot.serial, boot.source);
                if let Some(host) = &host
                    && let Err(error) = host.run(&boot).await
                {
                    eprintln!("{}: {error}", boot.serial);
                }
            }
        });
        mocks.push(mock);
    }
    tokio::signal::ctrl_c().await.context("cannot wait for an interrupt")?;
    drop(mocks);
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn help_texts_are_as_recorded() {
        insta::assert_snapshot!("help", test_support::help::texts(super::Cli::command()));
    }
}
