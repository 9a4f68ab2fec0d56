// SPDX-License-Identifier: GPL-2.0

//! The language of the table in `sockopts.rs`: [`options!`] turns the table into code.
//!
//! # Example
//!
//! ```ignore
//! options! {
//!     (sk, cx)
//!
//!     any => {
//!         SO_REUSEADDR: sock_common.skc_reuse, always;
//!     }
//!     any (rare) => {
//!         SO_MARK: sock.sk_mark unless 0, set sk.mark(cx.reader);
//!         SO_PRIORITY: sock.sk_priority unless 0, map signed;
//!     }
//!     udp (flags sk.udp_flags(), 0) => {
//!         UDP_CORK: UDP_FLAGS_CORK;
//!     }
//! }
//! ```
//!
//! This becomes a function that appends the options of a socket to the list of its row:
//!
//! ```ignore
//! pub(crate) fn show(views: &Views<'_>, cx: &Context<'_, '_>, list: &mut List<'_, '_>) {
//!     // One branch skips all rare options of `any` if they are at their defaults.
//!     let mut rare = Rare::default();
//!     if let Some(sk) = views.any {
//!         rare.any |= 0 | differs(get!(&sk, sock.sk_mark), 0);
//!         rare.any |= 0 | differs(get!(&sk, sock.sk_priority), 0);
//!     }
//!     if let Some(sk) = views.any {
//!         list.entry(label!("SO_REUSEADDR"), get!(&sk, sock_common.skc_reuse));
//!     }
//!     if rare.any != 0 {
//!         if let Some(sk) = views.any {
//!             if 0 | differs(get!(&sk, sock.sk_mark), 0) != 0 {
//!                 if let Some(value) = sk.mark(cx.reader) {
//!                     list.rare_entry("SO_MARK", value);
//!                 }
//!             }
//!             let value = get!(&sk, sock.sk_priority);
//!             if value != 0 {
//!                 list.rare_entry("SO_PRIORITY", signed(value));
//!             }
//!         }
//!     }
//!     if let Some(sk) = views.udp {
//!         const ALL: u64 = 1 << UDP_FLAGS_CORK;
//!         let flags: u64 = sk.udp_flags();
//!         let changed = (flags ^ 0) & ALL;
//!         if changed != 0 {
//!             if changed >> UDP_FLAGS_CORK & 1 == 1 {
//!                 list.rare_entry("UDP_CORK", flags >> UDP_FLAGS_CORK & 1);
//!             }
//!         }
//!     }
//! }
//! ```
//!
//! It also becomes a function that adds the cache lines of these fields to a list, for
//! `sockets/prefetch.rs`:
//!
//! ```ignore
//! pub(crate) const fn lines(mut lines: Lines, protocol: &[u8]) -> Lines {
//!     if is_looked_at(b"any", protocol) {
//!         lines = lines.with(offset_of!(sock_common.skc_reuse));
//!     }
//!     ...
//! }
//! ```
//!
//! # Syntax
//!
//! ```text
//! options! {
//!     (VIEW, CONTEXT)
//!     SOCKETS => { ENTRY... }
//!     SOCKETS (GUARD) => { ENTRY... }
//!     ...
//! }
//! ```
//!
//! - `VIEW` and `CONTEXT` name two variables for the expressions of the table: the view of the
//!   socket, and the `Context`.
//! - `SOCKETS` is a field of `Views`: `any`, `tcp`, `listener`, `udp`, `inet6` or `udp6`. The group
//!   applies to a socket if the field is not `None`.
//! - `GUARD` lets one branch skip the group:
//!
//!   | guard | the group is skipped if |
//!   |---|---|
//!   | none | never |
//!   | `(rare)` | all fields in the rare groups of these sockets are at their defaults |
//!   | `(TYPE.FIELD unless DEFAULT)` | this field is at its default |
//!   | `(flags FLAGS, DEFAULT)` | each flag that an entry names is at its default |
//!
//! - `ENTRY` is `OPTION: FIELDS;` or `OPTION: FIELDS, WHEN;`.
//! - `FIELDS` are the fields that the option depends on, joined by `or`. Each is
//!   `TYPE.FIELD unless DEFAULT`, where `DEFAULT` is the value that a fresh socket has. In a group
//!   of flags, it is the name of one flag.
//! - `WHEN` says when the option is shown, and with which value:
//!
//!   | when | shown if | value |
//!   |---|---|---|
//!   | nothing | the field or flag is not at its default | the field or flag |
//!   | `map FUNCTION` | the field is not at its default | the result of the function |
//!   | `set EXPRESSION` | a field is not at its default, and the value is `Some` | the expression |
//!   | `always` | always | the field |
//!   | `always EXPRESSION` | always | the expression |
//!
//! Groups and entries may have attributes, such as `#[cfg]`. Options are shown in the order of the
//! table.
//!
//! # Errors
//!
//! These do not compile:
//! - a field that `bindings/layout.c` does not list;
//! - a field of a C type that the view of these sockets does not have;
//! - a default of another type than the field;
//! - a rare group with a field that has no default.

