// SPDX-License-Identifier: GPL-2.0

//! The rows of the files, column by column.

use crate::abstractions::ns::Reader;
use crate::abstractions::procnet::Listing;
use crate::format::{
    self,
    label,
    List,
    Position,
    State,
    Text, //
};
use crate::sockets::prefetch::Part;
use crate::sockets::sock::{
    self,
    Endpoint,
    Family,
    Sock,
    TcpEntry, //
};
use crate::sockets::tables::{
    HashTable,
    TableEntry,
    TcpTable,
    UdpTable,
    Visible, //
};
use crate::sockets::walk::{
    self,
    Walk, //
};
use crate::sockopts::getsockopt::{
    self,
    Defaults, //
};
use crate::sockopts::{
    self,
    Context,
    Views, //
};
use core::marker::PhantomData;
use kernel::error::Result;

/// The address family of the sockets that a file shows, as a type.
pub(crate) trait Af: Send {
    /// The family.
    const FAMILY: Family;
}

/// `AF_INET`
pub(crate) enum Inet {}

impl Af for Inet {
    const FAMILY: Family = Family::Inet;
}

/// `AF_INET6`
#[cfg(CONFIG_IPV6)]
pub(crate) enum Inet6 {}

#[cfg(CONFIG_IPV6)]
impl Af for Inet6 {
    const FAMILY: Family = Family::Inet6;
}

/// The protocol of the sockets that a file shows, as a type.
pub(crate) trait Protocol: Send {
    /// The hash table that contains the sockets.
    type Table<'n>: HashTable<'n>;

    /// The first line of the file.
    const HEADER: &'static str;

    /// Writes the row of a socket, without its line feed. Called with the bucket locked.
    ///
    /// Also lets the CPU fetch the data of the next row, except [`Part::Columns`], which the
    /// iterator fetches.
    fn row(entry: &TableEntry<'_, Self::Table<'_>>, context: &Context<'_, '_>, text: &mut Text<'_>);
}

/// The rows of `tcpstat` and `tcp6stat`, or of `udpstat` and `udp6stat`.
pub(crate) struct Rows<P, F> {
    walk: Walk,
    _kind: PhantomData<(P, F)>,
}

impl<P: Protocol, F: Af> Listing for Rows<P, F> {
    const HEADER: &'static str = P::HEADER;

    fn new() -> Self {
        Self {
            walk: Walk::new(),
            _kind: PhantomData,
        }
    }

    fn rewind(&mut self) {
        self.walk = Walk::new();
    }

    fn fill(&mut self, reader: &Reader<'_>, text: &mut Text<'_>) -> Result {
        let context = Context {
            reader,
            defaults: &Defaults::of(reader.net),
        };
        let table = Visible::<P::Table<'_>>::new(reader.net, F::FAMILY);
        let mut writer = Writer::<P> {
            text,
            context: &context,
            _protocol: PhantomData,
        };
        self.walk.fill(&table, &mut writer)
    }

    fn wants_room(&self) -> bool {
        self.walk.is_in_crowd()
    }
}

/// The writer of the rows that a walk yields.
struct Writer<'w, 'l, P> {
    text: &'w mut Text<'l>,
    context: &'w Context<'w, 'w>,
    _protocol: PhantomData<P>,
}

impl<'n, P: Protocol> walk::Rows<Visible<'n, P::Table<'n>>> for Writer<'_, '_, P> {
    type Position = Position;

    fn len(&self) -> usize {
        self.text.taken()
    }

    fn position(&self) -> Position {
        self.text.position()
    }

    fn push(&mut self, entry: &TableEntry<'_, P::Table<'n>>) -> bool {
        let start = self.text.position();
        P::row(entry, self.context, self.text);
        self.text.fixed(b"\n");
        let fits = !self.text.is_full();
        if !fits {
            self.text.truncate(start);
        }
        fits
    }

    fn truncate(&mut self, position: Position) {
        self.text.truncate(position);
    }

