// SPDX-License-Identifier: GPL-2.0

//! Read-only files in `/proc/net` of every network namespace.
//!
//! C headers: `include/linux/proc_fs.h`, `include/linux/fs.h`,
//! `include/net/net_namespace.h`
//!
//! A file consists of a header line and of whole rows, which a [`Listing`] writes for the network
//! namespace of the file. [`Registration`] creates a set of such files in every namespace,
//! present and future, and removes them when it is dropped or when a namespace ends. Files that
//! are open then read as `EIO`.
//!
//! An open file keeps the rows that it wrote last, its window: [`WINDOW`] bytes, or more in a
//! crowded bucket. A `while read` loop of a shell seeks back to the end of each line. The window
//! serves such reads, so rows stay whole and are not made anew. `seq_file` starts a new listing at
//! each such seek, and continues it at an offset that was right for the old one.
//!
//! What this does not do: files that can be written to, and directories.

use crate::abstractions::mem::{
    Array,
    Need,
    Owned, //
};
use crate::abstractions::mutex::Mutex;
use crate::abstractions::ns::{
    Net,
    NetRef,
    Reader, //
    UserNs,
};
use crate::abstractions::sched;
use crate::bindings::{
    self,
    c_int, //
};
use crate::format::Text;
use core::ffi::CStr;
use core::marker::PhantomData;
use core::ptr::NonNull;
use kernel::error::code::{
    EEXIST,
    EFAULT,
    EINVAL,
    ENOMEM,
    ENXIO,
    EOVERFLOW, //
};
use kernel::error::{
    to_result,
    Result, //
};
use kernel::prelude::pr_err;

/// Mode of the files: anyone may read them, as `/proc/net/tcp`.
const MODE: bindings::umode_t = 0o444;

/// Bytes of rows that an open file keeps outside of crowded buckets. Some 900 rows.
const WINDOW: usize = 128 << 10;

/// Bytes of rows that an open file keeps, and that a read(2) returns at most. Some 30,000 rows.
const MAX_WINDOW: usize = 4 << 20;

/// What a file shows below its header line.
///
/// Called with no lock held but the one of the open file, which sleeps. `Send`: a file that one
/// task opened may be read and closed by others.
pub(crate) trait Listing: Send + Sized {
    /// The first line of the file, with its line feed.
    const HEADER: &'static str;

    /// The state of a file that was just opened.
    fn new() -> Self;

    /// Goes back to the first row.
    fn rewind(&mut self);

    /// Appends the rows that come next, as many as fit, as `reader` may see them. Appends none:
    /// there are no more. May sleep.
    ///
    /// # Errors
    ///
    /// `EINTR` if the reader was killed, `ENOMEM`, `EOVERFLOW` if an empty `text` has not enough
    /// room for the next row. What was appended before is right, and the next call goes on behind
    /// it.
    fn fill(&mut self, reader: &Reader<'_>, text: &mut Text<'_>) -> Result;

    /// Whether each further call of [`Listing::fill`] repeats some work, so that few with a larger
    /// `text` are better.
    fn wants_room(&self) -> bool;
}

/// What was written last of a file, and how much of it was read.
struct Window {
    buf: Array<u8>,
    /// The position in the file of the first byte.
    start: u64,
    /// Bytes of `buf` that were written.
    len: usize,
    /// Where the last read began, and where it ended.
    last_read: (u64, u64),
}

impl Window {
    const fn new() -> Self {
        Self {
            buf: Array::empty(),
            start: 0,
            len: 0,
            last_read: (0, 0),
        }
    }

    /// The position behind the last byte.
    fn end(&self) -> u64 {
        self.start.saturating_add(self.len as u64)
    }

    /// Whether a read at `position` belongs to the listing that the window is of.
    ///
    /// It does if it goes on where the last read ended, or anywhere behind where that began: who
    /// gives back some of what they read lands there. It does not if it begins where the last
    /// one did, or before: who reads the same place again wants to see what has changed.
    fn continues_at(&self, position: u64) -> bool {
        let (begin, end) = self.last_read;
        position >= self.start && position != 0 && (position == end || position > begin)
    }

    /// The bytes from `position` on.
    fn from(&self, position: u64) -> &[u8] {
        let skip = position.saturating_sub(self.start);
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let bytes = self.buf.get(..self.len).and_then(|buf| buf.get(skip..));
        bytes.unwrap_or(&[])
    }

