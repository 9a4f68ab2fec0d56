// SPDX-License-Identifier: GPL-2.0

//! Read-only files in `/proc/net` of every network namespace.
//!
//! C headers: `include/linux/proc_fs.h`, `include/linux/seq_file.h`,
//! `include/net/net_namespace.h`
//!
//! A file consists of a header line and of records, which a [`Records`] makes from
//! the network namespace of the file. [`Registration`] creates a set of such files in
//! every namespace, present and future, and removes them when it is dropped or when a
//! namespace ends. Files that are open then read as `EIO`.
//!
//! `proc_create_net_data()` would do nearly all of this, but has no hook for the end of
//! an open file, at which a walk has to give back what it holds.
//!
//! What this does not do: files that can be written to, and directories.

use crate::bindings;
use crate::format::Line;
use crate::format::Shown;
use crate::ns::Net;
use crate::ns::NetRef;
use crate::ns::UserNs;
use crate::ns::Viewer;
use core::ffi::c_char;
use core::ffi::c_int;
use core::ffi::c_void;
use core::ffi::CStr;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use kernel::error::code::EEXIST;
use kernel::error::code::EIO;
use kernel::error::code::ENOMEM;
use kernel::error::code::ENXIO;
use kernel::error::to_result;
use kernel::error::Error;
use kernel::error::Result;
use kernel::prelude::pr_err;

/// Mode of the files: anyone may read them, as `/proc/net/tcp`.
const MODE: bindings::umode_t = 0o444;

/// Bytes that a read(2) can return at most; the size of seq_file's buffer once the header
/// was read. The default of one page holds some 27 rows.
const BUFFER: usize = 128 << 10;

/// What a file shows below its header line, record by record.
///
/// Called with no lock held but the one of the open file.
pub(crate) trait Records: Sized {
    /// The first line of the file, with its line feed.
    const HEADER: &'static str;

