//! Dates: their fields, and days and months added to them.

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Date32Type};
use plasmon_core::{Error, Result};

use crate::function::spark::calendar::{Date, weekday};
use crate::function::spark::columns::Call;
use crate::function::spark::definition::Definition;
use crate::function::spark::result::{is_text, require, takes};

macro_rules! field {
    ($name:literal, $of:expr) => {
        Definition::new($name, date_to_int, |call| field(call, $of))
    };
}

pub(super) const FUNCTIONS: &[Definition] = &[
    field!("year", |days| Date::from_days(days).year),
    field!("quarter", |days| i64::from(Date::from_days(days).month - 1) / 3 + 1),
    field!("month", |days| Date::from_days(days).month.into()),
    field!("day", |days| Date::from_days(days).day.into()),
    field!("day_of_year", |days| Date::from_days(days).day_of_year().into()),
    // Sunday is 1.
    field!("day_of_week", |days| i64::from(weekday(days) + 1) % 7 + 1),
    field!("weekday", |days| weekday(days).into()),
    field!("week_of_year", |days| Date::from_days(days).iso_week().1.into()),
    field!("year_of_week", |days| Date::from_days(days).iso_week().0),
    Definition::new("last_day", date_to_date, last_day),
    Definition::new("next_day", next_type, next_day).with_modes(),
    Definition::new("add_months", months_type, add_months),
    Definition::new("date_add", days_type, |call| add_days(call, i32::wrapping_add)),
    Definition::new("date_sub", days_type, |call| add_days(call, i32::wrapping_sub)),
    Definition::new("date_diff", difference_type, difference),
    Definition::new("make_date", made_type, make_date).with_modes(),
];

fn date_to_int(types: &[DataType]) -> Result<DataType> {
    takes(types, 1)?;
    require(types[0] == DataType::Date32, "a date")?;
    Ok(DataType::Int32)
}

fn date_to_date(types: &[DataType]) -> Result<DataType> {
    date_to_int(types)?;
    Ok(DataType::Date32)
}

fn field(call: &Call, of: impl Fn(i64) -> i64) -> Result<ArrayRef> {
    let dates = call.values::<Date32Type>(0)?;
    call.integer_result(|row| Ok(dates.get(row).map(|days| of(i64::from(days)))))
}

fn last_day(call: &Call) -> Result<ArrayRef> {
    let dates = call.values::<Date32Type>(0)?;
    call.number_result::<Date32Type>(|row| {
        Ok(dates.get(row).map(|days| Date::from_days(i64::from(days)).month_end().to_days() as i32))
    })
}

fn next_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 2)?;
    require(types[0] == DataType::Date32 && is_text(&types[1]), "a date and a day of the week")?;
    Ok(DataType::Date32)
}

/// Monday = 0, by the names that Spark takes.
fn day_of_name(name: &str) -> Option<i64> {
    Some(match name.trim_matches(' ').to_ascii_uppercase().as_str() {
        "MO" | "MON" | "MONDAY" => 0,
        "TU" | "TUE" | "TUESDAY" => 1,
        "WE" | "WED" | "WEDNESDAY" => 2,
        "TH" | "THU" | "THURSDAY" => 3,
        "FR" | "FRI" | "FRIDAY" => 4,
        "SA" | "SAT" | "SATURDAY" => 5,
        "SU" | "SUN" | "SUNDAY" => 6,
        _ => return None,
    })
}

fn next_day(call: &Call) -> Result<ArrayRef> {
    let (dates, names) = (call.values::<Date32Type>(0)?, call.texts(1)?);
    call.number_result::<Date32Type>(|row| {
        let (Some(days), Some(name)) = (dates.get(row), names.get(row)) else { return Ok(None) };
        let Some(wanted) = day_of_name(name) else {
            return call
                .mode()
                .absent(|| Error::data(format!("[ILLEGAL_DAY_OF_WEEK] Illegal input for day of week: {name}.")));
        };
        let ahead = (wanted - i64::from(weekday(i64::from(days))) - 1).rem_euclid(7) + 1;
        Ok(Some(days.wrapping_add(ahead as i32)))
    })
}