    /// Begins a new listing.
    fn rewind(&mut self) {
        self.start = 0;
        self.len = 0;
    }

    /// Drops the bytes, and makes the window as large as what comes next is best written to: twice
    /// as large as it is if `wants_room`, so that the work that each window repeats stays in
    /// proportion to the rows. If there is no memory for that, the window stays as it is.
    fn advance(&mut self, wants_room: bool) -> Result {
        self.start = self.end();
        self.len = 0;
        let size = if wants_room {
            self.buf.len().saturating_mul(2).clamp(WINDOW, MAX_WINDOW)
        } else {
            WINDOW
        };
        if self.buf.is_empty() {
            self.buf = Array::zeroed(size, Need::Required)?;
        } else if size != self.buf.len() {
            if let Ok(buf) = Array::zeroed(size, Need::Optional) {
                self.buf = buf;
            }
        }
        Ok(())
    }

    /// Makes an empty window larger.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, or `EOVERFLOW` if it has its largest size.
    fn grow(&mut self) -> Result {
        if self.buf.len() >= MAX_WINDOW {
            return Err(EOVERFLOW);
        }
        self.buf = Array::zeroed(self.buf.len().saturating_mul(2), Need::Required)?;
        Ok(())
    }

    /// Replaces the bytes by what `write` appends.
    fn fill(&mut self, write: impl FnOnce(&mut Text<'_>) -> Result) -> Result {
        let mut text = Text::new(&mut self.buf);
        let written = write(&mut text);
        self.len = text.len();
        match written {
            // What was written comes first; what stays wrong is reported at the next call.
            Err(error) if self.len == 0 => Err(error),
            _ => Ok(()),
        }
    }
}

/// What an open file holds.
struct Open<R> {
    listing: R,
    window: Window,
    net: NetRef,
    /// Whether who opened the file had CAP_NET_ADMIN over the namespace.
    is_net_admin: bool,
}

impl<R: Listing> Open<R> {
    /// What the file has at `position`, as far as it lies in one window; empty at the end of the
    /// file. May sleep.
    fn bytes_at(&mut self, position: u64, user_ns: UserNs<'_>) -> Result<&[u8]> {
        if !self.window.continues_at(position) {
            self.window.rewind();
            self.listing.rewind();
        }
        let reader = Reader {
            net: self.net.net(),
            user_ns,
            is_net_admin: self.is_net_admin,
        };
        while position >= self.window.end() {
            self.window.advance(self.listing.wants_room())?;
            let is_first = self.window.end() == 0;
            loop {
                let filled = self.window.fill(|text| {
                    if is_first {
                        text.str(R::HEADER);
                    }
                    self.listing.fill(&reader, text)
                });
                match filled {
                    Err(EOVERFLOW) => self.window.grow()?,
                    filled => break filled?,
                }
            }
            if self.window.len == 0 {
                break;
            }
            sched::cond_resched_killable()?;
        }
        Ok(self.window.from(position))
    }
}

/// The C callbacks of a file that shows `R`.
struct Callbacks<R>(PhantomData<R>);

impl<R: Listing> Callbacks<R> {
    const PROC_OPS: bindings::proc_ops = c_struct!(proc_ops {
        proc_open: Self::open
            as unsafe extern "C" fn(*mut bindings::inode, *mut bindings::file) -> c_int,
        proc_read_iter: Self::read_iter
            as unsafe extern "C" fn(*mut bindings::kiocb, *mut bindings::iov_iter) -> isize,
        // Moves `f_pos` and nothing else: a read goes by the position that it is given.
        proc_lseek: bindings::no_seek_end_llseek
            as unsafe extern "C" fn(*mut bindings::file, i64, c_int) -> i64,
        proc_release: Self::release
            as unsafe extern "C" fn(*mut bindings::inode, *mut bindings::file) -> c_int,
    });

