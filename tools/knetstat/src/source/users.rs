// SPDX-License-Identifier: GPL-2.0

//! The names of users.

use nix::unistd::User;

/// The ID of the user of this name: `getpwnam(3)`.
pub fn id(name: &str) -> Option<i128> {
    let user = User::from_name(name).ok()??;
    Some(user.uid.as_raw().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        assert_eq!(id("root"), Some(0));
        assert_eq!(id("no such user"), None);
    }
}
