// SPDX-License-Identifier: GPL-2.0

//! The examples of the manual page knetstat(5). Each command of the page runs on a terminal, with
//! sockets for which the answer is known, and must print the output on the page.

use crate::guest::{guest, wait_for, Scale};
use crate::harness::Case;
use crate::netns::{in_fresh, in_namespace_of, LO};
use crate::rows::File;
use crate::sockets::{row, set_int, stuff};
use anyhow::{anyhow, ensure, Context, Result};
use knetstat_man::Example;
use nix::pty::{openpty, Winsize};
use nix::sys::termios::{tcgetattr, tcsetattr, OutputFlags, SetArg};
use socket2::{Domain, InterfaceIndexOrAddress, SockAddr, Socket, TcpKeepalive, Type};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{symlink, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::Duration;

/// The width of the terminal, which is that of the text on the page.
const COLUMNS: u16 = 75;

/// The time after which a command that does not end by itself has begun its work.
const BEGUN: Duration = Duration::from_secs(10);

/// The name of this process.
const COMM: &str = "/proc/self/comm";

const PAGE: &str = include_str!("../../../man/knetstat.5");

/// The page of the command, and the rules that an example reads.
const COMMAND_PAGE: &str = include_str!("../../../man/knetstat.8");
const RULES: &str = include_str!("../../../contrib/prometheus/rules.toml");

/// The shells and awks that the commands run with. BusyBox's shell is not among them: its own find,
/// ip and nsenter can do less.
const TOOLS: [(&[&str], &str); 3] = [
    (&["bash"], "gawk"),
    (&["dash"], "mawk"),
    (&["mksh"], "busybox"),
];

/// The function that makes the sockets of an example, by its title on the page.
type Scene = fn(&mut Stage) -> Result<()>;

const SCENES: [(&str, &str, Scene); 14] = [
    (
        "nodelay",
        "Did the database driver set TCP_NODELAY?",
        nodelay,
    ),
    (
        "user_timeout",
        "Does the user timeout of the connection string reach the socket?",
        user_timeout,
    ),
    (
        "keepalive_off",
        "Keepalive is configured, and nothing is sent",
        keepalive_off,
    ),
    (
        "load_balancer",
        "A load balancer drops connections that were silent for 350 s",
        load_balancer,
    ),
    (
        "port_taken",
        "Which process uses UDP port 5353, and why can it not be shared?",
        port_taken,
    ),
    (
        "fixed_buffer",
        "One connection is slow on a long path",
        fixed_buffer,
    ),
    (
        "listeners",
        "Which listeners have Fast Open, or wait for data before they accept?",
        listeners,
    ),
    ("group", "Which sockets have joined 224.0.0.251?", group),
    ("changed", "What has changed since an hour ago?", changed),
    ("changes", "What changes from now on?", changes),
    (
        "counted",
        "How many connections have which options?",
        counted,
    ),
    ("closed_window", "Which peers do not read?", closed_window),
    ("container", "And in a container?", container),
    ("prometheus", "Numbers for Prometheus", prometheus),
];

pub fn cases() -> Vec<Case> {
    let mut cases = vec![Case::new("examples::each_has_its_test", each_has_its_test)];
    // To start a program takes long where all code is emulated.
    let tools = match guest().scale {
        Scale::Fast => &TOOLS[..],
        _ => &TOOLS[..1],
    };
    for (name, title, scene) in SCENES {
        for (shell, awk) in tools {
            // Alone: a program that another test starts has our sockets until exec(2), and then
            // find(1) finds them twice.
            cases.push(Case::alone(format!("examples::{name}_{awk}"), move || {
                in_fresh(|| run(title, scene, shell, awk))
            }));
        }
    }
    // It writes files with names that are on the page.
    cases.push(Case::alone("examples::of_the_command", || {
        in_fresh(of_the_command)
    }));
    cases
}

/// Each example of knetstat(8) runs, and shows the connections of this test if it asks for such.
fn of_the_command() -> Result<()> {
    let mut stage = Stage::new("mawk")?;
    let mut addresses = Vec::new();
    for (i, port) in (0..).zip([5432, 3306]) {
        let listener = stage.listener(port, plain)?;
        let [client, _] =
            stage.connection(&listener, i, |socket| Ok(socket.set_tcp_nodelay(true)?))?;
        addresses.push(
            client
                .local_addr()?
                .as_socket()
                .context("no address")?
                .to_string(),
        );
    }
    let (_, section) = COMMAND_PAGE
        .split_once("\n.Sh EXAMPLES\n")
        .context("no section")?;
    let (section, _) = section.split_once("\n.Sh ").context("no end")?;
    let lines = section.lines().filter_map(|line| line.strip_prefix(".Dl "));
    let path = format!("{}:{}", stage.bin.display(), std::env::var("PATH")?);
    let mut count = 0;
    for line in lines {
        let line = line
            .replace("\\-", "-")
            .replace("/etc/knetstat/rules.toml", "/tmp/rules.toml");
        let (_, command) = line.split_once(' ').context("no prompt")?;
        // jq is not everywhere; filter_answers and against_ss.py look at the JSON.
        let command = command.split(" | jq").next().unwrap_or(command);
        let is_watch = command.contains("--watch");
        let command = match is_watch {
            true => format!("timeout -s INT 3 {command}"),
            false => command.to_owned(),
        };
        fs::write("/tmp/rules.toml", RULES)?;
        let output = Command::new("bash")
            .args(["-c", &command])
            .env("PATH", &path)
            .output()?;
        let status = output.status.code();
        let expected: &[i32] = match () {
            () if is_watch => &[0, 124],
            // A connection to the database breaks a critical rule of the file, and no other rule.
            () if command.contains("--nagios") => &[2],
            () => &[0],
        };
        let text = String::from_utf8(output.stdout)?;
        let notes = String::from_utf8(output.stderr)?;
        ensure!(
            status.is_some_and(|status| expected.contains(&status)) && notes.is_empty(),
            "{command}: {status:?}: {notes}{text}"
        );
        let asks = |word: &str| command.contains(word) && !command.contains("metrics");
        let is_of_database = asks(":5432") || asks("-o local");
        ensure!(
            !is_of_database || text.contains(&addresses[0]),
            "{command}: {} is missing: {text}",
            addresses[0]
        );
        ensure!(
            !command.contains("explain") || text.contains("TCP_USER_TIMEOUT"),
            "{command}: {text}"
        );
        count += 1;
    }
    ensure!(count > 15, "only {count} examples");
    for file in ["/tmp/before", "/tmp/rules.toml"] {
        fs::remove_file(file)?;
    }
    Ok(())
}

fn each_has_its_test() -> Result<()> {
    let examples = knetstat_man::examples(PAGE);
    let on_page: Vec<_> = examples.iter().map(|e| e.title.as_str()).collect();
    let here: Vec<_> = SCENES.iter().map(|(_, title, _)| *title).collect();
    ensure!(
        on_page == here,
        "the page has {on_page:#?}, there are tests of {here:#?}"
    );
    for example in &examples {
        ensure!(
            example.steps.iter().any(|step| !step.output.is_empty()),
            "{:?} prints nothing",
            example.title
        );
    }
    Ok(())
}

/// The environment of an example. Dropping this undoes all of it.
struct Stage {
    sockets: Vec<Socket>,
    processes: Vec<Child>,
    /// Programs that are found before those of the system.
    bin: PathBuf,
    /// An action before the last command.
    before_last: Option<Box<dyn FnOnce() -> Result<()>>>,
    /// An action while the last command runs, some time after it has begun.
    meanwhile: Option<Box<dyn FnOnce() -> Result<()> + Send>>,
    /// The name that this process had before.
    name: Vec<u8>,
    /// Commands that undo the rest.
    undo: Vec<String>,
}

impl Stage {
    fn new(awk: &str) -> Result<Self> {
        let bin = std::env::temp_dir().join("knetstat-examples");
        let _ = fs::remove_dir_all(&bin);
        fs::create_dir(&bin)?;
        symlink(Path::new("/usr/bin").join(awk), bin.join("awk"))?;
        let ours = guest().dir.join("knetstat");
        ensure!(ours.exists(), "there is no {}", ours.display());
        symlink(ours, bin.join("knetstat"))?;
        // All of it are addresses of the machine then.
        command("ip address add 192.0.2.1/24 dev lo")?;
        Ok(Self {
            sockets: Vec::new(),
            processes: Vec::new(),
            bin,
            before_last: None,
            meanwhile: None,
            name: fs::read(COMM)?,
            undo: Vec::new(),
        })
    }

    /// Gives this process, which owns the sockets, a name.
    fn name(&self, name: &str) -> Result<()> {
        Ok(fs::write(COMM, name)?)
    }

    /// Creates a program with this script.
    fn program(&self, name: &str, script: &str) -> Result<()> {
        let path = self.bin.join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n"))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
        Ok(())
    }

    /// A listener at 192.0.2.1.
    fn listener(&mut self, port: u16, setup: impl FnOnce(&Socket) -> Result<()>) -> Result<Socket> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&at(1, port))?;
        socket.listen(1024)?;
        setup(&socket)?;
        self.sockets.push(socket.try_clone()?);
        Ok(socket)
    }

    /// A connection from port 40000 + `client` of 192.0.2.7: the sockets of the client and the
    /// server.
    fn connection(
        &mut self,
        listener: &Socket,
        client: u16,
        setup: impl FnOnce(&Socket) -> Result<()>,
    ) -> Result<[Socket; 2]> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&at(7, 40_000 + client))?;
        setup(&socket)?;
        socket.connect(&listener.local_addr()?)?;
        self.accepted(listener, socket)
    }

    fn accepted(&mut self, listener: &Socket, client: Socket) -> Result<[Socket; 2]> {
        let (server, _) = listener.accept()?;
        let ends = [client, server];
        for socket in &ends {
            self.sockets.push(socket.try_clone()?);
        }
        Ok(ends)
    }

    fn udp(&mut self, port: u16, setup: impl FnOnce(&Socket) -> Result<()>) -> Result<Socket> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
        setup(&socket)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
        self.sockets.push(socket.try_clone()?);
        Ok(socket)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
        for text in &self.undo {
            let _ = command(text);
        }
        for socket in &self.sockets {
            // No TIME_WAIT keeps the port from the next test.
            let _ = socket.set_linger(Some(Duration::ZERO));
        }
        let _ = fs::write(COMM, self.name.trim_ascii_end());
        let _ = fs::remove_dir_all(&self.bin);
    }
}

