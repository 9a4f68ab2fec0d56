// SPDX-License-Identifier: GPL-2.0

//! The language of the table in `sockopts.rs`.
//!
//! A table consists of groups, `SOCKETS HOW => { ENTRIES }`. The sockets are a field of `Views`;
//! `sk` and `cx`, or what else the table calls them, are the view and the `Context`. How a group is
//! guarded, so that one look spares all of it on most sockets:
//!
//! | | an entry is of it if |
//! |---|---|
//! | nothing | it says so itself |
//! | `(rare)` | a field of some rare group of these sockets is not at its default |
//! | `(TYPE.FIELD unless DEFAULT)` | this field is not at its default |
//! | `(bits FLAGS, DEFAULT)` | one of the flags that the entries name is not at its default |
//!
//! An entry, `NAME: FIELDS WHEN;`, names the fields that it depends on, by the C type and the path
//! in it, each with what it is on a fresh socket: `sock.sk_priority unless 0`. Several are joined
//! by `or`. Of these follow the terms of the guards and the cache lines to prefetch
//! (`sockets/prefetch.rs`); a field that `bindings/layout.c` does not list, or one of another type than the
//! view has, does not compile. In a group of flags, an entry names a flag.
//!
//! | when | shown |
//! |---|---|
//! | nothing | the field or flag, if it is not at its default |
//! | `map FUNCTION` | the same, as the function returns it |
//! | `set EXPRESSION` | the expression, an `Option`, if it is not `None` and a field not at its
//! default |
//! | `always` | the field |
//! | `always EXPRESSION` | the expression |

/// A number or a pointer as bits, to be compared.
pub(crate) trait Bits: Copy {
    /// The same bits for the same value, others for another.
    fn bits(self) -> u64;
}

macro_rules! bits {
    ($($type:ty: $bits:expr;)*) => {$(
        impl Bits for $type {
            #[inline]
            fn bits(self) -> u64 {
                #[allow(clippy::redundant_closure_call, reason = "some types have a closure")]
                $bits(self)
            }
        }
    )*};
}

bits! {
    u8: u64::from;
    u16: u64::from;
    u32: u64::from;
    u64: u64::from;
    i8: |n| i64::from(n) as u64;
    i16: |n| i64::from(n) as u64;
    i32: |n| i64::from(n) as u64;
    i64: |n| n as u64;
}

impl<T> Bits for *mut T {
    #[inline]
    fn bits(self) -> u64 {
        self.addr() as u64
    }
}

/// 0 if both are the same. Its results can be joined by `|`, with one branch for all of them.
#[inline]
pub(crate) fn differs<T: Bits>(value: T, default: T) -> u64 {
    value.bits() ^ default.bits()
}

/// What the guards of the rare groups found, by sockets: not 0 if there is something to show.
#[derive(Default)]
pub(crate) struct Rare {
    pub(crate) any: u64,
    pub(crate) tcp: u64,
}

