// SPDX-License-Identifier: GPL-2.0

//! Tests of `sockopts/language.rs` with a table that contains every kind of group and entry. The
//! expected text is written by hand. In the sockets, each field and flag is at its default or not.

use super::language::{differs, options};
use crate::format::{label, List, Text};
use crate::sockets::prefetch::Lines;
use std::fmt::Write;
use std::marker::PhantomData;

/// The fields of a socket. All of them are of one C type here.
#[derive(Clone, Copy)]
struct Fields {
    reuse: u8,
    mark: u32,
    priority: u32,
    linger: i64,
    buffers: u8,
    flags: u64,
    hops: i16,
    opt: u8,
    first: u8,
    second: u32,
}

impl Fields {
    const FRESH: Self = Self {
        reuse: 0,
        mark: 0,
        priority: 0,
        linger: 0,
        buffers: 0,
        flags: 1 << crate::bindings::FLAG_LOOP,
        hops: -1,
        opt: 0,
        first: 0,
        second: 0,
    };

    fn mark(&self, is_net_admin: bool) -> Option<u32> {
        is_net_admin.then_some(self.mark)
    }
}

struct Views<'s> {
    any: Option<&'s Fields>,
    tcp: Option<&'s Fields>,
    udp: Option<&'s Fields>,
    inet6: Option<&'s Fields>,
}

struct Context<'c, 'n> {
    is_net_admin: bool,
    _lifetimes: PhantomData<(&'c (), &'n ())>,
}

macro_rules! get {
    ($view:expr, sock.$field:ident) => {
        $view.$field
    };
}

macro_rules! offset_of {
    (sock.$field:ident) => {
        std::mem::offset_of!(Fields, $field)
    };
}

fn negative(number: u32) -> i32 {
    -(number as i32)
}

mod table {
    use super::*;

    options! {
        (sk, cx)

        any => {
            REUSE: sock.reuse, always;
            LINGER: sock.linger unless 0, set (sk.linger > 5).then_some(sk.linger);
        }
        any (rare) => {
            MARK: sock.mark unless 0, set sk.mark(cx.is_net_admin);
            PRIORITY: sock.priority unless 0, map negative;
        }
        udp (flags sk.flags, 1 << crate::bindings::FLAG_LOOP) => {
            LOOP: FLAG_LOOP;
            CORK: FLAG_CORK, set (sk.flags & 1 == 0).then_some(7_u8);
        }
        tcp (rare) => {
            EITHER: sock.first unless 0 or sock.second unless 0, set Some(sk.second);
        }
        inet6 (sock.opt unless 0) => {
            HOPS: sock.hops unless (-1);
        }
        tcp => {
            BUFFERS: sock.buffers, always u32::from(sk.buffers) * 2;
            #[cfg(any())]
            ABSENT: sock.absent, always;
        }
    }
}

/// The options that the table shows of a socket with these views, as in a row.
fn shown(views: &Views<'_>, is_net_admin: bool) -> String {
    let mut buf = [0; 512];
    let mut text = Text::new(&mut buf);
    let context = Context {
        is_net_admin,
        _lifetimes: PhantomData,
    };
    table::show(views, &context, &mut List::new(&mut text));
    let len = text.len();
    String::from_utf8(buf[..len].to_vec()).unwrap()
}

/// The same options, written by hand.
fn expected(fields: &Fields, is_tcp: bool, is_inet6: bool, is_net_admin: bool) -> String {
    let mut text = format!("REUSE={}", fields.reuse);
    let mut add = |name: &str, value: i64| write!(text, ",{name}={value}").unwrap();
    if fields.linger > 5 {
        add("LINGER", fields.linger);
    }
    if fields.mark != 0 && is_net_admin {
        add("MARK", fields.mark.into());
    }
    if fields.priority != 0 {
        add("PRIORITY", -i64::from(fields.priority));
    }
    if !is_tcp {
        if (fields.flags >> crate::bindings::FLAG_LOOP) & 1 == 0 {
            add("LOOP", 0);
        }
        if (fields.flags >> crate::bindings::FLAG_CORK) & 1 == 1 && fields.flags & 1 == 0 {
            add("CORK", 7);
        }
    }
    if is_tcp && (fields.first != 0 || fields.second != 0) {
        add("EITHER", fields.second.into());
    }
    if is_inet6 && fields.opt != 0 && fields.hops != -1 {
        add("HOPS", fields.hops.into());
    }
    if is_tcp {
        add("BUFFERS", i64::from(fields.buffers) * 2);
    }
    text
}

#[test]
fn every_kind_of_group_and_entry() {
    let changes: [fn(&mut Fields); 12] = [
        |fields| fields.reuse = 1,
        |fields| fields.mark = 9,
        |fields| fields.priority = 3,
        |fields| fields.linger = 5,
        |fields| fields.linger = 6,
        |fields| fields.buffers = 200,
        |fields| fields.flags = 0,
        |fields| fields.flags |= 1 << crate::bindings::FLAG_CORK,
        |fields| fields.hops = 64,
        |fields| fields.opt = 1,
        |fields| fields.first = 1,
        |fields| fields.second = 70_000,
    ];
    for chosen in 0..1_u32 << changes.len() {
        let mut fields = Fields::FRESH;
        for (i, change) in changes.iter().enumerate() {
            if (chosen >> i) & 1 == 1 {
                change(&mut fields);
            }
        }
        for kind in 0..8 {
            let [is_tcp, is_inet6, is_net_admin] = [1, 2, 4].map(|bit| kind & bit != 0);
            let views = Views {
                any: Some(&fields),
                tcp: is_tcp.then_some(&fields),
                udp: (!is_tcp).then_some(&fields),
                inet6: is_inet6.then_some(&fields),
            };
            assert_eq!(
                shown(&views, is_net_admin),
                expected(&fields, is_tcp, is_inet6, is_net_admin),
                "{chosen:#b} {kind:#b}"
            );
        }
    }
}

#[test]
fn cache_lines_of_a_protocol() {
    macro_rules! offsets {
        ($($field:ident)+) => {
            vec![$(std::mem::offset_of!(Fields, $field)),+]
        };
    }
    let lines = |protocol| table::lines(Lines::default(), protocol);
    let mut tcp = offsets![reuse linger mark priority];
    let udp = tcp.clone();
    // `any` comes first in the table. Flags are not read, nor are fields that only some sockets
    // have.
    tcp.extend(offsets![first second buffers]);
    assert_eq!(lines(b"tcp").offsets(), tcp);
    assert_eq!(lines(b"udp").offsets(), udp);
}

#[test]
fn differs_for_each_type() {
    assert_eq!(differs(-1_i8, -1), 0);
    assert_ne!(differs(-1_i8, 1), 0);
    assert_ne!(differs(i64::MIN, 0), 0);
    assert_ne!(differs(1_u64 << 63, 0), 0);
    let (one, other) = (&raw mut *Box::new(1), std::ptr::null_mut::<i32>());
    assert_ne!(differs(one, other), 0);
    assert_eq!(differs(other, other), 0);
}
