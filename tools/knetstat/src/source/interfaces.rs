// SPDX-License-Identifier: GPL-2.0

//! Interfaces of the network namespace of this process.

use rustix::net::{netdevice, socket, AddressFamily, SocketType};

/// The name of the interface with this index. `None` if there is none.
pub fn name_of(index: u32) -> Option<String> {
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None).ok()?;
    netdevice::index_to_name(&socket, index).ok()
}

/// The index of the interface of this name, which may be an alternative one.
pub fn index_of(name: &str) -> Option<u32> {
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None).ok()?;
    netdevice::name_to_index(&socket, name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!((index_of("lo"), index_of("no such")), (Some(1), None));
        assert_eq!(name_of(1).as_deref(), Some("lo"));
        assert_eq!(name_of(u32::MAX), None);
    }
}