macro_rules! options {
    (
        ($sk:ident, $cx:ident)
        $($(#[$meta:meta])* $sockets:ident $(($($how:tt)*))? => { $($body:tt)* })*
    ) => {
        /// Appends the options of a socket to the list of its row.
        #[inline]
        pub(crate) fn show(views: &Views<'_>, $cx: &Context<'_, '_>, list: &mut List<'_, '_>) {
            let mut rare = $crate::sockopts::language::Rare::default();
            $(
                $(#[$meta])*
                options!(@rare $sk $cx views rare: $sockets ($($($how)*)?) { $($body)* });
            )*
            $(
                $(#[$meta])*
                options!(@group $sk $cx views rare list: $sockets ($($($how)*)?) { $($body)* });
            )*
        }

        /// Adds the cache lines of a TCP socket that the table looks at on each.
        pub(crate) const fn tcp_lines(mut lines: $crate::sockets::prefetch::Lines) -> $crate::sockets::prefetch::Lines {
            $(
                $(#[$meta])*
                options!(@tcp_lines lines: $sockets ($($($how)*)?) { $($body)* });
            )*
            lines
        }

        /// As [`tcp_lines`], of a UDP socket.
        pub(crate) const fn udp_lines(mut lines: $crate::sockets::prefetch::Lines) -> $crate::sockets::prefetch::Lines {
            $(
                $(#[$meta])*
                options!(@udp_lines lines: $sockets ($($($how)*)?) { $($body)* });
            )*
            lines
        }
    };

    // The guards of the rare groups.
    (@rare $sk:ident $cx:ident $views:ident $rare:ident: $sockets:ident (rare) {$(
        $(#[$meta:meta])*
        $name:ident: $($type:ident . $($field:ident).+ unless $default:tt)or+
            $(, $when:ident $($value:expr)?)?;
    )*}) => {
        if let Some($sk) = $views.$sockets {
            $(
                $(#[$meta])*
                {
                    $rare.$sockets |=
                        0 $(| $crate::sockopts::language::differs(get!(&$sk, $type.$($field).+), $default))+;
                }
            )*
        }
    };
    (@rare $sk:ident $cx:ident $views:ident $rare:ident: $sockets:ident (rare) { $($body:tt)* }) => {
        compile_error!(concat!(
            "in a rare group of `", stringify!($sockets),
            "`, each field of an entry needs a default: TYPE.FIELD unless DEFAULT"
        ));
    };
    (@rare $sk:ident $cx:ident $views:ident $rare:ident: $sockets:ident ($($how:tt)*) { $($body:tt)* }) => {};

    // The groups.
    (@group $sk:ident $cx:ident $views:ident $rare:ident $list:ident: $sockets:ident () { $($body:tt)* }) => {
        if let Some($sk) = $views.$sockets {
            options!(@entries $sk $list: $($body)*);
        }
    };
    (@group $sk:ident $cx:ident $views:ident $rare:ident $list:ident: $sockets:ident (rare) { $($body:tt)* }) => {
        if $rare.$sockets != 0 {
            if let Some($sk) = $views.$sockets {
                options!(@entries $sk $list: $($body)*);
            }
        }
    };
    (@group $sk:ident $cx:ident $views:ident $rare:ident $list:ident: $sockets:ident (bits $flags:expr, $default:expr) {$(
        $(#[$meta:meta])*
        $name:ident: $flag:ident $(, set $value:expr)?;
    )*}) => {
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
                        options!(@flag $list, $name, flags >> $crate::bindings::$flag & 1 $(, $value)?);
                    }
                )*
            }
        }
    };
    (@group $sk:ident $cx:ident $views:ident $rare:ident $list:ident: $sockets:ident ($type:ident . $($field:ident).+ unless $default:tt) { $($body:tt)* }) => {
        if let Some($sk) = $views.$sockets {
            if $crate::sockopts::language::differs(get!(&$sk, $type.$($field).+), $default) != 0 {
                options!(@entries $sk $list: $($body)*);
            }
        }
    };

    (@flag $list:ident, $name:ident, $flag:expr) => {
        $list.rare_entry(stringify!($name), $flag)
    };
    (@flag $list:ident, $name:ident, $flag:expr, $value:expr) => {
        if let Some(value) = $value {
            $list.rare_entry(stringify!($name), value);
        }
    };

    // The entries.
    (@entries $sk:ident $list:ident: $(
        $(#[$meta:meta])*
        $name:ident: $($type:ident . $($field:ident).+ $(unless $default:tt)?)or+
            $(, $when:ident $($value:expr)?)?;
    )*) => {
        $(
            $(#[$meta])*
            {
                options!(@entry $sk $list $name
                    [$([$type $($field).+ $(unless $default)?])+] $($when $($value)?)?);
            }
        )*
    };
    (@entry $sk:ident $list:ident $name:ident [[$type:ident $($field:ident).+ unless $default:tt]]) => {
        let value = get!(&$sk, $type.$($field).+);
        if value != $default {
            $list.rare_entry(stringify!($name), value);
        }
    };
    (@entry $sk:ident $list:ident $name:ident [[$type:ident $($field:ident).+ unless $default:tt]] map $map:expr) => {
        let value = get!(&$sk, $type.$($field).+);
        if value != $default {
            $list.rare_entry(stringify!($name), $map(value));
        }
    };
    (@entry $sk:ident $list:ident $name:ident [$([$type:ident $($field:ident).+ unless $default:tt])+] set $value:expr) => {
        if 0 $(| $crate::sockopts::language::differs(get!(&$sk, $type.$($field).+), $default))+ != 0 {
            if let Some(value) = $value {
                $list.rare_entry(stringify!($name), value);
            }
        }
    };
    (@entry $sk:ident $list:ident $name:ident [[$($field:tt)*]] set $value:expr) => {
        if let Some(value) = $value {
            $list.rare_entry(stringify!($name), value);
        }
    };
    (@entry $sk:ident $list:ident $name:ident [[$type:ident $($field:ident).+]] always) => {
        $list.entry(label!(stringify!($name)), get!(&$sk, $type.$($field).+));
    };
    (@entry $sk:ident $list:ident $name:ident [[$($field:tt)*]] always $value:expr) => {
        $list.entry(label!(stringify!($name)), $value);
    };

    // The cache lines.
    (@tcp_lines $lines:ident: any $how:tt $body:tt) => { options!(@lines $lines $how $body) };
    (@tcp_lines $lines:ident: tcp $how:tt $body:tt) => { options!(@lines $lines $how $body) };
    (@tcp_lines $lines:ident: $sockets:ident $how:tt $body:tt) => {};
    (@udp_lines $lines:ident: any $how:tt $body:tt) => { options!(@lines $lines $how $body) };
    (@udp_lines $lines:ident: udp $how:tt $body:tt) => { options!(@lines $lines $how $body) };
    (@udp_lines $lines:ident: $sockets:ident $how:tt $body:tt) => {};
    (@lines $lines:ident (bits $($how:tt)*) { $($body:tt)* }) => {};
    (@lines $lines:ident $how:tt {$(
        $(#[$meta:meta])*
        $name:ident: $($type:ident . $($field:ident).+ $(unless $default:tt)?)or+
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
