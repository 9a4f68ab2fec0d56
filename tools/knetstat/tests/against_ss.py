#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
#
# Compares `knetstat` with `ss` in a guest with the module loaded: sockets, processes and filters.
# Then tests what ss does not have. Unloads the module at the end.
#
# usage: tools/knetstat/tests/run.sh GUEST

import array
import collections
import contextlib
import datetime
import fcntl
import json
import os
import pty
import queue
import re
import signal
import socket
import subprocess
import sys
import termios
import threading
import time

COMMAND = os.environ["KNETSTAT_DIR"] + "/knetstat"
NETNS = "command-test"
STATES = {
    "ESTAB": "established", "SYN-SENT": "syn-sent", "SYN-RECV": "syn-recv",
    "FIN-WAIT-1": "fin-wait-1", "FIN-WAIT-2": "fin-wait-2", "TIME-WAIT": "time-wait",
    "UNCONN": "unconnected", "CLOSE-WAIT": "close-wait", "LAST-ACK": "last-ack",
    "LISTEN": "listening", "CLOSING": "closing",
}
passed = failed = 0


def check(name, is_right, more=""):
    global passed, failed
    passed += bool(is_right)
    failed += not is_right
    if not is_right:
        print(f"test {name} ... FAILED\n{more}")


def run(*words, **more):
    return subprocess.run(words, capture_output=True, text=True, **more)


def on_terminal(*words, columns=None, env=None):
    """What the command prints on a terminal."""
    ours, theirs = pty.openpty()
    if columns:
        termios.tcsetwinsize(theirs, (24, columns))
    process = subprocess.Popen([COMMAND, *words], stdout=theirs, env=env)
    os.close(theirs)
    text = b""
    with contextlib.suppress(OSError):
        while part := os.read(ours, 1 << 16):
            text += part
    process.wait()
    os.close(ours)
    return text


def endpoint(text):
    address, port = text.rsplit(":", 1)
    address = re.sub(r"%.*", "", address.replace("[", "").replace("]", ""))
    return {"*": "::"}.get(address, address), 0 if port == "*" else int(port)


def of_ss(flags, words):
    """The sockets: netid, state, both ends, inode, and the processes that have them open."""
    result = run("ss", "-HnpeO", *flags, *words)
    check(f"ss {flags} {words}", result.returncode == 0, result.stderr)
    found = set()
    for line in result.stdout.splitlines():
        fields = line.split()
        # ss omits this column if only one protocol is selected.
        is_udp = any(re.search("udp|^-[a-z0-9]*u", flag) for flag in flags)
        netid = fields.pop(0) if fields[0] in ("tcp", "udp") else "udp" if is_udp else "tcp"
        # ss omits this column if only one state is selected.
        if fields[0] in STATES:
            state = STATES[fields.pop(0)]
        else:
            asked = words[words.index("state") + 1] if "state" in words else None
            is_listening = any(re.search("listening|^-[a-z0-9]*l", flag) for flag in flags)
            asked = (asked or ("listening" if is_listening else "established")).lower()
            state = {"closed": "unconnected", "close": "unconnected", "syn-rcv": "syn-recv"}.get(asked, asked)
        ino = re.search(r" ino:(\d+)", line)
        users = re.findall(r'\("([^"]*)",pid=(\d+),fd=(\d+)\)', line)
        users = frozenset((name, int(pid), int(fd)) for name, pid, fd in users)
        found.add((netid, state, endpoint(fields[2]), endpoint(fields[3]),
                   int(ino.group(1)) if ino else 0, users))
    return found


def of_ours(flags, words):
    result = run(COMMAND, "-np", "--json", *flags, *words)
    # The one question of these tests that no socket can answer.
    note = "ss -tanB" if (flags, words) == (["-t"], ["state", "close"]) else ""
    is_said = note in result.stderr and bool(note) == bool(result.stderr)
    check(f"knetstat {flags} {words}", result.returncode == 0 and is_said, result.stderr)
    found = set()
    for line in result.stdout.splitlines():
        row = json.loads(line)
        users = frozenset((one["name"], one["pid"], one["fd"]) for one in row["processes"])
        ends = [(row[end]["address"], row[end]["port"]) for end in ("local", "foreign")]
        found.add((row["netid"], row["state"], *ends, row.get("ino", 0), users))
    return found


def between(theirs, ours):
    """Returns a result of `theirs` and one of `ours` that was taken between two equal results of `theirs`; after 20
    tries, the last ones. A socket may change its state or end between the commands, and a child that has not
    called execve yet has the name and the sockets of its parent."""
    for _ in range(20):
        before, found, after = theirs(), ours(), theirs()
        if before == after:
            break
        time.sleep(0.1)
    return before, found


def compare(flags, words, least):
    """Compares the rows with those of ss. There must be at least `least` of them."""
    before, ours = between(lambda: of_ss(flags, words), lambda: of_ours(flags, words))
    name = f"against_ss {' '.join(flags)} {' '.join(words)}"
    check(name, ours == before and len(ours) >= least,
          f"only ss: {before - ours}\nonly knetstat: {ours - before}\n{len(ours)} rows")


def compare_with(name, ours, theirs):
    """Compares two sets of sockets, of which the second is of ss, as `compare` does."""
    before, found = between(theirs, ours)
    check(name, found == before and found, f"only ss: {before - found}\nonly knetstat: {found - before}")


def tcp(family, host, **options):
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, options.get("port", 0)))
    listener.listen(options.get("backlog", 16))
    return listener


def pair(listener, host=None):
    client = socket.socket(listener.family, socket.SOCK_STREAM)
    port = listener.getsockname()[1]
    client.connect((host or listener.getsockname()[0], port))
    return client, listener.accept()[0]


def scene():
    """Sockets of both protocols and families, in many states."""
    keep = []
    v4 = tcp(socket.AF_INET, "127.0.0.1", port=22)
    v6 = tcp(socket.AF_INET6, "::1", port=8080, backlog=5)
    any6 = tcp(socket.AF_INET6, "::", port=80)
    keep += [v4, v6, any6, tcp(socket.AF_INET, "0.0.0.0", port=9000)]
    for listener, host in [(v4, None), (v4, None), (v6, None), (any6, "::ffff:127.0.0.1"), (any6, "::1")]:
        keep.append(pair(listener, host))
    keep[-1][0].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    keep[-1][0].setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    keep[-1][0].setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
    keep[-2][0].setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # FIN wait 2 and close wait.
    client, server = pair(v4)
    client.shutdown(socket.SHUT_WR)
    keep += [client, server]
    keep += fading(v4, v6)
    # UDP: unconnected and connected.
    for family, host in [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"), (socket.AF_INET6, "::")]:
        receiver = socket.socket(family, socket.SOCK_DGRAM)
        receiver.bind((host, 0))
        sender = socket.socket(family, socket.SOCK_DGRAM)
        sender.connect(("::1" if host == "::" else host, receiver.getsockname()[1]))
        keep += [receiver, sender]
    # A duplicate descriptor, and a process with another name that has the same sockets open.
    keep.append(v4.dup())
    child = subprocess.Popen(["sleep", "1000"], pass_fds=[v4.fileno(), keep[4][0].fileno()])
    return keep, child


def fading(v4, v6):
    """Two sockets that the kernel ends after a minute: in time wait, and an orphan in FIN wait 2."""
    client, server = pair(v4)
    client.close()
    server.close()
    client, server = pair(v6)
    client.close()
    return [server]


FILTERS = [
    (["-t"], "", 8), (["-ta"], "", 14), (["-tl"], "", 4), (["-u"], "", 3), (["-ua"], "", 6), (["-ul"], "", 3),
    (["-tua"], "", 20), (["-tu"], "", 12), (["-ta4"], "", 6), (["-ta6"], "", 6), (["-ua6"], "", 3),
    (["-ta"], "sport = :22", 3), (["-ta"], "sport = :ssh", 3), (["-ta"], "( dport = :22 or sport = :22 )", 6),
    (["-ta"], "dport >= :8000", 1), (["-ta"], "sport lt 81", 4), (["-ta"], "sport != :22", 4),
    (["-ta"], "dport gt 80 dport le 8080", 1),
    (["-t"], "state established", 8), (["-t"], "state time-wait", 1), (["-t"], "state all exclude listening", 10),
    (["-t"], "state connected", 10), (["-t"], "state synchronized", 10), (["-t"], "state bucket", 1),
    (["-t"], "state big", 10), (["-t"], "exclude established", 5), (["-t"], "state close-wait state fin-wait-2", 2),
    (["-t"], "state listening sport = :80", 1), (["-u"], "state closed", 3), (["-ta"], "src 127.0.0.1", 5),
    (["-ta"], "src 127.0.0.0/8", 5), (["-ta"], "dst 127.0.0.1:22", 2), (["-ta"], "src [::1]", 4),
    (["-ta"], "src [::1]:8080", 2), (["-ta"], "src ::1:8080", 2), (["-ta"], "dst ::/0", 4),
    (["-ta"], "src *:80", 3), (["-ta"], "not src 127.0.0.0/8", 4), (["-ta"], "! ( sport = :22 )", 4),
    (["-ta"], "sport = :22 and dst 127.0.0.1", 2), (["-ta"], "sport = :22 & not dst 127.0.0.1", 1),
    (["-ta"], "sport = :80 || sport = :22 | dport = :8080", 6), (["-ta"], "dst 0.0.0.0/0", 5),
    (["-ta"], "sport = :80 or ( sport = :22 and dst 127.0.0.1 )", 4),
    # ss evaluates from left to right, although its manual says otherwise.
    (["-ta"], "sport = :80 or sport = :22 and dst 127.0.0.1", 3),
    (["-ta"], "sport = :80 or sport = :22 dst 127.0.0.1", 3),
    (["-ta"], "dst 127.0.0.1 and sport = :22 or sport = :80", 4),
    (["-ua"], "src 127.0.0.1", 2), (["-ua"], "dst [::1]", 1),
]


# More sockets, on ports of their own: bound to an interface, with marks, and with a link-local address.
OURS = "( sport >= :9100 and sport < :9110 )"


def marked_and_bound():
    run("ip", "addr", "add", "fe80::1/64", "dev", "lo", "nodad")

    def one(kind, host, port, **options):
        made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind)
        if "device" in options:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, options["device"])
        if "mark" in options:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, options["mark"])
        made.bind((host, port, 0, 1) if host.startswith("fe80") else (host, port))
        if "peer" in options:
            made.connect(options["peer"])
        elif kind == socket.SOCK_STREAM:
            made.listen()
        return made

    stream, datagram = socket.SOCK_STREAM, socket.SOCK_DGRAM
    keep = [one(stream, "127.0.0.1", 9100, device=b"lo"), one(stream, "127.0.0.1", 9101, mark=0x11),
            one(stream, "127.0.0.1", 9102, mark=2), one(stream, "fe80::1", 9103),
            one(datagram, "127.0.0.1", 9104, device=b"lo"), one(datagram, "127.0.0.1", 9105, mark=0x11),
            one(stream, "127.0.0.1", 9106, mark=0x21, peer=("127.0.0.1", 9102))]
    return keep + [keep[2].accept()[0]]


