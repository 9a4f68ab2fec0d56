// SPDX-License-Identifier: GPL-2.0

//! A parser of the table in `sockopts.rs`. `sockopts/language.rs` describes the language of the
//! table.

/// The value of a flag that is shown only while it is on.
pub(crate) const FLAG_IS_ON: &str = "Cm 1";

/// The source of an entry's value, and whether each socket shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum When {
    /// The field or the flag.
    Plain,
    /// The result of a function of the field.
    Map(String),
    /// An expression.
    Set,
    /// The field, on each socket.
    Always,
    /// An expression, on each socket.
    AlwaysSet,
}

/// The state of a flag on a fresh socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fresh {
    Off,
    /// On, or depends on the socket.
    On,
}

/// The prefixes of flags that are on by default. A host test compares them with the defaults in
/// `sockopts/getsockopt/`.
pub const ON: [&str; 2] = ["INET_FLAGS_MC_", "INET_FLAGS_MC6_"];

/// The sockets on which a group of the table is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sockets {
    Any,
    Tcp,
    Listener,
    Udp,
    Inet6,
    Udp6,
}

impl Sockets {
    fn parse(name: &str) -> Result<Self, String> {
        Ok(match name {
            "any" => Self::Any,
            "tcp" => Self::Tcp,
            "listener" => Self::Listener,
            "udp" => Self::Udp,
            "inet6" => Self::Inet6,
            "udp6" => Self::Udp6,
            other => return Err(format!("sockopts.rs: unknown sockets {other}")),
        })
    }

    /// Their name in the page.
    fn title(self) -> &'static str {
        match self {
            Self::Any => "All",
            Self::Tcp => "TCP",
            Self::Listener => "Listeners",
            Self::Udp => "UDP",
            Self::Inet6 => "IPv6",
            Self::Udp6 => "UDP over IPv6",
        }
    }
}

/// An entry of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub sockets: Sockets,
    /// The fields that it depends on, or the flag.
    pub fields: String,
    /// The state of the flag on a fresh socket. `None` if the entry is not a flag.
    flag: Option<Fresh>,
    /// The value after `unless`, at which the option is not shown.
    unless: Option<String>,
    when: When,
    /// The conditions of `cfg` attributes.
    conditions: Vec<String>,
}

/// Parses the table. The entries are in its order.
pub fn parse(sockopts: &str) -> Result<Vec<Entry>, String> {
    let (_, table) = sockopts
        .split_once("\noptions! {\n")
        .ok_or("sockopts.rs has no table")?;
    let (table, _) = table.split_once("\n}\n").ok_or("the table has no end")?;

    let mut entries = Vec::new();
    // The group, with its conditions.
    let mut group: Option<(Sockets, bool, Vec<String>)> = None;
    let mut conditions = Vec::new();
    let mut text = String::new();
    for line in table.lines().map(str::trim) {
        if line.is_empty() || line.starts_with("//") || line == "(sk, cx)" {
            continue;
        }
        if let Some(condition) = line
            .strip_prefix("#[cfg(")
            .and_then(|rest| rest.strip_suffix(")]"))
        {
            conditions.push(condition.to_owned());
        } else if let Some(head) = line.strip_suffix(" => {") {
            let (sockets, how) = head.split_once(' ').unwrap_or((head, ""));
            let of_flags = how.starts_with("(flags ");
            let conditions = std::mem::take(&mut conditions);
            group = Some((Sockets::parse(sockets)?, of_flags, conditions));
        } else if line == "}" {
            group = None;
        } else {
            if !text.is_empty() {
                text.push(' ');
            }
            text += line;
            if !text.ends_with(';') {
                continue;
            }
            let (sockets, of_flags, of_group) = group
                .as_ref()
                .ok_or(format!("sockopts.rs: not in a group: {text}"))?;
            let mut entry = entry(text.trim_end_matches(';'))
                .ok_or(format!("sockopts.rs: cannot parse: {text}"))?;
            entry.sockets = *sockets;
            if !of_flags {
                entry.flag = None;
            }
            entry.conditions = std::mem::take(&mut conditions);
            entry.conditions.extend(of_group.iter().cloned());
            entries.push(entry);
            text.clear();
        }
    }
    Ok(entries)
}

/// Parses an entry as one of a group of flags. The caller sets what depends on the group.
fn entry(text: &str) -> Option<Entry> {
    let (name, rest) = text.split_once(": ")?;
    let (fields, when) = rest.split_once(", ").unwrap_or((rest, ""));
    let when = match when.split_once(' ').unwrap_or((when, "")) {
        ("", _) => When::Plain,
        ("map", function) => When::Map(function.to_owned()),
        ("set", _) => When::Set,
        ("always", "") => When::Always,
        ("always", _) => When::AlwaysSet,
        _ => return None,
    };
    let unless = fields.split_once(" unless ").map(|(_, value)| value);
    Some(Entry {
        name: name.to_owned(),
        sockets: Sockets::Any,
        fields: fields.to_owned(),
        flag: Some(match ON.iter().any(|on| fields.starts_with(on)) {
            true => Fresh::On,
            false => Fresh::Off,
        }),
        unless: unless.map(|value| value.trim_matches(['(', ')']).to_owned()),
        when,
        conditions: Vec::new(),
    })
}

