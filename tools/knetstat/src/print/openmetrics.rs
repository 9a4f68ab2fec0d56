// SPDX-License-Identifier: GPL-2.0

//! The numbers of `knetstat metrics`, in the text format of OpenMetrics.

use crate::model::groups::{Series, Sums};
use crate::model::row::State;
use crate::model::truth::{Reason, Undecided};
use crate::source::files::{File, Netid};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelValue, EncodeMetric, LabelValueEncoder,
};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use std::fmt::{self, Write};

/// The prefix of all metrics.
const PREFIX: &str = "knetstat";

/// The sockets that a rule finds.
#[derive(Debug)]
pub struct RuleNumbers {
    pub name: String,
    pub severity: &'static str,
    pub offenders: u64,
    pub undecided: u64,
}

/// The numbers of one read.
#[derive(Debug)]
pub struct Metrics {
    /// The names of the labels that `--by` adds.
    pub labels: Vec<String>,
    pub series: Vec<Series>,
    /// The highest number of groups that have series of their own.
    pub limit: u64,
    /// The number of groups in the series of the rest.
    pub rest: u64,
    /// The number of sockets with each sign of the Diag column, by its name.
    pub signs: Vec<(&'static str, u64)>,
    pub rules: Vec<RuleNumbers>,
    /// The number of sockets for which the filter cannot be decided, by reason.
    pub undecided: Vec<(&'static str, u64)>,
    pub unparsed: u64,
    /// The number of network namespaces that could not be read.
    pub closed: u64,
    /// Whether there may be owners that are not known.
    pub may_lack_owners: bool,
}

/// The number of undecided sockets for each reason.
pub fn by_reason(undecided: &Undecided) -> Vec<(&'static str, u64)> {
    let count = |reason| {
        let mut reasons = undecided.reasons();
        let found = reasons.find(|(other, _)| *other == reason);
        found.map_or(0, |(_, count)| count as u64)
    };
    Reason::ALL
        .iter()
        .map(|(reason, name, _)| (*name, count(*reason)))
        .collect()
}

/// The value of a label. The crate does not escape it.
#[derive(Debug)]
struct Value<'a>(&'a str);

impl EncodeLabelValue for Value<'_> {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\\' => encoder.write_str(r"\\")?,
                '"' => encoder.write_str("\\\"")?,
                '\n' => encoder.write_str(r"\n")?,
                c => encoder.write_char(c)?,
            }
        }
        Ok(())
    }
}

type LabelSet<'a> = Vec<(&'a str, Value<'a>)>;

/// The series of numbers that differ only in the value of this label.
fn of_names<'a>(
    label: &'a str,
    numbers: &'a [(&'static str, u64)],
) -> impl Iterator<Item = (LabelSet<'a>, u64)> {
    let series = move |(name, n): &'a (&'static str, u64)| (vec![(label, Value(name))], *n);
    numbers.iter().map(series)
}