# Spellings of flags and filters that ss and knetstat both take: both select the same sockets.
SPELLINGS = [
    # Flags: twice, by their long names, and those that make no difference.
    (["-tann"], "", 14), (["-n", "-tan"], "", 14), (["-ta", "-4", "-4"], "", 6), (["-tat", "-a"], "", 14),
    (["-tae"], "", 14), (["-taO"], "", 14), (["-taH", "-H"], "", 14), (["-tapp"], "", 14), (["-tulpen"], "", 7),
    (["--tcp", "--all"], "", 14), (["--udp", "--all"], "", 6), (["--tcp", "--listening"], "", 4),
    (["--tcp", "--udp", "--all"], "", 20), (["--tcp", "--all", "--ipv4"], "", 6),
    (["--tcp", "--all", "--ipv6"], "", 6), (["--tcp", "--all", "--numeric", "--processes", "--no-header"], "", 14),
    (["--tcp", "--all", "--extended", "--oneline"], "", 14), (["-ta", "--tos"], "", 14),
    (["-ta", "--inet-sockopt"], "", 14), (["-ta", "-f", "inet"], "", 6), (["-ta", "--family=inet6"], "", 6),
    (["-A", "tcp", "-a"], "", 14), (["-A", "udp", "-a"], "", 6), (["-A", "tcp,udp", "-a"], "", 20),
    (["-A", "tcp", "-A", "udp", "-a"], "", 20), (["--query=tcp", "-a"], "", 14), (["--socket=tcp,udp", "-a"], "", 20),
    (["-A", "tcp,udp,!tcp", "-a"], "", 6), (["-A", "tcp"], "", 8), (["-A", "udp"], "", 3), (["-A", "tcp", "-l"], "", 4),
    # Operators.
    (["-ta"], "sport == :22", 3), (["-ta"], "sport eq 22", 3), (["-ta"], "sport ne 22", 9), (["-ta"], "sport neq :22", 9),
    (["-ta"], "sport > :22", 9), (["-ta"], "sport gt 22", 9), (["-ta"], "sport >= :80", 9), (["-ta"], "sport ge 80", 9),
    (["-ta"], "sport geq 80", 9), (["-ta"], "sport < :81", 5), (["-ta"], "sport <= :80", 5), (["-ta"], "sport le 80", 5),
    (["-ta"], "sport leq 80", 5), (["-ta"], "not sport = :22", 9), (["-ta"], "! sport = :22", 9),
    (["-ta"], "not not sport = :22", 3), (["-ta"], "( ( sport = :22 ) )", 3), (["-ta"], "not ( sport = :22 or sport = :80 )", 5),
    (["-ta"], "sport = :22 && src 127.0.0.1", 3), (["-ta"], "sport = :22 & src 127.0.0.1", 3),
    (["-ta"], "sport = :22 src 127.0.0.1", 3), (["-ta"], r"\( sport = :22 \)", 3), (["-ta"], r"\( sport \> :22 \)", 9),
    # Ports.
    (["-ta"], "sport 22", 3), (["-ta"], "sport :ssh", 3), (["-ta"], "sport = ssh", 3), (["-ta"], "sport = 0x16", 3),
    (["-ta"], "sport = :*", 14), (["-ta"], "sport = inet::22", 3), (["-ta"], "sport = inet6::8080", 2),
    (["-ta"], "sport != inet::22", 2), (["-ua"], "dport != :0", 3), (["-ua"], "dport = :0", 3),
    # Hosts.
    (["-ta"], "dst 127/8", 5), (["-ta"], "src 127.0/16", 5), (["-ta"], "src 127.0.0/24", 5), (["-ta"], "dst 10/8", 0),
    (["-ta"], "src 127.0.0.0/255.0.0.0", 5), (["-ta"], "dst = 127.0.0.1", 5), (["-ta"], "src any", 14), (["-ta"], "src all", 14),
    (["-ta"], "dst default", 14), (["-ta"], "src any:22", 3), (["-ta"], "src *", 14), (["-ta"], "src *:*", 14),
    (["-ta"], "src :22", 3), (["-ta"], "src 127.0.0.1:*", 5), (["-ta"], "src [127.0.0.1]:22", 3), (["-ta"], "src [::1/128]", 4),
    (["-ta"], "src [::1]:*", 4), (["-ta"], "src [::ffff:127.0.0.1]", 1), (["-ta"], "src ::ffff:0:0/96", 1),
    (["-ta"], "src inet:127.0.0.1", 5), (["-ta"], "src inet:127.0.0.1:22", 3), (["-ta"], "src inet6:[::1]", 4),
    (["-ta"], "src inet:*:22", 3), (["-ta"], "src inet6:any", 6), (["-ta"], "not src inet:127.0.0.1", 1),
    (["-ta"], "src inet:127.0.0.1 or sport = :9000", 6), (["-ua"], "dst inet6:[::1]", 1), (["-ta"], "src 0.0.0.0", 1),
    (["-ta"], "src [::]", 1), (["-ta"], "src [fe80::1]", 1), (["-ta"], "src fe80::/10", 1), (["-ta"], "src [fe80::1]:9103", 1),
    # Interfaces and marks.
    (["-ta"], OURS + " dev lo", 2), (["-ta"], OURS + " dev = lo", 2), (["-ta"], OURS + " dev != lo", 4),
    (["-ta"], OURS + " not dev lo", 4), (["-ta"], OURS + " dev 1", 2), (["-ta"], OURS + " dev = 1", 2), (["-ta"], OURS + " dev != 1", 4),
    (["-ua"], OURS + " dev lo", 1), (["-ua"], OURS + " dev != lo", 1), (["-ta"], OURS + " dev == lo", 2), (["-ta"], OURS + " dev ne lo", 4),
    (["-ta"], OURS + " fwmark = 0x11", 1), (["-ta"], OURS + " fwmark 17", 1), (["-ta"], OURS + " fwmark = 0x1/0x3", 2),
    (["-ta"], OURS + " fwmark = 0x1/0x0f", 2), (["-ta"], OURS + " fwmark != 0x1/0x3", 4), (["-ta"], OURS + " fwmark != 17", 5),
    (["-ua"], OURS + " fwmark = 0x11", 1), (["-ta"], OURS + " not fwmark = 2", 4), (["-ta"], OURS + " fwmark = 0", 2),
    # States.
    (["-t"], "state ESTABLISHED", 8), (["-t"], "state Listening", 4), (["-t"], "state fin-wait-2", 1), (["-t"], "state close", 0),
    (["-t"], "state syn-rcv", 0), (["-t"], "state SYN-SENT", 0), (["-t"], "state closing", 0), (["-t"], "state last-ack", 0),
    (["-t"], "state fin-wait-1", 0), (["-ta"], "excl listening", 9), (["-u"], "state unconnected", 3), (["-u"], "state established", 3),
    (["-t"], "state established ( sport = :22 or dport = :22 )", 4), (["-ta"], "state established", 8),
    (["-t"], "state time-wait state fin-wait-2", 2), (["-t"], "state all", 14), (["-t"], "exclude listening exclude time-wait", 9),
]

# Spellings that only knetstat takes, each with one of ss that means the same.
MORE = [
    ("state ESTAB", "state established"), ("state LISTEN", "state listening"), ("state = listening", "state listening"),
    ("state FIN_WAIT2", "state fin-wait-2"), ("state CLOSE_WAIT", "state close-wait"), ("state TIME_WAIT", "state time-wait"),
    ("state UNCONN", "state unconnected"), ("src != 127.0.0.1", "not src 127.0.0.1"), ("sport=22", "sport = 22"),
    ("(sport=:22 or sport=:80)", "( sport = :22 or sport = :80 )"), ("dst ::1", "dst [::1]"), ("src ::", "src [::]"), ("src fe80::1", "src [fe80::1]"),
    ("src [fe80::1]%lo", "src [fe80::1]"), ("src fe80::1%lo", "src [fe80::1]"), ("src [fe80::1]%lo:9103", "src [fe80::1]:9103"), ("src fe80::%lo/64", "src fe80::/64"),
    ("src inet6:::1", "src inet6:[::1]"), (OURS + " src *%lo", OURS + " dev lo"), (OURS + " src 127.0.0.1%lo", OURS + " src 127.0.0.1 dev lo"),
    ("src [::1]/128", "src ::1/128"),
]

