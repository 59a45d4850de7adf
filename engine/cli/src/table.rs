//! A result as a table of boxes: long cells cut, control characters made visible, wide tables fitted to a screen.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions, array_value_to_string};
use comfy_table::{Cell, CellAlignment, Table, presets};

/// Rows shown of a long result: the first ones; a line below tells how many there are.
const ROWS_MAX: usize = 1000;
/// Characters of a cell on a screen when the table is too wide for it.
const FITTED_CELL: usize = 24;

/// The rows of a result that will be shown.
pub(crate) struct TableText {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    rows: usize,
}

impl TableText {
    /// No rows yet.
    pub(crate) fn new(schema: SchemaRef) -> Self {
        TableText { schema, batches: Vec::new(), rows: 0 }
    }

    /// Takes a batch; what is past the limit is counted, not kept.
    pub(crate) fn add(&mut self, batch: &RecordBatch) {
        if self.rows < ROWS_MAX {
            self.batches.push(batch.slice(0, batch.num_rows().min(ROWS_MAX - self.rows)));
        }
        self.rows += batch.num_rows();
    }

    /// The text of a plan, which EXPLAIN gives as one cell.
    fn plan(&self) -> Option<String> {
        let [batch] = &self.batches[..] else { return None };
        let is_plan = self.rows == 1 && batch.num_columns() == 1 && self.schema.field(0).name() == "plan";
        let text = is_plan.then(|| array_value_to_string(batch.column(0), 0).ok()).flatten()?;
        text.contains('\n').then_some(text + "\n")
    }

    /// The whole table; a plan as it is, without a box.
    pub(crate) fn full(&self) -> Result<String, ArrowError> {
        if let Some(plan) = self.plan() {
            return Ok(plan);
        }
        let columns: Vec<usize> = (0..self.schema.fields().len()).collect();
        Ok(format!("{}\n{}\n", self.table(&columns, None)?, self.note(0)))
    }

    /// The table within `width` characters: first long cells are cut, then columns in the middle are left out.
    pub(crate) fn fitted(&self, width: usize) -> Result<String, ArrowError> {
        if let Some(plan) = self.plan() {
            return Ok(plan);
        }
        let full = self.full()?;
        if full.lines().next().is_none_or(|line| line.chars().count() <= width) {
            return Ok(full);
        }
        let count = self.schema.fields().len();
        let mut columns: Vec<usize> = (0..count).collect();
        loop {
            let table = self.table(&columns, Some(FITTED_CELL))?.to_string();
            let fits = table.lines().next().is_none_or(|line| line.chars().count() <= width);
            if fits || columns.len() <= 1 {
                return Ok(format!("{table}\n{}\n", self.note(count - columns.len())));
            }
            columns.remove(columns.len() / 2);
        }
    }

    fn table(&self, columns: &[usize], cell_limit: Option<usize>) -> Result<Table, ArrowError> {
        // A gap in the middle is shown as a column of dots.
        let gap = columns.windows(2).position(|w| w[1] != w[0] + 1).map(|i| i + 1);
        let with_gap = |mut cells: Vec<Cell>| {
            if let Some(gap) = gap {
                cells.insert(gap, Cell::new("…"));
            }
            cells
        };
        let text = |value: String| Cell::new(visible(&value, cell_limit));
        let mut table = Table::new();
        table.load_preset(presets::UTF8_FULL_CONDENSED);
        let names = columns.iter().map(|&c| text(self.schema.field(c).name().clone()));
        table.set_header(with_gap(names.collect()));
        let options = FormatOptions::default().with_null("NULL");
        for batch in &self.batches {
            let formatters = columns
                .iter()
                .map(|&c| ArrayFormatter::try_new(batch.column(c), &options))
                .collect::<Result<Vec<_>, _>>()?;
            for row in 0..batch.num_rows() {
                let mut cells = Vec::with_capacity(columns.len());
                for (formatter, &column) in formatters.iter().zip(columns) {
                    let cell = text(formatter.value(row).try_to_string()?);
                    let numeric = self.schema.field(column).data_type().is_numeric();
                    cells.push(if numeric { cell.set_alignment(CellAlignment::Right) } else { cell });
                }
                table.add_row(with_gap(cells));
            }
        }
        Ok(table)
    }

    fn note(&self, hidden: usize) -> String {
        let mut note = format!("{} row{}", self.rows, if self.rows == 1 { "" } else { "s" });
        if self.rows > ROWS_MAX {
            note += &format!(", the first {ROWS_MAX} shown (--format csv prints all)");
        }
        if hidden > 0 {
            note += &format!(", {hidden} columns left out to fit the screen");
        }
        note
    }
}

/// The text with control characters escaped (a value must not steer the terminal) and cut to `limit` characters.
fn visible(text: &str, limit: Option<usize>) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => shown.push('⏎'),
            '\t' => shown.push_str("    "),
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    match limit {
        Some(limit) if shown.chars().count() > limit => shown.chars().take(limit - 1).chain("…".chars()).collect(),
        _ => shown,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};

    use super::*;

    fn wide(columns: usize) -> TableText {
        let names: Vec<String> = (0..columns).map(|c| format!("column_{c}")).collect();
        let value = || Arc::new(StringArray::from(vec![Some("é".repeat(60)), None])) as _;
        let batch = RecordBatch::try_from_iter(names.iter().map(|n| (n.as_str(), value()))).expect("equal lengths");
        let mut table = TableText::new(batch.schema());
        table.add(&batch);
        table
    }

    #[test]
    fn wide_tables_fit_the_screen() {
        for width in [40, 80, 200] {
            let text = wide(12).fitted(width).expect("formats");
            let lines = || text.lines().filter(|l| !l.contains("left out"));
            assert!(lines().all(|l| l.chars().count() <= width), "{width}:\n{text}");
            assert!(text.contains("NULL") && text.contains("left out"), "{text}");
        }
        assert!(!wide(2).fitted(200).expect("formats").contains("left out"));
    }

    #[test]
    fn control_characters_cannot_steer_the_terminal() {
        assert_eq!(visible("a\u{1b}[2Jb\n\tc", None), "a\\u{1b}[2Jb⏎    c");
        assert_eq!(visible("abcdef", Some(4)), "abc…");
    }

    #[test]
    fn long_results_are_counted_but_not_kept() {
        let batch = RecordBatch::try_from_iter([("a", Arc::new(Int64Array::from(vec![1; 700])) as _)]).expect("one");
        let mut table = TableText::new(batch.schema());
        table.add(&batch);
        table.add(&batch);
        let text = table.full().expect("formats");
        assert!(text.contains("1400 rows, the first 1000 shown"), "{}", text.lines().last().unwrap_or_default());
        assert_eq!(text.lines().count(), 1000 + 5);
    }
}
