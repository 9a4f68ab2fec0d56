// SPDX-License-Identifier: GPL-2.0

//! What the rows of the files hold, column by column.

use crate::format;
use crate::format::label;
use crate::format::Line;
use crate::format::List;
use crate::format::Shown;
use crate::format::State;
use crate::getsockopt::Defaults;
use crate::ns::Net;
use crate::ns::Viewer;
use crate::procnet::Records;
use crate::sock;
use crate::sock::Endpoint;
use crate::sock::Family;
use crate::sock::Sock;
use crate::sock::TcpEntry;
use crate::sock::Udp;
use crate::sockopts;
use crate::sockopts::Context;
use crate::sockopts::Subject;
use crate::tables::Ahead;
use crate::tables::Part;
use crate::tables::TcpTable;
use crate::tables::UdpTable;
use crate::walk::Walk;
use core::marker::PhantomData;
use kernel::error::Result;

/// The address family of the sockets that a file shows, as a type.
pub(crate) trait Af {
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

/// The rows of `tcpstat` and `tcp6stat`: a record is a bucket, or a piece of one.
pub(crate) struct Tcp<F> {
    walk: Walk,
    defaults: Defaults,
    _family: PhantomData<F>,
}

/// The rows of `udpstat` and `udp6stat`.
pub(crate) struct UdpRows<F> {
    walk: Walk,
    defaults: Defaults,
    _family: PhantomData<F>,
}

/// Implements [`Records`] by a walk over a table, with a function for one row.
macro_rules! walked_records {
    ($rows:ident, $table:ident, $header:expr, $row:ident) => {
        impl<F: Af> Records for $rows<F> {
            const HEADER: &'static str = $header;

            fn new(net: Net<'_>) -> Self {
                Self {
                    walk: Walk::new(),
                    defaults: Defaults::of(net),
                    _family: PhantomData,
                }
            }

            fn position(&self) -> i64 {
                self.walk.position().to_number()
            }

            fn rewind(&mut self, net: Net<'_>) -> Option<i64> {
                let position = self.walk.rewind::<$table<'_>>(net)?;
                Some(position.to_number())
            }

            fn advance(&mut self, net: Net<'_>) -> Option<i64> {
                let position = self.walk.advance::<$table<'_>>(net)?;
                Some(position.to_number())
            }

            fn begin(&mut self, net: Net<'_>) {
                self.defaults = Defaults::of(net);
            }

            fn show(&mut self, viewer: &Viewer<'_>, line: &mut Line<'_>) -> Result<Shown> {
                let context = Context {
                    viewer,
                    defaults: &self.defaults,
                };
                self.walk
                    .show::<$table<'_>>(viewer.net, F::FAMILY, |socket, ahead| {
                        let start = line.len();
                        $row(socket, ahead, &context, line);
                        line.fixed(b"\n");
                        if line.is_full() {
                            line.truncate(start);
                            return Shown::NoRoom;
                        }
                        Shown::Whole
                    })
            }
        }
    };
}

walked_records!(Tcp, TcpTable, format::TCP_HEADER, tcp_row);
walked_records!(UdpRows, UdpTable, format::UDP_HEADER, udp_row);

/// Everything before the options.
fn tcp_columns(line: &mut Line<'_>, queues: [i32; 2], endpoints: [Endpoint; 2], state: State) {
    columns(line, queues, endpoints);
    line.state(state);
}

fn columns(line: &mut Line<'_>, queues: [i32; 2], endpoints: [Endpoint; 2]) {
    for queue in queues {
        line.queue(queue);
    }
    for (address, port) in endpoints {
        line.endpoint(address, port);
    }
}

/// The option list, with what joins the row to a process.
fn options(
    line: &mut Line<'_>,
    subject: &Subject<'_>,
    backlog: Option<u32>,
    sk: &Sock<'_>,
    context: &Context<'_, '_>,
) {
    let mut list = List::new(line);
    sockopts::show(subject, context, &mut list);
    if let Some(backlog) = backlog {
        list.entry(label!("backlog"), backlog);
    }
    list.entry(label!("uid"), sk.uid(context.viewer.user_ns));
    list.entry(label!("ino"), sk.inode());
}

/// Writes a row and lets the CPU fetch what the next one is made from, but for the part that
/// the walk fetches.
fn tcp_row(
    entry: TcpEntry<'_>,
    ahead: &Ahead<TcpTable<'_>>,
    context: &Context<'_, '_>,
    line: &mut Line<'_>,
) {
    match entry {
        TcpEntry::Listener(sk) => {
            let queues = [sk.accept_queue(), sk.send_queue()];
            tcp_columns(line, queues, [sk.local(), sk.foreign()], sk.state());
            line.diag("");
            ahead.fetch(Part::Socket);
            let subject = Subject::listener(sk, context);
            ahead.fetch(Part::Protocol);
            options(line, &subject, Some(sk.backlog()), &sk, context);
        }
        TcpEntry::Connection(sk) => {
            let queues = [sk.receive_queue(), sk.send_queue()];
            tcp_columns(line, queues, [sk.local(), sk.foreign()], sk.state());
            line.diag(sk.flow().indicator(sock::jiffies32(), sock::HZ));
            ahead.fetch(Part::Socket);
            let subject = Subject::connection(sk, context);
            ahead.fetch(Part::Protocol);
            options(line, &subject, None, &sk, context);
        }
        // Where there is one minisock there are often more, and they have no such parts.
        TcpEntry::TimeWait(sk) => {
            tcp_columns(line, [0; 2], [sk.local(), sk.foreign()], sk.substate());
        }
        TcpEntry::Request(sk) => {
            tcp_columns(line, [0; 2], [sk.local(), sk.foreign()], State::SynRecv);
        }
    }
}

/// As [`tcp_row`].
fn udp_row(
    sk: Udp<'_>,
    ahead: &Ahead<UdpTable<'_>>,
    context: &Context<'_, '_>,
    line: &mut Line<'_>,
) {
    let queues = [sk.receive_queue(), sk.send_queue()];
    columns(line, queues, [sk.local(), sk.foreign()]);
    ahead.fetch(Part::Socket);
    let subject = Subject::udp(sk, context);
    ahead.fetch(Part::Protocol);
    options(line, &subject, None, &sk, context);
}