impl Entry {
    /// The description of the values in mdoc, if the table implies it.
    pub(crate) fn value(&self) -> Option<&'static str> {
        match (&self.when, self.flag) {
            (When::Plain, Some(Fresh::Off)) => Some(FLAG_IS_ON),
            (When::Map(function), _) => match function.as_str() {
                "seconds" => Some("Ar seconds"),
                "jiffies_to_msecs" => Some("Ar milliseconds"),
                "jiffies_to_usecs" => Some("Ar microseconds"),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether the value is a number, from a field or from a function of it.
    pub(crate) fn is_plain(&self) -> bool {
        self.flag.is_none() && matches!(self.when, When::Plain | When::Always | When::Map(_))
    }

    /// Whether the rows of these sockets always show it.
    pub fn is_always_shown(&self) -> bool {
        matches!(self.when, When::Always | When::AlwaysSet)
    }

    /// The sentence that says on which sockets it is shown, and when. `value` describes its values.
    pub(crate) fn shown(&self, value: &str) -> String {
        let when = match (&self.when, self.flag, self.unless.as_deref()) {
            (When::Always | When::AlwaysSet, ..) => "always",
            (_, Some(Fresh::Off), _) => "if on",
            (_, Some(Fresh::On), _) => "if not as on a fresh socket",
            (When::Set, ..) => "if set",
            (_, _, Some(default)) if default.starts_with("cx.defaults") => {
                "if not the namespace's default"
            }
            (_, _, Some("0")) if value == FLAG_IS_ON => "if on",
            (_, _, Some("0")) => "unless 0",
            (_, _, Some("1")) => "unless 1",
            _ => "if set",
        };
        format!("{}: {when}.", self.sockets.title())
    }

    /// The sentence that says which kernels have it, unless all do.
    pub(crate) fn kernels(&self) -> Option<String> {
        self.conditions.iter().find_map(|condition| {
            if condition.starts_with("knetstat_has") {
                return Some("Not every kernel has it.".to_owned());
            }
            (condition != "CONFIG_IPV6").then(|| format!("Kernels with\n.Dv {condition} ."))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "
options! {
    (sk, cx)

    // A comment.
    any (flags sk.flags(), 0) => {
        SO_DEBUG: SOCK_DBG;
        SO_TIMESTAMP: SOCK_RCVTSTAMP, set sk.timestamp();
        IP_LOOP: INET_FLAGS_MC_LOOP;
    }
    #[cfg(CONFIG_IPV6)]
    udp6 => {
        IPV6_HOPS: ipv6_pinfo.mcast_hops unless (IPV6_MCASTHOPS);
        #[cfg(knetstat_has = \"IPV6_NEW\")]
        IPV6_NEW: ipv6_pinfo.new unless 0 or ipv6_pinfo.other unless 0,
            set sk.new();
    }
    listener => {
        TCP_IDLE: tcp_sock.keepalive_time unless 0, map seconds;
        TCP_NODELAY: tcp_sock.nonagle, always sk.nodelay();
    }
}
";

    #[test]
    fn entries_of_each_form() {
        let entries = parse(TABLE).unwrap();
        let told: Vec<_> = entries
            .iter()
            .map(|entry| (entry.name.as_str(), entry.shown("Ar number"), entry.value()))
            .collect();
        assert_eq!(
            told,
            [
                ("SO_DEBUG", "All: if on.".to_owned(), Some(FLAG_IS_ON)),
                ("SO_TIMESTAMP", "All: if on.".to_owned(), None),
                (
                    "IP_LOOP",
                    "All: if not as on a fresh socket.".to_owned(),
                    None
                ),
                ("IPV6_HOPS", "UDP over IPv6: if set.".to_owned(), None),
                ("IPV6_NEW", "UDP over IPv6: if set.".to_owned(), None),
                (
                    "TCP_IDLE",
                    "Listeners: unless 0.".to_owned(),
                    Some("Ar seconds")
                ),
                ("TCP_NODELAY", "Listeners: always.".to_owned(), None),
            ]
        );
        assert_eq!(entries[0].fields, "SOCK_DBG");
        assert_eq!(
            entries[4].fields,
            "ipv6_pinfo.new unless 0 or ipv6_pinfo.other unless 0"
        );
        assert_eq!(entries[3].kernels(), None);
        assert_eq!(
            entries[4].kernels().as_deref(),
            Some("Not every kernel has it.")
        );
        assert!(entries[6].is_always_shown() && !entries[5].is_always_shown());
    }

    #[test]
    fn wrong_tables_are_refused() {
        let wrong = TABLE.replace("udp6 =>", "udp7 =>");
        assert_eq!(
            parse(&wrong).unwrap_err(),
            "sockopts.rs: unknown sockets udp7"
        );
        assert!(parse("").is_err());
        let wrong = TABLE.replace(", map seconds", ", mapped seconds");
        assert!(parse(&wrong).is_err());
    }
}
