// SPDX-License-Identifier: GPL-2.0

//! One option at a time: each value on each kind of socket, and back to the default.

use super::answers::set_bytes;
use super::opt::{Early, Opt, Role, When, PLANS};
use super::subject::{Fresh, Subject};
use super::table::{named, table, OF_THE_C_MODULE};
use crate::guest::{guest, Scale};
use crate::harness::{skip, Case};
use crate::netns::{enter_fresh, in_namespace_of};
use crate::sockets::{row, Plan};
use anyhow::{bail, ensure, Result};
use socket2::Socket;
use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// A namespace in which options are tested, one after the other, and the options of fresh sockets
/// there. Asking for these takes longer than testing most options.
struct Place {
    namespace: fs::File,
    fresh: Fresh,
}

/// The places that no test uses at the moment.
static PLACES: Mutex<Vec<Place>> = Mutex::new(vec![]);

/// The number of options that were tested.
static TESTED: AtomicUsize = AtomicUsize::new(0);
/// The number of options among these that this kernel does not have.
static LACKING: AtomicUsize = AtomicUsize::new(0);

pub fn cases() -> Vec<Case> {
    let mut names = BTreeSet::new();
    let mut cases = Vec::new();
    for opt in table() {
        if opt.own_test.is_none() && names.insert(opt.name) {
            let name = format!("options::{}::{}", opt.level_name(), opt.name);
            cases.push(Case::new(name, || at_some_place(opt.name)));
        }
    }
    let count = cases.len();
    cases.push(Case::alone("options::few_are_lacking", move || {
        few_are_lacking(count)
    }));
    cases
}

fn at_some_place(name: &'static str) -> Result<()> {
    let places = || PLACES.lock().unwrap_or_else(PoisonError::into_inner);
    let free = places().pop();
    let place = match free {
        Some(place) => place,
        None => in_namespace_of(None, || {
            enter_fresh()?;
            Ok(Place {
                namespace: fs::File::open("/proc/thread-self/ns/net")?,
                fresh: Fresh::ask()?,
            })
        })?,
    };
    let result = in_namespace_of(Some(&place.namespace), || one_option(name, &place.fresh));
    places().push(place);
    result
}

/// The kernel must have most options. Fails if not all of them were tested.
fn few_are_lacking(count: usize) -> Result<()> {
    let (tested, lacking) = (
        TESTED.load(Ordering::Relaxed),
        LACKING.load(Ordering::Relaxed),
    );
    if tested < count {
        bail!("only {tested} of {count} options were tested");
    }
    println!("{} options round-tripped", tested - lacking);
    let most = guest().scale(10, 20, 30);
    ensure!(lacking <= most, "this kernel lacks {lacking} options");
    Ok(())
}

/// The result for an option.
#[derive(Default)]
struct Outcome {
    shown: bool,
    accepted: BTreeSet<String>,
    refused: BTreeSet<String>,
    wrong: BTreeSet<String>,
}

/// Tests all entries of this name.
fn one_option(name: &str, fresh: &Fresh) -> Result<()> {
    let mut outcome = Outcome::default();
    let needs = named(name).needs;
    let entries = || {
        let entries = table().iter().enumerate();
        entries.filter(|(_, opt)| opt.name == name)
    };
    for (place, opt) in entries() {
        for plan in PLANS {
            for role in Role::ALL {
                // An entry for other kinds has its own tries.
                let is_others =
                    || entries().any(|(other, opt)| other != place && opt.is_on(plan, role));
                if opt.is_on(plan, role) || !is_others() {
                    outcome.one_socket(place, opt, plan, role, fresh)?;
                }
            }
        }
    }
    TESTED.fetch_add(1, Ordering::Relaxed);
    let Outcome {
        shown,
        accepted,
        refused,
        mut wrong,
    } = outcome;
    if accepted.is_empty() {
        // ENOPROTOOPT, EOPNOTSUPP and, for a protocol that the option names, ENOENT.
        let lacks = |err: &String| {
            [92, 95, 2]
                .iter()
                .any(|number| err.ends_with(&format!("(os error {number})")))
        };
        ensure!(
            refused.iter().all(lacks),
            "{name} was set on no kind of socket: {refused:?}"
        );
        LACKING.fetch_add(1, Ordering::Relaxed);
        return skip(needs, "this kernel refuses it on all sockets");
    }
    if !shown {
        wrong.insert(format!("was accepted by {accepted:?}, and never shown"));
    }
    if std::env::var_os("KNETSTAT_VERBOSE").is_some() {
        println!("{name}: accepted by {accepted:?}; refused: {refused:?}");
    }
    let wrong: Vec<_> = wrong.into_iter().collect();
    ensure!(wrong.is_empty(), "{name}\n{}", wrong.join("\n"));
    Ok(())
}

