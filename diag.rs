// SPDX-License-Identifier: GPL-2.0

//! The signs of the Diag column.
//!
//! They say why a connection makes no progress. This file depends on `core` alone, is tested on the
//! host, and does not read sockets.

use crate::format::State;

/// The fields of `struct tcp_sock` that determine the sign.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    /// The state of the connection.
    pub(crate) state: State,
    /// `snd_wnd`: the window that the peer advertised last, in bytes.
    pub(crate) snd_wnd: u32,
    /// `rcv_wnd`: the window that we advertised last, in bytes.
    pub(crate) rcv_wnd: u32,
    /// `packets_out`: segments sent and not acknowledged.
    pub(crate) packets_out: u32,
    /// `rcv_tstamp`: when the last ACK came, in jiffies modulo 2^32.
    pub(crate) rcv_tstamp: u32,
    /// `repair`: the connection is under TCP_REPAIR.
    pub(crate) repair: bool,
}

impl Flow {
    /// The sign of a connection at the time `now`, in jiffies modulo 2^32. There are `hz`
    /// jiffies in a second.
    ///
    /// - `>|`: the peer's window is 0, and nothing can be sent.
    /// - `>#`: there is unacknowledged data, and the last ACK came more than one second ago.
    /// - `|<`: our window is 0, and the peer can send nothing.
    ///
    /// `>|` and `>#` are shown in every state in which we may have data to deliver. `|<` is shown
    /// in every state in which the peer may send. `|<` is combined with either of the others: `>|<`
    /// and `>#|<`.
    ///
    /// A connection under TCP_REPAIR sends nothing, whatever its peer does: `tcp_write_xmit()` only
    /// counts the segments. It need not have had a window or an ACK yet. So it shows neither `>|`
    /// nor `>#`.
    pub(crate) fn sign(&self, now: u32, hz: u32) -> &'static str {
        let sending = !self.repair
            && matches!(
                self.state,
                State::Established
                    | State::CloseWait
                    | State::FinWait1
                    | State::Closing
                    | State::LastAck
            );
        let receiving = matches!(
            self.state,
            State::Established | State::FinWait1 | State::FinWait2
        );

        let peer_closed = sending && self.snd_wnd == 0;
        let silent = sending && self.packets_out > 0 && self.last_ack_age(now) > i64::from(hz);
        let we_closed = receiving && self.rcv_wnd == 0;

        match (peer_closed, silent, we_closed) {
            (true, _, true) => ">|<",
            (true, _, false) => ">|",
            (false, true, true) => ">#|<",
            (false, true, false) => ">#",
            (false, false, true) => "|<",
            (false, false, false) => "",
        }
    }

    /// Jiffies since the last ACK.
    ///
    /// Both clocks wrap around at 2^32. An ACK that arrived on another CPU after `now` was read has
    /// a negative age. The difference is therefore signed.
    fn last_ack_age(&self, now: u32) -> i64 {
        i64::from(now.wrapping_sub(self.rcv_tstamp) as i32)
    }
}
