// SPDX-License-Identifier: GPL-2.0

//! The names of processes: what the kernel keeps, and what reveals the rest.

use crate::source::text::{escape, unescape};
use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;
use std::{fs, io};

/// The number of bytes of a name that the kernel keeps: `TASK_COMM_LEN` without the final zero.
pub const KEPT: usize = 15;

/// The number of bytes of a command line that are read. The first arguments are usually shorter.
const COMMAND_LINE: u64 = 16 << 10;

/// The number of arguments that may reveal a name: the program or its interpreter, an argument of
/// the interpreter, and the script.
const ARGUMENTS: usize = 3;

/// The suffix that the kernel adds to the path of a program that was removed or replaced.
const DELETED: &[u8] = b" (deleted)";

/// The name of a task as the kernel keeps it, in `/proc/PID/comm`. Any byte but 0 may occur.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Rc<[u8]>);

impl Name {
    /// The name of a process or thread. `directory` is its directory below `/proc`.
    ///
    /// # Errors
    ///
    /// If it has ended, or if the file cannot be read.
    pub fn read(directory: &str) -> io::Result<Self> {
        let text = fs::read(format!("/proc/{directory}/comm"))?;
        Ok(Self(text.strip_suffix(b"\n").unwrap_or(&text).into()))
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The name as text. Bytes that are not UTF-8 are replaced by U+FFFD.
    pub fn to_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }

    /// The name as text. Bytes that are not UTF-8 are escaped, so that names stay apart.
    pub fn to_escaped(&self) -> String {
        let mut text = String::new();
        for chunk in self.0.utf8_chunks() {
            text += chunk.valid();
            escape(chunk.invalid(), &mut text);
        }
        text
    }
}

impl From<&[u8]> for Name {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_text().fmt(f)
    }
}

impl serde::Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text())
    }
}

/// All names of a process, for filters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The names of the process and of its threads, as the kernel keeps them.
    kept: Vec<Name>,
    /// Whole names, of which the kernel keeps the beginning.
    whole: Vec<Box<[u8]>>,
}

impl Names {
    /// The names of a process that is known by this one only.
    pub fn of(name: Name) -> Self {
        Self {
            kept: vec![name],
            whole: Vec::new(),
        }
    }

    /// Reads what reveals the whole name of a process, if the kernel may have cut it.
    pub fn reveal(&mut self, pid: i32) {
        if self.kept.iter().any(|name| name.0.len() == KEPT) {
            // Neither is readable if the process has ended.
            let program = fs::read_link(format!("/proc/{pid}/exe"));
            let program = program.unwrap_or_default();
            let arguments = command_line(pid).unwrap_or_default();
            self.learn(program.as_os_str().as_bytes(), &arguments);
        }
    }

    /// Takes the whole name from the path of the program or from the arguments.
    fn learn(&mut self, program: &[u8], arguments: &[u8]) {
        let program = program.strip_suffix(DELETED).unwrap_or(program);
        let arguments = arguments.split(|byte| *byte == 0).take(ARGUMENTS);
        for path in std::iter::once(program).chain(arguments) {
            let file = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
            let begins = |name: &Name| name.0.len() == KEPT && file.starts_with(&name.0);
            if self.kept.iter().any(begins) {
                self.whole.push(file.into());
            }
        }
    }

    /// The name of the process itself.
    pub fn first(&self) -> Option<&Name> {
        self.kept.first()
    }

    /// Adds the name of a thread.
    pub fn add(&mut self, name: Name) {
        if !self.kept.contains(&name) {
            self.kept.push(name);
        }
    }

    /// Whether the process has this name, which may contain the escapes of text output. If the kernel
    /// has cut a name and nothing reveals the rest, each longer name that begins with it counts.
    pub fn has(&self, name: &str) -> bool {
        let is_text = |kept: &Name| kept.to_text() == name;
        self.has_bytes(name.as_bytes())
            || self.kept.iter().any(is_text)
            || (name.contains('\\') && self.has_bytes(&unescape(name)))
    }

    fn has_bytes(&self, name: &[u8]) -> bool {
        self.kept.iter().any(|kept| {
            if *kept.0 == *name {
                return true;
            }
            if kept.0.len() != KEPT || !name.starts_with(&kept.0) {
                return false;
            }
            let mut whole = self
                .whole
                .iter()
                .filter(|whole| whole.starts_with(&kept.0))
                .peekable();
            whole.peek().is_none() || whole.any(|whole| **whole == *name)
        })
    }
}

