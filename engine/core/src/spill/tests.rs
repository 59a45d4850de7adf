//! Files as their users see them: whatever the disk does, the rows or a typed error, and nothing left behind.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::*;
use crate::batch::{Column, Encoding, Values, Views};
use crate::config::Fault;
use crate::error::Error;

/// A directory of one test, gone with it.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("plasmon-test-{}-{}", std::process::id(), NUMBER.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Directory(path)
    }

    fn names(&self) -> Vec<String> {
        std::fs::read_dir(&self.0).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        assert!(self.names().is_empty(), "left: {:?}", self.names());
        let _ = std::fs::remove_dir(&self.0);
    }
}

pub(crate) fn config(directories: &[&Directory]) -> Config {
    Config { spill_directories: directories.iter().map(|d| d.0.clone()).collect(), ..Config::default() }
}

/// Block `number` of a test: its number, numbers, and texts.
fn columns(number: usize) -> [Column; 3] {
    let numbers = (0..500).map(|i| (i * 7919 % 1000 + number) as i64);
    let texts = (0..500).map(|i| format!("text {i} of block {number}, sometimes long"));
    [
        Column::constant(Values::UInt64(vec![number as u64].into()), 500),
        Column::flat(Values::Int64(numbers.collect())),
        Column::flat(Values::View(Views::from_values(texts))),
    ]
}

fn number_of(block: &Block) -> usize {
    let Encoding::Constant(Values::UInt64(number)) = block.columns[0].encoding() else { panic!("a constant") };
    number[0] as usize
}

/// That a block is as it was written; gives its number.
fn check(block: &Block) -> usize {
    let number = number_of(block);
    assert_eq!((block.rows, block.columns.len()), (number + 1, 3));
    let written = columns(number);
    let (Values::Int64(read), Values::Int64(wanted)) = (block.columns[1].flat_values(), written[1].flat_values())
    else {
        panic!("numbers")
    };
    assert_eq!(read, wanted);
    let (Values::View(read), Values::View(wanted)) = (block.columns[2].flat_values(), written[2].flat_values()) else {
        panic!("texts")
    };
    assert!((0..500).all(|row| read.value(row) == wanted.value(row)));
    number
}

fn append(file: &SpillFile, number: usize) -> Result<()> {
    file.append(&columns(number), number + 1).map(drop)
}

fn read_all(file: &Arc<SpillFile>) -> Result<Vec<usize>> {
    let mut reader = file.reader();
    let mut numbers = Vec::new();
    while let Some(block) = reader.next()? {
        numbers.push(check(&block));
    }
    Ok(numbers)
}

#[test]
fn blocks_come_back_in_order_however_often_they_are_read() {
    let directory = Directory::new();
    // Without room for anything under way, with room for some blocks, and with plenty.
    for (memory_bytes, spill_encryption) in
        [Some(0), Some(300_000), None].into_iter().flat_map(|memory| [(memory, false), (memory, true)])
    {
        let area = SpillArea::new(&Config { memory_bytes, spill_encryption, ..config(&[&directory]) });
        let metrics = OperatorMetrics::new();
        let file = area.file("Sort", &metrics).unwrap();
        assert_eq!((file.blocks(), read_all(&file).unwrap()), (0, vec![]));
        for number in 0..100 {
            append(&file, number).unwrap();
            if number % 30 == 0 {
                assert_eq!(check(&file.block(number / 2).unwrap()), number / 2);
            }
        }
        assert!(directory.names().is_empty(), "the file has no name");
        assert_eq!((file.blocks(), file.rows()), (100, 5050));
        let (mut first, mut second) = (file.reader(), file.reader());
        assert_eq!(first.next().unwrap().map(|b| check(&b)), Some(0));
        assert_eq!(read_all(&file).unwrap(), (0..100).collect::<Vec<_>>());
        assert_eq!(first.next().unwrap().map(|b| check(&b)), Some(1));
        assert_eq!(second.next().unwrap().map(|b| check(&b)), Some(0));
        assert!(file.block(100).is_err());
        assert_eq!((area.bytes(), metrics.bytes_spilled.load(Relaxed)), (file.bytes(), file.bytes()));
        drop((first, second));
        let before = metrics.bytes_read_back.load(Relaxed);
        assert!(before > file.bytes(), "all blocks, and some more");
        read_all(&file).unwrap();
        assert_eq!(metrics.bytes_read_back.load(Relaxed) - before, file.bytes());
        assert!(area.read() >= metrics.bytes_read_back.load(Relaxed), "what was read ahead for nobody counts here");
        let bytes = file.bytes();
        drop(file);
        assert_eq!((area.bytes(), area.peak()), (0, bytes));
    }
}

