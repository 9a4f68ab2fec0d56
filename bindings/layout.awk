# SPDX-License-Identifier: GPL-2.0
#
# Makes layout.rs from the assembly that the kernel's compiler made from layout.c. Reads the
# assembly twice: first the constants with one field set, then the marks.

function fail(what) {
	print "layout.awk: " what > "/dev/stderr"
	failed = 1
	exit 1
}

# Notes the bits of a datum of this many bytes, at the current offset of the current constant.
function datum(bytes, value,    bit, ones) {
	if (symbol == "")
		return
	bit = ones = 0
	if (value == "-1") {
		ones = bytes * 8
	} else {
		value += value < 0 ? 2 ^ (bytes * 8) : 0
		if (value >= 2 ^ 53)
			fail("a datum is too large for awk: " $0)
		for (; value > 0 && value % 2 == 0; bit++)
			value /= 2
		for (; value > 0; value = (value - 1) / 2) {
			if (value % 2 != 1)
				fail("bits are not adjacent: " $0)
			ones++
		}
	}
	if (ones > 0) {
		bit += offset * 8
		# The compiler may print one field as several data, for example byte by byte.
		if (!(symbol in first)) {
			first[symbol] = bit
			width[symbol] = 0
		} else if (bit != first[symbol] + width[symbol]) {
			fail("data are not adjacent: " $0)
		}
		width[symbol] += ones
	}
	offset += bytes
}

# The Rust type for this many bits.
function type_of(bits, is_signed) {
	return (is_signed ? "i" : "u") (bits <= 8 ? 8 : bits <= 16 ? 16 : bits <= 32 ? 32 : 64)
}

FNR == 1 { pass++ }

# First pass: labels and data, as gas and LLVM write them.
pass == 1 && /^[A-Za-z_.$][A-Za-z0-9_.$]*:/ {
	symbol = substr($1, 1, length($1) - 1)
	if (symbol !~ /(^|\.)probe(\.[0-9]+)?$/)
		symbol = ""
	offset = 0
	next
}
pass == 1 && ($1 == ".zero" || $1 == ".skip" || $1 == ".space") { offset += $2; next }
pass == 1 && ($1 == ".byte") { datum(1, $2); next }
pass == 1 && ($1 == ".value" || $1 == ".short" || $1 == ".hword" || $1 == ".half" || $1 == ".2byte") { datum(2, $2); next }
pass == 1 && ($1 == ".long" || $1 == ".word" || $1 == ".4byte") { datum(4, $2); next }
pass == 1 && ($1 == ".quad" || $1 == ".xword" || $1 == ".dword" || $1 == ".8byte") { datum(8, $2); next }
pass == 1 && /^\t\.section|^\t\.text|^\t\.data/ { symbol = ""; next }
pass == 1 { next }

# Second pass: the marks.
match($0, /"->[^"]*"/) {
	n = split(substr($0, RSTART + 3, RLENGTH - 4), mark, " ")
	for (i = 1; i <= n; i++)
		sub(/^[$#]/, "", mark[i])
	type = mark[2]
	field = mark[3]
	if (mark[1] == "integer") {
		if (!(mark[5] in first))
			fail("no constant for " type "." field ": " mark[5])
		is_signed = mark[4] + 0
		rust = type_of(width[mark[5]], is_signed)
		bit = first[mark[5]]
		size = substr(rust, 2) + 0
		byte = int(bit / 8)
		as = mark[6] == "" ? "" : " as " mark[6]
		offsets = offsets sprintf("    (%s.%s) => { %d };\n", type, field, byte)
		if (width[mark[5]] == size && bit % size == 0)
			reads = reads sprintf("    ($ptr:expr, %s.%s) => { $ptr.cast::<u8>().add(%d).cast::<%s>().read_volatile()%s };\n", type, field, byte, rust, as)
		else
			reads = reads sprintf("    ($ptr:expr, %s.%s) => { $crate::bindings::read_bitfield::<%d, %d, %s>($ptr.cast::<u8>()) as %s%s };\n", type, field, bit, width[mark[5]], is_signed ? "true" : "false", rust, as)
	} else if (mark[1] == "pointer") {
		offsets = offsets sprintf("    (%s.%s) => { %d };\n", type, field, mark[5])
		reads = reads sprintf("    ($ptr:expr, %s.%s) => { $ptr.cast::<u8>().add(%d).cast::<*mut $crate::bindings::%s>().read_volatile() };\n", type, field, mark[5], mark[4])
	} else if (mark[1] == "address") {
		offsets = offsets sprintf("    (%s.%s) => { %d };\n", type, field, mark[4])
	} else if (mark[1] == "four") {
		offsets = offsets sprintf("    (%s.%s) => { %d };\n", type, field, mark[4])
		reads = reads sprintf("    ($ptr:expr, %s.%s) => { $ptr.cast::<u8>().add(%d).cast::<u32>().read_volatile() };\n", type, field, mark[4])
	} else if (mark[1] == "absent") {
		reads = reads sprintf("    ($ptr:expr, %s.%s) => {{ let _ = $ptr.cast::<u8>().add(0); %d as %s }};\n", type, field, mark[5], mark[4])
	} else if (mark[1] == "bytes") {
		offsets = offsets sprintf("    (%s.%s) => { %d };\n", type, field, mark[4])
		reads = reads sprintf("    ($ptr:expr, %s.%s) => { $ptr.cast::<u8>().add(%d).cast::<[u8; %d]>().read_volatile() };\n", type, field, mark[4], mark[5])
	} else if (mark[1] == "size") {
		sizes = sizes sprintf("    %s: %d,\n", type, mark[3])
	} else if (mark[1] == "value") {
		values = values sprintf("    %s: %d,\n", type, mark[3])
	} else if (mark[1] == "constant") {
		constants = constants sprintf("pub(crate) const %s: %s = %s;\n", type, mark[3] + 0 < 4294967296 ? "u32" : "u64", mark[3])
	}
}

END {
	if (failed)
		exit 1
	print "// Made from layout.c by Kbuild."
	print ""
	print "/// `offset_of!(TYPE.FIELD)`: the offset of a field, in bytes."
	print "macro_rules! offset_of {"
	printf "%s", offsets
	print "}"
	print ""
	print "/// Reads a field once, as `READ_ONCE()` does: `read_once!(POINTER, TYPE.FIELD)`."
	print "///"
	print "/// Another CPU may write to the field at the same time. Rust calls this a data race; the"
	print "/// kernel's memory model (`tools/memory-model`) allows it, see `rust/kernel/io.rs`."
	print "///"
	print "/// # Safety"
	print "///"
	print "/// `POINTER` must point to a live C object of this type."
	print "macro_rules! read_once {"
	printf "%s", reads
	print "}"
	print ""
	print "opaque! {"
	printf "%s", sizes
	print "}"
	print ""
	print "value! {"
	printf "%s", values
	print "}"
	print ""
	printf "%s", constants
}
