// SPDX-License-Identifier: GPL-2.0

//! The goals of the module, and whether this run met them.

use crate::population::{Family, Kind};
use crate::readers::Role;
use crate::scenarios::{Measured, Outcome, Scenario};
use crate::table;
use crate::table::{text, Columns};
use serde::Serialize;
use std::fmt;

/// A goal, and its outcome.
#[derive(Serialize)]
pub struct Goal {
    pub goal: String,
    /// `None` if this run did not measure it.
    pub value: Option<f64>,
    pub is_met: Option<bool>,
}

/// All goals.
#[derive(Serialize)]
#[serde(transparent)]
pub struct Goals(Vec<Goal>);

impl fmt::Display for Goals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Goals")?;
        let table = Columns::new()
            .column("goal", |goal: &Goal| goal.goal.clone())
            .column("here", |goal| text(&goal.value.map(table::time)))
            .column("", |goal| {
                match goal.is_met {
                    Some(true) => "met",
                    Some(false) => "NOT MET",
                    None => "not measured",
                }
                .to_owned()
            })
            .of(&self.0);
        writeln!(f, "{table}")
    }
}

/// Computes the outcome of each goal from the measurements.
pub fn all(outcomes: &[Outcome]) -> Goals {
    let find = |kind, rows| {
        let scenario = Scenario {
            kind,
            family: Family::V4,
            rows,
        };
        outcomes.iter().find(|outcome| outcome.scenario == scenario)
    };
    let tcp = |rows| find(Kind::Established, rows);
    let ours = |outcome: Option<&Outcome>| {
        let measured = outcome?.of(Role::Ours).next()?;
        Some(measured.us_per_row.median)
    };

    let mut goals = Vec::new();
    for (rows, times) in [(10_000, 4.0), (100_000, 7.0)] {
        let n = table::digits(rows);
        goals.push(at_least(
            times,
            format!("TCP, {n} rows: /proc/net/tcp takes at least {times} times as long"),
            ratio(tcp(rows), Role::Proc),
        ));
        goals.push(at_most(
            1.1,
            format!("TCP, {n} rows: at most 1.1 times the floor"),
            ratio(tcp(rows), Role::Floor).map(|ratio| 1.0 / ratio),
        ));
        goals.push(at_least(
            20.0,
            format!("TCP, {n} rows: ss -tanomie --inet-sockopt takes at least 20 times as long"),
            ratio(tcp(rows), Role::SsOptions),
        ));
    }
    goals.push(at_least(
        300.0,
        "UDP, 100,000 rows: /proc/net/udp takes at least 300 times as long",
        ratio(find(Kind::Udp, 100_000), Role::Proc),
    ));
    let small = ours(find(Kind::Udp, 10_000));
    for (kind, whose) in [(Kind::Udp, "UDP"), (Kind::UdpOnePort, "UDP on one port")] {
        let large = ours(find(kind, 100_000));
        goals.push(at_most(
            1.5,
            format!("{whose}: a row of 100,000 takes at most 1.5 times one of UDP at 10,000"),
            large.zip(small).map(|(large, small)| large / small),
        ));
    }
    Goals(goals)
}

/// The time of the fastest reader of a role, divided by that of our file.
fn ratio(outcome: Option<&Outcome>, role: Role) -> Option<f64> {
    outcome?
        .of(role)
        .map(|measured: &Measured| measured.ratio_to_ours.median)
        .min_by(f64::total_cmp)
}

fn at_least(limit: f64, goal: impl Into<String>, value: Option<f64>) -> Goal {
    Goal {
        goal: goal.into(),
        value,
        is_met: value.map(|value| value >= limit),
    }
}

fn at_most(limit: f64, goal: impl Into<String>, value: Option<f64>) -> Goal {
    Goal {
        goal: goal.into(),
        value,
        is_met: value.map(|value| value <= limit),
    }
}
