// SPDX-License-Identifier: GPL-2.0

//! Shows which options are set on every TCP and UDP socket.
//!
//! Adds `tcpstat`, `tcp6stat`, `udpstat` and `udp6stat` to `/proc/net` of every network
//! namespace.

#[macro_use]
mod bindings;
mod abstractions;
mod diag;
mod format;
mod rows;
#[macro_use]
mod sockets;
mod sockopts;

use abstractions::{
    modules,
    procnet::{
        self,
        File, //
    },
    release, //
};
use kernel::prelude::*;

/// The version, as in `CHANGELOG.md`. `scripts/version.sh` passes it to modinfo(8) and to `make
/// dist`, because the kernel's `module!` does not accept a version.
#[expect(dead_code, reason = "Kbuild reads it for bindings/helpers.c")]
const VERSION: &str = "1.0";

module! {
    type: Knetstat,
    name: "knetstat",
    authors: ["The knetstat authors"],
    description: "Socket options of all TCP and UDP sockets in /proc/net",
    license: "GPL v2",
}

/// The files that exist while the module is loaded.
struct Files;

impl procnet::Files for Files {
    const FILES: &'static [File] = &[
        File::new::<rows::Rows<rows::Tcp, rows::Inet>>(c"tcpstat", c"/proc/net/tcpstat"),
        #[cfg(CONFIG_IPV6)]
        File::new::<rows::Rows<rows::Tcp, rows::Inet6>>(c"tcp6stat", c"/proc/net/tcp6stat"),
        File::new::<rows::Rows<rows::Udp, rows::Inet>>(c"udpstat", c"/proc/net/udpstat"),
        #[cfg(CONFIG_IPV6)]
        File::new::<rows::Rows<rows::Udp, rows::Inet6>>(c"udp6stat", c"/proc/net/udp6stat"),
    ];
}

struct Knetstat {
    // Declared before the notifier: fields are dropped in declaration order, and the notifier must
    // outlive all reads.
    _files: procnet::Registration<Files>,
    _notifier: modules::Notifier,
}

impl kernel::Module for Knetstat {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        release::check()?;
        let notifier = modules::Notifier::new()?;
        Ok(Self {
            _files: procnet::Registration::new()?,
            _notifier: notifier,
        })
    }
}
