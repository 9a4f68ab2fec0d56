// SPDX-License-Identifier: GPL-2.0

//! Read-only files in `/proc/net` of every network namespace.
//!
//! C headers: `include/linux/proc_fs.h`, `include/linux/fs.h`, `include/net/net_namespace.h`
//!
//! A file consists of a header line and whole rows. A [`Listing`] writes the rows for the network
//! namespace of the file. [`Registration`] creates a set of such files in every namespace, present
//! and future. It removes them when it is dropped, or when a namespace ends. Reads of files that
//! are open when it is dropped fail with `EIO`. An open file keeps its namespace.
//!
//! An open file keeps the rows that were written last in a buffer of [`BUFFER_SIZE`] bytes, or more
//! in a crowded bucket. A `while read` loop of a shell seeks back to the end of each line. The
//! buffer serves such reads: rows stay whole, and are not written again. `seq_file` starts a new
//! listing at each such seek, and continues it at an offset that was right for the old one.
//!
//! What this does not do: writable files, and directories.

use crate::abstractions::mem::{
    Array,
    Need,
    Owned, //
};
use crate::abstractions::mutex::Mutex;
use crate::abstractions::ns::{
    Net,
    NetRef,
    Reader,
    UserNs, //
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

/// The mode of the files: anyone may read them, as with `/proc/net/tcp`.
const MODE: bindings::umode_t = 0o444;

/// The size in bytes of the buffer of an open file outside crowded buckets. About 900 rows.
const BUFFER_SIZE: usize = 128 << 10;

/// The largest size in bytes of the buffer of an open file, and the most that one read(2) returns.
/// About 30,000 rows.
const MAX_BUFFER_SIZE: usize = 4 << 20;

/// The rows that a file shows below its header line.
///
/// Called with no lock held except the mutex of the open file, under which sleeping is allowed.
/// `Send`: one task may open a file, and others may read and close it.
pub(crate) trait Listing: Send + Sized {
    /// The first line of the file, with its line feed.
    const HEADER: &'static str;

    /// The state of a file that was just opened.
    fn new() -> Self;

    /// Goes back to the first row.
    fn rewind(&mut self);

    /// Appends the next rows that `reader` may see, as many as fit. Appends none if there are no
    /// more. May sleep.
    ///
    /// # Errors
    ///
    /// - `EINTR` if the reader was killed.
    /// - `ENOMEM` if there is no memory.
    /// - `EOVERFLOW` if an empty `text` has no room for the next row.
    ///
    /// Rows that were appended before an error are right. The next call continues after them.
    fn fill(&mut self, reader: &Reader<'_>, text: &mut Text<'_>) -> Result;

    /// Whether each further call of [`Listing::fill`] repeats some work. Fewer calls with a larger
    /// `text` are then better.
    fn wants_room(&self) -> bool;
}

/// The buffer of an open file: the bytes that were written last, and the range that was read last.
struct Buffer {
    bytes: Array<u8>,
    /// The position in the file of the first byte.
    start: u64,
    /// The number of bytes that were written.
    len: usize,
    /// The start and the end of the last read.
    last_read: (u64, u64),
}

impl Buffer {
    const fn new() -> Self {
        Self {
            bytes: Array::empty(),
            start: 0,
            len: 0,
            last_read: (0, 0),
        }
    }

    /// The position after the last byte.
    fn end(&self) -> u64 {
        self.start.saturating_add(self.len as u64)
    }

    /// Whether a read at `position` continues the listing in the buffer.
    ///
    /// A read continues the listing if it starts at the end of the last read, or anywhere after the
    /// start of the last read. A reader that seeks back over bytes that it did not use lands there.
    /// A read starts a new listing if it starts at or before the start of the last read. A reader
    /// that reads the same bytes again wants to see changes. A read at a position before the buffer
    /// starts a new listing, too.
    fn continues_at(&self, position: u64) -> bool {
        let (begin, end) = self.last_read;
        position >= self.start && position != 0 && (position == end || position > begin)
    }

    /// The bytes from `position` on.
    fn from(&self, position: u64) -> &[u8] {
        let skip = position.saturating_sub(self.start);
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let bytes = self
            .bytes
            .get(..self.len)
            .and_then(|bytes| bytes.get(skip..));
        bytes.unwrap_or(&[])
    }

    /// Begins a new listing.
    fn rewind(&mut self) {
        self.start = 0;
        self.len = 0;
    }

    /// Discards the bytes, and chooses the size for the next ones. If `wants_room`, the size is
    /// doubled, so that the work which each call repeats stays in proportion to the rows. If there
    /// is no memory for the new size, the buffer keeps its size.
    fn advance(&mut self, wants_room: bool) -> Result {
        self.start = self.end();
        self.len = 0;
        let size = if wants_room {
            self.bytes
                .len()
                .saturating_mul(2)
                .clamp(BUFFER_SIZE, MAX_BUFFER_SIZE)
        } else {
            BUFFER_SIZE
        };
        if self.bytes.is_empty() {
            self.bytes = Array::zeroed(size, Need::Required)?;
        } else if size != self.bytes.len() {
            if let Ok(bytes) = Array::zeroed(size, Need::Optional) {
                self.bytes = bytes;
            }
        }
        Ok(())
    }

    /// Makes an empty buffer larger.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, or `EOVERFLOW` if the buffer already has its largest size.
    fn grow(&mut self) -> Result {
        if self.bytes.len() >= MAX_BUFFER_SIZE {
            return Err(EOVERFLOW);
        }
        self.bytes = Array::zeroed(self.bytes.len().saturating_mul(2), Need::Required)?;
        Ok(())
    }

    /// Replaces the bytes by those that `write` appends.
    fn fill(&mut self, write: impl FnOnce(&mut Text<'_>) -> Result) -> Result {
        let mut text = Text::new(&mut self.bytes);
        let written = write(&mut text);
        self.len = text.len();
        match written {
            // Return the bytes first. If the error persists, the next call reports it.
            Err(error) if self.len == 0 => Err(error),
            _ => Ok(()),
        }
    }
}

/// The state of an open file.
struct Open<R> {
    listing: R,
    buffer: Buffer,
    net: NetRef,
    /// Whether the process that opened the file had CAP_NET_ADMIN over the namespace.
    is_net_admin: bool,
}

impl<R: Listing> Open<R> {
    /// The bytes of the file from `position` to the end of the buffer. Empty at the end of the
    /// file. May sleep.
    fn bytes_at(&mut self, position: u64, user_ns: UserNs<'_>) -> Result<&[u8]> {
        if !self.buffer.continues_at(position) {
            self.buffer.rewind();
            self.listing.rewind();
        }
        let reader = Reader {
            net: self.net.net(),
            user_ns,
            is_net_admin: self.is_net_admin,
        };
        while position >= self.buffer.end() {
            self.buffer.advance(self.listing.wants_room())?;
            let is_first = self.buffer.end() == 0;
            loop {
                let filled = self.buffer.fill(|text| {
                    if is_first {
                        text.str(R::HEADER);
                    }
                    self.listing.fill(&reader, text)
                });
                match filled {
                    Err(EOVERFLOW) => self.buffer.grow()?,
                    filled => break filled?,
                }
            }
            if self.buffer.len == 0 {
                break;
            }
            sched::cond_resched_killable()?;
        }
        Ok(self.buffer.from(position))
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
        // Moves `f_pos` and nothing else: a read uses the position that it is given.
        proc_lseek: bindings::no_seek_end_llseek
            as unsafe extern "C" fn(*mut bindings::file, i64, c_int) -> i64,
        proc_release: Self::release
            as unsafe extern "C" fn(*mut bindings::inode, *mut bindings::file) -> c_int,
    });

    /// # Safety
    ///
    /// Only procfs may call this, for a file that [`File::create`] created.
    unsafe extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: procfs passes the inode of our entry, which is alive while the file is opened.
        let net = unsafe { bindings::knetstat_pde_data(inode) };
        let net = NonNull::new(net.cast()).map(|net| {
            // SAFETY: `create` gave the entry its namespace as data. The namespace is not freed
            // before this call returns: its end removes the entry, and `remove_proc_entry()` waits
            // for callbacks in progress (`proc_entry_rundown()`).
            unsafe { Net::from_raw(net) }
        });
        let Some(net) = net.and_then(NetRef::try_get) else {
            return ENXIO.to_errno();
        };
        let open = Open {
            listing: R::new(),
            buffer: Buffer::new(),
            is_net_admin: net.net().has_net_admin(),
            net,
        };
        match Mutex::new(open) {
            Ok(open) => {
                let open = open.into_raw().cast().as_ptr();
                // SAFETY: `file` is being opened, and no other code uses it yet. procfs leaves its
                // private data to the owner of the entry.
                unsafe { bindings::knetstat_set_file_private(file, open) };
                0
            }
            Err(error) => error.to_errno(),
        }
    }

    /// # Safety
    ///
    /// Only procfs may call this, once, for a file that [`Self::open`] opened.
    unsafe extern "C" fn release(_: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: procfs passes the file that is being released, which is alive.
        let open = unsafe { bindings::knetstat_file_private(file) };
        if let Some(open) = NonNull::new(open.cast::<Mutex<Open<R>>>()) {
            // SAFETY: `open` stored what `into_raw()` of an `Owned` of this type returned. procfs
            // calls `proc_release` once, when no other callback for this file is in progress or
            // follows. This is therefore the only owner.
            drop(unsafe { Owned::from_raw(open) });
        }
        0
    }

    /// Serves read(2), pread(2), and other calls that read at a position. Follows
    /// `seq_read_iter()`, with two differences:
    ///
    /// - One call returns bytes of one buffer only. The next call fills the buffer again.
    /// - [`Buffer::continues_at`] decides whether a read starts a new listing.
    ///
    /// # Safety
    ///
    /// Only procfs may call this, for a file that [`Self::open`] opened.
    unsafe extern "C" fn read_iter(
        iocb: *mut bindings::kiocb,
        to: *mut bindings::iov_iter,
    ) -> isize {
        // SAFETY: By the caller's promise, `iocb` and `to` are the arguments of a `proc_read_iter`
        // of a file that `open` opened.
        match unsafe { Self::read(iocb, to) } {
            // `count` is at most `MAX_BUFFER_SIZE`.
            Ok(count) => count as isize,
            Err(error) => error.to_errno() as isize,
        }
    }

    /// # Safety
    ///
    /// `iocb` and `to` must be the arguments of a `proc_read_iter` of a file that [`Self::open`]
    /// opened.
    unsafe fn read(iocb: *mut bindings::kiocb, to: *mut bindings::iov_iter) -> Result<usize> {
        // SAFETY: `iocb` is valid during the call, and only this call uses it.
        let (file, position) = unsafe {
            (
                read_once!(iocb, kiocb.ki_filp),
                read_once!(iocb, kiocb.ki_pos),
            )
        };
        // SAFETY: `ki_filp` is the file that is read, which stays open during the call.
        let open = unsafe { bindings::knetstat_file_private(file) };
        let open = NonNull::new(open.cast::<Mutex<Open<R>>>()).ok_or(EINVAL)?;
        // SAFETY: `open` stored a pointer to a `Mutex<Open<R>>`. Only `release` drops it, and
        // procfs calls `release` after the last read has returned. Other reads share the reference:
        // everything else is behind the mutex.
        let open = unsafe { open.as_ref() };
        // SAFETY: `file` is open during the call.
        let user_ns = unsafe { bindings::knetstat_file_user_ns(file) };
        // SAFETY: The credentials of the process that opened the file live as long as the file, and
        // with them their user namespace.
        let user_ns = unsafe { UserNs::from_raw(user_ns) };
        // `rw_verify_area()` refuses negative positions.
        let position = u64::try_from(position).map_err(|_| EINVAL)?;
        // SAFETY: `to` is valid during the call, and only this call uses it.
        if unsafe { bindings::knetstat_iov_iter_count(to) } == 0 {
            return Ok(0);
        }

        let mut open = open.lock_killable()?;
        let bytes = open.bytes_at(position, user_ns)?;
        // SAFETY: `to` is valid during the call, and only this call uses it. `bytes` are
        // initialised and do not change, because the mutex is held. Sleeping is allowed, because no
        // spinlock is held.
        let count =
            unsafe { bindings::knetstat_copy_to_iter(bytes.as_ptr().cast(), bytes.len(), to) };
        if count == 0 && !bytes.is_empty() {
            return Err(EFAULT);
        }
        let end = position.saturating_add(count as u64);
        open.buffer.last_read = (position, end);
        // SAFETY: `iocb` is valid during the call, and only this call uses it.
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
    /// The path of the file, for the process that loads the module.
    path: &'static CStr,
    ops: &'static bindings::proc_ops,
}

impl File {
    /// A file that shows `R`. `path` must be `/proc/net/` followed by `name`.
    pub(crate) const fn new<R: Listing>(name: &'static CStr, path: &'static CStr) -> Self {
        Self {
            name,
            path,
            ops: &Callbacks::<R>::PROC_OPS,
        }
    }

    /// Whether the process that loads the module sees a file of this name.
    fn exists(&self) -> bool {
        // SAFETY: `kern_path()` requires a string that ends with a zero byte, and a `CStr` does. It
        // also requires a context that may sleep. This is called while the module is loaded, with
        // no lock held.
        unsafe { bindings::knetstat_path_exists(bindings::c_string(self.path)) }
    }

    /// Creates the file.
    ///
    /// # Errors
    ///
    /// `ENOMEM` if there is no memory, or if the name is taken: `proc_create_data()` reports both
    /// alike.
    fn create(&self, net: Net<'_>) -> Result {
        let ptr = net.as_ptr();
        // SAFETY: By the type invariant of `Net`, the namespace is alive.
        let directory = unsafe { read_once!(ptr, net.proc_net) };
        // SAFETY:
        // - The name ends with a zero byte. The name and the operations are static.
        // - `proc_net_ns_init()` has set `proc_net`. It runs before the `init` of modules.
        // - The data is the namespace. It is used only until the entry is removed, and `exit`
        //   removes the entry before the namespace is freed.
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

    /// Removes the file. Waits for reads in progress, and releases the file for processes that have
    /// it open.
    ///
    /// # Safety
    ///
    /// [`Self::create`] must have created the file in this namespace.
    unsafe fn remove(&self, net: Net<'_>) {
        let ptr = net.as_ptr();
        // SAFETY: By the type invariant of `Net`, the namespace is alive. It ends only after its
        // `exit`, which calls this, or after an `init` that failed and calls this.
        let directory = unsafe { read_once!(ptr, net.proc_net) };
        // SAFETY: `proc_net` still exists: `proc_net_ns_exit()` runs after the `exit` of modules,
        // which registered later. By the caller's promise, it contains an entry of that name, which
        // is ours.
        unsafe { bindings::remove_proc_entry(bindings::c_string(self.name), directory) };
    }
}

/// A set of files.
pub(crate) trait Files: 'static {
    /// The files, in the order in which they are created.
    const FILES: &'static [File];
}

/// The files of `F`. They exist in every network namespace while this value lives.
///
/// # Invariants
///
/// `ops` is registered.
pub(crate) struct Registration<F> {
    ops: Owned<bindings::pernet_operations>,
    _files: PhantomData<F>,
}

// SAFETY: The value may be moved to another task, because any task may call
// `unregister_pernet_subsys()`. Nothing but `drop` touches the operations once they are registered.
unsafe impl<F> Send for Registration<F> {}
// SAFETY: A shared reference gives access to nothing: there are no methods that take one.
unsafe impl<F> Sync for Registration<F> {}

impl<F: Files> Registration<F> {
    /// Creates the files in all namespaces. May sleep.
    ///
    /// # Errors
    ///
    /// - `EEXIST` if the calling process already sees a file with one of the names.
    /// - `ENOMEM` if there is no memory, or if a name is taken in another namespace.
    ///
    /// No file is left behind.
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
        // SAFETY: The operations are in an allocation of their own, which does not move. They stay
        // there until `drop` has unregistered them.
        to_result(unsafe { bindings::register_pernet_subsys(ops.as_ptr()) })?;
        // INVARIANT: The operations were just registered.
        Ok(Self {
            ops,
            _files: PhantomData,
        })
    }

    /// # Safety
    ///
    /// Only to be called as `init` of the pernet operations.
    unsafe extern "C" fn init(net: *mut bindings::net) -> c_int {
        let Some(net) = NonNull::new(net) else {
            return ENXIO.to_errno();
        };
        // SAFETY: `setup_net()` and `register_pernet_subsys()` pass a namespace that lives until
        // `exit` was called. If this call fails, the namespace lives at least until it has
        // returned.
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
    /// Only to be called as `exit` of the pernet operations.
    unsafe extern "C" fn exit(net: *mut bindings::net) {
        let Some(net) = NonNull::new(net) else {
            return;
        };
        // SAFETY: `cleanup_net()` and `unregister_pernet_subsys()` free a namespace after its
        // `exit` at the earliest, hence after this call.
        let net = unsafe { Net::from_raw(net) };
        for file in F::FILES.iter().rev() {
            // SAFETY: `exit` is called once for each namespace whose `init` succeeded. That `init`
            // created all files there.
            unsafe { file.remove(net) };
        }
    }
}

impl<F> Drop for Registration<F> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant, the operations are registered. They stay valid until this
        // call returns, which calls `exit` for every namespace.
        unsafe { bindings::unregister_pernet_subsys(self.ops.as_ptr()) };
    }
}