impl Outcome {
    /// Compares a row with the expected one, `after` some action.
    fn check(&mut self, place: usize, subject: &Subject, after: &str, fresh: &Fresh) -> Result<()> {
        let value = subject.expected_value(place, fresh)?;
        self.shown |= value.is_some();
        // A hundred and forty times getsockopt(2) takes a while where all code is emulated.
        let whole_rows = guest().scale == Scale::Fast || place < OF_THE_C_MODULE;
        let difference = if whole_rows || after == "undone" {
            subject.check(fresh)?
        } else {
            let row = row(subject.file, &subject.socket)?;
            (row.option(table()[place].name) != value.as_deref())
                .then(|| format!("{}: not {value:?}: {row:?}", subject.kind()))
        };
        if let Some(difference) = difference {
            self.wrong.insert(format!("after {after}: {difference}"));
        }
        Ok(())
    }

    fn one_socket(
        &mut self,
        place: usize,
        opt: &'static Opt,
        plan: Plan,
        role: Role,
        fresh: &Fresh,
    ) -> Result<()> {
        // Before bind(2), each value on a socket of its own.
        let early = if opt.early == Early::Too {
            opt.tries.as_slice()
        } else {
            &[]
        };
        for value in early {
            let set = |socket: &Socket| set_bytes(socket, opt.level, opt.option, &value.bytes);
            match Subject::with(plan, role, set) {
                Ok(mut subject) => {
                    self.accepted.insert(subject.kind());
                    subject.remember(opt, value);
                    self.check(
                        place,
                        &subject,
                        &format!("{:?} before bind", value.text),
                        fresh,
                    )?;
                }
                Err(err) => {
                    let kind = format!("{} {role:?}", plan.name());
                    self.refused.insert(format!("{kind}: {err:#}"));
                }
            }
        }

        let mut subject = Subject::with(plan, role, |socket| match opt.early {
            Early::Reuseport => socket.set_reuse_port(true),
            _ => Ok(()),
        })?;
        let kind = subject.kind();
        let mut is_accepted = false;
        for value in &opt.tries {
            match subject.give(opt, value) {
                Ok(()) => {
                    is_accepted = true;
                    self.accepted.insert(kind.clone());
                    let after = format!("{:02x?}", &value.bytes[..value.bytes.len().min(16)]);
                    self.check(place, &subject, &after, fresh)?;
                }
                Err(err) => {
                    let refused = format!("{kind}: {err}");
                    if place < OF_THE_C_MODULE && opt.is_on(plan, role) {
                        self.wrong.insert(format!("is refused: {refused}"));
                    }
                    self.refused.insert(refused);
                }
            }
        }
        if !is_accepted || opt.undo.is_none() {
            return Ok(());
        }
        if let Err(err) = subject.undo(opt) {
            if let Some(feature) = opt.undo_needs {
                if !feature.is_here()? {
                    return Ok(());
                }
            }
            self.wrong.insert(format!("{kind}: not undone: {err}"));
            return Ok(());
        }
        if opt.when != When::Always {
            let still = subject.expected_value(place, fresh)?;
            ensure!(still.is_none(), "{kind}: still {still:?} when undone");
        }
        self.check(place, &subject, "undone", fresh)
    }
}
