// SPDX-License-Identifier: GPL-2.0

//! The findings of `knetstat check`: as text, as JSON, and as the line of a Nagios plugin.

use crate::model::defaults::Defaults;
use crate::model::findings::Finding;
use crate::model::query::Outcome;
use crate::model::rules::Severity;
use crate::model::truth::Undecided;
use crate::print::format::Format;
use crate::print::json::{write_line, ReasonsObject, SocketObject, UndecidedObject};
use crate::print::layout::Layout;
use crate::print::notes::counted;
use anstyle::{AnsiColor, Style};
use serde::Serialize;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::rc::Rc;

const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const CRITICAL: Style = AnsiColor::Red.on_default().bold();
const OK: Style = AnsiColor::Green.on_default();

/// The width of the words `ok`, `warning`, `critical` and `unknown`.
const VERDICT: usize = 8;

/// The indentation of the texts of a rule.
const INDENT: &str = "    ";

/// The reasons why sockets could not be decided, separated by semicolons.
fn reasons(undecided: &Undecided) -> String {
    let texts: Vec<_> = undecided
        .reasons()
        .map(|(reason, _)| reason.text())
        .collect();
    texts.join("; ")
}

/// Prints the findings in a format. `checked` is the number of sockets, and `outcome` that of the read.
pub fn print(
    findings: &[Finding<'_>],
    checked: usize,
    outcome: &Outcome,
    format: Format,
    out: &mut dyn Write,
) -> io::Result<()> {
    match format {
        Format::Text { layout, has_header } => Text {
            asked: layout.asked.clone(),
            layout: *layout,
            has_header,
            out,
        }
        .print(findings, checked),
        Format::Json {
            processes,
            all_netns,
            ..
        } => {
            json(findings, processes, all_netns, out)?;
            if let Some(object) = UndecidedObject::of(&outcome.undecided) {
                write_line(out, &object)?;
            }
            out.flush()
        }
    }
}

struct Text<'a> {
    layout: Layout,
    has_header: bool,
    /// The options that the filter of the command line tests.
    asked: Vec<Rc<Defaults>>,
    out: &'a mut dyn Write,
}

impl Text<'_> {
    fn print(&mut self, findings: &[Finding<'_>], checked: usize) -> io::Result<()> {
        // The columns of all rules are equally wide.
        for finding in findings {
            for offender in &finding.offenders {
                if let Some(row) = offender.row() {
                    self.layout.measure(&row, offender.owners());
                }
            }
        }
        self.layout.settle_rows();
        for finding in findings {
            self.finding(finding)?;
        }
        let broken = findings.iter().filter(|finding| finding.count > 0).count();
        let unknown = findings.iter().filter(|one| one.undecided.sockets > 0);
        let mut summary = format!(
            "{}, {}: {broken} broken",
            counted(checked, "socket", "sockets"),
            counted(findings.len(), "rule", "rules"),
        );
        match unknown.count() {
            0 => {}
            count => _ = write!(summary, ", {count} undecided for some sockets"),
        }
        writeln!(self.out, "{summary}")?;
        self.out.flush()
    }

    /// The first line of a rule: the verdict and the name, followed by `more`.
    fn title(&mut self, verdict: &str, style: Style, name: &str, more: &str) -> io::Result<()> {
        let (on, off) = match self.layout.color {
            true => (format!("{style}"), format!("{style:#}")),
            false => (String::new(), String::new()),
        };
        let padding = VERDICT - verdict.len();
        writeln!(self.out, "{on}{verdict}{off}{:padding$} {name}{more}", "")
    }

    fn finding(&mut self, finding: &Finding<'_>) -> io::Result<()> {
        let rule = finding.rule;
        self.layout.asked = self.asked.clone();
        for defaults in rule.options() {
            let is_asked = |other: &Rc<Defaults>| other.info.name == defaults.info.name;
            if !self.layout.asked.iter().any(is_asked) {
                self.layout.asked.push(Rc::clone(defaults));
            }
        }
        let undecided = finding.undecided.sockets;
        let (verdict, style) = match (finding.count, undecided, rule.severity) {
            (0, 0, _) if !self.layout.verbose => return Ok(()),
            (0, 0, _) => ("ok", OK),
            (0, ..) => ("unknown", WARNING),
            (_, _, Severity::Warning) => ("warning", WARNING),
            (_, _, Severity::Critical) => ("critical", CRITICAL),
        };
        let count = match finding.count {
            0 => String::new(),
            count => format!(": {}", counted(count, "socket", "sockets")),
        };
        self.title(verdict, style, &rule.name, &count)?;
        let mut lines = vec![(finding.count > 0).then(|| rule.message.clone())];
        if self.layout.verbose {
            lines.push(rule.reason.clone());
            lines.push(rule.source.clone());
        }
        lines.push((undecided > 0).then(|| {
            let sockets = counted(undecided, "socket", "sockets");
            format!(
                "cannot be decided for {sockets}: {}",
                reasons(&finding.undecided)
            )
        }));
        for line in lines.iter().flatten() {
            // Only on a terminal: a script takes each text as one line.
            let width = self.layout.width().unwrap_or(usize::MAX);
            let options = textwrap::Options::new(width).break_words(false);
            let options = options.initial_indent(INDENT).subsequent_indent(INDENT);
            for line in textwrap::wrap(line, options) {
                writeln!(self.out, "{line}")?;
            }
        }
        if self.has_header && !finding.offenders.is_empty() {
            self.layout.header(&mut self.out)?;
        }
        for offender in &finding.offenders {
            match offender.row() {
                Some(row) => self.layout.row(&mut self.out, &row, offender.owners())?,
                None => self.layout.raw(&mut self.out, offender.line())?,
            }
        }
        writeln!(self.out)
    }
}

