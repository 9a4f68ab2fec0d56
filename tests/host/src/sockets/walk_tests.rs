// SPDX-License-Identifier: GPL-2.0

//! Tests of `walk.rs` on a table in which anything happens between two locks. Small tables are
//! changed in every way, large ones at random.

use crate::abstractions::mem;
use crate::sockets::walk::Walk;
use crate::sockets::walk_model::{Buffer, Change, Kind, Model, Script};
use kernel::error::code::{EINTR, ENOMEM};
use proptest::prelude::*;

/// All ways to make some choices, one after the other.
#[derive(Default)]
struct Choices {
    /// Each choice, and the number of possible choices.
    made: Vec<(usize, usize)>,
    next: usize,
}

impl Choices {
    /// Returns a number below `count`.
    fn choose(&mut self, count: usize) -> usize {
        if self.next == self.made.len() {
            self.made.push((0, count));
        }
        let (choice, of) = self.made[self.next];
        assert_eq!(
            of, count,
            "the walk depends on something else than the choices"
        );
        self.next += 1;
        choice
    }

    /// Goes to the next way. Returns false if there is none.
    fn advance(&mut self) -> bool {
        self.next = 0;
        while let Some((choice, count)) = self.made.pop() {
            if choice + 1 < count {
                self.made.push((choice + 1, count));
                return true;
            }
        }
        false
    }
}

/// A script that makes any of some changes before each lock, until none are left.
struct Some<'c> {
    choices: &'c mut Choices,
    changes: &'c [Change],
    left: usize,
}

impl Script for Some<'_> {
    fn next(&mut self, _: usize, change: &mut dyn FnMut(Change)) {
        while self.left > 0 {
            match self.choices.choose(self.changes.len() + 1) {
                0 => break,
                chosen => change(self.changes[chosen - 1]),
            }
            self.left -= 1;
        }
    }
}

/// Reads a listing to its end, with buffers of these sizes. The last size is repeated.
fn read<const R: usize, const B: usize, const E: usize>(
    model: &Model<'_, R, B, E>,
    rooms: &[usize],
) {
    let mut walk = Walk::new();
    let last = rooms[rooms.len() - 1];
    let mut rooms = rooms.iter().copied().chain(std::iter::repeat(last));
    model.begin();
    loop {
        let mut buffer = Buffer::new(rooms.next().expect("has no end"));
        walk.fill(model, &mut buffer).expect("nobody is killed");
        model.check_idle();
        if !buffer.read(model) {
            break;
        }
    }
    model.check_listing();
}

/// Lists a table in every way. Returns the number of ways.
fn every_way<const R: usize, const B: usize, const E: usize>(
    chains: &[&[Kind]],
    others: &[Kind],
    changes: &[Change],
    most: usize,
    rooms: &[usize],
) -> usize {
    let mut choices = Choices::default();
    let mut ways = 0;
    loop {
        let mut script = Some {
            choices: &mut choices,
            changes,
            left: most,
        };
        read(&Model::<R, B, E>::new(chains, others, &mut script), rooms);
        ways += 1;
        if !choices.advance() {
            return ways;
        }
    }
}

/// All sockets but one move, to the tail or to the head.
#[test]
fn all_but_one_move() {
    let mut ways = 0;
    for stays in 0..4 {
        let moves: Vec<Change> = (0..4)
            .filter(|address| *address != stays)
            .flat_map(|address| [Change::Tail(address, 0), Change::Head(address, 0)])
            .collect();
        let chain = &[&[Kind::TAIL; 4][..]];
        for (rooms, most) in [(&[100], 4), (&[3], 3)] {
            ways += every_way::<2, 100, 2>(chain, &[], &moves, most, rooms);
            ways += every_way::<1, 100, 2>(chain, &[], &moves, 3, rooms);
        }
        // New sockets come in at the tail, and stay there.
        let others = [Kind::BOUND; 2];
        let mut come = moves.clone();
        come.extend([Change::Tail(4, 0), Change::Tail(5, 0)]);
        ways += every_way::<1, 100, 2>(chain, &others, &come, 3, &[100]);
        // Some of the sockets never go to the tail.
        for plain in 0..1 << 4 {
            let kind = |address: usize| match (plain >> address) & 1 {
                0 => Kind::TAIL,
                _ => Kind::PLAIN,
            };
            let chain = &[&std::array::from_fn::<_, 4, _>(kind)[..]];
            ways += every_way::<1, 100, 1>(chain, &[], &moves, 2, &[100]);
            ways += every_way::<2, 100, 3>(chain, &[], &moves, 2, &[2]);
        }
    }
    assert!(ways > 100_000, "{ways}");
}

