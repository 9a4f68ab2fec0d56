// SPDX-License-Identifier: GPL-2.0

//! The guest that the tests run in, described by its environment.

use anyhow::{bail, Context, Result};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

/// The speed of a guest, by which tests choose their sizes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scale {
    /// Code runs at native speed, on several CPUs.
    Fast,
    /// The kernel checks itself with KASAN, lockdep and fault injection, on one CPU.
    Checked,
    /// All code is emulated: some twenty times slower.
    Emulated,
    /// The kernel checks itself on several CPUs, and all code is emulated.
    Slowest,
}

/// The values of `KNETSTAT_KERNEL`, `KNETSTAT_SCALE`, `KNETSTAT_KO`, `KNETSTAT_DIR` and
/// `KNETSTAT_FAULT`.
pub struct Guest {
    /// The guest's name.
    pub name: String,
    pub scale: Scale,
    /// The module under test. It is loaded when the tests start.
    pub ko: PathBuf,
    /// The directory of the test modules, in which tests may write.
    pub dir: PathBuf,
    /// Whether the module was built with a rule broken on purpose, or a rare case forced.
    pub is_broken: bool,
}

impl Guest {
    fn from_env() -> Result<Self> {
        let var = |name| std::env::var(name).with_context(|| format!("{name} is not set"));
        let scale = match var("KNETSTAT_SCALE")?.as_str() {
            "fast" => Scale::Fast,
            "checked" => Scale::Checked,
            "emulated" => Scale::Emulated,
            "slowest" => Scale::Slowest,
            other => bail!("KNETSTAT_SCALE={other} is none of fast, checked, emulated, slowest"),
        };
        Ok(Self {
            name: var("KNETSTAT_KERNEL")?,
            scale,
            ko: var("KNETSTAT_KO")?.into(),
            dir: var("KNETSTAT_DIR")?.into(),
            is_broken: std::env::var_os("KNETSTAT_FAULT").is_some(),
        })
    }

    /// Chooses a size by the speed of the guest.
    pub fn scale<T>(&self, fast: T, checked: T, emulated: T) -> T {
        match self.scale {
            Scale::Fast => fast,
            Scale::Checked => checked,
            Scale::Emulated | Scale::Slowest => emulated,
        }
    }
}

static GUEST: OnceLock<Guest> = OnceLock::new();

/// Reads the environment. Must be called once, before any test runs.
pub fn init() -> Result<&'static Guest> {
    let guest = Guest::from_env()?;
    Ok(GUEST.get_or_init(|| guest))
}

/// The guest that [`init`] has read.
pub fn guest() -> &'static Guest {
    GUEST.get().expect("guest::init() comes first")
}

/// A number from the environment, or the default if the variable is not set.
pub fn number(name: &str, default: u64) -> Result<u64> {
    match std::env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name}={text}")),
        Err(_) => Ok(default),
    }
}

/// Polls until `done` returns `Ok`. Fails after `seconds` (or longer on slow kernels) with the last
/// reason that `done` returned.
pub fn wait_for(
    what: &str,
    seconds: u64,
    mut done: impl FnMut() -> Result<Result<(), String>>,
) -> Result<()> {
    let patience = match guest().scale {
        Scale::Fast => 1,
        Scale::Checked | Scale::Emulated => 3,
        Scale::Slowest => 12,
    };
    let deadline = Instant::now() + Duration::from_secs(seconds * patience);
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