/// A socket that breaks a rule.
#[derive(Serialize)]
struct OffenderObject<'a> {
    rule: &'a str,
    severity: &'a str,
    #[serde(flatten)]
    socket: SocketObject<'a>,
}

/// A rule, with the number of sockets that break it.
#[derive(Serialize)]
struct RuleObject<'a> {
    rule: &'a str,
    severity: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    offenders: usize,
    undecided: usize,
    reasons: ReasonsObject<'a>,
}

/// Prints one object for each offender, followed by one for its rule.
fn json(
    findings: &[Finding<'_>],
    processes: bool,
    all_netns: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    for finding in findings {
        let rule = finding.rule;
        let severity = rule.severity.name();
        for offender in &finding.offenders {
            let Some(row) = offender.row() else {
                continue;
            };
            let object = OffenderObject {
                rule: &rule.name,
                severity,
                socket: SocketObject::of(&row, offender.owners(), processes, all_netns),
            };
            write_line(out, &object)?;
        }
        let object = RuleObject {
            rule: &rule.name,
            severity,
            message: &rule.message,
            reason: rule.reason.as_deref(),
            source: rule.source.as_deref(),
            offenders: finding.count,
            undecided: finding.undecided.sockets,
            reasons: ReasonsObject(&finding.undecided),
        };
        write_line(out, &object)?;
    }
    Ok(())
}

/// The states of a Nagios plugin, which are its exit statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nagios {
    Ok,
    Warning,
    Critical,
    Unknown,
}

impl Nagios {
    /// The state of a check. What is not known is not OK.
    pub fn of(worst: Option<Severity>, is_undecided: bool) -> Self {
        match worst {
            Some(Severity::Critical) => Nagios::Critical,
            Some(Severity::Warning) => Nagios::Warning,
            None if is_undecided => Nagios::Unknown,
            None => Nagios::Ok,
        }
    }

    pub fn status(self) -> u8 {
        self as u8
    }

