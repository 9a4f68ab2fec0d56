// SPDX-License-Identifier: GPL-2.0

//! Logging.
//!
//! C header: `include/linux/printk.h`
//!
//! `printk()` formats the arguments of Rust by `%pA` only if the kernel has Rust. A line is
//! therefore formatted here, into a buffer on the stack. Text that does not fit is cut off.

use crate::glue;
use core::fmt;
use core::fmt::Write;

/// The size of a line in bytes.
const LINE: usize = 512;

struct Buffer {
    bytes: [u8; LINE],
    len: usize,
}

impl fmt::Write for Buffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for (to, from) in self.bytes.iter_mut().skip(self.len).zip(text.bytes()) {
            *to = from;
            self.len = self.len.saturating_add(1);
        }
        Ok(())
    }
}

/// Logs a line.
#[doc(hidden)]
pub fn line(level: i32, arguments: fmt::Arguments<'_>) {
    let mut buffer = Buffer {
        bytes: [0; LINE],
        len: 0,
    };
    // Writing into the buffer never fails. If formatting an argument fails, the line is cut off
    // there.
    let _ = buffer.write_fmt(arguments);
    // SAFETY: The helper reads `len` bytes of the buffer, which are there. `printk()` may be called
    // in any context.
    unsafe { glue::knetstat_glue_printk(level, buffer.bytes.as_ptr(), buffer.len) };
}

/// `pr_err()`
#[macro_export]
macro_rules! pr_err {
    ($($argument:tt)*) => {
        $crate::print::line(3, format_args!("{}{}", crate::__LOG_PREFIX, format_args!($($argument)*)))
    };
}

/// `pr_info()`
#[macro_export]
macro_rules! pr_info {
    ($($argument:tt)*) => {
        $crate::print::line(6, format_args!("{}{}", crate::__LOG_PREFIX, format_args!($($argument)*)))
    };
}