/// Encodes a gauge with the labels of each of its series.
fn gauge<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    series: impl IntoIterator<Item = (LabelSet<'a>, u64)>,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
    for (labels, n) in series {
        value_of(n).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

/// Encodes a gauge without labels.
fn plain(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, n: u64) -> fmt::Result {
    let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    value_of(n).encode(metric)
}

fn value_of(n: u64) -> ConstGauge<i64> {
    ConstGauge::new(i64::try_from(n).unwrap_or(i64::MAX))
}

impl Metrics {
    /// The labels of a series.
    fn labels<'a>(&'a self, (kind, values, _): &'a Series) -> LabelSet<'a> {
        let file = File::ALL[kind.0];
        let state = State::ALL[kind.1].0;
        let mut labels = vec![
            ("protocol", Value(file.netid.name())),
            ("family", Value(file.family.name())),
            ("state", Value(state.long())),
        ];
        let by = self.labels.iter().zip(values);
        labels.extend(by.map(|(name, text)| (name.as_str(), Value(text))));
        labels
    }

    /// Encodes a gauge of one of the sums, for the series that have it.
    fn sum(&self, encoder: &mut DescriptorEncoder<'_>, sum: &Sum) -> fmt::Result {
        let series = self.series.iter().filter_map(|series| {
            let (kind, _, sums) = series;
            let n = (sum.value)(File::ALL[kind.0], State::ALL[kind.1].0, sums)?;
            Some((self.labels(series), n))
        });
        gauge(encoder, sum.name, sum.help, sum.unit.as_ref(), series)
    }

    /// Encodes the number of groups that have no series of their own.
    fn groups_left_out(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        plain(
            encoder,
            "group_limit",
            "Combinations of label values that may have series of their own",
            self.limit,
        )?;
        plain(
            encoder,
            "rest_groups",
            "Combinations of label values that are added up in one series",
            self.rest,
        )
    }

    /// Encodes the sockets that each rule finds.
    fn rules(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let series = |count: fn(&RuleNumbers) -> u64| {
            self.rules.iter().map(move |rule| {
                let (name, severity) = (Value(&rule.name), Value(rule.severity));
                (vec![("rule", name), ("severity", severity)], count(rule))
            })
        };
        gauge(
            encoder,
            "rule_sockets",
            "Sockets that break a rule, see knetstat-check(5)",
            None,
            series(|rule| rule.offenders),
        )?;
        gauge(
            encoder,
            "rule_undecided_sockets",
            "Sockets for which a rule cannot be decided",
            None,
            series(|rule| rule.undecided),
        )
    }

    /// Encodes the numbers of what may be missing elsewhere.
    fn gaps(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        gauge(
            encoder,
            "undecided_sockets",
            "Sockets for which the filter cannot be decided, by reason; they are not counted elsewhere",
            None,
            of_names("reason", &self.undecided),
        )?;
        plain(
            encoder,
            "unparsed_rows",
            "Rows that knetstat cannot parse; their sockets are not counted elsewhere",
            self.unparsed,
        )?;
        plain(
            encoder,
            "unread_namespaces",
            "Network namespaces that could not be read; their sockets are not counted elsewhere",
            self.closed,
        )?;
        plain(
            encoder,
            "owners_may_be_missing",
            "1 if owners and network namespaces may be missing, because not all processes could be examined",
            self.may_lack_owners.into(),
        )
    }

    /// The text. It ends with `# EOF`.
    pub fn text(self) -> Result<String, fmt::Error> {
        let mut registry = Registry::with_prefix(PREFIX);
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(text)
    }
}

/// A gauge of one of the sums. The help does not depend on the command line: node_exporter takes files
/// together, and wants one help for each metric.
struct Sum {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    /// The value of a series. `None` if it has none.
    value: fn(File, State, &Sums) -> Option<u64>,
}

const SUMS: [Sum; 6] = [
    Sum {
        name: "sockets",
        help: "Sockets",
        unit: None,
        value: |_, _, sums| Some(sums.sockets),
    },
    Sum {
        name: "receive_queue",
        help: "Bytes in the Recv-Q column, without listeners: unread data of TCP, the memory of unread UDP datagrams",
        unit: Some(Unit::Bytes),
        value: |_, state, sums| only(state != State::Listen, sums.received),
    },
    Sum {
        name: "send_queue",
        help: "Bytes that are not sent or not acknowledged yet",
        unit: Some(Unit::Bytes),
        value: |_, state, sums| only(state != State::Listen, sums.unsent),
    },
    Sum {
        name: "accept_queue_connections",
        help: "Connections that wait for accept(2)",
        unit: None,
        value: |_, state, sums| only(state == State::Listen, sums.accept_queue),
    },
    Sum {
        name: "accept_queue_limit_connections",
        help: "Backlogs of listeners: connections that may wait for accept(2)",
        unit: None,
        value: |_, state, sums| only(state == State::Listen, sums.backlog),
    },
    Sum {
        name: "dropped_datagrams",
        help: "Datagrams that the UDP sockets existing now have dropped",
        unit: None,
        value: |file, _, sums| only(file.netid == Netid::Udp, sums.drops),
    },
];

/// A value, only of the sockets for which the condition is true.
fn only(condition: bool, n: u64) -> Option<u64> {
    condition.then_some(n)
}

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        for sum in &SUMS {
            self.sum(encoder, sum)?;
        }
        gauge(
            encoder,
            "diag_sockets",
            "TCP sockets with a sign in the Diag column, see knetstat(5)",
            None,
            of_names("sign", &self.signs),
        )?;
        if !self.labels.is_empty() {
            self.groups_left_out(encoder)?;
        }
        if !self.rules.is_empty() {
            self.rules(encoder)?;
        }
        self.gaps(encoder)
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::model::columns::Column;
    use crate::model::groups::Groups;
    use crate::model::row::tests::{LISTENER, TCP, UDP};
    use crate::model::row::Row;
    use crate::model::truth::Truth;
    use crate::source::process::Owner;
    use std::process::{Command, Stdio};

    fn example(by: &[&str], limit: usize) -> String {
        let columns = by.iter().map(|name| Column::parse(name).unwrap());
        let mut groups = Groups::new(columns.collect());
        let odd = Owner::new("a\\\"b\n{}", 7, 3);
        for (file, line, owners) in [
            (
                TCP,
                "3 4 1.2.3.4:1 1.2.3.4:5 ESTB TCP_NODELAY=1,uid=0,ino=1",
                vec![odd],
            ),
            (TCP, LISTENER, vec![]),
            (
                UDP,
                "0 0 1.2.3.4:2 0.0.0.0:* A=1,drops=4,uid=0,ino=4",
                vec![],
            ),
        ] {
            groups.add(&Row::parse(file, line.as_bytes()).unwrap(), &owners);
        }
        let mut undecided = Undecided::default();
        undecided.count(Truth::unknown(Reason::Hidden));
        let labels = by.iter().map(|name| name.to_ascii_lowercase()).collect();
        let (series, rest) = groups.finish(limit);
        let metrics = Metrics {
            labels,
            series,
            limit: limit as u64,
            rest: rest as u64,
            signs: vec![("no-ack", 1)],
            rules: vec![RuleNumbers {
                name: "a-b".to_owned(),
                severity: "warning",
                offenders: 2,
                undecided: 1,
            }],
            undecided: by_reason(&undecided),
            unparsed: 1,
            closed: 2,
            may_lack_owners: true,
        };
        metrics.text().unwrap()
    }

    #[test]
    fn text() {
        let text = example(&[], 9);
        for line in [
            "# HELP knetstat_sockets Sockets",
            "# TYPE knetstat_sockets gauge",
            "knetstat_sockets{protocol=\"tcp\",family=\"inet\",state=\"established\"} 1",
            "# UNIT knetstat_receive_queue_bytes bytes",
            "knetstat_receive_queue_bytes{protocol=\"tcp\",family=\"inet\",state=\"established\"} 3",
            "knetstat_send_queue_bytes{protocol=\"tcp\",family=\"inet\",state=\"established\"} 4",
            "knetstat_accept_queue_limit_connections{protocol=\"tcp\",family=\"inet\",state=\"listening\"} 128",
            "knetstat_dropped_datagrams{protocol=\"udp\",family=\"inet\",state=\"unconnected\"} 4",
            "knetstat_diag_sockets{sign=\"no-ack\"} 1",
            "knetstat_rule_sockets{rule=\"a-b\",severity=\"warning\"} 2",
            "knetstat_rule_undecided_sockets{rule=\"a-b\",severity=\"warning\"} 1",
            "knetstat_undecided_sockets{reason=\"hidden\"} 1",
            "knetstat_undecided_sockets{reason=\"cut\"} 0",
            "knetstat_unparsed_rows 1",
            "knetstat_unread_namespaces 2",
            "knetstat_owners_may_be_missing 1",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
        assert!(text.ends_with("\n# EOF\n") && !text.contains("group_limit"));
        let labelled = example(&["process", "sport"], 1);
        for line in [
            "knetstat_group_limit 1",
            "knetstat_rest_groups 2",
            "knetstat_sockets{protocol=\"tcp\",family=\"inet\",state=\"established\",process=\"<other>\",sport=\"<other>\"} 1",
        ] {
            assert!(labelled.lines().any(|other| other == line), "{line}\n{labelled}");
        }
        // node_exporter takes the files of several commands together.
        let help = |text: &str| {
            let lines = text
                .lines()
                .filter(|line| line.starts_with("# HELP knetstat_sockets "));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert!(help(&text).len() == 1 && help(&text) == help(&labelled));
        let escaped = example(&["process"], 9);
        assert!(escaped.contains(r#"process="a\\\"b\\x0a{}""#), "{escaped}");
    }

    /// Skips the test of a program that is missing. Fails in the root of `make test`, which has all.
    pub fn skip_without(program: &str, err: &std::io::Error) {
        let needed = std::env::var_os("KNETSTAT_NEED_TOOLS").is_some();
        assert!(!needed, "{program}: {err}");
        eprintln!("skipped: {program}: {err}");
    }

    /// promtool, if it is installed, finds nothing wrong.
    #[test]
    fn promtool_finds_nothing() {
        for text in [example(&[], 9), example(&["process", "TCP_NODELAY"], 1)] {
            let mut promtool = Command::new("promtool");
            promtool.args(["check", "metrics"]).stdin(Stdio::piped());
            let promtool = promtool
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn();
            let mut promtool = match promtool {
                Ok(promtool) => promtool,
                Err(err) => return skip_without("promtool", &err),
            };
            let mut stdin = promtool.stdin.take().unwrap();
            std::io::Write::write_all(&mut stdin, text.as_bytes()).unwrap();
            drop(stdin);
            let output = promtool.wait_with_output().unwrap();
            assert!(
                output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(),
                "{output:?}\n{text}"
            );
        }
    }

    /// knetstat(8) lists each metric and no other.
    #[test]
    fn the_page_has_each_metric_and_no_other() {
        let page = include_str!("../../../../man/knetstat.8").replace('\\', "");
        let (_, section) = page.split_once(".Sh METRICS\n").unwrap();
        let (section, _) = section.split_once("\n.Sh ").unwrap();
        let items = section
            .lines()
            .filter_map(|line| line.strip_prefix(".It Li knetstat_"));
        let text = example(&["sport"], 9);
        let expected = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE knetstat_"));
        let expected = expected.map(|line| line.strip_suffix(" gauge").unwrap());
        assert_eq!(items.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }
}