# Command lines on which ss does not select what its manual says, with those of ss whose sockets
# knetstat selects, and the reason.
DIFFERENT = [
    (["-ta", "-4", "-6"], "", [(["-ta"], "")], "ss shows only the family of the last flag"),
    (["-ta", "-f", "inet", "-f", "inet6"], "", [(["-ta"], "")], "the same"),
    (["-ta"], "src inet:127.0.0.1 or src inet6:[::1]", [(["-ta4"], "src 127.0.0.1"), (["-ta6"], "src [::1]")],
     "ss shows only the family of the last address"),
]

# Filters that ss takes and knetstat answers, with a part of the answer, and the reason.
ANSWERED = [
    ("autobound", "use sport >= :", "only the kernel knows who chose a port"),
    ("not autobound", "use sport >= :", "the same"),
    ("state bound-inactive", "use ss -B", "the module does not show them"),
    ("sport = 022", "use 22; as an octal number, it is 18", "people mean 22"),
    ("sport = :70000", "0 to 65535", "there is no such port"),
    ("fwmark = 3/1", "all bits of the number", "no mark equals it"),
    ("src unix:/run/x", "use ss", "not TCP or UDP"), ("src link:lo", "use ss", "not TCP or UDP"),
    ("src netlink:route", "use ss", "not TCP or UDP"), ("src vsock:1", "use ss", "not TCP or UDP"),
]

# Values for those flags of ss that take one.
VALUES = {"-N": "outside", "--net": "outside", "-f": "inet", "--family": "inet", "-A": "tcp", "--query": "tcp",
          "--socket": "tcp", "-D": "-", "--diag": "-", "-F": "/dev/null", "--filter": "/dev/null", "--bpf-map-id": "1"}


def of_the_manual():
    """The flags in the help of ss, except those of which the next argument is a value."""
    text = run("ss", "--help").stdout
    lines = [line for line in text.splitlines() if re.match(r" +-", line)]
    return sorted({flag for line in lines
                   for flag in re.findall(r"(?<![\w-])(-\w|--[a-z][a-z0-9-]*)", re.split(r"  +\w", line.strip())[0])})


def answers():
    """Each flag of ss is accepted, or answered in one line with exit status 2. So is each filter."""
    flags = of_the_manual()
    check("flags of ss", len(flags) > 60 and {"-t", "--tcp", "-O", "--inet-sockopt", "--socket"} <= set(flags), flags)
    accepted = set()
    for flag in flags:
        value = [VALUES[flag]] if flag in VALUES else []
        result = run(COMMAND, flag, *value)
        if result.returncode == 0:
            accepted.add(flag)
        else:
            check(f"answer to {flag}", result.returncode == 2 and result.stdout == "" and result.stderr.count("\n") == 1
                  and result.stderr.startswith("knetstat: -"), result)
    wanted = set("-h -V -H -O -n -a -l -e -p -T -N -4 -6 -t -u -f -A --tos --inet-sockopt".split())
    check("accepted flags", wanted <= accepted, wanted - accepted)
    for flag in "-o -m -i -s -r -b -E -Z -z -K -D -F -M -w -x -0 -d -S --cgroup --vsock --tipc --xdp".split():
        check(f"not accepted: {flag}", flag not in accepted)
    for words, answer, _ in ANSWERED:
        result = run(COMMAND, "-tn", *words.split())
        check(f"answer to {words}", result.returncode == 2 and answer in result.stderr and not result.stdout, result)
    # What people type by habit.
    for words in ["-tulpen", "-tulpn", "-plant", "-antp", "-tann", "-n -tn", "-tn --inet --program --wide --numeric-ports"]:
        result = run(COMMAND, *words.split())
        check(f"habit {words}", result.returncode == 0 and not result.stderr, result)
    for words, answer in [("state established or state listening", "leave it out"), ("port 22", "did you mean sport or dport?"),
                          ("LISTEN", "did you mean state LISTEN?"), ("sport = :22,80", "for several ports"),
                          ("dst no-such-host.invalid", "cannot resolve the host"), ("dev no-such", "there is no interface")]:
        result = run(COMMAND, "-tn", *words.split())
        check(f"mistake {words}", result.returncode == 2 and answer in result.stderr, result)
    result = run(COMMAND, "-Hlno", "sport = :22")
    check("timers", result.returncode == 2 and "ss -o" in result.stderr, result)
    # On a terminal, -O keeps each socket on one line.
    rows, text = between(lambda: len(run(COMMAND, "-Htan").stdout.splitlines()),
                         lambda: on_terminal("-HtanO", columns=80))
    check("oneline", len(text.splitlines()) == rows, text)


class Fading:
    """Sockets that the kernel ends after a minute, made again before."""
    def __init__(self, v4, v6):
        self.listeners, self.keep, self.made = (v4, v6), [], time.monotonic()

    def renew(self):
        if time.monotonic() > self.made + 20:
            self.keep += fading(*self.listeners)
            time.sleep(0.2)
            self.made = time.monotonic()


def spellings(sockets):
    """The spellings of ss, on the same sockets."""
    keep = marked_and_bound()
    for flags, words, least in SPELLINGS:
        sockets.renew()
        compare(flags, words.split(), least)
    for flags, words, parts, reason in DIFFERENT:
        def wanted(parts=parts):
            return set().union(*(of_ss(flags, words.split()) for flags, words in parts))

        sockets.renew()
        compare_with(f"different {flags} {words}: {reason}", lambda: of_ours(flags, words.split()), wanted)
        check(f"still different {flags} {words}", of_ss(flags, words.split()) != wanted())
    for words, of_theirs in MORE:
        flags = ["-ta"] if "state" not in words else ["-tu"]
        sockets.renew()
        compare_with(f"spelling {words}", lambda: of_ours(flags, words.split()), lambda: of_ss(flags, of_theirs.split()))
    # ss has versions that compare only the first address of a name. All addresses match here.
    name = "localhost"
    addresses = {info[4][0] for info in socket.getaddrinfo(name, 0)}
    compare_with("host name", lambda: of_ours(["-tn"], ["dst", name]), lambda: set().union(
        *(of_ss(["-t"], ["dst", f"[{one}]" if ":" in one else one]) for one in addresses)))
    compare_with("host name and port", lambda: of_ours(["-ta"], ["src", f"{name}:22"]),
                 lambda: of_ss(["-ta"], ["src", "127.0.0.1:22"]))
    # The kernel keeps only the addresses of a socket in time wait.
    sockets.renew()
    result = run(COMMAND, "-Hn", "-t", "state", "time-wait", "dev", "lo")
    check("undecided", not result.stdout and "cannot decide the filter" in result.stderr, result)
    # The ports that the kernel chose are those of autobound, if no process chose one of them.
    low, high = open("/proc/sys/net/ipv4/ip_local_port_range").read().split()
    compare_with("autobound", lambda: of_ours(["-tu"], ["sport", ">=", f":{low}", "and", "sport", "<=", f":{high}"]),
                 lambda: of_ss(["-tu"], ["autobound"]))
    for one in keep:
        one.close()


def odd_values():
    """Groups in any spelling, and interfaces with odd names."""
    def found(*words):
        result = run(COMMAND, "-Hn", "-uan", *words)
        return result.returncode, result.stdout.count("\n")

    one = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    one.bind(("::", 5354))
    group = socket.inet_pton(socket.AF_INET6, "ff02::fb") + array.array("i", [socket.if_nametoindex("lo")]).tobytes()
    one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)
    for typed in ["ff02::fb", "FF02::FB", "ff02:0:0:0:0:0:0:fb", "ff02::00fb", "ff02::/16", "ff02::fb%lo", "%lo", "%1"]:
        check(f"group {typed}", found(f"IPV6_ADD_MEMBERSHIP={typed}", "sport", "5354") == (0, 1), found(f"IPV6_ADD_MEMBERSHIP={typed}"))
    check("other group", found("IPV6_ADD_MEMBERSHIP=ff02::fc", "sport", "5354") == (0, 0))
    for typed in ["nonsense", "224.0.0.251", "ff02::g", "ff02::fb/129", "10.0.0.1"]:
        check(f"group {typed}", found(f"IPV6_ADD_MEMBERSHIP={typed}") == (2, 0))
    one.close()
    names = ["eth0|x", "größe", "a,b", "a+b", "100"]
    keep = []
    for i, name in enumerate(names):
        made = run("ip", "link", "add", "name", name, "type", "dummy")
        check(f"interface {name}", made.returncode == 0, made.stderr)
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name.encode() + b"\0")
        one.bind(("0.0.0.0", 7300 + i))
        keep.append(one)
    for words in ["SO_BINDTODEVICE=eth0", "dev eth0", "IP_ADD_MEMBERSHIP=%eth0", "IP_UNICAST_IF=eth0"]:
        check(f"a part of a name: {words}", found(*words.split()) == (2, 0), found(*words.split()))
    for i, name in enumerate(names):
        for words in [[f"SO_BINDTODEVICE='{name}'"], ["dev", f"'{name}'"], ["dev", "=", str(socket.if_nametoindex(name))],
                      ["src", f"'*%{name}'"]]:
            check(f"interface {words}", found(*words) == (0, 1), found(*words))
        rows = of_ours(["-ua"], ["dev", f"'{name}'"])
        check(f"interface {name} against ss", rows == of_ss(["-ua"], ["dev", name]) and len(rows) == 1, rows)
        text = run(COMMAND, "-uan", "--json", "dev", f"'{name}'").stdout
        check(f"JSON of {name}", json.loads(text)["options"]["SO_BINDTODEVICE"] == name, text)
        keep[i].close()
        run("ip", "link", "del", name)


