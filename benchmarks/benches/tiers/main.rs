//! Every tier of the dispatched kernels, and arrow-rs' equivalent on the same data: `cargo bench --workspace --bench tiers -- text`.
//!
//! One module a kernel file. Working sets fit L1, L2 and neither. After each comparison a line tells nanoseconds a row of the scalar tier and how
//! many times faster the others are: a tier that is not 1.1 times faster is not worth its code (`kernels/README.md`).

mod arithmetic;
mod gather;
mod select;
mod temporal;
mod text;

use std::cell::Cell;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use plasmon_kernels::hash;
use plasmon_kernels::isa::{Isa, tiers, with_tier};

/// Rows of 8 bytes that fit 16 KiB of L1, 512 KiB of L2, and no cache.
const SIZES: [(&str, usize); 3] = [("L1", 2 << 10), ("L2", 64 << 10), ("DRAM", 8 << 20)];

/// Well-mixed numbers, the same in every run.
fn numbers(count: usize) -> impl Iterator<Item = u64> {
    (0..count as u64).map(hash::hash_word)
}

/// Measures `ours` on every tier and `arrow`; each call works on `rows` rows.
fn compare(criterion: &mut Criterion, file: &str, name: &str, rows: usize, ours: &dyn Fn(), arrow: Option<&dyn Fn()>) {
    let mut group = criterion.benchmark_group(file);
    group.sample_size(10).warm_up_time(Duration::from_millis(30)).measurement_time(Duration::from_millis(120));
    let mut best = |label: String, work: &dyn Fn()| {
        let best = Cell::new(f64::INFINITY);
        group.bench_function(format!("{name}, {label}"), |b| {
            b.iter_custom(|rounds| {
                let start = Instant::now();
                (0..rounds).for_each(|_| work());
                let spent = start.elapsed();
                best.set(best.get().min(spent.as_secs_f64() / rounds as f64));
                spent
            })
        });
        best.get()
    };
    let times: Vec<(Isa, f64)> =
        tiers().map(|tier| (tier, best(format!("{tier:?}"), &|| with_tier(tier, ours)))).collect();
    let library = arrow.map(|work| best("arrow".to_string(), work));
    group.finish();
    let (scalar, widest) = (times[0].1, times[times.len() - 1].1);
    if !scalar.is_finite() {
        return;
    }
    let faster = |time: f64| scalar / time;
    let tiers = times[1..].iter().map(|(tier, time)| format!(", {tier:?} × {:.2}", faster(*time))).collect::<String>();
    let library = library.map_or(String::new(), |time| format!("; against arrow × {:.2}", time / widest));
    eprintln!("{file} / {name}: scalar {:.3} ns a row{tiers}{library}", scalar * 1e9 / rows as f64);
}

criterion_group!(all, select::bench, gather::bench, arithmetic::bench, text::bench, temporal::bench);
criterion_main!(all);
