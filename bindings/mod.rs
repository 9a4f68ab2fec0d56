// SPDX-License-Identifier: GPL-2.0

//! Bindings to what the module reads and calls, made by bindgen.
//!
//! C header: `bindings/bindings.h`
//!
//! They are complete in themselves and share no type with `kernel::bindings`,
//! whose contents differ from kernel to kernel.

#[allow(
    clippy::all,
    clippy::cast_lossless,
    clippy::ptr_as_ptr,
    clippy::ref_as_ptr,
    clippy::undocumented_unsafe_blocks,
    dead_code,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    rustdoc::all,
    unreachable_pub,
    unsafe_op_in_unsafe_fn
)]
mod generated;

/// `layout!(type field)`: the offset that the kernel's own compiler gives a field.
/// `layout!(size type)`: the size that it gives a type.
#[macro_use]
mod layout;

pub(crate) use generated::*;

/// Stands for the type of `sk_lock`, which bindgen does not get right. Not looked into.
#[allow(non_camel_case_types, reason = "the name of the C type")]
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(crate) struct socket_lock_t {
    _blob: [u8; layout!(size socket_lock_t)],
}

/// The address of `$ptr->$field`.
///
/// Refuses to compile where bindgen and the kernel's compiler disagree about the
/// field's place.
///
/// # Safety
///
/// `$ptr` must point into an allocation that is large enough for the field.
macro_rules! field_ptr {
    ($ptr:expr, $type:ident, $($field:ident).+) => {{
        const _: () = assert!(
            core::mem::offset_of!($crate::bindings::$type, $($field).+)
                == layout!($type $($field).+),
            "bindgen and the kernel's compiler disagree about a field's offset",
        );
        &raw const (*$ptr.cast::<$crate::bindings::$type>()).$($field).+
    }};
}

/// Reads `$ptr->$field` once, like `READ_ONCE()`.
///
/// # Safety
///
/// `$ptr` must point to a live C object of that type.
macro_rules! field {
    ($ptr:expr, $type:ident, $($field:ident).+) => {
        field_ptr!($ptr, $type, $($field).+).read_volatile()
    };
}

macro_rules! same_size {
    ($($type:ident),* $(,)?) => {$(
        const _: () = assert!(
            core::mem::size_of::<$type>() == layout!(size $type),
            "bindgen and the kernel's compiler disagree about a type's size",
        );
    )*};
}

same_size!(
    inet_ehash_bucket,
    inet_listen_hashbucket,
    inet_timewait_sock,
    mutex,
    pernet_operations,
    proc_ops,
    sock,
    spinlock_t,
    tcp_sock,
    udp_hslot,
    udp_sock,
);
