// SPDX-License-Identifier: GPL-2.0

//! The names of ports, from `/etc/services`.

use crate::source::files::Netid;
use crate::source::hosts::Hosts;
use std::collections::HashMap;
use std::fs;

/// The names of ports, searchable by port and by name, and the names of hosts.
#[derive(Debug, Default)]
pub struct Services {
    names: HashMap<(Netid, u16), String>,
    ports: Vec<(String, Netid, u16)>,
    /// The range from which the kernel chooses ports. As in ss, these are never shown by name.
    ephemeral: Option<(u16, u16)>,
    pub hosts: Hosts,
}

impl Services {
    pub fn load() -> Self {
        let text = fs::read("/etc/services").unwrap_or_default();
        let mut services = Self::parse(&String::from_utf8_lossy(&text));
        services.hosts = Hosts::System;
        let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok();
        services.ephemeral = range.and_then(|text| {
            let mut words = text.split_ascii_whitespace();
            Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
        });
        services
    }

    /// Parses lines such as `http 80/tcp www # comment`.
    pub fn parse(text: &str) -> Self {
        let mut services = Self::default();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_ascii_whitespace();
            let (Some(name), Some(place)) = (words.next(), words.next()) else {
                continue;
            };
            let Some((port, protocol)) = place.split_once('/') else {
                continue;
            };
            let netid = match protocol {
                "tcp" => Netid::Tcp,
                "udp" => Netid::Udp,
                _ => continue,
            };
            let Ok(port) = port.parse() else {
                continue;
            };
            services
                .names
                .entry((netid, port))
                .or_insert_with(|| name.to_owned());
            for name in std::iter::once(name).chain(words) {
                services.ports.push((name.to_owned(), netid, port));
            }
        }
        services
    }

    /// The name of a port.
    pub fn name(&self, netid: Netid, port: u16) -> Option<&str> {
        if self
            .ephemeral
            .is_some_and(|(low, high)| (low..=high).contains(&port))
        {
            return None;
        }
        self.names.get(&(netid, port)).map(String::as_str)
    }

    /// The range from which the kernel chooses ports, if it is known.
    pub fn ephemeral(&self) -> Option<(u16, u16)> {
        self.ephemeral
    }

    /// The ports of this name, each once.
    pub fn ports(&self, name: &str) -> Vec<u16> {
        let named = self.ports.iter().filter(|(other, ..)| other == name);
        let mut ports: Vec<_> = named.map(|(_, _, port)| *port).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.ports.iter().map(|(name, ..)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ports() {
        let text = "# x\nhttp\t80/tcp www # web\nhttp 80/udp\nodd 7/tcp\nodd 8/udp\nbad 1x/tcp\nraw 9/sctp\n";
        let services = Services::parse(text);
        assert_eq!(services.name(Netid::Tcp, 80), Some("http"));
        assert_eq!(services.ports("www"), [80]);
        assert_eq!(services.ports("odd"), [7, 8]);
        assert!(services.ports("raw").is_empty() && services.ports("bad").is_empty());
    }
}
