// SPDX-License-Identifier: GPL-2.0

//! Errors.
//!
//! C header: `include/uapi/asm-generic/errno-base.h`

use crate::ffi::c_int;
use core::fmt;
use core::num::NonZeroI32;

/// An `errno`.
///
/// # Invariants
///
/// The number lies between -4095 (`-MAX_ERRNO`) and -1.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Error(NonZeroI32);

/// A result with an [`Error`].
pub type Result<T = (), E = Error> = core::result::Result<T, E>;

impl Error {
    /// The largest `errno`.
    const MAX: c_int = 4095;

    /// The error with this number, which must be negative.
    const fn from_code(errno: c_int) -> Self {
        match NonZeroI32::new(errno) {
            // INVARIANT: The number was just checked to be in the range.
            Some(number) if -Self::MAX <= errno && errno < 0 => Self(number),
            _ => panic!("not an errno"),
        }
    }

    /// The error with the number that a C function returned. `EINVAL` if the number is not an
    /// error.
    pub fn from_errno(errno: c_int) -> Self {
        match NonZeroI32::new(errno) {
            // INVARIANT: The number was just checked to be in the range.
            Some(number) if (-Self::MAX..0).contains(&errno) => Self(number),
            _ => code::EINVAL,
        }
    }

    /// The number for C, which is negative.
    pub fn to_errno(self) -> c_int {
        self.0.get()
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Error").field(&-self.0.get()).finish()
    }
}

/// Converts the result of a C function that returns 0 or an error.
pub fn to_result(errno: c_int) -> Result {
    if errno < 0 {
        Err(Error::from_errno(errno))
    } else {
        Ok(())
    }
}

/// The errors that the module uses. Their numbers are the same on every architecture for which the
/// module is built.
pub mod code {
    use super::Error;

    macro_rules! codes {
        ($($(#[$meta:meta])* $name:ident = $number:literal;)*) => {$(
            $(#[$meta])*
            pub const $name: Error = Error::from_code(-$number);
        )*};
    }

    codes! {
        /// Interrupted system call.
        EINTR = 4;
        /// No such device or address.
        ENXIO = 6;
        /// Out of memory.
        ENOMEM = 12;
        /// Bad address.
        EFAULT = 14;
        /// File exists.
        EEXIST = 17;
        /// Invalid argument.
        EINVAL = 22;
        /// Value too large for defined data type.
        EOVERFLOW = 75;
    }
}