    /// The state of a file that was just opened, for a namespace.
    fn new(net: Net<'_>) -> Self;

    /// The number of the current record, which is positive.
    fn position(&self) -> i64;

    /// Goes to the first record. `None`: there is none.
    fn rewind(&mut self, net: Net<'_>) -> Option<i64>;

    /// Goes to the next record, whose number is greater. `None`: there is none.
    fn advance(&mut self, net: Net<'_>) -> Option<i64>;

    /// A read(2) begins.
    fn begin(&mut self, net: Net<'_>);

    /// Writes the current record, which may be empty, as `viewer` may see it. May be
    /// called again for the same record.
    fn show(&mut self, viewer: &Viewer<'_>, line: &mut Line<'_>) -> Result<Shown>;
}

/// What an open file holds: the private data of its seq_file.
struct Open<R> {
    net: NetRef,
    /// Whether who opened the file had CAP_NET_ADMIN over the namespace.
    is_net_admin: bool,
    stage: Stage,
    records: R,
}

/// How far the reader has come.
#[derive(PartialEq, Eq)]
enum Stage {
    Header,
    Records,
    End,
}

impl<R: Records> Open<R> {
    /// The position of the header.
    const FIRST: i64 = 0;
    /// The position after all records.
    const LAST: i64 = i64::MAX;

    /// Prepares to show what is at `position`; false at the end.
    fn start(&mut self, position: i64) -> Result<bool> {
        self.records.begin(self.net.net());
        if position == Self::FIRST {
            self.stage = Stage::Header;
            return Ok(true);
        }
        match self.stage {
            Stage::End => Ok(false),
            // seq_file starts at the position it was last given, or at 0.
            Stage::Records if position == self.records.position() => Ok(true),
            _ => Err(EIO),
        }
    }

    /// Goes on, and returns the new position.
    fn next(&mut self) -> i64 {
        let next = match self.stage {
            Stage::Header => self.records.rewind(self.net.net()),
            Stage::Records => self.records.advance(self.net.net()),
            Stage::End => None,
        };
        match next {
            Some(position) => {
                self.stage = Stage::Records;
                position
            }
            None => {
                self.stage = Stage::End;
                Self::LAST
            }
        }
    }

    fn show(&mut self, user_ns: UserNs<'_>, line: &mut Line<'_>, size: usize) -> Result<Shown> {
        match self.stage {
            // seq_file doubles its buffer until the first record fits: ask for more than the header
            // needs.
            Stage::Header if size < BUFFER => Ok(Shown::NoRoom),
            Stage::Header => {
                line.str(R::HEADER);
                Ok(Shown::Whole)
            }
            Stage::Records => {
                let viewer = Viewer {
                    net: self.net.net(),
                    user_ns,
                    is_net_admin: self.is_net_admin,
                };
                self.records.show(&viewer, line)
            }
            Stage::End => Ok(Shown::Whole),
        }
    }
}

/// The C callbacks of a file that shows `R`.
struct Callbacks<R>(PhantomData<R>);

impl<R: Records> Callbacks<R> {
    const PROC_OPS: bindings::proc_ops = {
        // SAFETY: All members of `struct proc_ops` may be zero: no flags and no such operation.
        let none: bindings::proc_ops = unsafe { MaybeUninit::zeroed().assume_init() };
        bindings::proc_ops {
            proc_open: Some(Self::open),
            proc_read_iter: Some(bindings::seq_read_iter),
            proc_lseek: Some(bindings::seq_lseek),
            proc_release: Some(Self::release),
            ..none
        }
    };

    const SEQ_OPS: bindings::seq_operations = bindings::seq_operations {
        start: Some(Self::start),
        stop: Some(Self::stop),
        next: Some(Self::next),
        show: Some(Self::show),
    };

    /// # Safety
    ///
    /// To be called by procfs only, for a file that [`File::create`] created.
    unsafe extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: `inode` is that of our file, whose data is its network namespace. procfs lets
        // `remove_proc_entry()`, and so the end of the namespace, wait for this call.
        let net = unsafe { bindings::knetstat_pde_data(inode) };
        let net = NonNull::new(net.cast()).map(|net| {
            // SAFETY: As above, for the rest of this call.
            unsafe { Net::from_raw(net) }
        });
        let Some(net) = net.and_then(NetRef::try_get) else {
            return ENXIO.to_errno();
        };

        // `kzalloc()` aligns to this at least.
        const { assert!(align_of::<Open<R>>() <= align_of::<u64>()) };
        let size = size_of::<Open<R>>() as c_int;
        // SAFETY: `file` is being opened, the operations are static.
        let private = unsafe { bindings::__seq_open_private(file, &Self::SEQ_OPS, size) };
        let Some(open) = NonNull::new(private.cast::<Open<R>>()) else {
            return ENOMEM.to_errno();
        };
        // SAFETY: The namespace is alive, and `file` has the credentials of who opens it.
        let is_net_admin = unsafe { bindings::knetstat_is_net_admin(file, net.net().as_ptr()) };
        let records = R::new(net.net());
        // SAFETY: `__seq_open_private()` allocated `size` bytes for us.
        unsafe {
            open.write(Open {
                net,
                is_net_admin,
                stage: Stage::Header,
                records,
            });
        }
        0
    }

    /// # Safety
    ///
    /// To be called by procfs only, once, for a file that [`Self::open`] opened.
    unsafe extern "C" fn release(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: `open` made the file one of seq_file.
        let private = unsafe { bindings::knetstat_seq_private(file) };
        // SAFETY: `open` put the value there, and it is not used after this, as no read is under way
        // when procfs calls `proc_release`.
        unsafe { private.cast::<Open<R>>().drop_in_place() };
        // SAFETY: `__seq_open_private()` opened the file. Frees the memory of the value.
        unsafe { bindings::seq_release_private(inode, file) }
    }

    /// The state of the open file behind a seq_file.
    ///
    /// # Safety
    ///
    /// `m` must be what seq_file handed to one of the callbacks below, during which the
    /// result may be used.
    unsafe fn state<'a>(m: *mut bindings::seq_file) -> &'a mut Open<R> {
        // SAFETY: `open` put the value there. seq_file holds the lock of `m` while it calls.
        unsafe { &mut *field!(m, seq_file, private).cast() }
    }

    /// # Safety
    ///
    /// To be called by seq_file only, for a file that [`Self::open`] opened.
    unsafe extern "C" fn start(
        m: *mut bindings::seq_file,
        position: *mut bindings::loff_t,
    ) -> *mut c_void {
        // SAFETY: By the caller's promise; `position` is valid.
        let (state, position) = unsafe { (Self::state(m), *position) };
        match state.start(position) {
            Ok(true) => (&raw mut *state).cast(),
            Ok(false) => core::ptr::null_mut(),
            Err(error) => error_pointer(error),
        }
    }

    /// # Safety
    ///
    /// To be called by seq_file only, for a file that [`Self::open`] opened.
    unsafe extern "C" fn stop(_: *mut bindings::seq_file, _: *mut c_void) {}

    /// # Safety
    ///
    /// To be called by seq_file only, for a file that [`Self::open`] opened.
    unsafe extern "C" fn next(
        m: *mut bindings::seq_file,
        _: *mut c_void,
        position: *mut bindings::loff_t,
    ) -> *mut c_void {
        // SAFETY: By the caller's promise.
        let state = unsafe { Self::state(m) };
        let next = state.next();
        // SAFETY: `position` is valid.
        unsafe { *position = next };
        if state.stage == Stage::End {
            core::ptr::null_mut()
        } else {
            (&raw mut *state).cast()
        }
    }

    /// # Safety
    ///
    /// To be called by seq_file only, for a file that [`Self::open`] opened.
    unsafe extern "C" fn show(m: *mut bindings::seq_file, _: *mut c_void) -> c_int {
        // SAFETY: By the caller's promise.
        let state = unsafe { Self::state(m) };
        // SAFETY: `m` is valid, and its lock is held.
        let (buf, size, count) = unsafe {
            (
                field!(m, seq_file, buf),
                field!(m, seq_file, size),
                field!(m, seq_file, count),
            )
        };
        let count = count.min(size);
        // SAFETY: The buffer has `size` bytes, of which those from `count` on are free.
        let free = unsafe {
            core::slice::from_raw_parts_mut(buf.add(count).cast::<MaybeUninit<u8>>(), size - count)
        };
        // SAFETY: Whoever opened the file did so with credentials, which live as long as the file.
        let user_ns = unsafe { UserNs::from_raw(bindings::knetstat_seq_user_ns(m)) };

        let mut line = Line::new(free);
        let shown = state.show(user_ns, &mut line, size);
        let count = match shown {
            Ok(Shown::Whole) => count.saturating_add(line.len()),
            // As `seq_set_overflow()` does.
            Ok(Shown::NoRoom) => size,
            Err(error) => return error.to_errno(),
        };
        // SAFETY: `m` is valid, and its lock is held. `Line` wrote the bytes up to `count`.
        unsafe { (*m).count = count.min(size) };
        0
    }
}

/// `ERR_PTR()`
fn error_pointer(error: Error) -> *mut c_void {
    core::ptr::without_provenance_mut(error.to_errno() as isize as usize)
}

/// `CStr::as_ptr` as C has it.
#[expect(
    clippy::disallowed_methods,
    reason = "our bindings have the `char` of core::ffi, not the kernel crate's"
)]
fn c_string(text: &'static CStr) -> *const c_char {
    text.as_ptr()
}

/// A file to be created in every network namespace.
pub(crate) struct File {
    name: &'static CStr,
    /// Where the file is, for the process that loads the module.
    path: &'static CStr,
    ops: &'static bindings::proc_ops,
}

// SAFETY: Strings and operations that are never written to.
unsafe impl Sync for File {}

impl File {
    /// A file that shows `R`. Its path is `/proc/net/` and its name.
    pub(crate) const fn new<R: Records>(name: &'static CStr, path: &'static CStr) -> Self {
        Self {
            name,
            path,
            ops: &Callbacks::<R>::PROC_OPS,
        }
    }

