// SPDX-License-Identifier: GPL-2.0

//! Tests of `diag.rs` around the wrap of the clock, and in all states.
//!
//! The tests in the guests show by real traffic that the fields mean what the signs say.

use crate::diag::Flow;
use crate::format::State;
use crate::signs::SIGNS;
use proptest::prelude::*;
use std::collections::BTreeSet;

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

/// A connection without problems.
fn healthy(state: State) -> Flow {
    Flow {
        state,
        snd_wnd: 65535,
        rcv_wnd: 65535,
        packets_out: 0,
        rcv_tstamp: 0,
        repair: false,
    }
}

#[test]
fn each_sign_in_its_states_only() {
    for state in STATES {
        let sends = [b"ESTB", b"CLSW", b"FNW1", b"CLSG", b"LACK"].contains(&state.label());
        let receives = [b"ESTB", b"FNW1", b"FNW2"].contains(&state.label());

        let flow = healthy(state);
        assert_eq!(flow.sign(HZ * 100, HZ), "");

        let peer_closed = Flow { snd_wnd: 0, ..flow };
        assert_eq!(peer_closed.sign(0, HZ), if sends { ">|" } else { "" });

        let we_closed = Flow { rcv_wnd: 0, ..flow };
        assert_eq!(we_closed.sign(0, HZ), if receives { "|<" } else { "" });

        let silent = Flow {
            packets_out: 1,
            ..flow
        };
        assert_eq!(silent.sign(HZ, HZ), "", "one second is not over one");
        assert_eq!(silent.sign(HZ + 1, HZ), if sends { ">#" } else { "" });
    }
}

#[test]
fn signs_that_meet() {
    let flow = Flow {
        rcv_wnd: 0,
        packets_out: 1,
        ..healthy(State::Established)
    };
    assert_eq!(flow.sign(2 * HZ, HZ), ">#|<");
    let flow = Flow { snd_wnd: 0, ..flow };
    assert_eq!(flow.sign(2 * HZ, HZ), ">|<");
}

#[test]
fn under_repair_only_the_own_window() {
    for state in STATES {
        let flow = Flow {
            snd_wnd: 0,
            packets_out: 1,
            repair: true,
            ..healthy(state)
        };
        assert_eq!(flow.sign(2 * HZ, HZ), "");
        let flow = Flow { rcv_wnd: 0, ..flow };
        let receives = [b"ESTB", b"FNW1", b"FNW2"].contains(&state.label());
        assert_eq!(flow.sign(2 * HZ, HZ), if receives { "|<" } else { "" });
    }
}

/// The list that the guest tests and the fuzzers use is complete.
#[test]
fn all_signs() {
    let mut found = BTreeSet::new();
    for state in STATES {
        for problems in 0..8 {
            let has = |problem: u32| (problems >> problem) & 1 == 1;
            let window = |is_closed| if is_closed { 0 } else { 65535 };
            let flow = Flow {
                snd_wnd: window(has(0)),
                rcv_wnd: window(has(1)),
                packets_out: has(2).into(),
                ..healthy(state)
            };
            found.insert(flow.sign(2 * HZ, HZ));
        }
    }
    assert_eq!(found, BTreeSet::from(SIGNS));
}

proptest! {
    /// An ACK is recent if it came up to a second ago, or just after the clock was read. It is not
    /// recent if it came earlier, up to a day ago. This is true wherever the clocks stand.
    #[test]
    fn age_is_right_across_the_wrap(
        acked: u32,
        // The few moments around now get as many cases as all others.
        age in prop_oneof![-i64::from(HZ)..=2 * i64::from(HZ), 0..=86_400 * i64::from(HZ)],
    ) {
        let flow = Flow { packets_out: 1, rcv_tstamp: acked, ..healthy(State::Established) };
        let now = (i64::from(acked) + age).rem_euclid(1 << 32) as u32;
        let expected = if age > i64::from(HZ) { ">#" } else { "" };
        prop_assert_eq!(flow.sign(now, HZ), expected);
    }
}
