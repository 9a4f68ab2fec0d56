// SPDX-License-Identifier: GPL-2.0

//! The cost of memory alone: a loop in user space that reads the cache lines from which a row is
//! made, of as many objects as there are sockets, and does nothing with them.

use crate::options::Options;
use crate::progress::note;
use crate::stats::{summary, Summary};
use crate::table::{digits, Columns};
use anyhow::Result;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::SeedableRng;
use serde::Serialize;
use std::fmt;
use std::hint::black_box;
use std::time::Instant;

/// The size of `struct tcp_sock` in Linux 7.3, in cache lines of 64 bytes.
const OBJECT: usize = 37;

/// The lines from which the row of a connection is made; see `knetstat_prefetch_tcp()`.
const READ: [usize; 23] = [
    0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 15, 18, 19, 21, 22, 25, 26, 27, 30, 35, 36,
];

/// The times for one number of objects.
#[derive(Serialize)]
struct Measured {
    objects: usize,
    us_per_object: Summary,
}

/// The times for each number of objects.
#[derive(Serialize)]
#[serde(transparent)]
pub struct CacheLines(Vec<Measured>);

impl fmt::Display for CacheLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Memory of this machine: {} cache lines of each object of {} bytes, objects in random \
             order",
            READ.len(),
            OBJECT * 64
        )?;
        let table = Columns::new()
            .column("objects", |measured: &Measured| digits(measured.objects))
            .times("us/object", |measured| &measured.us_per_object)
            .column("passes", |measured| measured.us_per_object.n.to_string())
            .of(&self.0);
        writeln!(f, "{table}")
    }
}

/// Reads the objects several times.
pub fn run(options: &Options) -> Result<CacheLines> {
    note("memory of this machine");
    let passes = options.scale(15, 5);
    let all = [10_000, 100_000].map(|objects| {
        let memory = vec![[1_u64; 8]; objects * OBJECT];
        let mut order: Vec<usize> = (0..objects).collect();
        order.shuffle(&mut StdRng::seed_from_u64(1));
        let samples: Vec<f64> = (0..passes)
            .map(|_| {
                let begun = Instant::now();
                let mut sum = 0;
                for object in &order {
                    let lines = &memory[object * OBJECT..][..OBJECT];
                    for line in READ {
                        sum += lines[line][0];
                    }
                }
                black_box(sum);
                begun.elapsed().as_secs_f64() * 1e6 / objects as f64
            })
            .collect();
        Measured {
            objects,
            us_per_object: summary(&samples),
        }
    });
    Ok(CacheLines(all.into()))
}