    /// Whether the loading process sees a file of this name.
    fn exists(&self) -> bool {
        // SAFETY: The path is a string. Sleeping is allowed where the module is loaded.
        unsafe { bindings::knetstat_path_exists(c_string(self.path)) }
    }

    /// Creates the file.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, which is also all that is known where the name is taken.
    fn create(&self, net: Net<'_>) -> Result {
        let ptr = net.as_ptr();
        // SAFETY: The namespace is alive, and its `proc_net` was made before this, by
        // `proc_net_ns_init()`.
        let directory = unsafe { field!(ptr, net, proc_net) };
        // SAFETY: The name and the operations are static. The data is used until the file is removed
        // only, which happens before the namespace is freed.
        let entry = unsafe {
            bindings::proc_create_data(c_string(self.name), MODE, directory, self.ops, ptr.cast())
        };
        if entry.is_null() {
            return Err(ENOMEM);
        }
        Ok(())
    }

    /// Removes the file. Waits for reads that are under way, and releases it for those who
    /// have it open.
    ///
    /// # Safety
    ///
    /// [`Self::create`] must have created the file in this namespace.
    unsafe fn remove(&self, net: Net<'_>) {
        let ptr = net.as_ptr();
        // SAFETY: As in `create`.
        let directory = unsafe { field!(ptr, net, proc_net) };
        // SAFETY: By the caller's promise, the entry is ours.
        unsafe { bindings::remove_proc_entry(c_string(self.name), directory) };
    }
}

/// A set of files.
pub(crate) trait Files: 'static {
    /// The files, in the order in which they are created.
    const FILES: &'static [File];
}