/// A number or a pointer that is compared with its default.
pub(crate) trait ToBits: Copy {
    /// Bits that differ if, and only if, the values differ.
    fn to_bits(self) -> u64;
}

macro_rules! to_bits {
    ($($type:ty: $bits:expr;)*) => {$(
        impl ToBits for $type {
            #[inline]
            fn to_bits(self) -> u64 {
                #[allow(clippy::redundant_closure_call, reason = "some types have a closure")]
                $bits(self)
            }
        }
    )*};
}

to_bits! {
    u8: u64::from;
    u16: u64::from;
    u32: u64::from;
    u64: u64::from;
    i8: |n| i64::from(n) as u64;
    i16: |n| i64::from(n) as u64;
    i32: |n| i64::from(n) as u64;
    i64: |n| n as u64;
}

impl<T> ToBits for *mut T {
    #[inline]
    fn to_bits(self) -> u64 {
        self.addr() as u64
    }
}

/// Returns 0 if both are the same. Results can be joined by `|`, so that one branch is enough for
/// all of them.
#[inline]
pub(crate) fn differs<T: ToBits>(value: T, default: T) -> u64 {
    value.to_bits() ^ default.to_bits()
}

/// The results of the guards of the rare groups, by sockets. A result is not 0 if there is
/// something to show.
#[derive(Default)]
pub(crate) struct Rare {
    pub(crate) any: u64,
    pub(crate) tcp: u64,
}

/// Whether a row of `protocol`, `tcp` or `udp`, always reads the fields of these sockets.
pub(crate) const fn is_looked_at(sockets: &[u8], protocol: &[u8]) -> bool {
    matches!(
        (sockets, protocol),
        (b"any", _) | (b"tcp", b"tcp") | (b"udp", b"udp")
    )
}