/// Five sockets, a second bucket, and everything that the kernel does.
#[test]
fn whatever_the_kernel_does() {
    let mut ways = 0;
    for foreign in 0..5 {
        for plain in [false, true] {
            let mut kinds = [if plain { Kind::PLAIN } else { Kind::TAIL }; 5];
            kinds[foreign] = Kind::FOREIGN;
            let movers = (0..5).filter(|address| *address != foreign).take(2);
            let mut changes: Vec<Change> = movers
                .flat_map(|address| {
                    [
                        Change::Tail(address, 0),
                        Change::Head(address, 0),
                        Change::Head(address, 1),
                        Change::Unlink(address),
                        Change::Replace(address),
                        Change::Reuse(address, 0),
                        Change::Own(address),
                        Change::Unreference(address),
                    ]
                })
                .collect();
            changes.push(Change::EndNamespaces);
            changes.push(Change::Tail(foreign, 0));
            for rooms in [&[100][..], &[2]] {
                ways += every_way::<2, 100, 2>(&[&kinds, &[Kind::PLAIN]], &[], &changes, 2, rooms);
                ways += every_way::<2, 2, 3>(&[&kinds, &[]], &[], &changes, 2, rooms);
            }
        }
    }
    assert!(ways > 100_000, "{ways}");
}

/// A row that is larger than the limit of a round is shown by itself.
#[test]
fn rows_of_many_bytes() {
    let large = Kind {
        bytes: 7,
        ..Kind::TAIL
    };
    let kinds = [large, Kind::PLAIN, large, large, Kind::PLAIN];
    let changes = [Change::Tail(0, 0), Change::Tail(2, 0), Change::Head(3, 0)];
    for rooms in [&[100][..], &[7], &[10]] {
        every_way::<8, 5, 8>(&[&kinds], &[], &changes, 3, rooms);
    }
}

/// A process owns the sockets whenever the walk looks, and the walk never finds its place again.
#[test]
fn always_lost() {
    for sockets in [5, 20, 100] {
        let mut script = |lock: usize, change: &mut dyn FnMut(Change)| {
            if lock == 0 {
                (0..sockets).for_each(|address| change(Change::Own(address)));
            }
        };
        let kinds = vec![Kind::PLAIN; sockets];
        read(
            &Model::<2, 100, 3>::new(&[&kinds], &[], &mut script),
            &[1000, 3],
        );
    }
}

fn kind() -> impl Strategy<Value = Kind> {
    (any::<[bool; 4]>(), 1..4_usize).prop_map(
        |([is_shown, goes_to_tail, returns, lasts], bytes)| Kind {
            is_shown,
            goes_to_tail,
            returns,
            // The reader keeps its own namespace.
            lasts: lasts || is_shown,
            bytes,
        },
    )
}

fn change(entries: usize) -> impl Strategy<Value = Change> {
    let address = 0..entries;
    let bucket = 0..3_u32;
    prop_oneof![
        4 => (address.clone(), bucket.clone()).prop_map(|(a, b)| Change::Tail(a, b)),
        2 => (address.clone(), bucket.clone()).prop_map(|(a, b)| Change::Head(a, b)),
        1 => address.clone().prop_map(Change::Unlink),
        1 => address.clone().prop_map(Change::Replace),
        1 => (address.clone(), bucket).prop_map(|(a, b)| Change::Reuse(a, b)),
        1 => address.clone().prop_map(Change::Own),
        1 => address.prop_map(Change::Unreference),
        1 => Just(Change::EndNamespaces),
    ]
}

/// An event before a read.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// The reader reads on.
    Nothing,
    /// The reader goes back to the start.
    Rewind,
    /// The reader is killed after this number of pauses. Another process continues with the open
    /// file.
    Kill(usize),
    /// There is no memory.
    NoMemory,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => Just(Event::Nothing),
        1 => Just(Event::Rewind),
        1 => (0..3_usize).prop_map(Event::Kill),
        1 => Just(Event::NoMemory),
    ]
}

const ENTRIES: usize = 40;

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// Large tables, many changes, and readers that stop, seek, are killed and continue.
    #[test]
    fn at_random(
        chains in prop::collection::vec(prop::collection::vec(kind(), 0..12), 3),
        others in prop::collection::vec(kind(), ENTRIES),
        changes in prop::collection::vec((0..60_usize, change(ENTRIES)), 0..80),
        reads in prop::collection::vec((4..40_usize, event()), 1..20),
    ) {
        let chains: Vec<&[Kind]> = chains.iter().map(Vec::as_slice).collect();
        let mut script = |lock: usize, change: &mut dyn FnMut(Change)| {
            for (_, now) in changes.iter().filter(|(at, _)| *at == lock) {
                change(*now);
            }
        };
        let model = Model::<3, 6, 5>::new(&chains, &others, &mut script);
        let mut walk = Walk::new();
        model.begin();
        let mut reads = reads.into_iter().chain(std::iter::repeat((20, Event::Nothing)));
        loop {
            let (room, event) = reads.next().expect("has no end");
            match event {
                Event::Nothing => {}
                Event::Rewind => {
                    walk = Walk::new();
                    model.begin();
                }
                Event::Kill(pauses) => model.lives.set(pauses),
                Event::NoMemory => mem::fail(true),
            }
            let mut buffer = Buffer::new(room);
            let filled = walk.fill(&model, &mut buffer);
            model.lives.set(usize::MAX);
            mem::fail(false);
            model.check_idle();
            let is_end = !buffer.read(&model);
            match filled {
                Ok(()) if is_end => break,
                Ok(()) => {}
                Err(error) => prop_assert!(
                    error == EINTR && matches!(event, Event::Kill(_))
                        || error == ENOMEM && matches!(event, Event::NoMemory)
                ),
            }
        }
        model.check_listing();
    }
}