def beside():
    """Tests what ss does not have."""
    def lines(*words):
        result = run(COMMAND, "-Hn", *words)
        check(f"knetstat {words}", result.returncode == 0, result.stderr)
        return result.stdout.splitlines()

    pid = os.getpid()
    name = open("/proc/self/comm").read().strip()
    check("nodelay", len(lines("-t", "TCP_NODELAY")) == 1)
    check("keepidle", len(lines("-t", "TCP_KEEPIDLE=60")) == 1)
    usual = int(open("/proc/sys/net/ipv4/tcp_keepalive_time").read())
    check("default", len(lines("-t", f"TCP_KEEPIDLE={usual}")) == 1)
    with open("/proc/sys/net/ipv4/tcp_keepalive_time", "w") as file:
        file.write("300")
    check("default_of_the_namespace", len(lines("-t", "TCP_KEEPIDLE=300")) == 1)
    check("process", len(lines("-ta", "process=sleep")) == 2, lines("-ta", "process=sleep"))
    check("pid", len(lines("-ta", f"pid={pid}")) > 10)
    check("process_of_ours", lines("-ta", f"process={name}") == lines("-ta", f"pid={pid}"))
    text = run(COMMAND, "-tnv", "TCP_KEEPIDLE=300").stdout
    check("assumed", "TCP_KEEPIDLE=300 (assumed default)" in text, text)
    for words, text in [(["-t", "dport", "=", ":htttp"], "did you mean http"), (["TCP_NODELY"], "TCP_NODELAY")]:
        result = run(COMMAND, *words)
        check(f"mistake {words}", result.returncode == 2 and text in result.stderr, result.stderr)
    # Each row of the file is listed, and nothing else.
    for flag, file in [("-t4", "tcpstat"), ("-t6", "tcp6stat"), ("-u4", "udpstat"), ("-u6", "udp6stat")]:
        def rows_of(file=file):
            return [line.split() for line in open(f"/proc/self/net/{file}").read().splitlines()[1:]]

        rows, ours = between(rows_of, lambda flag=flag: lines("-a", flag))
        ours = [" ".join(word for word in line.split()[1:] if word != "-") for line in ours]
        if file.startswith("udp"):
            ours = [re.sub(r" (ESTB|CLSD)", "", line) for line in ours]
        check(f"rows of {file}", ours == [" ".join(row) for row in rows], f"{ours}\n{rows}")
    # Another user sees only its own processes, and a note says so.
    result = run(COMMAND, "-tanp", user=65534, group=65534, extra_groups=[])
    check("no_rights", result.returncode == 0 and re.search(r"cannot examine \d+ process(es)?, so", result.stderr)
          and "users:" not in result.stdout, result.stderr)
    result = run("sh", "-c", f"{COMMAND} -ta | head -n 1; yes | head -n 1 | {COMMAND} -ta > /dev/full; echo $?")
    check("full", "No space left" in result.stderr and result.stdout.endswith("1\n"), result.stderr + result.stdout)
    for words in "-ta", "-ta --json", "summary", "--watch", "--help", "--version", "explain nodelay":
        for to, why in [("> /dev/full", "No space left"), (">&-", "standard output is closed")]:
            result = run("sh", "-c", f"timeout {PATIENCE} {COMMAND} {words} {to}")
            check(f"output of {words} {to}", result.returncode == 1 and why in result.stderr
                  and result.stderr.startswith("knetstat: "), result)


HELPER = """
import ctypes, os, socket, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)

def listener(port):
    one = socket.socket()
    one.bind(("127.0.0.1", port))
    one.listen()
    return one

def name(text):
    assert libc.prctl(15, text, 0, 0, 0) == 0

def own_table():
    assert libc.unshare(0x400) == 0

def ready():
    print(flush=True)
    time.sleep(1000)

def thread(run):
    one = threading.Thread(target=run)
    one.start()
    return one
"""


@contextlib.contextmanager
def processes(*codes):
    """Python processes that run this code after HELPER. Each calls ready()."""
    running = [subprocess.Popen([sys.executable, "-c", HELPER + code], stdout=subprocess.PIPE) for code in codes]
    try:
        for one in running:
            check("a process begins", one.stdout.readline() == b"\n", codes)
        yield running
    finally:
        for one in running:
            one.kill()
            one.wait()


def ports(*words):
    """The local ports of the TCP listeners that are found."""
    result = run(COMMAND, "-tln", "--json", *words)
    check(f"knetstat {words}", result.returncode == 0 and not result.stderr, result.stderr)
    return {json.loads(line)["local"]["port"] for line in result.stdout.splitlines()}


def names():
    """A process is found by its whole name, by the names of its threads, and by odd names."""
    script = "/tmp/knetstat-has-a-script-of-this-name"
    with open(script, "w") as file:
        file.write(f"#!{sys.executable} -u\n{HELPER}\nkeep = listener(7253)\nready()\n")
    os.chmod(script, 0o755)
    odd = b'a"\\\n\xff (b)'
    with processes("name(b'systemd-resolved'); keep = listener(7250); ready()",
                   f"name({odd!r}); keep = listener(7251); ready()",
                   "keep = listener(7252); thread(lambda: name(b'worker of 7252') or ready())"):
        ours = subprocess.Popen([script], stdout=subprocess.PIPE)
        ours.stdout.readline()
        python = open(f"/proc/{os.getpid()}/comm").read().strip()
        for name, expected in [
            ("systemd-resolved", {7250}), ("systemd-resolve", {7250}), ("systemd-resolv", set()),
            (os.path.basename(script), {7253}), (os.path.basename(script)[:15], {7253}),
            (os.path.basename(script)[:16], set()), (os.path.basename(script) + "x", set()),
            ("worker of 7252", {7252}), ("worker", set()), (odd.decode(errors="replace"), {7251}),
        ]:
            found = ports(f'process="{name}"') if '"' not in name else ports(f"process='{name}'")
            check(f"process={name}", found == expected, found)
            more = ports(f"process!='{name}'", "sport >= :7250 sport <= :7253")
            check(f"process!={name}", more == {7250, 7251, 7252, 7253} - expected, more)
        check("process of a name that others have, too", 7252 in ports(f"process={python}"))
        text = run(COMMAND, "-Htlnp", "sport = :7251").stdout
        check("odd name as text", r'(("a\x22\x5c\x0a\xff (b)",pid=' in text, text)
        row = json.loads(run(COMMAND, "-tlnp", "--json", "sport = :7251").stdout)
        check("odd name in JSON", row["processes"][0]["name"] == odd.decode(errors="replace"), row)
        ours.kill()
        ours.wait()


def threads():
    """Threads that have a socket open are those of ss -T. Their process is found without -T."""
    def of_threads(text):
        found = {}
        for line in text.splitlines():
            users = re.findall(r'\("([^"]*)",pid=(\d+),tid=(\d+),fd=(\d+)\)', line)
            found[int(re.search(r"127.0.0.1:(\d+)", line).group(1))] = set(users)
        return found

    with processes(
        "keep = listener(7260)\nthread(ready)\ntime.sleep(0.5)\nlibc.syscall(60, 0)",
        "def run():\n own_table()\n name(b'own table')\n global keep\n keep = listener(7261)\n thread(ready)\n time.sleep(1000)\nthread(run)",
        "keep = listener(7262)\nthread(lambda: name(b'shares it') or ready())",
        "keep = listener(7263)\nthread(lambda: own_table() or name(b'has a copy') or ready())",
        "keep = listener(7264)\nready()",
    ) as running:
        wanted = list(range(7260, 7265))
        while not open(f"/proc/{running[0].pid}/stat").read().split(")")[1].startswith(" Z"):
            time.sleep(0.1)
        filter = "sport >= :7260 sport <= :7264"
        by_ss = of_threads(run("ss", "-HtlnpT", *filter.split()).stdout)
        result = run(COMMAND, "-HtlnT", filter)
        found = of_threads(result.stdout)
        check("threads", found == by_ss and sorted(by_ss) == wanted and not result.stderr, f"{found}\n{by_ss}")
        check("each case of threads", [len(by_ss[port]) for port in wanted] == [1, 2, 2, 2, 1], by_ss)
        rows = [json.loads(line) for line in run(COMMAND, "-tlnT", "--json", filter).stdout.splitlines()]
        by_json = {row["local"]["port"]: {tuple(str(one[key]) for key in ("name", "pid", "tid", "fd"))
                                          for one in row["processes"]} for row in rows}
        check("threads in JSON", by_json == by_ss, f"{by_json}\n{by_ss}")
        rows = [json.loads(line) for line in run(COMMAND, "-tlnp", "--json", filter).stdout.splitlines()]
        owners = {row["local"]["port"]: [(one["pid"], one["fd"]) for one in row["processes"]] for row in rows}
        expected = {port: sorted({(int(pid), int(fd)) for _, pid, _, fd in by_ss[port]}) for port in wanted}
        check("processes of threads", owners == expected, f"{owners}\n{expected}")
        check("no thread without -T", all("tid" not in one for row in rows for one in row["processes"]), rows)
        for port, one in zip(wanted, running):
            check(f"pid of {port}", ports(f"pid={one.pid}") == {port}, ports(f"pid={one.pid}"))
        check("threads of a process", ports("process='own table'") == {7261})
        counted = run(COMMAND, "summary", "-tlT", "--json", filter).stdout.splitlines()
        counted = {(one["name"], one["pid"], one["tid"]) for one in map(json.loads, counted) if one["by"] == "process"}
        expected = {(name, int(pid), int(tid)) for users in by_ss.values() for name, pid, tid, _ in users}
        check("summary of threads", counted == expected, f"{counted}\n{expected}")