#[test]
fn threads_append_to_one_file_and_read_it() {
    let directory = Directory::new();
    let area = SpillArea::new(&Config { memory_bytes: Some(1 << 20), spill_encryption: true, ..config(&[&directory]) });
    let file = area.file("Join", &OperatorMetrics::new()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let file = &file;
            scope.spawn(move || {
                let mut reader = file.reader();
                for number in 0..50 {
                    append(file, thread * 50 + number).unwrap();
                    check(&reader.next().unwrap().expect("as many blocks were appended"));
                }
            });
        }
    });
    let mut numbers = read_all(&file).unwrap();
    for thread in 0..4 {
        assert!(numbers.iter().filter(|&&n| n / 50 == thread).is_sorted(), "each thread's blocks are in its order");
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..200).collect::<Vec<_>>());
}

#[test]
fn files_can_be_dropped_with_blocks_under_way() {
    let directory = Directory::new();
    for round in 0..50 {
        let area = SpillArea::new(&config(&[&directory]));
        let file = area.file("Sort", &OperatorMetrics::new()).unwrap();
        (0..round).for_each(|number| append(&file, number).unwrap());
        let mut reader = file.reader();
        let _ = reader.next().unwrap();
        drop(area);
        drop(file);
        drop(reader);
    }
}

#[test]
fn the_quota_is_over_all_files_and_its_error_names_who_wrote() {
    let directory = Directory::new();
    let area = SpillArea::new(&Config { spill_bytes: Some(100_000), ..config(&[&directory]) });
    let (sort, join) = (area.file("Sort", &OperatorMetrics::new()), area.file("Join", &OperatorMetrics::new()));
    let (sort, join) = (sort.unwrap(), join.unwrap());
    append(&join, 0).unwrap();
    let error = (0..).find_map(|number| append(&sort, number).err()).unwrap();
    assert!(matches!(error, Error::Io { .. }));
    let text = error.to_string();
    for part in
        ["of Sort", "100000", "spill_bytes", &format!("Join: {}", join.bytes()), &format!("Sort: {}", sort.bytes())]
    {
        assert!(text.contains(part), "{text}: {part}");
    }
    assert!(area.peak() <= 100_000);
    // What was written is still there, and room that is given back can be used.
    assert_eq!(read_all(&sort).unwrap().len(), sort.blocks());
    drop(sort);
    (0..5).for_each(|number| append(&join, number).unwrap());
}

#[test]
fn directories_take_turns_and_bad_ones_are_passed_over() {
    let (first, second) = (Directory::new(), Directory::new());
    let mut config = config(&[&first, &second]);
    config.spill_directories.insert(1, first.0.join("nowhere"));
    let area = SpillArea::new(&config);
    let files: Vec<_> = (0..6).map(|_| area.file("Sort", &OperatorMetrics::new()).unwrap()).collect();
    for (number, file) in files.iter().enumerate() {
        append(file, number).unwrap();
        assert_eq!(read_all(file).unwrap(), [number]);
    }
    let places = open_files(&first.0).len();
    assert_eq!((places, open_files(&second.0).len()), (2, 4));
    config.spill_directories.drain(..1);
    config.spill_directories.truncate(1);
    let error = append(&SpillArea::new(&config).file("Sort", &OperatorMetrics::new()).unwrap(), 0).unwrap_err();
    assert!(matches!(error, Error::Io { .. }));
    assert!(error.to_string().contains("nowhere") && error.to_string().contains("Sort"), "{error}");
}

/// This process's open files that were made in `directory`.
pub(crate) fn open_files(directory: &std::path::Path) -> Vec<PathBuf> {
    let open = std::fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().path());
    open.filter(|path| std::fs::read_link(path).is_ok_and(|made| made.starts_with(directory))).collect()
}

