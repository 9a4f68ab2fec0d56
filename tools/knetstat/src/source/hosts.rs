// SPDX-License-Identifier: GPL-2.0

//! The names of hosts.

use crate::source::netns::at_home;
use std::net::{IpAddr, ToSocketAddrs};

/// A resolver of the names of hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// That of the system: `getaddrinfo(3)`.
    System,
    /// A list.
    Listed(Vec<(IpAddr, String)>),
}

impl Default for Hosts {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}

impl Hosts {
    /// Parses lines such as `127.0.0.1 localhost`, as in `/etc/hosts`.
    pub fn parse(text: &str) -> Self {
        let listed = text.lines().flat_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let address = words.next().and_then(|word| word.parse().ok());
            words.filter_map(move |name| Some((address?, name.to_owned())))
        });
        Self::Listed(listed.collect())
    }

    /// The addresses of a host, each once.
    ///
    /// # Errors
    ///
    /// The reason why there are none.
    pub fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        let mut addresses: Vec<_> = match self {
            Self::System => {
                let name = name.to_owned();
                let found = at_home(move || (name.as_str(), 0).to_socket_addrs());
                let found = found.and_then(|found| found).map_err(|err| {
                    let text = err.to_string();
                    let (_, reason) = text.rsplit_once(": ").unwrap_or(("", &text));
                    reason.to_owned()
                })?;
                found.map(|address| address.ip()).collect()
            }
            Self::Listed(listed) => {
                let named = listed.iter().filter(|(_, other)| other == name);
                named.map(|(address, _)| *address).collect()
            }
        };
        addresses.sort_unstable();
        addresses.dedup();
        match addresses.is_empty() {
            true => Err("not known".to_owned()),
            false => Ok(addresses),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn names() {
        let hosts = Hosts::parse("10.0.0.1 a b\n::1 a\n\nbad c\n");
        let strings = |name: &str| {
            let found = hosts.resolve(name)?;
            Ok::<_, String>(found.iter().map(IpAddr::to_string).collect::<Vec<_>>())
        };
        assert_eq!(strings("a").unwrap(), ["10.0.0.1", "::1"]);
        assert_eq!(strings("b").unwrap(), ["10.0.0.1"]);
        assert!(strings("c").is_err() && Hosts::default().resolve("a").is_err());
    }

    #[test]
    fn the_system_knows_this_host() {
        // A minimal root, in which packages are built, may lack the file.
        let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
        if !hosts.contains("localhost") {
            return eprintln!("skipped: /etc/hosts does not have localhost");
        }
        let found = Hosts::System.resolve("localhost").unwrap();
        assert!(found.iter().all(IpAddr::is_loopback), "{found:?}");
        let numeric = Hosts::System.resolve("127.0.0.1");
        assert_eq!(numeric, Ok(vec![Ipv4Addr::LOCALHOST.into()]));
    }
}
