// SPDX-License-Identifier: GPL-2.0

//! Stands for the `kernel` crate where the kernel has none, or none that can be linked against: see
//! the README beside this file.
//!
//! It has what the module uses and nothing else, by the names and with the meaning of Rust for
//! Linux, so that the module's sources do not know by which of the two they are built.

#![no_std]

pub mod error;
pub mod ffi;
pub mod prelude;
pub mod print;

use core::marker::PhantomData;

/// The C side of the glue, `glue.c`.
mod glue {
    unsafe extern "C" {
        /// `printk()` of `length` bytes with a log level from 0 to 7.
        pub(crate) fn knetstat_glue_printk(level: i32, text: *const u8, length: usize);

        /// `BUG()`, which does not return.
        pub(crate) fn knetstat_glue_bug();
    }
}

/// What `module!` makes a module of.
pub trait Module: Sized + Sync + Send {
    /// Called when the module is loaded.
    fn init(module: &'static ThisModule) -> error::Result<Self>;
}

/// `THIS_MODULE`, of which the module uses nothing.
pub struct ThisModule {
    _private: PhantomData<()>,
}

impl ThisModule {
    /// The only value, for `module!`.
    #[doc(hidden)]
    pub const NEW: Self = Self {
        _private: PhantomData,
    };
}

/// Declares the module: its type, and what modinfo(8) shows.
///
/// The two functions are what `glue.c` registers by `module_init()` and `module_exit()`. The kernel
/// calls them once each, the second only after the first has succeeded.
#[macro_export]
macro_rules! module {
    (
        type: $type:ty,
        name: $name:literal,
        authors: [$($author:literal),* $(,)?],
        description: $description:literal,
        $(version: $version:literal,)?
        license: $license:literal $(,)?
    ) => {
        /// The prefix of what the module logs.
        const __LOG_PREFIX: &str = concat!($name, ": ");

        $($crate::modinfo!("author=", $author);)*
        $crate::modinfo!("description=", $description);
        $($crate::modinfo!("version=", $version);)?
        $crate::modinfo!("license=", $license);

        mod __module_init {
            use super::*;
            use core::cell::UnsafeCell;

            struct Slot(UnsafeCell<Option<$type>>);

            // SAFETY: `init_module()` and `cleanup_module()` are all that touch the value, and the
            // kernel never runs the two at once.
            unsafe impl Sync for Slot {}

            static MODULE: Slot = Slot(UnsafeCell::new(None));
            static THIS_MODULE: $crate::ThisModule = $crate::ThisModule::NEW;

            /// # Safety
            ///
            /// To be called once, when the module is loaded.
            #[unsafe(no_mangle)]
            #[unsafe(link_section = ".init.text")]
            unsafe extern "C" fn knetstat_glue_init() -> $crate::ffi::c_int {
                match <$type as $crate::Module>::init(&THIS_MODULE) {
                    Ok(module) => {
                        // SAFETY: Nobody else has a reference: see `Slot`.
                        unsafe { *MODULE.0.get() = Some(module) };
                        0
                    }
                    Err(error) => error.to_errno(),
                }
            }

            /// # Safety
            ///
            /// To be called once, when the module is unloaded.
            #[unsafe(no_mangle)]
            #[unsafe(link_section = ".exit.text")]
            unsafe extern "C" fn knetstat_glue_exit() {
                // SAFETY: Nobody else has a reference: see `Slot`.
                drop(unsafe { (*MODULE.0.get()).take() });
            }
        }
    };
}

/// A string of `.modinfo`.
#[doc(hidden)]
#[macro_export]
macro_rules! modinfo {
    ($key:literal, $value:literal) => {
        const _: () = {
            const TEXT: &str = concat!($key, $value, "\0");
            // `#[used(linker)]`, which `#[used]` is from some release on, would mark the section
            // such that the linker keeps it apart from that of the C files, and the kernel reads
            // but one.
            #[used(compiler)]
            #[unsafe(link_section = ".modinfo")]
            static MODINFO: [u8; TEXT.len()] = {
                let text = TEXT.as_bytes();
                let mut bytes = [0; TEXT.len()];
                let mut i = 0;
                while i < bytes.len() {
                    bytes[i] = text[i];
                    i += 1;
                }
                bytes
            };
        };
    };
}

/// Stops the CPU's task. The sources have nothing that panics; the compiler cannot know that.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: `BUG()` may be called in any context.
    unsafe { glue::knetstat_glue_bug() };
    // It does not return. objtool cannot know that, and wants to see an end.
    #[cfg(target_arch = "x86_64")]
    // SAFETY: An undefined instruction, which traps and so does not return.
    unsafe {
        core::arch::asm!("ud2", options(noreturn))
    };
    #[cfg(not(target_arch = "x86_64"))]
    #[expect(clippy::empty_loop, reason = "is never reached")]
    loop {}
}