    /// # Safety
    ///
    /// To be called by procfs only, for a file that [`File::create`] created.
    unsafe extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: procfs calls with the inode of our entry, which is alive while the file is
        // opened.
        let net = unsafe { bindings::knetstat_pde_data(inode) };
        let net = NonNull::new(net.cast()).map(|net| {
            // SAFETY: `create` gave the entry its namespace as data. The namespace is not freed
            // before this call returns: its end removes the entry, and `remove_proc_entry()` waits
            // for callbacks that are under way (`proc_entry_rundown()`).
            unsafe { Net::from_raw(net) }
        });
        let Some(net) = net.and_then(NetRef::try_get) else {
            return ENXIO.to_errno();
        };
        let open = Open {
            listing: R::new(),
            window: Window::new(),
            is_net_admin: net.net().is_admin(),
            net,
        };
        match Mutex::new(open) {
            Ok(open) => {
                let open = open.into_raw().cast().as_ptr();
                // SAFETY: `file` is being opened, so nobody else uses it yet, and procfs leaves its
                // private data to the owner of the entry.
                unsafe { bindings::knetstat_set_file_private(file, open) };
                0
            }
            Err(error) => error.to_errno(),
        }
    }

    /// # Safety
    ///
    /// To be called by procfs only, once, for a file that [`Self::open`] opened.
    unsafe extern "C" fn release(_: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: procfs calls with the file that is being released, which is alive.
        let open = unsafe { bindings::knetstat_file_private(file) };
        if let Some(open) = NonNull::new(open.cast::<Mutex<Open<R>>>()) {
            // SAFETY: `open` put there what `into_raw()` gave. procfs calls `proc_release` once,
            // when no other callback for this file is under way or will be, so this is the only
            // owner.
            drop(unsafe { Owned::from_raw(open) });
        }
        0
    }

    /// read(2), pread(2), and what else reads at a position. Follows `seq_read_iter()`, but for
    /// two things: it goes on from one window to the next by calls of their own, and see
    /// [`Window::continues_at`].
    ///
    /// # Safety
    ///
    /// To be called by procfs only, for a file that [`Self::open`] opened.
    unsafe extern "C" fn read_iter(
        iocb: *mut bindings::kiocb,
        to: *mut bindings::iov_iter,
    ) -> isize {
        // SAFETY: By the caller's promise, `iocb` and `to` are the arguments of a `proc_read_iter`
        // of a file that `open` opened.
        match unsafe { Self::read(iocb, to) } {
            // At most `MAX_WINDOW`.
            Ok(count) => count as isize,
            Err(error) => error.to_errno() as isize,
        }
    }

    /// # Safety
    ///
    /// As for [`Self::read_iter`].
    unsafe fn read(iocb: *mut bindings::kiocb, to: *mut bindings::iov_iter) -> Result<usize> {
        // SAFETY: `iocb` is valid during the call, and this call's alone.
        let (file, position) = unsafe {
            (
                read_once!(iocb, kiocb.ki_filp),
                read_once!(iocb, kiocb.ki_pos),
            )
        };
        // SAFETY: `ki_filp` is the file that is read, which stays open during the call.
        let open = unsafe { bindings::knetstat_file_private(file) };
        let open = NonNull::new(open.cast::<Mutex<Open<R>>>()).ok_or(EINVAL)?;
        // SAFETY: `open` put there a `Mutex<Open<R>>`, and it is dropped by `release` only, which
        // procfs calls after the last read has returned. Shared with other reads: all else is
        // behind the mutex.
        let open = unsafe { open.as_ref() };
        // SAFETY: Whoever opened the file did so with credentials; these and their user namespace
        // live as long as the file, which stays open during the call.
        let user_ns = unsafe { UserNs::from_raw(bindings::knetstat_file_user_ns(file)) };
        // `rw_verify_area()` refuses positions below 0.
        let position = u64::try_from(position).map_err(|_| EINVAL)?;
        // SAFETY: `to` is valid during the call, and this call's alone.
        if unsafe { bindings::knetstat_iov_iter_count(to) } == 0 {
            return Ok(0);
        }

        let mut open = open.lock_killable()?;
        let bytes = open.bytes_at(position, user_ns)?;
        // SAFETY: `to` is valid during the call and this call's alone. `bytes` are initialised and
        // stay as they are, as the mutex is held. Sleeping is allowed: no spinlock is held.
        let count =
            unsafe { bindings::knetstat_copy_to_iter(bytes.as_ptr().cast(), bytes.len(), to) };
        if count == 0 && !bytes.is_empty() {
            return Err(EFAULT);
        }
        let end = position.saturating_add(count as u64);
        open.window.last_read = (position, end);
        // SAFETY: `iocb` is valid during the call, and this call's alone.
        unsafe {
            iocb.byte_add(offset_of!(kiocb.ki_pos))
                .cast::<i64>()
                .write(i64::try_from(end).unwrap_or(i64::MAX));
        }
        Ok(count)
    }
}

