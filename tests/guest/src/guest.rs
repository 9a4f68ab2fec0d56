// SPDX-License-Identifier: GPL-2.0

//! The guest that the tests run in, as its environment describes it.

use anyhow::bail;
use anyhow::Context;
use anyhow::Result;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;
use std::time::Instant;

/// Which kernel the guest runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kernel {
    /// User Mode Linux on two CPUs, at native speed.
    Uml,
    /// User Mode Linux with KASAN, lockdep and fault injection, on one CPU.
    Debug,
    /// A stock Debian kernel under QEMU without KVM: some twenty times slower.
    Debian,
}

/// What `KNETSTAT_KERNEL`, `KNETSTAT_KO` and `KNETSTAT_DIR` say.
pub struct Guest {
    pub kernel: Kernel,
    /// The module under test. It is loaded when the tests start.
    pub ko: PathBuf,
    /// Where test-only modules lie, and where tests may write.
    pub dir: PathBuf,
}

impl Guest {
    fn from_env() -> Result<Self> {
        let var = |name| std::env::var(name).with_context(|| format!("{name} is not set"));
        Ok(Self {
            kernel: match var("KNETSTAT_KERNEL")?.as_str() {
                "uml" => Kernel::Uml,
                "debug" => Kernel::Debug,
                "debian" => Kernel::Debian,
                other => bail!("KNETSTAT_KERNEL={other} is none of uml, debug, debian"),
            },
            ko: var("KNETSTAT_KO")?.into(),
            dir: var("KNETSTAT_DIR")?.into(),
        })
    }

    /// Picks a size by what the kernel can do in the time there is.
    pub fn scale<T>(&self, uml: T, debug: T, debian: T) -> T {
        match self.kernel {
            Kernel::Uml => uml,
            Kernel::Debug => debug,
            Kernel::Debian => debian,
        }
    }
}

static GUEST: OnceLock<Guest> = OnceLock::new();

/// Reads the environment. To be called once, before any test runs.
pub fn init() -> Result<&'static Guest> {
    let guest = Guest::from_env()?;
    Ok(GUEST.get_or_init(|| guest))
}

/// The guest that [`init`] found.
pub fn guest() -> &'static Guest {
    GUEST.get().expect("guest::init() comes first")
}

/// Polls until `done` says so; fails after `seconds` (times three on the slow kernels) with
/// what `done` last returned as its reason.
pub fn wait_for(
    what: &str,
    seconds: u64,
    mut done: impl FnMut() -> Result<Result<(), String>>,
) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(seconds * guest().scale(1, 3, 3));
    loop {
        let Err(reason) = done()? else {
            return Ok(());
        };
        if Instant::now() > deadline {
            bail!("gave up waiting for {what}: {reason}");
        }
        thread::sleep(Duration::from_millis(2));
    }
}
