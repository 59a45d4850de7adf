//! `kernels/src/temporal`: calendar parts, truncation, intervals.

use std::hint::black_box;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, IntervalMonthDayNanoArray, Scalar, TimestampMicrosecondArray};
use arrow::compute::kernels::numeric::add;
use arrow::compute::{DatePart as ArrowPart, date_part as arrow_part};
use arrow::datatypes::IntervalMonthDayNano;
use criterion::Criterion;
use plasmon_kernels::temporal::part::{DatePart, TimePart, Unit, date_part, time_part};
use plasmon_kernels::temporal::shift::shift_days;
use plasmon_kernels::temporal::truncate::{Granularity, truncate};

use super::{SIZES, compare, numbers};

pub(super) fn bench(criterion: &mut Criterion) {
    for (size, rows) in SIZES {
        let days: Vec<i32> = numbers(rows).map(|v| (v % 20_000) as i32).collect();
        let dates: ArrayRef = Arc::new(Date32Array::from(days.clone()));
        for (name, part, library) in [
            ("year", DatePart::Year, ArrowPart::Year),
            ("month", DatePart::Month, ArrowPart::Month),
            ("week", DatePart::Week, ArrowPart::Week),
        ] {
            let ours = || drop(black_box(date_part(part, black_box(&days))));
            let arrow = || drop(black_box(arrow_part(black_box(&dates), library)));
            compare(criterion, "temporal", &format!("{name} of dates, {size}"), rows, &ours, Some(&arrow));
        }
        let interval = Scalar::new(IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNano::new(1, 0, 0)]));
        let ours = || drop(black_box(shift_days(black_box(&days), 1, 0)));
        let arrow = || drop(black_box(add(black_box(&dates), &interval)));
        compare(criterion, "temporal", &format!("dates + 1 month, {size}"), rows, &ours, Some(&arrow));
        let stamps: Vec<i64> = numbers(rows).map(|v| (v % 2_000_000_000_000_000) as i64).collect();
        let array: ArrayRef = Arc::new(TimestampMicrosecondArray::from(stamps.clone()));
        let ours = || drop(black_box(time_part(TimePart::Hour, black_box(&stamps), Unit::Microsecond)));
        let arrow = || drop(black_box(arrow_part(black_box(&array), ArrowPart::Hour)));
        compare(criterion, "temporal", &format!("hour of timestamps, {size}"), rows, &ours, Some(&arrow));
        let ours = || drop(black_box(truncate(Granularity::Month, black_box(&stamps), Unit::Microsecond)));
        compare(criterion, "temporal", &format!("timestamps to their month, {size}"), rows, &ours, None);
    }
}