/// A file to be created in every network namespace.
pub(crate) struct File {
    name: &'static CStr,
    /// Where the file is, for the process that loads the module.
    path: &'static CStr,
    ops: &'static bindings::proc_ops,
}

// SAFETY: All fields are references to what is never written to: strings and a constant.
unsafe impl Sync for File {}

impl File {
    /// A file that shows `R`. Its path is `/proc/net/` and its name.
    pub(crate) const fn new<R: Listing>(name: &'static CStr, path: &'static CStr) -> Self {
        Self {
            name,
            path,
            ops: &Callbacks::<R>::PROC_OPS,
        }
    }

    /// Whether the loading process sees a file of this name.
    fn exists(&self) -> bool {
        // SAFETY: `kern_path()` wants a string that ends with a zero byte, which a `CStr` does, and
        // a context that may sleep: this is called while the module is loaded, with no lock held.
        unsafe { bindings::knetstat_path_exists(bindings::c_string(self.path)) }
    }

    /// Creates the file.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, which is also all that is known where the name is taken.
    fn create(&self, net: Net<'_>) -> Result {
        let ptr = net.as_ptr();
        // SAFETY: By the type invariant of `Net`, the namespace is alive.
        let directory = unsafe { read_once!(ptr, net.proc_net) };
        // SAFETY: The name ends with a zero byte, and it and the operations are static. `proc_net`
        // was set by `proc_net_ns_init()`, which runs before the `init` of modules. The data, the
        // namespace, is used until the entry is removed only, which `exit` does before the
        // namespace is freed.
        let entry = unsafe {
            bindings::proc_create_data(
                bindings::c_string(self.name),
                MODE,
                directory,
                self.ops,
                ptr.cast(),
            )
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
        // SAFETY: The namespace is alive: it ends after its `exit`, which calls this.
        let directory = unsafe { read_once!(ptr, net.proc_net) };
        // SAFETY: `proc_net` is still there: `proc_net_ns_exit()` runs after the `exit` of modules,
        // which registered later. By the caller's promise, it has an entry of that name, which is
        // ours.
        unsafe { bindings::remove_proc_entry(bindings::c_string(self.name), directory) };
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
/// `ops` is registered.
pub(crate) struct Registration<F> {
    ops: Owned<bindings::pernet_operations>,
    _files: PhantomData<F>,
}

// SAFETY: The value can be moved to another task, since `unregister_pernet_subsys()` may be called
// by any; nothing but `drop` touches the operations once they are registered.
unsafe impl<F> Send for Registration<F> {}
// SAFETY: A shared reference gives access to nothing: there are no methods that take one.
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

        let ops = c_struct!(pernet_operations {
            init: Self::init as unsafe extern "C" fn(*mut bindings::net) -> c_int,
            exit: Self::exit as unsafe extern "C" fn(*mut bindings::net),
        });
        let ops = Owned::new(ops)?;
        // SAFETY: The operations lie in an allocation of their own, which does not move, and stay
        // there until `drop` has unregistered them.
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
        // SAFETY: `setup_net()` and `register_pernet_subsys()` call with a namespace that lives on
        // until `exit` was called or, if this fails, at least until this call has returned.
        let net = unsafe { Net::from_raw(net) };
        for (i, file) in F::FILES.iter().enumerate() {
            if let Err(error) = file.create(net) {
                for file in F::FILES.iter().take(i) {
                    // SAFETY: The loop has created the first `i` files in this namespace.
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
        // SAFETY: `cleanup_net()` and `unregister_pernet_subsys()` free a namespace after its
        // `exit` at the earliest, that is after this call.
        let net = unsafe { Net::from_raw(net) };
        for file in F::FILES.iter().rev() {
            // SAFETY: `exit` is called once for each namespace whose `init` succeeded, which
            // created all files there.
            unsafe { file.remove(net) };
        }
    }
}

impl<F> Drop for Registration<F> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant, the operations are registered. They stay valid until this
        // returns, which calls `exit` for every namespace.
        unsafe { bindings::unregister_pernet_subsys(self.ops.as_ptr()) };
    }
}
