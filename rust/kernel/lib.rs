// SPDX-License-Identifier: GPL-2.0

//! A stand-in for the `kernel` crate, if the kernel has none, or none that can be linked against.
//! See `rust/README.md`.
//!
//! It contains only what the module uses, with the names and meanings of Rust for Linux. The
//! module's sources therefore do not know with which of the two crates they are built.

#![no_std]

pub mod error;
pub mod ffi;
pub mod prelude;
pub mod print;

use core::marker::PhantomData;

/// The C functions of `glue.c`.
mod glue {
    unsafe extern "C" {
        /// `printk()` of `length` bytes with a log level from 0 to 7.
        pub(crate) fn knetstat_glue_printk(level: i32, text: *const u8, length: usize);

        /// `BUG()`, which does not return.
        pub(crate) fn knetstat_glue_bug();
    }
}

/// The type that `module!` makes a module of.
pub trait Module: Sized + Sync + Send {
    /// Called when the module is loaded.
    fn init(module: &'static ThisModule) -> error::Result<Self>;
}

/// `THIS_MODULE`. The module uses nothing of it.
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

/// Declares the module: its type, and the fields that modinfo(8) shows.
///
/// `glue.c` registers the two functions with `module_init()` and `module_exit()`. The kernel calls
/// each of them once, and the second only after the first has succeeded.
#[macro_export]
macro_rules! module {
    (
        type: $type:ty,
        name: $name:literal,
        authors: [$($author:literal),* $(,)?],
        description: $description:literal,
        license: $license:literal $(,)?
    ) => {
        /// The prefix of the module's log messages.
        const __LOG_PREFIX: &str = concat!($name, ": ");

        $($crate::modinfo!("author=", $author);)*
        $crate::modinfo!("description=", $description);
        $crate::modinfo!("license=", $license);

        mod __module_init {
            use super::*;
            use core::cell::UnsafeCell;

            struct Slot(UnsafeCell<Option<$type>>);

            // SAFETY: Only `init_module()` and `cleanup_module()` touch the value, and the kernel
            // never runs both at once.
            unsafe impl Sync for Slot {}

            static MODULE: Slot = Slot(UnsafeCell::new(None));
            static THIS_MODULE: $crate::ThisModule = $crate::ThisModule::NEW;

            /// # Safety
            ///
            /// Only to be called once, when the module is loaded.
            #[unsafe(no_mangle)]
            #[unsafe(link_section = ".init.text")]
            unsafe extern "C" fn knetstat_glue_init() -> $crate::ffi::c_int {
                match <$type as $crate::Module>::init(&THIS_MODULE) {
                    Ok(module) => {
                        // SAFETY: No other reference to the value exists. Only `init_module()` and
                        // `cleanup_module()` make one, and the kernel never runs both at once.
                        unsafe { *MODULE.0.get() = Some(module) };
                        0
                    }
                    Err(error) => error.to_errno(),
                }
            }

            /// # Safety
            ///
            /// Only to be called once, when the module is unloaded.
            #[unsafe(no_mangle)]
            #[unsafe(link_section = ".exit.text")]
            unsafe extern "C" fn knetstat_glue_exit() {
                // SAFETY: No other reference to the value exists. Only `init_module()` and
                // `cleanup_module()` make one, and the kernel never runs both at once.
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
            // From some release of Rust on, `#[used]` means `#[used(linker)]`. This marks the
            // section such that the linker keeps it apart from that of the C files. The kernel
            // reads only one of them.
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

/// Stops the current task. The sources contain nothing that panics, but the compiler cannot know
/// that.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: `BUG()` may be called in any context.
    unsafe { glue::knetstat_glue_bug() };
    // `BUG()` does not return. objtool cannot know that, and requires an end.
    #[cfg(target_arch = "x86_64")]
    // SAFETY: An undefined instruction traps. It therefore does not return.
    unsafe {
        core::arch::asm!("ud2", options(noreturn))
    };
    #[cfg(not(target_arch = "x86_64"))]
    #[expect(clippy::empty_loop, reason = "is never reached")]
    loop {}
}
