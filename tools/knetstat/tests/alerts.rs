// SPDX-License-Identifier: GPL-2.0

//! The example alerts for Prometheus, and the rules that they belong to.

use knetstat::model::rules::Rules;
use knetstat::model::words::SIGNS;
use knetstat::source::services::Services;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

const ALERTS: &str = include_str!("../../../contrib/prometheus/alerts.yml");
const TESTS: &str = include_str!("../../../contrib/prometheus/alerts-test.yml");
const RULES: &str = include_str!("../../../contrib/prometheus/rules.toml");

/// The values of a label in the expressions.
fn values<'t>(text: &'t str, label: &str) -> BTreeSet<&'t str> {
    let begin = format!("{label}=\"");
    let parts = text.split(begin.as_str()).skip(1);
    parts.filter_map(|part| part.split('"').next()).collect()
}

/// The alerts name each rule of the file, and no other, and a sign that exists.
#[test]
fn alerts_and_rules_agree() {
    let rules = Rules::parse("rules.toml", RULES, &Services::parse("")).unwrap();
    let names: BTreeSet<_> = rules.0.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(values(ALERTS, "rule"), names);
    for sign in values(ALERTS, "sign") {
        assert!(SIGNS.iter().any(|(name, ..)| *name == sign), "{sign}");
    }
}

/// Each alert is tested.
#[test]
fn each_alert_has_a_test() {
    let alerts = ALERTS
        .lines()
        .filter_map(|line| line.split_once("- alert: "));
    for (_, alert) in alerts {
        let tests = TESTS.matches(&format!("- alertname: {alert}\n")).count();
        assert_eq!(tests, 3, "{alert}");
    }
}

/// promtool, if it is installed, runs the tests.
#[test]
fn promtool_runs_the_tests() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contrib/prometheus");
    let mut promtool = Command::new("promtool");
    promtool.args(["test", "rules", "alerts-test.yml"]);
    match promtool.current_dir(directory).output() {
        Err(err) => {
            let needed = std::env::var_os("KNETSTAT_NEED_TOOLS").is_some();
            assert!(!needed, "promtool: {err}");
            eprintln!("skipped: promtool: {err}");
        }
        Ok(output) => assert!(output.status.success(), "{output:?}"),
    }
}