/// Writes and reads some blocks under a fault; the error, if it met one.
fn meets(fault: Fault, config: &Config) -> Option<Error> {
    let area = SpillArea::new(&Config { fault: Some(fault), ..config.clone() });
    let outcome = area.file("Sort", &OperatorMetrics::new()).and_then(|file| {
        (0..10).try_for_each(|number| append(&file, number))?;
        read_all(&file)
    });
    assert_eq!(area.bytes(), 0, "{fault:?}");
    match outcome {
        Ok(numbers) => {
            assert_eq!(numbers, (0..10).collect::<Vec<_>>());
            None
        }
        Err(error) => {
            assert!(matches!(error, Error::Io { .. }), "{fault:?}: {error}");
            let text = error.to_string();
            assert!(text.contains("block ") && text.contains("Sort") && text.contains(".spill"), "{text}");
            Some(error)
        }
    }
}

#[test]
fn every_fault_of_the_disk_is_a_typed_error_that_names_the_place() {
    let (one, other) = (Directory::new(), Directory::new());
    for (memory_bytes, spill_encryption) in [(Some(0), false), (None, false), (Some(0), true), (None, true)] {
        let of = |directories: &[&Directory]| Config { memory_bytes, spill_encryption, ..config(directories) };
        let (one, both) = (of(&[&one]), of(&[&one, &other]));
        for at in 1..=20 {
            assert!(meets(Fault::SpillIo(at), &one).is_some(), "operation {at}");
        }
        assert!(meets(Fault::SpillIo(21), &one).is_none());
        for at in 1..=10 {
            let error = meets(Fault::SpillFlip(at), &one).unwrap();
            assert!(error.to_string().contains("checksum"), "{error}");
            let error = meets(Fault::SpillFull(at), &one).unwrap();
            assert!(error.to_string().contains("no space left"), "{error}");
            assert!(meets(Fault::SpillFull(at), &both).is_none(), "the other directory has room");
        }
    }
}

#[test]
fn bytes_that_change_or_vanish_on_disk_are_found() {
    use std::os::unix::fs::FileExt;
    let directory = Directory::new();
    for spill_encryption in [false, true] {
        let area = SpillArea::new(&Config { spill_encryption, ..config(&[&directory]) });
        let file = area.file("Aggregate", &OperatorMetrics::new()).unwrap();
        (0..3).for_each(|number| append(&file, number).unwrap());
        assert_eq!(read_all(&file).unwrap(), [0, 1, 2]);
        let on_disk = std::fs::File::options().read(true).write(true).open(&open_files(&directory.0)[0]).unwrap();
        let mut byte = [0];
        on_disk.read_exact_at(&mut byte, file.bytes() / 2).unwrap();
        on_disk.write_all_at(&[byte[0] ^ 4], file.bytes() / 2).unwrap();
        assert_eq!(check(&file.block(0).unwrap()), 0);
        let error = read_all(&file).unwrap_err().to_string();
        assert!(error.contains("block 1 that Aggregate spilled") && error.contains("checksum"), "{error}");
        on_disk.set_len(file.bytes() - 1).unwrap();
        let error = file.block(2).unwrap_err().to_string();
        assert!(error.contains("block 2 that Aggregate spilled"), "{error}");
        assert_eq!(check(&file.block(0).unwrap()), 0);
    }
}

/// Runs in a process of its own, which may have few files open.
#[test]
fn too_many_open_files_is_a_typed_error() {
    const NAME: &str = "spill::tests::too_many_open_files_is_a_typed_error";
    if std::env::var_os("PLASMON_FEW_FILES").is_none() {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", "ulimit -n 40 && exec \"$@\"", "sh"]).arg(std::env::current_exe().unwrap());
        let output = shell.args(["--exact", NAME]).env("PLASMON_FEW_FILES", "1").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    let directory = Directory::new();
    let area = SpillArea::new(&Config { memory_bytes: Some(0), ..config(&[&directory]) });
    let (mut files, mut failed) = (Vec::new(), None);
    while failed.is_none() && files.len() < 100 {
        let file = area.file("Join", &OperatorMetrics::new()).unwrap();
        failed = append(&file, files.len()).err();
        files.push(file);
    }
    let error = failed.expect("so many files are not given");
    assert!(matches!(error, Error::Io { .. }));
    let text = error.to_string();
    assert!(text.contains("a spill file of Join") && text.contains("os error 24"), "{text}");
    // One less, and there is one more.
    files.remove(0);
    let file = area.file("Join", &OperatorMetrics::new()).unwrap();
    append(&file, 7).unwrap();
    assert_eq!(read_all(&file).unwrap(), [7]);
}
