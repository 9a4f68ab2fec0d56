// SPDX-License-Identifier: GPL-2.0

//! The names of users.

use crate::source::netns::at_home;
use nix::errno::Errno;
use nix::unistd::User;
use std::io;

/// The ID of the user of this name: `getpwnam(3)`. `None` if there is no such user.
///
/// # Errors
///
/// If the lookup fails, for example because an LDAP server does not answer.
pub fn id(name: &str) -> io::Result<Option<i128>> {
    let name = name.to_owned();
    match at_home(move || User::from_name(&name))? {
        Ok(user) => Ok(user.map(|user| user.uid.as_raw().into())),
        // The file of users does not exist.
        Err(Errno::ENOENT | Errno::ESRCH) => Ok(None),
        Err(err) => Err(err.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        assert_eq!(id("root").unwrap(), Some(0));
        assert_eq!(id("no such user").unwrap(), None);
    }
}