def unseen():
    """A note says which processes cannot be seen, and why. Kernel threads are not counted."""
    user = {"user": 65534, "group": 65534, "extra_groups": []}

    def examine(*before, **more):
        result = run(*before, COMMAND, "-Htlnp", "sport = :7270", **more)
        check("unseen", result.returncode == 0 and result.stdout.count("\n") == 1, result)
        return "users:" in result.stdout, result.stderr.strip()

    def remount(options):
        result = run("mount", "-o", f"remount,{options}", "/proc")
        check(f"remount {options}", result.returncode == 0, result.stderr)

    def others():
        """The number of processes with a program: neither kernel threads nor processes that have ended."""
        count = 0
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                count += bool(os.readlink(f"/proc/{pid}/exe")) and os.stat(f"/proc/{pid}").st_uid != 65534
        return count

    keep = tcp(socket.AF_INET, "127.0.0.1", port=7270)
    cannot = r"knetstat: cannot examine (\d+) process(?:es)?, so owners may be missing; run as root to see all owners"
    hidden = "knetstat: cannot see the processes of other users (/proc is mounted with hidepid={}), so owners may " \
             "be missing; run as root to see all owners"
    outside = "knetstat: cannot see processes outside this PID namespace, so owners may be missing; run in the " \
              "initial PID namespace (on the host) to see all owners"
    for hidepid, name in [(0, ""), (1, ""), (2, "invisible"), (4, "ptraceable")]:
        remount(f"hidepid={hidepid}")
        check(f"root with hidepid={hidepid}", examine() == (True, ""), examine())
        for _ in range(20):
            before, (is_found, note), after = others(), examine(**user), others()
            if before == after:
                break
        if name:
            check(f"hidepid={hidepid}", not is_found and note == hidden.format(name), note)
        else:
            count = re.fullmatch(cannot, note)
            check(f"hidepid={hidepid}", not is_found and count and int(count[1]) == before > 0, f"{before} {note}")
    remount("hidepid=2,gid=1234")
    is_found, note = examine(**{**user, "extra_groups": [1234]})
    check("hidepid=2 and its group", not is_found and re.fullmatch(cannot, note), note)
    is_found, note = examine(**{**user, "extra_groups": [1235]})
    check("hidepid=2 and another group", not is_found and note == hidden.format("invisible"), note)
    remount("hidepid=0,gid=0")

    found = examine("unshare", "--pid", "--fork", "--mount-proc")
    check("PID namespace", found == (False, outside), found)
    # /proc still shows the first namespace, with other numbers than system calls have.
    found = examine("unshare", "--pid", "--fork")
    check("PID namespace without its /proc", found == (True, ""), found)
    subset = ["unshare", "--mount", "sh", "-c", 'mount -t proc -o subset=pid proc /proc && exec "$@"', "sh"]
    # Linux 5.10 opens no file in /proc/net there.
    if run(*subset, "cat", "/proc/self/net/tcp").returncode == 0:
        found = examine(*subset)
        check("subset=pid", found == (True, ""), found)
    else:
        result = run(*subset, COMMAND, "-ta")
        wanted = "knetstat: /proc/self/net/tcpstat exists, but cannot be opened; /proc may be mounted with subset=pid; " \
                 "as root: mount -t proc proc /proc\n"
        check("subset=pid", (result.returncode, result.stdout, result.stderr) == (1, "", wanted), result)
    few = "--bounding-set=-sys_ptrace,-dac_read_search"
    found = examine("setpriv", few, "--inh-caps=-all", "sh", "-c", 'exec "$@"', "sh")
    note = r"knetstat: cannot examine \d+ process(es)?, so owners may be missing; run with CAP_DAC_READ_SEARCH and " \
           r"CAP_SYS_PTRACE to see all owners"
    check("root without capabilities", not found[0] and re.fullmatch(note, found[1]), found)
    for script, note in [
        ("umount -l /proc", "knetstat: /proc is not mounted; as root: mount -t proc proc /proc\n"),
        ("unshare --pid --fork mount -t proc proc /proc",
         "knetstat: /proc shows the processes of another PID namespace; as root: mount -t proc proc /proc\n"),
    ]:
        for flag in "-ta", "-tap":
            result = run("unshare", "--mount", "sh", "-c", f"{script}; exec {COMMAND} {flag}")
            check(script, result.returncode == 1 and result.stderr.endswith(note), result)
    keep.close()


def defaults():
    """If a row lacks an option, filters compare the value that getsockopt(2) returns."""
    def is_found(one, condition):
        port = one.getsockname()[1]
        result = run(COMMAND, "-Htan", f"sport = :{port}", "and", condition)
        check(f"knetstat {condition}", result.returncode == 0 and not result.stderr, result.stderr)
        return bool(result.stdout)

    sysctl = "/proc/sys/net/ipv6/bindv6only"
    for only in "01":
        with open(sysctl, "w") as file:
            file.write(only)
        for host in "::", "::1":
            one = tcp(socket.AF_INET6, host)
            value = one.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
            found = [guess for guess in (0, 1) if is_found(one, f"IPV6_V6ONLY={guess}")]
            check(f"IPV6_V6ONLY of {host} with bindv6only={only}", found == [value], f"{found} {value}")
            one.close()
    with open(sysctl, "w") as file:
        file.write("0")
    listener = tcp(socket.AF_INET6, "::1")
    client, server = pair(listener)
    value = client.getsockopt(socket.IPPROTO_IPV6, 70)
    check("IPV6_AUTOFLOWLABEL", is_found(client, f"IPV6_AUTOFLOWLABEL={value}"), value)
    # Options of UDP rows are not compared on TCP rows.
    for condition in "IPV6_MULTICAST_HOPS=1", "IP_MULTICAST_TTL!=1":
        result = run(COMMAND, "-Htan", condition)
        is_said = "no socket: only UDP sockets" in result.stderr and "; add -u" in result.stderr
        check(condition, result.returncode == 0 and not result.stdout and is_said, result.stderr)
    for one in [client, server, listener]:
        one.close()


# The time limit in seconds; only a failure waits as long. An emulated kernel with all checkers is slow.
PATIENCE = 60


class Watch:
    """`knetstat --watch` in the background."""
    def __init__(self, *words):
        self.process = subprocess.Popen([COMMAND, "--watch", "0.1", *words], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        threading.Thread(target=self.follow, daemon=True).start()

    def follow(self):
        for line in self.process.stdout:
            self.lines.put(line)

    def line(self, seconds=PATIENCE):
        """The next line; empty if there is none."""
        try:
            return self.lines.get(timeout=seconds)
        except queue.Empty:
            return ""

    def event(self):
        return json.loads(self.line() or "{}")

    def expect(self, name, *wanted):
        """Checks the next events, in any order. Each entry of `wanted` has some keys of an event."""
        events = [self.event() for _ in wanted]
        for want in wanted:
            found = [event for event in events if want.items() <= event.items()]
            check(f"watch {name}", len(found) == 1, f"{want} is not in {events}")
        return events

    def states(self, name, wanted):
        """Follows established sockets until they are in these states. There may be states in between."""
        last = dict.fromkeys(wanted, "established")
        while last != wanted and (event := self.event()):
            change = {"state": {"old": last.get(event["ino"]), "new": event["state"]}}
            check(f"watch {name}", event["event"] == "changed" and event["changes"] == change, event)
            last[event["ino"]] = event["state"]
        check(f"watch {name}", last == wanted, last)

    def quiet(self, name):
        line = self.line(0.5)
        check(f"watch {name}", not line, line)

    def end(self):
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait(PATIENCE)
        text = self.process.stderr.read()
        check("watch ^C", status == 0 and not text, f"{self.process.args}: {status} {text}")


@contextlib.contextmanager
def paused(*watches):
    """Stops the commands during several steps, so that they do not read in between."""
    for one in watches:
        one.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, one.process.pid, os.WSTOPPED)
    yield
    for one in watches:
        one.process.send_signal(signal.SIGCONT)


