//! What a host's tasks do with plans: splits of files, a shuffle's file, frames read by the next task, counters by relation.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema};
use plasmon::core::expression::{CompareOp, Expression, Scalar};
use plasmon::core::operators::join::{cached_build_bytes, release_build, retain_build};
use plasmon::core::operators::shuffle_write::SHUFFLE_WRITE_TYPES;
use plasmon::core::pipeline::CancelToken;
use plasmon::core::table::{FileSplit, FileSplits};
use plasmon::plan::ir::{Node, Partitioning, Plan, Relation, ShuffleWrite, TableName, TableOrigin};
use plasmon::plan::wire;
use plasmon::{Config, Driver, Error, FrameTable, Session, Source};

/// A folder that is gone with its value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("plasmon-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn session() -> Session {
    Session::new(Config { driver: Driver::Inline, ..Config::default() }).expect("valid configuration")
}

/// A file of numbers and texts, and a scan of the splits that two tasks get of it.
fn split_scans(session: &Session, folder: &Folder) -> Vec<Relation> {
    let path = folder.0.join("numbers of %.parquet");
    let sql = format!(
        "COPY (SELECT value AS n, 'text ' || CAST(value % 7 AS VARCHAR) AS t FROM generate_series(1, 50000)) TO '{}' OPTIONS (max_row_group_size 5000)",
        path.display()
    );
    session.sql(&sql).expect("writes").collect().expect("writes");
    let size = std::fs::metadata(&path).expect("a file").len();
    let uri = format!("file:{}", path.display().to_string().replace('%', "%25").replace(' ', "%20"));
    let fields = [("N", DataType::Int64), ("t", DataType::Utf8), ("day", DataType::Int32)];
    let schema = Arc::new(Schema::new(fields.map(|(name, t)| Field::new(name, t, true)).to_vec()));
    let scan = |(start, end): (u64, u64)| {
        let split = FileSplit {
            path: uri.clone(),
            start,
            length: end - start,
            partition_values: vec![Scalar::Int64(start as i64)],
        };
        let splits = FileSplits {
            splits: vec![split],
            partition_columns: 1,
            case_sensitive: false,
            format: "parquet".to_string(),
        };
        let table = plasmon::io::open_splits(&splits, &schema, &Default::default()).expect("a table");
        Relation::scan(TableName::of(TableOrigin::Splits(splits)), table)
    };
    [(0, size / 3), (size / 3, size)].map(scan).to_vec()
}

fn run(session: &Session, root: Relation) -> (Vec<RecordBatch>, Vec<u64>) {
    let plan = wire::encode(&Plan { root, subqueries: Vec::new(), shared: Vec::new() }).expect("encodes");
    let mut query = session.statement_of(Source::Plan(&plan)).run().expect("runs");
    let monitor = query.monitor();
    let batches = query.by_ref().collect::<Result<Vec<_>, _>>().expect("rows");
    (batches, monitor.counters().iter().map(|counted| counted.rows).collect())
}

#[test]
fn rows_go_through_a_shuffle() {
    let (session, folder) = (session(), Folder::new("shuffle"));
    let partitions = 5;
    let written: Vec<(PathBuf, Vec<RecordBatch>)> = split_scans(&session, &folder)
        .into_iter()
        .enumerate()
        .map(|(task, scan)| {
            let path = folder.0.join(format!("shuffle-{task}"));
            let write = ShuffleWrite {
                partitioning: Partitioning::Hash(vec![Expression::column(1, DataType::Utf8View)]),
                partitions,
                path: path.display().to_string(),
            };
            let fields = ["partition", "bytes", "rows"].iter().zip(SHUFFLE_WRITE_TYPES);
            let fields = fields.map(|(name, t)| Field::new(*name, t, false)).collect::<Vec<_>>();
            let node = Node::ShuffleWrite { input: Box::new(scan), write };
            (path, run(&session, Relation::new(node, Arc::new(Schema::new(fields)))).0)
        })
        .collect();
    // The tasks of the next stage: each reads its partition of every file.
    let fields = [("n", DataType::Int64), ("t", DataType::Utf8), ("day", DataType::Int32)];
    let schema = Arc::new(Schema::new(fields.map(|(name, t)| Field::new(name, t, true)).to_vec()));
    let (mut rows, mut sum, mut texts) = (0, 0, 0);
    for partition in 0..partitions as i32 {
        let mut own: Vec<Vec<u8>> = written.iter().filter_map(|(path, told)| bytes_of(path, told, partition)).collect();
        own.reverse();
        let table = Arc::new(FrameTable::new(schema.clone(), move || Ok(own.pop())));
        let sql = "SELECT count(*), COALESCE(sum(n), 0), count(DISTINCT t) FROM input";
        let batches = session.statement(sql).table("input", table).run().expect("runs").collect().expect("rows");
        let value = |column: usize| batches[0].column(column).as_primitive::<Int64Type>().value(0);
        rows += value(0);
        sum += value(1);
        texts += value(2);
    }
    assert_eq!((rows, sum), (50_000, 50_000 * 50_001 / 2));
    assert_eq!(texts, 7, "equal keys meet in one partition");
}

