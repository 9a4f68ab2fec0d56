// SPDX-License-Identifier: GPL-2.0

//! The command `knetstat`. Its code is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    knetstat::cli::main()
}