/// The files of `F`, existing in every network namespace while this value lives.
///
/// # Invariants
///
/// The first element of `ops` is registered.
pub(crate) struct Registration<F> {
    ops: crate::mem::Array<bindings::pernet_operations>,
    _files: PhantomData<F>,
}

// SAFETY: Once registered, the operations are the kernel's; nothing here touches them until `drop`.
unsafe impl<F> Send for Registration<F> {}
// SAFETY: As above.
unsafe impl<F> Sync for Registration<F> {}

impl<F: Files> Registration<F> {
    /// Creates the files in all namespaces. May sleep.
    ///
    /// # Errors
    ///
    /// `EEXIST` if the calling process sees a file of one of the names already, `ENOMEM` if
    /// memory ran out or if a name is taken in some other namespace. No file is left behind.
    pub(crate) fn new() -> Result<Self> {
        for file in F::FILES {
            if file.exists() {
                pr_err!("a file of that name exists: {:?}\n", file.path);
                return Err(EEXIST);
            }
        }

        let mut ops = crate::mem::Array::<bindings::pernet_operations>::zeroed(1)?;
        for ops in ops.iter_mut() {
            ops.init = Some(Self::init);
            ops.exit = Some(Self::exit);
        }
        // SAFETY: The operations live, at this place, until `drop` unregisters them.
        to_result(unsafe { bindings::register_pernet_subsys(ops.as_ptr()) })?;
        // INVARIANT: They were just registered.
        Ok(Self {
            ops,
            _files: PhantomData,
        })
    }

    /// # Safety
    ///
    /// To be called as `init` of the pernet operations only.
    unsafe extern "C" fn init(net: *mut bindings::net) -> c_int {
        let Some(net) = NonNull::new(net) else {
            return ENXIO.to_errno();
        };
        // SAFETY: The namespace is not freed before `exit` or the failure of this call.
        let net = unsafe { Net::from_raw(net) };
        for (i, file) in F::FILES.iter().enumerate() {
            if let Err(error) = file.create(net) {
                for file in F::FILES.iter().take(i) {
                    // SAFETY: It was created above.
                    unsafe { file.remove(net) };
                }
                return error.to_errno();
            }
        }
        0
    }

    /// # Safety
    ///
    /// To be called as `exit` of the pernet operations only.
    unsafe extern "C" fn exit(net: *mut bindings::net) {
        let Some(net) = NonNull::new(net) else {
            return;
        };
        // SAFETY: The namespace is freed after this call only.
        let net = unsafe { Net::from_raw(net) };
        for file in F::FILES.iter().rev() {
            // SAFETY: `exit` is called for namespaces whose `init` succeeded.
            unsafe { file.remove(net) };
        }
    }
}

impl<F> Drop for Registration<F> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant. Calls `exit` for every namespace.
        unsafe { bindings::unregister_pernet_subsys(self.ops.as_ptr()) };
    }
}