/// What a task's file has of a partition, as its result tells.
fn bytes_of(path: &PathBuf, told: &[RecordBatch], partition: i32) -> Option<Vec<u8>> {
    let bytes = std::fs::read(path).expect("a shuffle's file");
    let mut start = 0;
    for batch in told {
        let (numbers, lengths) =
            (batch.column(0).as_primitive::<Int32Type>(), batch.column(1).as_primitive::<Int64Type>());
        for row in 0..batch.num_rows() {
            let end = start + lengths.value(row) as usize;
            if numbers.value(row) == partition {
                return Some(bytes[start..end].to_vec());
            }
            start = end;
        }
    }
    None
}

#[test]
fn relations_are_counted_as_they_were_given() {
    let (session, folder) = (session(), Folder::new("counters"));
    let scan = split_scans(&session, &folder).remove(1);
    let all = run(&session, scan.clone()).1;
    let column = Expression::column(0, DataType::Int64);
    let few =
        Expression::compare(CompareOp::Greater, column, Expression::literal(Scalar::Int64(49_990), DataType::Int64));
    // The scan applies the filter: both give what is left.
    let (batches, counted) = run(&session, scan.filter(few).project_columns([0]));
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 10);
    assert_eq!(counted, [10, 10, 10]);
    assert!(all[0] > 10_000);
}

/// A join of the numbers below 100,000 with a table of so many rows, as a plan whose build side has a name.
fn cached_join(session: &Session, rows: usize, name: &str) -> Vec<u8> {
    session
        .sql(&format!(
            "CREATE OR REPLACE TABLE small AS SELECT value * 10 AS k, value AS v FROM generate_series(1, {rows})"
        ))
        .expect("a table");
    session.sql("CREATE OR REPLACE TABLE large AS SELECT value AS n FROM generate_series(1, 100000)").expect("a table");
    let sql = "SELECT count(*) AS c, sum(v) AS s FROM large JOIN small ON n = k";
    let bytes = session.statement(sql).plan_bytes().expect("plans").expect("a query");
    let mut plan = wire::decode(&bytes, session).expect("decodes");
    fn name_builds(relation: &mut Relation, name: &str) {
        if let Node::Join { join, .. } = &mut relation.node {
            join.cached_build = Some(name.to_string());
        }
        relation.children_mut().into_iter().for_each(|child| name_builds(child, name));
    }
    name_builds(&mut plan.root, name);
    wire::encode(&plan).expect("encodes")
}

fn count_and_sum(batches: &[RecordBatch]) -> (i64, i64) {
    let value = |column: usize| batches[0].column(column).as_primitive::<Int64Type>().value(0);
    let sum = batches[0].column(1);
    let sum = arrow::compute::cast(sum, &DataType::Int64).expect("fits");
    (value(0), sum.as_primitive::<Int64Type>().value(0))
}

#[test]
fn a_build_side_is_built_once() {
    let session = session();
    let plan = cached_join(&session, 1000, "once");
    retain_build("once");
    let first = session.statement_of(Source::Plan(&plan)).run().expect("runs").collect().expect("rows");
    assert_eq!(count_and_sum(&first), (1000, 500_500));
    assert!(cached_build_bytes() > 0);
    // The table has other rows now, which a build of its own would see.
    let plan = cached_join(&session, 500, "once");
    let again: Vec<_> = std::thread::scope(|scope| {
        let run = || {
            let rows = session.statement_of(Source::Plan(&plan)).run().expect("runs").collect().expect("rows");
            count_and_sum(&rows)
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!(again, [(1000, 500_500); 4]);
    assert!(release_build("once") && !release_build("once"));
    let own = session.statement_of(Source::Plan(&plan)).run().expect("runs").collect().expect("rows");
    assert_eq!(count_and_sum(&own), (500, 125_250), "nobody retains it: a build like any other");
}

#[test]
fn a_build_that_was_stopped_is_left_to_the_next_query() {
    let session = session();
    let plan = cached_join(&session, 200, "stopped");
    retain_build("stopped");
    let mut stopped = session.statement_of(Source::Plan(&plan)).run().expect("runs");
    stopped.step().expect("it has begun to build");
    let waiting = session.statement_of(Source::Plan(&plan));
    let cancel = CancelToken::default().with_deadline(Some(std::time::Duration::from_millis(50)));
    let outcome = waiting.clone().cancel(cancel).run().expect("runs").collect();
    assert!(matches!(outcome, Err(Error::Deadline)), "it waits, and can be stopped");
    drop(stopped);
    assert_eq!(count_and_sum(&waiting.run().expect("runs").collect().expect("rows")), (200, 20_100));
    assert!(release_build("stopped"));
}

#[test]
fn another_join_may_not_take_the_name() {
    let session = session();
    let plan = cached_join(&session, 10, "taken");
    retain_build("taken");
    session.statement_of(Source::Plan(&plan)).run().expect("runs").collect().expect("rows");
    let mut other = wire::decode(&plan, &session).expect("decodes");
    fn semi(relation: &mut Relation) {
        if let Node::Join { join, .. } = &mut relation.node {
            join.residual = Some(Expression::literal(Scalar::Boolean(true), DataType::Boolean));
        }
        relation.children_mut().into_iter().for_each(semi);
    }
    semi(&mut other.root);
    let other = wire::encode(&other).expect("encodes");
    let outcome = session.statement_of(Source::Plan(&other)).run().expect("runs").collect();
    assert!(outcome.is_err_and(|error| error.to_string().contains("another join's")));
    assert!(release_build("taken"));
}