/// Turns the table of options into code: see the module's documentation.
macro_rules! options {
    (
        ($sk:ident, $cx:ident)
        $($(#[$meta:meta])* $sockets:ident $(($($guard:tt)*))? => { $($body:tt)* })*
    ) => {
        /// Appends the options of a socket to the list of its row.
        #[inline]
        pub(crate) fn show(views: &Views<'_>, $cx: &Context<'_, '_>, list: &mut List<'_, '_>) {
            let mut rare = $crate::sockopts::language::Rare::default();
            $(
                $(#[$meta])*
                options!(@rare ($sk views rare) $sockets ($($($guard)*)?) { $($body)* });
            )*
            $(
                $(#[$meta])*
                options!(@group ($sk views rare list) $sockets ($($($guard)*)?) { $($body)* });
            )*
        }

        /// Adds the cache lines that the table reads for each socket of `protocol`, `tcp` or `udp`.
        pub(crate) const fn lines(
            mut lines: $crate::sockets::prefetch::Lines,
            protocol: &[u8],
        ) -> $crate::sockets::prefetch::Lines {
            $(
                $(#[$meta])*
                {
                    let sockets = stringify!($sockets).as_bytes();
                    if $crate::sockopts::language::is_looked_at(sockets, protocol) {
                        options!(@lines lines ($($($guard)*)?) { $($body)* });
                    }
                }
            )*
            lines
        }
    };

    // Not 0 if a field is not at its default.
    (@differs $sk:ident $type:ident.$($field:ident).+, $default:expr) => {
        $crate::sockopts::language::differs(get!(&$sk, $type.$($field).+), $default)
    };

    // The guards of the rare groups.
    (@rare ($sk:ident $views:ident $rare:ident) $sockets:ident (rare) {$(
        $(#[$meta:meta])*
        $name:ident: $($type:ident.$($field:ident).+ unless $default:tt)or+
            $(, $when:ident $($value:expr)?)?;
    )*}) => {
        if let Some($sk) = $views.$sockets {
            $(
                $(#[$meta])*
                {
                    $rare.$sockets |=
                        0 $(| options!(@differs $sk $type.$($field).+, $default))+;
                }
            )*
        }
    };
    (@rare $vars:tt $sockets:ident (rare) $body:tt) => {
        compile_error!(concat!(
            "in a rare group of `", stringify!($sockets),
            "`, each field of an entry needs a default: TYPE.FIELD unless DEFAULT"
        ));
    };
    (@rare $vars:tt $sockets:ident $guard:tt $body:tt) => {};

    // The groups, by their guards.
    (
        @group ($sk:ident $views:ident $rare:ident $list:ident)
        $sockets:ident () { $($body:tt)* }
    ) => {
        if let Some($sk) = $views.$sockets {
            options!(@entries ($sk $list) $($body)*);
        }
    };
    (
        @group ($sk:ident $views:ident $rare:ident $list:ident)
        $sockets:ident (rare) { $($body:tt)* }
    ) => {
        if $rare.$sockets != 0 {
            if let Some($sk) = $views.$sockets {
                options!(@entries ($sk $list) $($body)*);
            }
        }
    };
    (
        @group ($sk:ident $views:ident $rare:ident $list:ident)
        $sockets:ident (flags $flags:expr, $default:expr) {$(
            $(#[$meta:meta])*
            $name:ident: $flag:ident $(, set $value:expr)?;
        )*}
    ) => {
        if let Some($sk) = $views.$sockets {
            const ALL: u64 = {
                let mut all = 0;
                $(
                    $(#[$meta])*
                    {
                        all |= 1 << $crate::bindings::$flag;
                    }
                )*
                all
            };
            let flags: u64 = $flags;
            let changed = (flags ^ $default) & ALL;
            if changed != 0 {
                $(
                    $(#[$meta])*
                    if changed >> $crate::bindings::$flag & 1 == 1 {
                        options!(@flag $list $name [$flag] flags $($value)?);
                    }
                )*
            }
        }
    };
    (
        @group ($sk:ident $views:ident $rare:ident $list:ident)
        $sockets:ident ($type:ident.$($field:ident).+ unless $default:tt) { $($body:tt)* }
    ) => {
        if let Some($sk) = $views.$sockets {
            if options!(@differs $sk $type.$($field).+, $default) != 0 {
                options!(@entries ($sk $list) $($body)*);
            }
        }
    };

    // An entry of a group of flags.
    (@flag $list:ident $name:ident [$flag:ident] $flags:ident) => {
        $list.rare_entry(stringify!($name), $flags >> $crate::bindings::$flag & 1)
    };
    (@flag $list:ident $name:ident [$flag:ident] $flags:ident $value:expr) => {
        if let Some(value) = $value {
            $list.rare_entry(stringify!($name), value);
        }
    };

    // The entries of any other group.
    (@entries $vars:tt $(
        $(#[$meta:meta])*
        $name:ident: $($type:ident.$($field:ident).+ $(unless $default:tt)?)or+
            $(, $when:ident $($value:expr)?)?;
    )*) => {
        $(
            $(#[$meta])*
            {
                options!(@entry $vars $name [$([$type.$($field).+ $(unless $default)?])+]
                    $($when $($value)?)?);
            }
        )*
    };
    (@entry $vars:tt $name:ident $fields:tt) => {
        options!(@entry $vars $name $fields map core::convert::identity);
    };
    (
        @entry ($sk:ident $list:ident)
        $name:ident [[$type:ident.$($field:ident).+ unless $default:tt]] map $map:expr
    ) => {
        let value = get!(&$sk, $type.$($field).+);
        if value != $default {
            $list.rare_entry(stringify!($name), $map(value));
        }
    };
    (
        @entry ($sk:ident $list:ident)
        $name:ident [$([$type:ident.$($field:ident).+ unless $default:tt])+] set $value:expr
    ) => {
        if 0 $(| options!(@differs $sk $type.$($field).+, $default))+ != 0 {
            if let Some(value) = $value {
                $list.rare_entry(stringify!($name), value);
            }
        }
    };
    (@entry ($sk:ident $list:ident) $name:ident [[$($field:tt)*]] set $value:expr) => {
        if let Some(value) = $value {
            $list.rare_entry(stringify!($name), value);
        }
    };
    (@entry ($sk:ident $list:ident) $name:ident [[$type:ident.$($field:ident).+]] always) => {
        $list.entry(label!(stringify!($name)), get!(&$sk, $type.$($field).+));
    };
    (@entry ($sk:ident $list:ident) $name:ident [[$($field:tt)*]] always $value:expr) => {
        $list.entry(label!(stringify!($name)), $value);
    };

    // The cache lines of a group.
    (@lines $lines:ident (flags $($guard:tt)*) $body:tt) => {};
    (@lines $lines:ident $guard:tt {$(
        $(#[$meta:meta])*
        $name:ident: $($type:ident.$($field:ident).+ $(unless $default:tt)?)or+
            $(, $when:ident $($value:expr)?)?;
    )*}) => {
        $(
            $(#[$meta])*
            {
                $($lines = $lines.with(offset_of!($type.$($field).+));)+
            }
        )*
    };
}
pub(crate) use options;