/// An address of 192.0.2.0/24.
fn at(host: u8, port: u16) -> SockAddr {
    SocketAddr::from((Ipv4Addr::new(192, 0, 2, host), port)).into()
}

fn plain(_: &Socket) -> Result<()> {
    Ok(())
}

fn command(text: &str) -> Result<()> {
    let output = Command::new("sh").args(["-c", text]).output()?;
    ensure!(output.status.success(), "{text}: {output:?}");
    Ok(())
}

/// A shell that gets one command after the other, as from a person at a terminal.
struct Shell {
    process: Child,
    stdin: ChildStdin,
    /// The other side of the terminal.
    screen: BufReader<fs::File>,
}

impl Shell {
    fn new(shell: &[&str], bin: &Path) -> Result<Self> {
        let (program, arguments) = shell.split_first().context("no shell")?;
        let path = std::env::var("PATH")?;
        let size = Winsize {
            ws_row: 24,
            ws_col: COLUMNS,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let terminal = openpty(&size, None)?;
        let mut settings = tcgetattr(&terminal.slave)?;
        // Lines end by what was written.
        settings.output_flags.remove(OutputFlags::OPOST);
        tcsetattr(&terminal.slave, SetArg::TCSANOW, &settings)?;
        let mut process = Command::new(program)
            .args(arguments)
            .env("PATH", format!("{}:{path}", bin.display()))
            // Colours are no text.
            .env("NO_COLOR", "1")
            .stdin(Stdio::piped())
            .stdout(terminal.slave)
            .spawn()
            .with_context(|| format!("{shell:?}"))?;
        let mut shell = Self {
            stdin: process.stdin.take().context("no stdin")?,
            screen: BufReader::new(fs::File::from(terminal.master)),
            process,
        };
        shell.run("exec 2>&1")?;
        Ok(shell)
    }

    /// Runs a command, and returns the lines that it prints.
    fn run(&mut self, command: &str) -> Result<Vec<String>> {
        const END: &str = "-- that was it --";
        writeln!(self.stdin, "{command}\necho '{END}' $?")?;
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            ensure!(
                self.screen.read_line(&mut line)? > 0,
                "the shell has ended after {lines:#?}"
            );
            let line = line.trim_end_matches('\n');
            if let Some(status) = line.strip_prefix(END) {
                ensure!(status == " 0", "status{status} after {lines:#?}");
                return Ok(lines);
            }
            lines.push(line.to_owned());
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The lines without the parts that differ from run to run: times, inodes, processes, descriptors,
/// queues, and their widths, on which the line breaks of the command depend. The lines are sorted
/// unless the command sorts them, because the order of rows comes from a hash function.
fn comparable(lines: &[String], command: &str) -> Vec<String> {
    let mut rows: Vec<String> = Vec::new();
    for line in lines {
        match (line.strip_prefix("        "), rows.last_mut()) {
            // The rest of a row that did not fit into one line. A blank would come before it.
            (Some(more), Some(row)) => {
                if !row.ends_with(',') {
                    row.push(' ');
                }
                *row += more;
            }
            _ => rows.push(line.clone()),
        }
    }
    let mut rows: Vec<_> = rows.iter().map(|row| comparable_row(row)).collect();
    if !command.contains("sort") {
        rows.sort();
    }
    rows
}

fn comparable_row(row: &str) -> String {
    // The queues come before the addresses, behind the protocol if there is one.
    let mut words = row.split_ascii_whitespace();
    let address = words.position(|word| word.contains(':'));
    let queues = match address {
        Some(at @ (2 | 3)) => at - 2..at,
        _ => 0..0,
    };
    let words = row.split_ascii_whitespace().enumerate();
    let words = words.map(|(column, word)| {
        let is_queue = queues.contains(&column);
        match word {
            _ if is_queue && word != "0" => "N".to_owned(),
            _ if column == 0 && is_time(word) => "T".to_owned(),
            _ => without_numbers(word, &["ino=", "pid=", "fd="]),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Whether a word is a time of day, alone or after a date and a `T`.
fn is_time(word: &str) -> bool {
    let (date, time) = word.split_once('T').unwrap_or(("", word));
    let looks_like = |text: &str, form: &str| {
        text.len() == form.len()
            && text
                .bytes()
                .zip(form.bytes())
                .all(|(byte, form)| match form {
                    b'0' => byte.is_ascii_digit(),
                    _ => byte == form,
                })
    };
    let (clock, offset) = time.split_at_checked(12).unwrap_or((time, ""));
    looks_like(clock, "00:00:00.000")
        && match date {
            "" => offset.is_empty(),
            _ => looks_like(date, "0000-00-00") && looks_like(offset, "+00:00"),
        }
}

/// A word without the numbers after these names.
fn without_numbers(word: &str, names: &[&str]) -> String {
    let mut text = String::new();
    for part in word.split_inclusive(|c: char| !c.is_ascii_digit()) {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        let has_number = rest.len() < part.len();
        if has_number && names.iter().any(|name| text.ends_with(name)) {
            text += "N";
            text += rest;
        } else {
            text += part;
        }
    }
    text
}

fn run(title: &str, scene: Scene, shell: &[&str], awk: &str) -> Result<()> {
    let examples = knetstat_man::examples(PAGE);
    let example: &Example = examples
        .iter()
        .find(|example| example.title == title)
        .context("the page has no such example")?;
    let mut stage = Stage::new(awk)?;
    scene(&mut stage)?;
    let mut shell = Shell::new(shell, &stage.bin)?;
    for (index, step) in example.steps.iter().enumerate() {
        let is_last = index + 1 == example.steps.len();
        if let Some(happen) = stage.before_last.take_if(|_| is_last) {
            happen()?;
        }
        let meanwhile = stage.meanwhile.take_if(|_| is_last);
        let (lines, happened) = thread::scope(|scope| {
            let happens = meanwhile.map(|happen| {
                scope.spawn(|| {
                    thread::sleep(BEGUN);
                    happen()
                })
            });
            let lines = shell.run(&step.command);
            (lines, happens.map(|happens| happens.join()))
        });
        if let Some(happened) = happened {
            happened.map_err(|_| anyhow!("what was to happen panicked"))??;
        }
        let lines = lines.with_context(|| step.command.clone())?;
        if std::env::var_os("KNETSTAT_SHOW").is_some() {
            eprintln!("{}\n{}", step.command, lines.join("\n"));
        }
        ensure!(
            comparable(&lines, &step.command) == comparable(&step.output, &step.command),
            "{}\nprints {lines:#?}, and the page has {:#?}",
            step.command,
            step.output
        );
    }
    Ok(())
}

fn nodelay(stage: &mut Stage) -> Result<()> {
    let mysql = stage.listener(3306, plain)?;
    stage.connection(&mysql, 1, plain)?;
    stage.connection(&mysql, 2, |socket| Ok(socket.set_tcp_nodelay(true)?))?;
    let java = Socket::new(Domain::IPV6, Type::STREAM, None)?;
    let mapped = |host, port| -> SockAddr {
        SocketAddr::from((Ipv4Addr::new(192, 0, 2, host).to_ipv6_mapped(), port)).into()
    };
    java.bind(&mapped(7, 40_003))?;
    java.connect(&mapped(1, 3306))?;
    stage.accepted(&mysql, java)?;
    let other = stage.listener(33_060, plain)?;
    stage.connection(&other, 4, plain)?;
    Ok(())
}

fn user_timeout(stage: &mut Stage) -> Result<()> {
    let postgres = stage.listener(5432, plain)?;
    stage.connection(&postgres, 1, |socket| {
        Ok(socket.set_tcp_user_timeout(Some(Duration::from_secs(30)))?)
    })?;
    stage.connection(&postgres, 2, plain)?;
    let other = stage.listener(5433, plain)?;
    stage.connection(&other, 3, plain)?;
    Ok(())
}

/// Sets keepalive that begins after this many seconds.
fn idle(seconds: u64) -> TcpKeepalive {
    TcpKeepalive::new().with_time(Duration::from_secs(seconds))
}

fn keepalive_off(stage: &mut Stage) -> Result<()> {
    let redis = stage.listener(6379, plain)?;
    let times = idle(60)
        .with_retries(5)
        .with_interval(Duration::from_secs(10));
    let [full, _] = stage.connection(&redis, 1, plain)?;
    let [idle_only, _] = stage.connection(&redis, 2, plain)?;
    let [on, _] = stage.connection(&redis, 3, plain)?;
    stage.connection(&redis, 4, plain)?;
    // That of socket2 switches keepalive on.
    full.set_tcp_keepalive(&times)?;
    full.set_keepalive(false)?;
    idle_only.set_tcp_keepalive(&idle(60))?;
    idle_only.set_keepalive(false)?;
    on.set_tcp_keepalive(&times)?;
    Ok(())
}

fn load_balancer(stage: &mut Stage) -> Result<()> {
    // Those that it accepts have that, too.
    let https = stage.listener(443, |socket| Ok(socket.set_tcp_keepalive(&idle(60))?))?;
    stage.connection(&https, 1, plain)?;
    stage.connection(&https, 2, |socket| Ok(socket.set_keepalive(true)?))?;
    stage.connection(
        &https,
        3,
        |socket| Ok(socket.set_tcp_keepalive(&idle(600))?),
    )?;
    stage.connection(
        &https,
        4,
        |socket| Ok(socket.set_tcp_keepalive(&idle(349))?),
    )?;
    Ok(())
}

fn port_taken(stage: &mut Stage) -> Result<()> {
    let address = |socket: &Socket| Ok(socket.set_reuse_address(true)?);
    let port = |socket: &Socket| Ok(socket.set_reuse_port(true)?);
    // The statements of the page about sharing.
    for (number, first, second, shares) in [
        (
            5354,
            &address as &dyn Fn(&Socket) -> Result<()>,
            &address as &dyn Fn(&Socket) -> Result<()>,
            true,
        ),
        (5355, &port, &port, true),
        (5353, &port, &address, false),
    ] {
        stage.udp(number, first)?;
        let result = stage.udp(number, second);
        ensure!(
            result.is_ok() == shares,
            "a second socket at port {number}: {result:?}"
        );
    }
    stage.name("avahi-daemon")?;
    Ok(())
}

fn fixed_buffer(stage: &mut Stage) -> Result<()> {
    let rsync = stage.listener(873, plain)?;
    let [_, server] = stage.connection(&rsync, 1, plain)?;
    server.set_send_buffer_size(65_536)?;
    stage.connection(&rsync, 2, plain)?;
    Ok(())
}

fn listeners(stage: &mut Stage) -> Result<()> {
    stage.listener(443, |socket| {
        Ok(set_int(socket, libc::IPPROTO_TCP, libc::TCP_FASTOPEN, 256)?)
    })?;
    stage.listener(80, |socket| {
        Ok(set_int(
            socket,
            libc::IPPROTO_TCP,
            libc::TCP_DEFER_ACCEPT,
            30,
        )?)
    })?;
    stage.listener(22, plain)?;
    Ok(())
}

fn group(stage: &mut Stage) -> Result<()> {
    let join = |group: [u8; 4]| {
        move |socket: &Socket| {
            let lo = InterfaceIndexOrAddress::Index(LO);
            Ok(socket.join_multicast_v4_n(&group.into(), &lo)?)
        }
    };
    stage.name("avahi-daemon")?;
    let mdns = stage.udp(5353, join([224, 0, 0, 251]))?;
    join([239, 1, 2, 3])(&mdns)?;
    stage.udp(5355, join([224, 0, 0, 252]))?;
    Ok(())
}

fn changed(stage: &mut Stage) -> Result<()> {
    stage.before_last = Some(Box::new(change(stage)?));
    Ok(())
}

fn changes(stage: &mut Stage) -> Result<()> {
    stage.meanwhile = Some(Box::new(change(stage)?));
    Ok(())
}

/// Changes two options of one of two connections.
fn change(stage: &mut Stage) -> Result<impl FnOnce() -> Result<()> + Send + 'static> {
    let http = stage.listener(8080, plain)?;
    let [_, server] = stage.connection(&http, 1, plain)?;
    stage.connection(&http, 2, plain)?;
    Ok(move || {
        server.set_tcp_nodelay(true)?;
        server.set_send_buffer_size(65_536)?;
        Ok(())
    })
}

fn counted(stage: &mut Stage) -> Result<()> {
    let mysql = stage.listener(3306, plain)?;
    for client in 1..=3 {
        stage.connection(&mysql, client, |socket| {
            socket.set_keepalive(true)?;
            Ok(socket.set_tcp_nodelay(true)?)
        })?;
    }
    for client in 4..=5 {
        stage.connection(&mysql, client, plain)?;
    }
    stage.connection(&mysql, 6, |socket| {
        socket.set_tcp_keepalive(&idle(60))?;
        Ok(socket.set_tcp_nodelay(true)?)
    })?;
    stage.name("myapp")?;
    Ok(())
}

/// A connection of which the client does not read.
fn deaf(stage: &mut Stage, listener: &Socket, client: u16) -> Result<[Socket; 2]> {
    let ends = stage.connection(listener, client, |socket| {
        Ok(socket.set_recv_buffer_size(4096)?)
    })?;
    stuff(&ends[1])?;
    wait_for("a closed window", 10, || {
        let diag = row(File::Tcp, &ends[1])?.diag;
        Ok(match diag.starts_with(">|") {
            true => Ok(()),
            false => Err(diag),
        })
    })?;
    Ok(ends)
}

fn closed_window(stage: &mut Stage) -> Result<()> {
    let http = stage.listener(8080, plain)?;
    deaf(stage, &http, 1)?;
    stage.connection(&http, 2, plain)?;
    Ok(())
}

/// A listener at port 80 in a namespace, and a process there.
fn web(namespace: Option<&fs::File>) -> Result<(Socket, Child)> {
    let start = || {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 80)).into())?;
        socket.listen(16)?;
        Ok((socket, Command::new("sleep").arg("1000").spawn()?))
    };
    match namespace {
        None => in_fresh(start),
        namespace => in_namespace_of(namespace, start),
    }
}

fn container(stage: &mut Stage) -> Result<()> {
    stage.listener(22, plain)?;
    let (socket, process) = web(None)?;
    stage.program(
        "docker",
        &format!(
            "[ \"$*\" = 'inspect --format {{{{.State.Pid}}}} web' ] && echo {}",
            process.id()
        ),
    )?;
    stage.sockets.push(socket);
    stage.processes.push(process);

    command("ip netns add blue")?;
    stage.undo.push("ip netns delete blue".to_owned());
    let (socket, process) = web(Some(&fs::File::open("/run/netns/blue")?))?;
    stage.sockets.push(socket);
    stage.processes.push(process);
    Ok(())
}

fn prometheus(stage: &mut Stage) -> Result<()> {
    // A minimal system has no directory for the local administrator.
    command("mkdir -p /var/lib/prometheus/node-exporter /usr/local/sbin")?;
    stage
        .undo
        .push("rm -r /var/lib/prometheus /usr/local/sbin/knetstat-metrics".to_owned());
    let http = stage.listener(8080, plain)?;
    deaf(stage, &http, 1)?;
    let ends = stage.connection(&http, 2, |socket| Ok(socket.set_keepalive(true)?))?;
    for socket in &ends {
        socket.set_tcp_nodelay(true)?;
    }
    Ok(())
}