def stuck():
    """^C ends the command while its output pipe is full."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    watch = subprocess.Popen([COMMAND, "-ta", "--json", "--watch", "0.1"], stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    began = os.read(reader, 4096)
    check("stuck began", json.loads(began).get("event") == "began", began)
    listeners = [tcp(socket.AF_INET, "127.0.0.1") for _ in range(100)]
    deadline = time.monotonic() + PATIENCE
    while not held(reader) and time.monotonic() < deadline:
        time.sleep(0.05)
    check("stuck came", held(reader) > 0)
    # The events do not fit into the pipe, so the command waits for a reader.
    time.sleep(1)
    watch.send_signal(signal.SIGINT)
    try:
        status = watch.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        watch.kill()
        status = "none"
    check("stuck ^C", status == 0, f"{status} {watch.stderr.read()}")
    os.close(reader)
    for listener in listeners:
        listener.close()


def held(pipe):
    """The bytes in a pipe."""
    return array.array("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0]


def inode(one):
    return os.fstat(one.fileno()).st_ino


def watch():
    """--watch reports what this process does to its sockets."""
    ours = Watch("-tap", "--json", "sport = :7100 or dport = :7100")
    began = ours.event()
    check("watch began", (began.get("event"), began.get("sockets")) == ("began", 0), began)
    age = time.time() - datetime.datetime.fromisoformat(began["time"]).timestamp()
    check("watch time", 0 <= age < PATIENCE, age)
    narrow = Watch("-Htn", "TCP_NODELAY=0 dport = :7100")
    check("watch began as text", re.fullmatch(r"\S+ began   0\n", narrow.line()))
    listener = tcp(socket.AF_INET, "127.0.0.1", port=7100)
    event = ours.expect("listener", {"event": "came", "state": "listening", "ino": inode(listener)})[0]
    check("watch process", [one["pid"] for one in event["processes"]] == [os.getpid()], event)
    for level, option, name, value in [
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, "SO_KEEPALIVE", 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, "TCP_KEEPIDLE", 60),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, "TCP_KEEPIDLE", 61),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, "SO_KEEPALIVE", 0),
    ]:
        # None: the row does not show the option, because it was not set.
        old = {60: None}.get(value, listener.getsockopt(level, option))
        listener.setsockopt(level, option, value)
        ours.expect(name, {"event": "changed", "ino": inode(listener),
                           "changes": {name: {"old": old, "new": listener.getsockopt(level, option)}}})
    listener.listen(99)
    ours.expect("backlog", {"event": "changed", "changes": {"backlog": {"old": 16, "new": 99}}})

    client = socket.socket()
    with paused(ours, narrow):
        client.connect(("127.0.0.1", 7100))
    ours.expect("connection", {"event": "came", "state": "established", "ino": inode(client)},
                {"event": "came", "state": "established", "ino": 0, "processes": []})
    line = narrow.line()
    check("watch as text", re.match(r"\S+T[0-9:.+-]+ came    tcp   127.0.0.1:\d+ +127.0.0.1:7100 +ESTB SO_R\S+$", line),
          line)
    server = listener.accept()[0]
    ours.expect("accept", {"event": "changed", "ino": inode(server),
                           "changes": {"ino": {"old": 0, "new": inode(server)}}})
    # The socket no longer passes the filter of `narrow`, which reports `went`. `ours` reports `changed`.
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    ours.expect("nodelay", {"event": "changed", "changes": {"TCP_NODELAY": {"old": 0, "new": 1}}})
    line = narrow.line()
    check("watch filter", " went " in line and line.endswith(" ESTB TCP_NODELAY=0->1\n"), line)
    client.sendall(b"x" * 1000)
    ours.quiet("queues")
    server.recv(1000)
    client.shutdown(socket.SHUT_WR)
    ours.states("shutdown", {inode(client): "fin-wait-2", inode(server): "close-wait"})
    with paused(ours):
        server.close()
        client.close()
    ours.expect("close", {"event": "went", "state": "close-wait"},
                {"event": "changed", "changes": {"state": {"old": "fin-wait-2", "new": "time-wait"}}})
    number = inode(listener)
    listener.close()
    event = ours.expect("end", {"event": "went", "state": "listening", "ino": number})[0]
    check("watch whose", [one["pid"] for one in event["processes"]] == [os.getpid()], event)
    # A UDP socket gets an address, then a peer.
    udp = Watch("-uan", "--json")
    udp.event()
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.bind(("127.0.0.1", 7101))
    udp.expect("bind", {"event": "came", "state": "unconnected", "ino": inode(sender)})
    sender.connect(("127.0.0.1", 9))
    udp.expect("connect", {"event": "changed", "ino": inode(sender), "changes": {
        "foreign": {"old": {"address": "0.0.0.0", "port": 0}, "new": {"address": "127.0.0.1", "port": 9}},
        "state": {"old": "unconnected", "new": "established"}}})
    for one in [ours, narrow, udp]:
        one.quiet("end")
        one.end()
    result = run("timeout", str(PATIENCE), "sh", "-c", f"{COMMAND} --watch=0.1 -ta | head -n 2")
    check("watch head", result.returncode == 0 and result.stdout.startswith("Time "), result)


def since():
    """--since reports what this process did to its sockets since the copy was made."""
    def events(*words):
        result = run(COMMAND, "--json", "--since", "/tmp/before", *words)
        check("since", result.returncode == 0 and not result.stderr, result)
        return [json.loads(line) for line in result.stdout.splitlines()]

    ours = "sport = :7110 or dport = :7110 or sport = :7111"
    listener, gone = tcp(socket.AF_INET, "127.0.0.1", port=7110), tcp(socket.AF_INET6, "::1", port=7111)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 7110))
    check("since copy", run("sh", "-c", "cat /proc/net/tcp*stat /proc/net/udp*stat > /tmp/before").returncode == 0)
    check("since nothing", events("-a", ours) == [], events("-a", ours))
    number = inode(gone)
    gone.close()
    listener.listen(99)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    client = socket.create_connection(("127.0.0.1", 7110))
    server = listener.accept()[0]
    found = {(event["netid"], event["family"], event["ino"]): event for event in events("-ap", ours)}
    wanted = {("tcp", "inet6", number): "went", ("tcp", "inet", inode(listener)): "changed",
              ("udp", "inet", inode(udp)): "changed", ("tcp", "inet", inode(client)): "came",
              ("tcp", "inet", inode(server)): "came"}
    check("since", {key: event["event"] for key, event in found.items()} == wanted, found)
    changes = {key[2]: event.get("changes") for key, event in found.items()}
    check("since backlog", changes[inode(listener)] == {"backlog": {"old": 16, "new": 99}}, found)
    check("since option", changes[inode(udp)] == {"SO_BROADCAST": {"old": 0, "new": 1}}, found)
    of = {key[2]: [one["pid"] for one in event["processes"]] for key, event in found.items()}
    check("since whose", of.pop(number) == [] and set(map(tuple, of.values())) == {(os.getpid(),)}, of)
    # Flags and filters select events: without -a no listener, and a socket that passes the filter only now.
    check("since flags", {event["ino"] for event in events("-t", ours)} == {inode(client), inode(server)})
    check("since filter", [event["event"] for event in events("-a", "SO_BROADCAST", "sport = :7110")] == ["came"])
    # The copy contains no processes: those of the socket that was closed are not known.
    for filter, unknown, left in [(f"pid={os.getpid()}", True, wanted), (f"pid!={os.getpid()}", True, {}),
                                  (f"pid={os.getpid()} or sport = :7111", False, wanted)]:
        result = run(COMMAND, "-a", "--json", "--since=/tmp/before", "--strict", f"( {ours} ) and ( {filter} )")
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        found = {event["ino"]: event["event"] for event in lines if "event" in event}
        expected = {key[2]: name for key, name in left.items() if not unknown or key[2] != number}
        check("since owners", found == expected and result.returncode == (3 if unknown else 0), (filter, result))
        notes = [line for line in lines if "undecided" in line]
        check("since unknown", notes == [{"undecided": 1, "reasons": {"closed": 1}}] * unknown, (filter, result))
    text = run(COMMAND, "-uan", "--since=/tmp/before", ours).stdout
    row = r"\S+T\S+ changed udp +127.0.0.1:7110 +0.0.0.0:\* +CLSD SO_BROADCAST=0->1\n"
    check("since as text", re.fullmatch(r"Time .*\n" + row, text), text)
    for words, why in [(["--since", "/etc/passwd"], "/etc/passwd: not a copy of the files"),
                       (["--since", "/dev/null"], "/dev/null: not a copy of the files"),
                       (["--since", "/tmp"], "/tmp: Is a directory"),
                       (["--since", "/tmp/nil"], "/tmp/nil: No such file")]:
        result = run(COMMAND, *words)
        check("since wrong", result.returncode == 1 and why in result.stderr and not result.stdout, result)
    for one in [client, server, listener, udp]:
        one.close()


MPTCP = 262


def subflows():
    """Each subflow of an MPTCP connection is a socket, although all of them have the same inode."""
    words = "dport = :7120"
    if run("sysctl", "-n", "net.mptcp.enabled").stdout.strip() != "1":
        print("test subflows ... ignored, this kernel has no MPTCP")
        return
    run("ip", "mptcp", "limits", "set", "subflow", "4", "add_addr_accepted", "4")
    for host in "127.0.0.2", "127.0.0.3":
        result = run("ip", "mptcp", "endpoint", "add", host, "dev", "lo", "subflow")
        check("subflows endpoint", result.returncode == 0, result.stderr)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, MPTCP)
    listener.bind(("127.0.0.1", 7120))
    listener.listen()

    def ports(count, patience=PATIENCE):
        """Waits until ss shows `count` subflows, for `patience` seconds at most. Returns their local ends."""
        deadline = time.monotonic() + patience
        while True:
            ends = {ours for _, state, ours, *_ in of_ss(["-t"], [words]) if state == "established"}
            if len(ends) == count or time.monotonic() > deadline:
                return ends
            client.sendall(b"x")
            server.recv(100)
            server.sendall(b"y")
            client.recv(100)
            time.sleep(0.1)

    # The kernel tries each endpoint once for a connection, and may fail.
    for attempt in range(3):
        client = socket.socket(socket.AF_INET, socket.SOCK_STREAM, MPTCP)
        client.connect(("127.0.0.1", 7120))
        server = listener.accept()[0]
        all_ends = ports(3, 15)
        if len(all_ends) == 3 or attempt == 2:
            break
        client.close()
        server.close()
        deadline = time.monotonic() + 15
        while of_ss(["-t"], [words]) and time.monotonic() < deadline:
            time.sleep(0.1)
    check("subflows of ss", len(all_ends) == 3, all_ends)
    watch = Watch("-tn", "--json", words)
    began = watch.event()
    check("subflows began", began.get("sockets") == 3, began)
    with open("/tmp/subflows", "w") as copy:
        subprocess.run(["cat", "/proc/net/tcpstat"], stdout=copy, check=True)

    def end(event):
        return event["local"]["address"], event["local"]["port"]

    def changed():
        """The subflows that have the option now. Old kernels set it on one of them."""
        result = run(COMMAND, "-tn", "--json", f"{option}=1 {words}")
        return {end(json.loads(line)) for line in result.stdout.splitlines()}

    # MPTCP of Linux 5.15 refuses TCP_NODELAY.
    try:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        option = "TCP_NODELAY"
    except OSError:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        option = "SO_KEEPALIVE"
    with_option = changed()
    check("subflows option", with_option, with_option)
    found = [watch.event() for _ in with_option]
    check("subflows changed", {end(event) for event in found} == with_option and all(
        (event["event"], event["changes"]) == ("changed", {option: {"old": 0, "new": 1}})
        for event in found), found)
    run("ip", "mptcp", "endpoint", "flush")
    left = ports(1)
    found = []
    while sum(one["event"] == "went" for one in found) < 2 and (event := watch.event()):
        found.append(event)
    # A read may see a subflow on its way: in FIN-WAIT-1, without its inode.
    is_on_its_way = [event for event in found if event["event"] == "changed"]
    check("subflows went", {end(event) for event in found} == all_ends - left and all(
        event["state"] != "established" and event["changes"].keys() <= {"state", "ino"} for event in is_on_its_way), found)
    watch.quiet("subflows")
    watch.end()
    result = run(COMMAND, "-tn", "--json", "--since", "/tmp/subflows", words)
    found = {end(event): (event["event"], event.get("changes", {}).keys() - {"state", "ino"})
             for event in map(json.loads, result.stdout.splitlines())}
    wanted = {one: ("went", set()) for one in all_ends - left}
    wanted.update({one: ("changed", {option}) for one in left & with_option})
    names = {one: name for one, (name, _) in found.items()}
    check("subflows since", names == {one: name for one, (name, _) in wanted.items()}
          and all(found[one][1] == wanted[one][1] for one in left & with_option), f"{result} {wanted}")
    # A subflow comes back, from the same address but another port. Linux 5.15 does not try again.
    watch = Watch("-tn", "--json", words)
    watch.event()
    run("ip", "mptcp", "endpoint", "add", "127.0.0.2", "dev", "lo", "subflow")
    came = ports(2) - left
    event = watch.event()
    found = {end(event)} if event.get("event") == "came" else set()
    check("subflows came", found == came and bool(event) == bool(came), f"{event} {came}")
    watch.end()
    run("ip", "mptcp", "endpoint", "flush")
    for one in [client, server, listener]:
        one.close()


def kernel_state():
    """Options that the kernel changes by itself are not reported."""
    listener = tcp(socket.AF_INET, "127.0.0.1", port=7130)
    client, server = pair(listener)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1000)
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 7130))
    receiver.setsockopt(socket.SOL_SOCKET, 42, 0)  # SO_PEEK_OFF
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.sendto(b"x" * 100, ("127.0.0.1", 7130))

    def values():
        text = "".join(open(f"/proc/net/{name}").read() for name in ("tcpstat", "udpstat"))
        rows = [line for line in text.splitlines() if ":7130 " in line]
        return {name: sorted(re.findall(f"{name}=([0-9]+)", " ".join(rows))) for name in ("TCP_MAXSEG", "SO_PEEK_OFF")}

    words = "sport = :7130 or dport = :7130"
    watch = Watch("-tuan", "--json", words)
    watch.event()
    with open("/tmp/state", "w") as copy:
        subprocess.run("cat /proc/net/tcp*stat /proc/net/udp*stat", shell=True, stdout=copy, check=True)
    before = values()
    for _ in range(3):
        client.sendall(b"x" * 60000)
        receiver.recv(10, socket.MSG_PEEK)
        while server.recv(60000, socket.MSG_WAITALL) == b"":
            break
        server.sendall(b"y")
        client.recv(10)
        time.sleep(0.3)
    after = values()
    check("state SO_PEEK_OFF", before["SO_PEEK_OFF"] == ["0"] and after["SO_PEEK_OFF"] == ["30"], f"{before} {after}")
    check("state TCP_MAXSEG", before["TCP_MAXSEG"] and before["TCP_MAXSEG"] != after["TCP_MAXSEG"], f"{before} {after}")
    watch.quiet("state")
    watch.end()
    result = run(COMMAND, "-tuan", "--json", "--since", "/tmp/state", words)
    check("state since", result.returncode == 0 and not result.stdout and not result.stderr, result)
    for one in [client, server, listener, receiver, sender]:
        one.close()


def colours():
    """Colours neither reach a pipe by accident nor disturb scripts."""
    listener = tcp(socket.AF_INET, "127.0.0.1", port=7140)
    client, server = pair(listener)
    client.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            client.send(b"x" * 65536)
    # The peer does not read, so the row has a sign once the window is full.
    line = "$K -Htn diag dport = :7140 | awk '$7 == \">|\"' | wc -l"
    deadline = time.monotonic() + PATIENCE

    def count(before=""):
        return run("sh", "-c", f"K={COMMAND}; {before} {line}").stdout.strip()

    while count() != "1" and time.monotonic() < deadline:
        time.sleep(0.1)
    check("colours none", count() == "1", count())
    for before in "export CLICOLOR_FORCE=1;", "export NO_COLOR= CLICOLOR_FORCE=1;", "export NO_COLOR=;":
        check(f"colours of a pipe: {before}", count(before) == "1", count(before))
    text = run(COMMAND, "-Htn", "--color=always", "diag", "dport = :7140").stdout
    check("colours that are asked for", "\x1b[" in text and ">|" in text, text)
    text = run(COMMAND, "-Htn", "--json", "--color=always", "diag", "dport = :7140").stdout
    check("colours of JSON", "\x1b" not in text and json.loads(text)["diag"] == ">|", text)
    for variables, is_coloured in [({}, True), ({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False),
                                   ({"CLICOLOR": "0"}, False), ({"TERM": "dumb"}, False),
                                   ({"TERM": "dumb", "CLICOLOR_FORCE": "1"}, True)]:
        text = on_terminal("-tn", "diag", env={"PATH": os.environ["PATH"], "TERM": "xterm", **variables})
        check(f"colours of a terminal: {variables}", (b"\x1b[" in text) == is_coloured and b">|" in text, text)
    for one in [client, server, listener]:
        one.close()


def copies():
    """A copy that cannot be compared is refused, or a note says what is not known."""
    nobody = {"user": 65534, "group": 65534, "extra_groups": []}
    cat = ["sh", "-c", "cat /proc/net/tcp*stat /proc/net/udp*stat"]
    path = "/tmp/copy"

    def copy(text=None, **more):
        text = text if text is not None else run(*cat, **more).stdout
        with open(path, "w") as file:
            file.write(text)

    ours = "sport >= :7150 and sport <= :7152 or dport = :7151"

    def since(*words, flags="-tuan", which=ours, **more):
        result = run(COMMAND, flags, "--json", "--since", path, *words, which, **more)
        return result.returncode, [json.loads(line) for line in result.stdout.splitlines()], result.stderr

    def changes(events):
        return {event["ino"]: event["changes"] for event in events}

    listener, other = (tcp(socket.AF_INET, "127.0.0.1", port=port) for port in (7150, 7151))
    # Standard input.
    copy()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    status, wanted, text = since()
    check("copies file", status == 0 and not text and changes(wanted) == {
        inode(listener): {"SO_KEEPALIVE": {"old": 0, "new": 1}}}, f"{status} {wanted} {text}")
    for line in f"cat {path} | $K - '{ours}'", f"$K - '{ours}' < {path}", f"$K=- '{ours}' < {path}":
        line = line.replace("$K", f"{COMMAND} -tuan --json --since")
        result = run("sh", "-c", line)
        found = [json.loads(one) for one in result.stdout.splitlines()]
        check(f"copies {line}", result.returncode == 0 and not result.stderr and changes(found) == changes(wanted), result)
    result = run("sh", "-c", f"head -c 100 {path} | {COMMAND} --since -")
    check("copies cut", result.returncode == 1 and "standard input: the last line is incomplete" in result.stderr, result)

    # Other rights.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 7)
    copy(**nobody)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    status, found, text = since()
    check("copies of another user", status == 0 and changes(found) == {
        inode(listener): {"SO_BROADCAST": {"old": None, "new": 1}}}
        and "shows SO_MARK" in text and found[0]["options"]["SO_MARK"] == 7, f"{status} {found} {text}")
    copy()
    check("copies of root", since() == (0, [], ""), since())
    status, found, text = since(**nobody)
    check("copies for another user", status == 0 and not found and "SO_MARK" in text and "root" in text,
          f"{status} {found} {text}")
    copy(**nobody)
    check("copies with the same rights", since(**nobody) == (0, [], ""), since(**nobody))
    # Changes of marks that are certain.
    copy()
    other.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 9)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 0)
    status, found, text = since()
    check("copies marks", status == 0 and not text and changes(found) == {
        inode(listener): {"SO_MARK": {"old": 7, "new": None}},
        inode(other): {"SO_MARK": {"old": None, "new": 9}}}, f"{status} {found} {text}")
    other.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 0)

    # TCP_ULP, which not all kernels hide.
    client, server = pair(other)
    copy()
    try:
        client.setsockopt(socket.IPPROTO_TCP, 31, b"tls")
    except OSError as err:
        print(f"test copies of TLS ... ignored, {err}")
    else:
        is_hidden = "TCP_ULP=" not in run(*cat, **nobody).stdout
        status, found, text = since()
        if is_hidden:
            check("copies hidden TLS", status == 0 and not found and "TCP_ULP" in text, f"{status} {found} {text}")
        else:
            check("copies TLS", status == 0 and not text and changes(found) == {
                inode(client): {"TCP_ULP": {"old": None, "new": "tls"}}}, f"{status} {found} {text}")
    client.close()
    server.close()

    # Another boot. The clock may have been wrong, so the date proves nothing while a socket exists.
    boot = int(re.search(r"btime (\d+)", open("/proc/stat").read()).group(1))
    copy()
    os.utime(path, (boot - 10, boot - 10))
    status, found, text = since(flags="-tuln")
    check("copies with an old date", status == 0 and not found and "before the last boot" in text,
          f"{status} {found} {text}")
    lone = tcp(socket.AF_INET, "127.0.0.1", port=7152)
    rows = run(*cat).stdout.splitlines(keepends=True)
    number = inode(lone)
    header = rows[0]
    copy(header + "".join(row for row in rows if ":7152 " in row))
    os.utime(path, (boot + 10, boot + 10))
    lone.close()
    status, found, text = since(flags="-tan", which="sport = :7152")
    check("copies of what is gone", status == 0 and [(event["event"], event["ino"]) for event in found] == [
        ("went", number)] and "none of its sockets" in text, f"{status} {found} {text}")
    os.utime(path, (boot - 10, boot - 10))
    status, found, text = since(flags="-tan", which="sport = :7152")
    check("copies of another boot", status == 1 and not found and "before the last boot" in text,
          f"{status} {found} {text}")
    # Sockets that are not selected prove where a copy comes from.
    copy()
    status, found, text = since(flags="-uan")
    check("copies of other sockets", status == 0 and not text, f"{status} {text}")

    # Other network namespaces: one with a process, and one whose socket is open in this process.
    run("ip", "netns", "add", "copies")
    code = "import socket, time; s = socket.create_server(('0.0.0.0', 7777)); print(flush=True); time.sleep(1000)"
    child = subprocess.Popen(["ip", "netns", "exec", "copies", sys.executable, "-c", code], stdout=subprocess.PIPE)
    child.stdout.readline()
    elsewhere = run("ip", "netns", "exec", "copies", *cat).stdout
    copy(elsewhere)
    status, found, text = since()
    check("copies of a namespace", status == 1 and not found and "another network namespace" in text
          and "-N copies" in text, f"{status} {found} {text}")
    status, found, text = since("-N", "copies")
    check("copies with -N", (status, found, text) == (0, [], ""), f"{status} {found} {text}")
    copy()
    status, found, text = since("-N", "copies")
    check("copies of this namespace with -N", status == 1 and not found and "another network namespace" in text,
          f"{status} {found} {text}")
    # The namespace loses its name, but not its process.
    run("ip", "netns", "del", "copies")
    copy(elsewhere)
    status, found, text = since()
    check("copies of a process", status == 1 and f"-N {child.pid}" in text, f"{status} {found} {text}")
    child.kill()
    child.wait()
    status, found, text = since()
    check("copies of nowhere", status == 0 and {event["event"] for event in found} <= {"came", "went"}
          and "none of its sockets" in text, f"{status} {found} {text}")
    for one in [listener, other]:
        one.close()


def summary():
    """Compares counts with those of ss, and counts of options with those that this process has set."""
    def counts(*words):
        result = run(COMMAND, "summary", "--json", *words)
        check(f"summary {words}", result.returncode == 0 and not result.stderr, result.stderr)
        return [json.loads(line) for line in result.stdout.splitlines()]

    for flags, words in [(["-tua"], []), (["-t"], []), (["-ta"], ["sport = :22 or dport = :22"]), (["-ul"], [])]:
        before, ours = between(lambda: of_ss(flags, words), lambda: counts(*flags, *words))
        name = f"summary of {flags} {words}"
        check(f"{name}: all", ours[0] == {"count": len(before), "by": "all"} and before, f"{ours[0]} {before}")
        found = {(one["netid"], one["state"]): one["count"] for one in ours if one["by"] == "state"}
        wanted = collections.Counter((netid, state) for netid, state, *_ in before)
        check(f"{name}: states", found == wanted, f"{found}\n{wanted}")
        found = {one["name"]: one["count"] for one in ours if one["by"] == "process"}
        names = [{user[0] for user in users} or {None} for *_, users in before]
        wanted = collections.Counter(one for these in names for one in these)
        check(f"{name}: processes", found == wanted, f"{found}\n{wanted}")
        found = [one["count"] for one in ours if one["by"] == "options"]
        check(f"{name}: options", sum(found) == len(before) and found == sorted(found, reverse=True), found)
    before, ours = between(lambda: of_ss(["-tua"], []), lambda: counts("-tuap"))
    found = {(one["name"], one.get("pid")): one["count"] for one in ours if one["by"] == "process"}
    users = [{user[:2] for user in users} or {(None, None)} for *_, users in before]
    wanted = collections.Counter(one for these in users for one in these)
    check("summary of each process", found == wanted and len(found) > 2, f"{found}\n{wanted}")

    keep = [tcp(socket.AF_INET, "127.0.0.1", port=7200 + i) for i in range(9)]
    for one in keep[:6]:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for i, one in enumerate(keep[3:6]):
        # Descriptors, backlogs and inodes differ, but they are not options.
        one.listen(100 + i)
    keep[8].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    words = ["-l", "sport >= :7200 and sport < :7209"]
    found = [(one["count"], one["options"]["SO_KEEPALIVE"], one["options"]["TCP_NODELAY"])
             for one in counts(*words) if one["by"] == "options"]
    check("summary of options", found == [(6, 1, 0), (2, 0, 0), (1, 0, 1)], found)
    text = run(COMMAND, "summary", *words).stdout.splitlines()
    check("summary as text", text[:3] == ["Count By        What", "    9 all       -", "    9 state     tcp LSTN"]
          and text[-1].startswith("    1 options   SO_REUSEADDR=1,") and len(text) == 7, text)


def terminal():
    """Columns begin at the same place in all rows, even after the longest address."""
    run("ip", "addr", "add", "2001:db8:1234:5678:9abc:def0:1234:5678/128", "dev", "lo", "nodad")
    one = tcp(socket.AF_INET6, "2001:db8:1234:5678:9abc:def0:1234:5678", port=9001)
    text = on_terminal("-tanp", columns=500, env={**os.environ, "NO_COLOR": "1"})
    header, *rows = text.decode().splitlines()
    check("terminal rows", len(rows) > 10 and any("5678:9001 " in row for row in rows), text)
    # The Process column ends where it would be too wide, so the options may be further to the right.
    for name in ["Local", "Foreign", "Stat", "Process"]:
        place = header.index(name)
        check(f"terminal {name}", all(row[place - 1] == " " and row[place] != " " for row in rows), text.decode())
    one.close()


def namespaces():
    """-N with a name, a process and a path, from another namespace."""
    run("ip", "netns", "add", NETNS)
    try:
        seen = Watch("-tlnp", "-N", NETNS, "--json")
        seen.event()
        child = subprocess.Popen(["ip", "netns", "exec", NETNS, sys.executable, "-c",
                                  "import socket, time; s = socket.socket(); s.bind(('0.0.0.0', 7777)); "
                                  "s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1); "
                                  "s.listen(); print(flush=True); time.sleep(1000)"], stdout=subprocess.PIPE)
        child.stdout.readline()
        event = seen.expect("namespace", {"event": "came", "local": {"address": "0.0.0.0", "port": 7777}})[0]
        check("watch process of a namespace", [one["pid"] for one in event["processes"]] == [child.pid], event)
        seen.end()
        for name in [NETNS, str(child.pid), f"/run/netns/{NETNS}"]:
            text = run(COMMAND, "-Htanp", "-N", name)
            check(f"namespace {name}", text.stdout.count("\n") == 1 and f":7777" in text.stdout
                  and f"pid={child.pid}" in text.stdout, text)
        # Defaults come from the namespace.
        run("ip", "netns", "exec", NETNS, "sh", "-c", "echo 77 > /proc/sys/net/ipv4/tcp_keepalive_time")
        text = run(COMMAND, "-Htln", "-N", NETNS, "TCP_KEEPIDLE=77")
        check("default of a namespace", text.stdout.count("\n") == 1 and not text.stderr, text)
        check("like ss -N", of_ss(["-ta", "-N", NETNS], []) == of_ours(["-ta", "-N", NETNS], []))
        result = run(COMMAND, "-N", "nowhere")
        check("no namespace", result.returncode == 1 and "nowhere" in result.stderr, result.stderr)
        child.kill()
        child.wait()
    finally:
        run("ip", "netns", "del", NETNS)


def main():
    run("ip", "netns", "add", "outside")
    namespaces()
    # Enter a fresh namespace, so that it contains no other sockets.
    libc = __import__("ctypes").CDLL(None, use_errno=True)
    check("unshare", libc.unshare(0x40000000) == 0)
    run("ip", "link", "set", "lo", "up")
    keep, child = scene()
    time.sleep(0.2)
    sockets = Fading(*keep[:2])
    for flags, words, least in FILTERS:
        sockets.renew()
        compare(flags, words.split(), least)
    words = ["sport = :80 or sport = :22 and dst 127.0.0.1",
             "sport = :80 or ( sport = :22 and dst 127.0.0.1 )"]
    # The comparison above proves something only if brackets change the result.
    check("brackets matter", of_ours(["-ta"], words[:1]) != of_ours(["-ta"], words[1:]))
    spellings(sockets)
    answers()
    odd_values()
    beside()
    names()
    threads()
    unseen()
    defaults()
    watch()
    since()
    copies()
    subflows()
    kernel_state()
    colours()
    stuck()
    summary()
    terminal()
    child.kill()
    child.wait()
    last = Watch("-ta")
    last.line()
    last.line()
    run("rmmod", "knetstat")
    check("watch unloaded", last.process.wait(PATIENCE) == 1 and "unloaded" in last.process.stderr.read())
    result = run(COMMAND)
    check("not_loaded", result.returncode == 1 and "modprobe knetstat" in result.stderr, result.stderr)
    print(f"test result: {passed} passed; {failed} failed; 0 ignored")
    sys.exit(failed > 0)


main()