    #[inline]
    fn complete(&mut self) {
        let net = self.context.reader.net;
        self.text
            .resolve(|index| getsockopt::interface_name(net, index));
    }
}

/// Writes the columns up to the state.
fn tcp_columns(text: &mut Text<'_>, queues: [i64; 2], endpoints: [Endpoint; 2], state: State) {
    columns(text, queues, endpoints);
    text.state(state);
}

/// Writes the queues and both endpoints.
fn columns(text: &mut Text<'_>, queues: [i64; 2], endpoints: [Endpoint; 2]) {
    for queue in queues {
        text.queue(queue);
    }
    for (address, port) in endpoints {
        text.endpoint(address, port);
    }
}

/// A number behind the options, which is not an option.
enum Counter {
    /// The limit of the accept queue of a listener.
    Backlog(u32),
    /// Datagrams that a UDP socket dropped.
    Drops(u32),
}

/// Writes the list of options, and the entries that join the row to a process.
fn options(
    text: &mut Text<'_>,
    views: &Views<'_>,
    counter: Option<Counter>,
    sk: &Sock<'_>,
    context: &Context<'_, '_>,
) {
    let mut list = List::new(text);
    sockopts::show(views, context, &mut list);
    match counter {
        Some(Counter::Backlog(backlog)) => list.entry(label!("backlog"), backlog),
        Some(Counter::Drops(drops)) => list.entry(label!("drops"), drops),
        None => {}
    }
    list.entry(label!("uid"), sk.uid(context.reader.user_ns));
    list.entry(label!("ino"), sk.inode());
}

/// TCP
pub(crate) enum Tcp {}

impl Protocol for Tcp {
    type Table<'n> = TcpTable<'n>;

    const HEADER: &'static str = format::TCP_HEADER;

    fn row(entry: &TableEntry<'_, TcpTable<'_>>, context: &Context<'_, '_>, text: &mut Text<'_>) {
        match entry.socket() {
            TcpEntry::Listener(sk) => {
                let queues = [sk.accept_queue(), sk.send_queue()];
                tcp_columns(text, queues, [sk.local(), sk.foreign()], sk.state());
                text.diag("");
                entry.prefetch_next(Part::Socket);
                let views = Views::listener(sk);
                entry.prefetch_next(Part::Protocol);
                options(
                    text,
                    &views,
                    Some(Counter::Backlog(sk.backlog())),
                    &sk,
                    context,
                );
            }
            TcpEntry::Connection(sk) => {
                let queues = [sk.receive_queue(), sk.send_queue()];
                tcp_columns(text, queues, [sk.local(), sk.foreign()], sk.state());
                text.diag(sk.flow().sign(sock::jiffies32(), sock::HZ));
                entry.prefetch_next(Part::Socket);
                let views = Views::connection(sk);
                entry.prefetch_next(Part::Protocol);
                options(text, &views, None, &sk, context);
            }
            // Most minisocks are followed by other minisocks, which do not have these parts.
            TcpEntry::TimeWait(sk) => {
                tcp_columns(text, [0; 2], [sk.local(), sk.foreign()], sk.substate());
            }
            TcpEntry::Request(sk) => {
                tcp_columns(text, [0; 2], [sk.local(), sk.foreign()], State::SynRecv);
            }
        }
    }
}

/// UDP
pub(crate) enum Udp {}

impl Protocol for Udp {
    type Table<'n> = UdpTable<'n>;

    const HEADER: &'static str = format::UDP_HEADER;

    fn row(entry: &TableEntry<'_, UdpTable<'_>>, context: &Context<'_, '_>, text: &mut Text<'_>) {
        let sk = entry.socket();
        let queues = [sk.receive_queue(), sk.send_queue()];
        columns(text, queues, [sk.local(), sk.foreign()]);
        entry.prefetch_next(Part::Socket);
        let views = Views::udp(sk);
        entry.prefetch_next(Part::Protocol);
        let drops = sk.drops();
        let counter = (drops != 0).then_some(Counter::Drops(drops));
        options(text, &views, counter, &sk, context);
    }
}
