// SPDX-License-Identifier: GPL-2.0

//! The table of socket options: name, the sockets it applies to, when it is shown,
//! how its value reads.
//!
//! Options are shown in the order of the table. A value is what getsockopt(2) returns
//! for that socket, in its unit and sign, but for these, which read as they were set:
//! SO_RCVBUF and SO_SNDBUF (getsockopt(2) returns twice as much), SO_RCVTIMEO and
//! SO_SNDTIMEO in milliseconds, SO_LINGER in seconds.

use crate::format::List;
use crate::sock::Connection;
use crate::sock::Listener;
use crate::sock::Sock;
use crate::sock::Tcp;
use crate::sock::Udp;

/// A socket as the table sees it: the views that apply to it.
pub(crate) struct Subject<'a, 'b> {
    any: Option<&'a Sock<'b>>,
    tcp: Option<&'a Tcp<'b>>,
    listener: Option<&'a Listener<'b>>,
    udp: Option<&'a Udp<'b>>,
}

impl<'a, 'b> From<&'a Connection<'b>> for Subject<'a, 'b> {
    fn from(sk: &'a Connection<'b>) -> Self {
        Self {
            any: Some(sk),
            tcp: Some(sk),
            listener: None,
            udp: None,
        }
    }
}

impl<'a, 'b> From<&'a Listener<'b>> for Subject<'a, 'b> {
    fn from(sk: &'a Listener<'b>) -> Self {
        Self {
            any: Some(sk),
            tcp: Some(sk),
            listener: Some(sk),
            udp: None,
        }
    }
}

impl<'a, 'b> From<&'a Udp<'b>> for Subject<'a, 'b> {
    fn from(sk: &'a Udp<'b>) -> Self {
        Self {
            any: Some(sk),
            tcp: None,
            listener: None,
            udp: Some(sk),
        }
    }
}

/// An entry is `NAME: sockets when |sk| value;`. The sockets are a field of
/// [`Subject`]. An `always` value is shown on each of them; a `set` one is an `Option`,
/// `None` while the socket has the default.
macro_rules! options {
    ($($name:ident: $sockets:ident $when:ident |$sk:ident| $value:expr;)*) => {
        /// Appends the options of a socket to the list of its row.
        #[inline]
        pub(crate) fn show(subject: &Subject<'_, '_>, list: &mut List<'_, '_>) {
            $(
                if let Some($sk) = subject.$sockets {
                    options!(@$when list, stringify!($name), $value);
                }
            )*
        }
    };
    (@always $list:ident, $name:expr, $value:expr) => {
        $list.entry($name, $value)
    };
    (@set $list:ident, $name:expr, $value:expr) => {
        if let Some(value) = $value {
            $list.entry($name, value)
        }
    };
}

options! {
    SO_REUSEADDR:     any      always |sk| sk.reuse_addr();
    SO_REUSEPORT:     any      always |sk| sk.reuse_port();
    SO_KEEPALIVE:     tcp      always |sk| sk.keepalive();
    TCP_KEEPIDLE:     tcp      set    |sk| sk.keepidle();
    TCP_KEEPCNT:      tcp      set    |sk| sk.keepcnt();
    TCP_KEEPINTVL:    tcp      set    |sk| sk.keepintvl();
    TCP_USER_TIMEOUT: tcp      set    |sk| sk.user_timeout();
    SO_RCVBUF:        any      set    |sk| sk.rcvbuf();
    SO_SNDBUF:        any      set    |sk| sk.sndbuf();
    SO_RCVTIMEO:      any      set    |sk| sk.rcvtimeo();
    SO_SNDTIMEO:      any      set    |sk| sk.sndtimeo();
    SO_LINGER:        any      set    |sk| sk.linger();
    TCP_NODELAY:      tcp      always |sk| sk.nodelay();
    TCP_FASTOPEN:     listener set    |sk| sk.fastopen();
    TCP_DEFER_ACCEPT: tcp      always |sk| sk.defer_accept();
    SO_BROADCAST:     udp      always |sk| sk.broadcast();
}
