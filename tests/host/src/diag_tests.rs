// SPDX-License-Identifier: GPL-2.0

//! `diag.rs` around the wrap of the clock, and over all states.
//!
//! That the fields mean what the indicators say is for the guests to show, by real
//! traffic.

use crate::diag::Flow;
use crate::format::State;
use proptest::prelude::*;

const HZ: u32 = 250;

const STATES: [State; 11] = [
    State::Established,
    State::SynSent,
    State::SynRecv,
    State::FinWait1,
    State::FinWait2,
    State::TimeWait,
    State::Close,
    State::CloseWait,
    State::LastAck,
    State::Listen,
    State::Closing,
];

/// A connection that is well.
fn healthy(state: State) -> Flow {
    Flow {
        state,
        snd_wnd: 65535,
        rcv_wnd: 65535,
        packets_out: 0,
        rcv_tstamp: 0,
    }
}

#[test]
fn each_indicator_in_its_states_only() {
    for state in STATES {
        let sends = [b"ESTB", b"CLSW", b"FNW1", b"CLSG", b"LACK"].contains(&state.label());
        let receives = [b"ESTB", b"FNW1", b"FNW2"].contains(&state.label());

        let flow = healthy(state);
        assert_eq!(flow.indicator(HZ * 100, HZ), "");

        let peer_closed = Flow { snd_wnd: 0, ..flow };
        assert_eq!(peer_closed.indicator(0, HZ), if sends { ">|" } else { "" });

        let we_closed = Flow { rcv_wnd: 0, ..flow };
        assert_eq!(we_closed.indicator(0, HZ), if receives { "|<" } else { "" });

        let silent = Flow {
            packets_out: 1,
            ..flow
        };
        assert_eq!(silent.indicator(HZ, HZ), "", "one second is not over one");
        assert_eq!(silent.indicator(HZ + 1, HZ), if sends { ">#" } else { "" });
    }
}

#[test]
fn indicators_that_meet() {
    let flow = Flow {
        rcv_wnd: 0,
        packets_out: 1,
        ..healthy(State::Established)
    };
    assert_eq!(flow.indicator(2 * HZ, HZ), ">#|<");
    let flow = Flow { snd_wnd: 0, ..flow };
    assert_eq!(flow.indicator(2 * HZ, HZ), ">|<");
}

proptest! {
    /// Wherever the clocks stand, an ACK of up to a second ago, or from a moment after the clock was
    /// read, is recent, and one of up to a day ago is not.
    #[test]
    fn age_is_right_across_the_wrap(
        acked: u32,
        // As many of the few moments around now as of all the rest.
        age in prop_oneof![-i64::from(HZ)..=2 * i64::from(HZ), 0..=86_400 * i64::from(HZ)],
    ) {
        let flow = Flow { packets_out: 1, rcv_tstamp: acked, ..healthy(State::Established) };
        let now = (i64::from(acked) + age).rem_euclid(1 << 32) as u32;
        let expected = if age > i64::from(HZ) { ">#" } else { "" };
        prop_assert_eq!(flow.indicator(now, HZ), expected);
    }
}