/// The beginning of a command line. A zero byte ends each argument.
fn command_line(pid: i32) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(format!("/proc/{pid}/cmdline"))?;
    file.take(COMMAND_LINE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(kept: &str, program: &str, arguments: &[&str]) -> Names {
        let mut names = Names::of(kept.into());
        let arguments = arguments.join("\0") + "\0";
        names.learn(program.as_bytes(), arguments.as_bytes());
        names
    }

    #[test]
    fn whole_names() {
        const KEPT: &str = "systemd-resolve";
        const WHOLE: &str = "systemd-resolved";
        for (program, arguments) in [
            ("/usr/lib/systemd/systemd-resolved", &["x"][..]),
            ("/usr/lib/systemd/systemd-resolved (deleted)", &[]),
            ("", &["/lib/systemd/systemd-resolved", "-a"]),
            ("/usr/bin/python3", &["python3", "-u", "./systemd-resolved"]),
        ] {
            let names = names(KEPT, program, arguments);
            assert!(names.has(WHOLE) && names.has(KEPT), "{program}");
            for other in ["systemd-resolvedX", "systemd-resolvex", "systemd", ""] {
                assert!(!names.has(other), "{program}: {other}");
            }
        }
        // Nothing reveals the whole name.
        for (program, arguments) in [
            ("", &[][..]),
            ("/usr/bin/python3", &["python3", "-c", "x"]),
            // Too far behind.
            ("/bin/sh", &["sh", "-e", "-u", WHOLE]),
        ] {
            let names = names(KEPT, program, arguments);
            assert!(names.has(WHOLE) && names.has(KEPT), "{program}");
            assert!(names.has("systemd-resolvedX"), "{program}");
            assert!(!names.has("systemd-resolv") && !names.has("systemd-xesolved"));
        }
        // The program's name is as long as what the kernel keeps, so nothing was cut.
        let exact = names(KEPT, "/x/systemd-resolve", &[]);
        assert!(exact.has(KEPT) && !exact.has(WHOLE));
        // Shorter names are whole.
        let short = names("systemd-resolv", "/x/systemd-resolved", &[WHOLE]);
        assert!(short.has("systemd-resolv") && !short.has(KEPT) && !short.has(WHOLE));
    }

    #[test]
    fn names_of_threads() {
        let mut names = names("java", "/usr/bin/java", &["java"]);
        names.add("GC Thread#0".into());
        names.add("tokio-runtime-w".into());
        for name in [
            "java",
            "GC Thread#0",
            "tokio-runtime-w",
            "tokio-runtime-worker",
        ] {
            assert!(names.has(name), "{name}");
        }
        assert!(!names.has("GC Thread") && !names.has("tokio-runtime"));
    }

    /// The kernel cuts bytes, not characters.
    #[test]
    fn odd_bytes() {
        let whole = "abcdefghijklm\u{20ac}xyz";
        let names = Names::of(whole.as_bytes()[..KEPT].into());
        assert!(names.has(whole) && !names.has("abcdefghijklm") && !names.has("abcdefghijklmn"));
        assert!(names.has("abcdefghijklm\u{fffd}"));
        let name = Name::from(&b"\xff\"\n"[..]);
        assert_eq!(serde_json::to_string(&name).unwrap(), "\"\u{fffd}\\\"\\n\"");
    }

    /// A name is found by what text output shows, too.
    #[test]
    fn names_with_escapes() {
        for (name, shown) in [
            (&b"a\"b"[..], r"a\x22b"),
            (b"a b,c", r"a\x20b\x2cc"),
            (b"a\\b", r"a\x5cb"),
            (b"\xff\n", r"\xff\x0a"),
            (br"a\x22b", r"a\x22b"),
            (br"a\x22b", r"a\x5cx22b"),
        ] {
            let found = Names::of(name.into());
            assert!(found.has(shown), "{shown}");
            assert!(!found.has(&format!("{shown}x")), "{shown}");
        }
        let long = names(
            "a \"quoted\" name",
            "/bin/a \"quoted\" name that is long",
            &[],
        );
        assert!(long.has(r"a\x20\x22quoted\x22\x20name\x20that\x20is\x20long"));
        assert!(!names("a b", "", &[]).has(r"a\x21b"));
    }

    proptest! {
        /// A process is found by its own name, whatever the kernel keeps of it.
        #[test]
        fn any_name(name in "[^\0]{0,20}", program in "[^\0]{0,40}", arguments in "\\PC{0,40}") {
            let kept = &name.as_bytes()[..name.len().min(KEPT)];
            let mut cut = Names::of(kept.into());
            prop_assert!(cut.has(&name));
            cut.learn(format!("/bin/{name}").as_bytes(), b"");
            prop_assert!(cut.has(&name));
            cut.learn(program.as_bytes(), arguments.as_bytes());
            prop_assert!(cut.has(&name));
        }
    }
}