    fn name(self) -> &'static str {
        match self {
            Nagios::Ok => "OK",
            Nagios::Warning => "WARNING",
            Nagios::Critical => "CRITICAL",
            Nagios::Unknown => "UNKNOWN",
        }
    }

    /// The line of a plugin that could not do its work. A `|` would begin the performance data.
    pub fn failure(message: &str) -> String {
        let line = message.split('\n').next().unwrap_or_default();
        format!("KNETSTAT UNKNOWN - {}", line.replace('|', "/"))
    }

    /// The line of a plugin: the state, the rules that are broken, those that are undecided, the
    /// sockets that were not checked, and the number of offenders of each rule as performance data.
    /// `checked` is the number of sockets, `None` if no rule applies to such sockets.
    pub fn line(
        self,
        findings: &[Finding<'_>],
        checked: Option<usize>,
        outcome: &Outcome,
    ) -> String {
        let mut parts = Vec::new();
        for finding in findings.iter().filter(|finding| finding.count > 0) {
            let sockets = counted(finding.count, "socket", "sockets");
            parts.push(format!("{}: {sockets}", finding.rule.name));
        }
        for finding in findings.iter().filter(|one| one.undecided.sockets > 0) {
            let sockets = counted(finding.undecided.sockets, "socket", "sockets");
            parts.push(format!("{} undecided: {sockets}", finding.rule.name));
        }
        if parts.is_empty() {
            parts.push(match checked {
                Some(checked) => {
                    let sockets = counted(checked, "socket", "sockets");
                    format!("no rule is broken by {sockets}")
                }
                None => "no rule applies to the sockets that were selected".to_owned(),
            });
        }
        if outcome.undecided.sockets > 0 {
            let sockets = counted(outcome.undecided.sockets, "socket", "sockets");
            let reasons = outcome.undecided.reasons();
            let reasons: Vec<_> = reasons.map(|(reason, _)| reason.name()).collect();
            parts.push(format!(
                "filter undecided: {sockets} ({})",
                reasons.join(", ")
            ));
        }
        parts.extend(outcome.gap().map(str::to_owned));
        let values = findings
            .iter()
            .map(|finding| format!("{}={}", finding.rule.name, finding.count));
        format!(
            "KNETSTAT {} - {} | {}",
            self.name(),
            parts.join(", "),
            values.collect::<Vec<_>>().join(" ")
        )
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::model::filter::KnownOwners;
    use crate::model::findings::Search;
    use crate::model::options::find;
    use crate::model::row::tests::TCP;
    use crate::model::row::Row;
    use crate::model::rules::Rules;
    use crate::model::states::States;
    use crate::model::truth::{Reason, Truth};
    use crate::source::process::tests::owner;
    use crate::source::services::Services;

    const RULES: &str = r#"
[[rule]]
name = "off"
message = "nothing is sent"
severity = "critical"
forbid = "SO_KEEPALIVE=0"
reason = "because"
source = "tcp(7)"
[[rule]]
name = "both"
message = "unknown"
forbid = "TCP_MAXSEG>1"
[[rule]]
name = "none"
message = "none"
forbid = "TCP_NODELAY"
"#;

    /// The output for two connections, one of which breaks a rule.
    fn printed(format: Format) -> String {
        printed_after(&Outcome::default(), format)
    }

    fn printed_after(outcome: &Outcome, format: Format) -> String {
        let rules = Rules::parse("", RULES, &Services::parse("")).unwrap();
        let mut search = Search::new(&rules, States::DEFAULT, true);
        let owners = [owner()];
        for i in 0..2 {
            let line = format!(
                "0 0 1.2.3.4:5 1.2.3.4:6 ESTB SO_KEEPALIVE={i},TCP_NODELAY=0,uid=0,ino={i}"
            );
            let row = Row::parse(TCP, line.as_bytes()).unwrap();
            let known = KnownOwners::new(&owners, false);
            search.add(&row, line.as_bytes(), known);
        }
        let checked = search.checked();
        let mut out = Vec::new();
        print(&search.finish(), checked, outcome, format, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// The outcome of a read whose filter could not be decided for two sockets.
    fn undecided() -> Outcome {
        let mut outcome = Outcome::default();
        for reason in [Reason::Owners, Reason::Hidden] {
            outcome.undecided.count(Truth::unknown(reason));
        }
        outcome
    }

    pub fn objects() -> Vec<serde_json::Value> {
        objects_after(&Outcome::default())
    }

    fn objects_after(outcome: &Outcome) -> Vec<serde_json::Value> {
        let format = Format::Json {
            processes: true,
            all_netns: false,
            columns: None,
        };
        let text = printed_after(outcome, format);
        let objects = text.lines().map(serde_json::from_str);
        objects.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn json_has_sockets_and_rules() {
        let objects = objects();
        assert_eq!(objects.len(), 4);
        assert_eq!(objects[0]["rule"], "off");
        assert_eq!(objects[0]["options"]["SO_KEEPALIVE"], 0);
        assert!(objects[0]["processes"].is_array());
        assert_eq!(
            objects[1..],
            [
                serde_json::json!({
                    "rule": "off", "severity": "critical", "message": "nothing is sent",
                    "reason": "because", "source": "tcp(7)",
                    "offenders": 1, "undecided": 0, "reasons": {},
                }),
                serde_json::json!({
                    "rule": "both", "severity": "warning", "message": "unknown",
                    "offenders": 0, "undecided": 2, "reasons": {"undisclosed": 2},
                }),
                serde_json::json!({
                    "rule": "none", "severity": "warning", "message": "none",
                    "offenders": 0, "undecided": 0, "reasons": {},
                }),
            ]
        );
    }

    /// The filter of the sockets that are checked may be undecided, too.
    #[test]
    fn undecided_filters() {
        let (none, some) = (objects(), objects_after(&undecided()));
        assert_eq!(some[..none.len()], none);
        assert_eq!(
            some[none.len()..],
            [serde_json::json!({"undecided": 2, "reasons": {"owners": 1, "hidden": 1}})]
        );
        assert_eq!(
            Nagios::Unknown.line(&[], Some(7), &undecided()),
            "KNETSTAT UNKNOWN - no rule is broken by 7 sockets, \
            filter undecided: 2 sockets (hidden, owners) | "
        );
        assert_eq!(
            Nagios::Unknown.line(&[], None, &Outcome::default()),
            "KNETSTAT UNKNOWN - no rule applies to the sockets that were selected | "
        );
        let outcome = Outcome {
            closed: 1,
            ..undecided()
        };
        assert_eq!(
            Nagios::Unknown.line(&[], Some(0), &outcome),
            "KNETSTAT UNKNOWN - no rule is broken by 0 sockets, \
            filter undecided: 2 sockets (hidden, owners), \
            some network namespaces could not be read | "
        );
    }

    fn text(verbose: bool, color: bool) -> String {
        let mut layout = Layout::new(None, false, verbose);
        layout.color = color;
        layout.set_width(120);
        printed(Format::Text {
            layout: Box::new(layout),
            has_header: true,
        })
    }

    #[test]
    fn text_for_a_person() {
        assert_eq!(
            text(false, false),
            "critical off: 1 socket\n    nothing is sent\n\
            Netid Recv-Q Send-Q Local Address Foreign Address Stat Diag Options\n\
            tcp        0      0 1.2.3.4:5     1.2.3.4:6       ESTB -    \
            SO_KEEPALIVE=0,uid=0\n\n\
            unknown  both\n    cannot be decided for 2 sockets: the row lacks the option, and its \
            default on such a socket is not known\n\n\
            2 sockets, 3 rules: 1 broken, 1 undecided for some sockets\n"
        );
        let verbose = text(true, false);
        for line in ["    because", "    tcp(7)", "ok       none"] {
            assert!(verbose.lines().any(|other| other == line), "{verbose}");
        }
        assert!(text(false, true).starts_with("\x1b["));
    }

    /// The options that the command line tests are not left out, and have their assumed defaults.
    #[test]
    fn options_of_the_command_line() {
        let asked = |name| Rc::new(Defaults::new(find(name).unwrap()));
        let text = |verbose| {
            let mut layout = Layout::new(None, false, verbose);
            layout.set_width(120);
            layout.asked = vec![asked("TCP_NODELAY"), asked("SO_KEEPALIVE"), asked("IP_TTL")];
            printed(Format::Text {
                layout: Box::new(layout),
                has_header: true,
            })
        };
        let list = text(false);
        assert!(
            list.contains(" SO_KEEPALIVE=0,TCP_NODELAY=0,uid=0\n"),
            "{list}"
        );
        let list = text(true);
        assert_eq!(
            list.matches("IP_TTL=64 (assumed default)").count(),
            1,
            "{list}"
        );
        assert_eq!(list.matches("TCP_NODELAY=").count(), 1, "{list}");
    }

    #[test]
    fn lines_of_nagios() {
        let rules = Rules::parse("", RULES, &Services::parse("")).unwrap();
        let mut findings = Search::new(&rules, States::DEFAULT, false).finish();
        let line = |findings: &[Finding<'_>]| {
            let broken = findings.iter().filter(|one| one.count > 0);
            let worst = broken.map(|one| one.rule.severity).max();
            let undecided = findings.iter().any(|one| one.undecided.sockets > 0);
            let state = Nagios::of(worst, undecided);
            (
                state.status(),
                state.line(findings, Some(7), &Outcome::default()),
            )
        };
        assert_eq!(
            line(&findings),
            (
                0,
                "KNETSTAT OK - no rule is broken by 7 sockets | off=0 both=0 none=0".to_owned()
            )
        );
        findings[1].undecided.count(Truth::unknown(Reason::Cut));
        assert_eq!(
            line(&findings),
            (
                3,
                "KNETSTAT UNKNOWN - both undecided: 1 socket | off=0 both=0 none=0".to_owned()
            )
        );
        findings[2].count = 2;
        assert_eq!(
            line(&findings),
            (
                1,
                "KNETSTAT WARNING - none: 2 sockets, both undecided: 1 socket | off=0 both=0 none=2"
                    .to_owned()
            )
        );
        findings[0].count = 1;
        assert_eq!(line(&findings).0, 2);
        assert_eq!(Nagios::failure("a|b\nc"), "KNETSTAT UNKNOWN - a/b");
    }
}
