//! `kernels/src/text`: comparison, search, cut, case and length of strings.

use std::hint::black_box;

use arrow::array::{Scalar, StringArray, StringViewArray};
use arrow::compute::kernels::cmp::eq;
use arrow::compute::kernels::substring::substring_by_char;
use arrow::compute::{contains as arrow_contains, starts_with as arrow_starts_with};
use criterion::Criterion;
use plasmon_kernels::select::Comparison;
use plasmon_kernels::text::Texts;
use plasmon_kernels::text::case::{Case, convert};
use plasmon_kernels::text::compare::compare_constant;
use plasmon_kernels::text::length::character_lengths;
use plasmon_kernels::text::search::{contains, starts_with};
use plasmon_kernels::text::slice::{Counts, substring};

use super::{compare, numbers};

/// Rows whose views fit L1, L2, and no cache.
const SIZES: [(&str, usize); 3] = [("L1", 1 << 10), ("L2", 32 << 10), ("DRAM", 2 << 20)];
const SHORT: [&str; 6] = ["AIR", "RAIL", "SHIP", "TRUCK", "REG AIR", "FOB"];
const LONG: [&str; 4] = [
    "carefully final deposits sleep",
    "special packages above the requests",
    "Customer Complaints about blithely",
    "naïve théodolites are quickly",
];

pub(super) fn bench(criterion: &mut Criterion) {
    for (size, rows) in SIZES {
        for (kind, words) in [("short", &SHORT[..]), ("long", &LONG[..])] {
            let values: Vec<&str> = numbers(rows).map(|v| words[v as usize % words.len()]).collect();
            one(criterion, &format!("{kind} texts, {size}"), &values);
        }
    }
}

fn one(criterion: &mut Criterion, name: &str, values: &[&str]) {
    let rows = values.len();
    let array = StringViewArray::from_iter_values(values);
    let offsets = StringArray::from_iter_values(values);
    let buffers: Vec<&[u8]> = array.data_buffers().iter().map(|b| b.as_slice()).collect();
    let texts = Texts { views: array.views(), buffers: &buffers };
    let mut run = |what: &str, ours: &dyn Fn(), arrow: Option<&dyn Fn()>| {
        compare(criterion, "text", &format!("{what} of {name}"), rows, ours, arrow);
    };
    let constant = Scalar::new(StringViewArray::from(vec![values[0]]));
    run(
        "equality",
        &|| drop(black_box(compare_constant(Comparison::Equal, black_box(texts), values[0].as_bytes()))),
        Some(&|| drop(black_box(eq(black_box(&array), &constant)))),
    );
    let part = Scalar::new(StringViewArray::from(vec!["pack"]));
    run(
        "contains",
        &|| drop(black_box(contains(black_box(texts), b"pack"))),
        Some(&|| drop(black_box(arrow_contains(black_box(&array), &part)))),
    );
    run(
        "starts_with",
        &|| drop(black_box(starts_with(black_box(texts), b"spec"))),
        Some(&|| drop(black_box(arrow_starts_with(black_box(&array), &part)))),
    );
    run("upper", &|| drop(black_box(convert(black_box(texts), Case::Upper, 1))), None);
    run("character length", &|| drop(black_box(character_lengths(black_box(texts), false))), None);
    run(
        "substring(2, 4)",
        &|| drop(black_box(substring(black_box(texts), Counts::Constant(2), Some(Counts::Constant(4)), false))),
        Some(&|| drop(black_box(substring_by_char(black_box(&offsets), 1, Some(4))))),
    );
}
