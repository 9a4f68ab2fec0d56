// SPDX-License-Identifier: GPL-2.0

//! What knetstat(5) says of each option, as mdoc, for `explain`: made by what makes the page. And
//! the version, which is that of the module.

use std::path::Path;
use std::{env, fs};

const LEVELS: [&str; 5] = [
    "SOL_SOCKET",
    "IPPROTO_TCP",
    "IPPROTO_IP",
    "IPPROTO_IPV6",
    "SOL_UDP",
];

fn main() -> Result<(), String> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |name: &str| {
        println!("cargo::rerun-if-changed=../../{name}");
        fs::read_to_string(project.join(name)).map_err(|err| format!("{name}: {err}"))
    };
    let module = read("knetstat.rs")?;
    let version = module.lines().find_map(|line| {
        line.strip_prefix("const VERSION: &str = \"")?
            .strip_suffix("\";")
    });
    let version = version.ok_or("knetstat.rs has no version")?;
    println!("cargo::rustc-env=KNETSTAT_VERSION={version}");

    let template = LEVELS.map(|level| format!(".Ss {level}\n@OPTIONS {level}@\n"));
    let text = knetstat_man::page(
        &template.concat(),
        &read("sockopts.rs")?,
        &read("man/options.txt")?,
    )?;
    let out = env::var("OUT_DIR").map_err(|err| err.to_string())?;
    fs::write(Path::new(&out).join("options.mdoc"), text).map_err(|err| err.to_string())
}