fn months_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 2)?;
    require(types[0] == DataType::Date32 && types[1] == DataType::Int32, "a date and a number of months")?;
    Ok(DataType::Date32)
}

fn add_months(call: &Call) -> Result<ArrayRef> {
    let (dates, months) = (call.values::<Date32Type>(0)?, call.integers(1)?);
    call.number_result::<Date32Type>(|row| {
        let (Some(days), Some(months)) = (dates.get(row), months.get(row)) else { return Ok(None) };
        let later = Date::from_days(i64::from(days)).add_months(months).to_days();
        i32::try_from(later).map(Some).map_err(|_| Error::data("[DATETIME_OVERFLOW] integer overflow"))
    })
}

fn days_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 2)?;
    let holds = matches!(types[1], DataType::Int8 | DataType::Int16 | DataType::Int32);
    require(types[0] == DataType::Date32 && holds, "a date and a number of days")?;
    Ok(DataType::Date32)
}

fn add_days(call: &Call, add: impl Fn(i32, i32) -> i32) -> Result<ArrayRef> {
    let (dates, days) = (call.values::<Date32Type>(0)?, call.integers(1)?);
    call.number_result::<Date32Type>(|row| {
        Ok(dates.get(row).zip(days.get(row)).map(|(date, days)| add(date, days as i32)))
    })
}

fn difference_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 2)?;
    require(types.iter().all(|t| *t == DataType::Date32), "two dates")?;
    Ok(DataType::Int32)
}

fn difference(call: &Call) -> Result<ArrayRef> {
    let (ends, starts) = (call.values::<Date32Type>(0)?, call.values::<Date32Type>(1)?);
    call.integer_result(|row| Ok(ends.get(row).zip(starts.get(row)).map(|(e, s)| i64::from(e.wrapping_sub(s)))))
}

fn made_type(types: &[DataType]) -> Result<DataType> {
    takes(types, 3)?;
    require(types.iter().all(|t| *t == DataType::Int32), "three ints")?;
    Ok(DataType::Date32)
}

/// Years that `LocalDate` has.
const YEAR_MAX: i64 = 999_999_999;

fn make_date(call: &Call) -> Result<ArrayRef> {
    let (years, months, days) = (call.integers(0)?, call.integers(1)?, call.integers(2)?);
    call.number_result::<Date32Type>(|row| {
        let (Some(year), Some(month), Some(day)) = (years.get(row), months.get(row), days.get(row)) else {
            return Ok(None);
        };
        let date = Date::new(year, month, day).filter(|_| year.abs() <= YEAR_MAX);
        match date.and_then(|date| i32::try_from(date.to_days()).ok()) {
            Some(days) => Ok(Some(days)),
            None => call.mode().absent(|| no_date(year, month, day)),
        }
    })
}

/// `LocalDate.of`'s own message.
fn no_date(year: i64, month: i64, day: i64) -> Error {
    const NAMES: [&str; 12] = [
        "JANUARY",
        "FEBRUARY",
        "MARCH",
        "APRIL",
        "MAY",
        "JUNE",
        "JULY",
        "AUGUST",
        "SEPTEMBER",
        "OCTOBER",
        "NOVEMBER",
        "DECEMBER",
    ];
    let out_of =
        |field: &str, range: &str, value: i64| format!("Invalid value for {field} (valid values {range}): {value}.");
    let message = if year.abs() > YEAR_MAX {
        out_of("Year", "-999999999 - 999999999", year)
    } else if !(1..=12).contains(&month) {
        out_of("MonthOfYear", "1 - 12", month)
    } else if !(1..=31).contains(&day) {
        out_of("DayOfMonth", "1 - 28/31", day)
    } else if month == 2 && day == 29 {
        format!("Invalid date 'February 29' as '{year}' is not a leap year.")
    } else {
        format!("Invalid date '{} {day}'.", NAMES[month as usize - 1])
    };
    Error::data(format!("[DATETIME_FIELD_OUT_OF_BOUNDS.WITHOUT_SUGGESTION] {message}"))
}
