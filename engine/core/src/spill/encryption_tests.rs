//! What lies on the disk when spill files are encrypted, and what comes back.

use std::os::unix::fs::FileExt;

use super::tests::{Directory, config, open_files};
use super::*;
use crate::batch::{Column, Values, Views};
use crate::expression::Scalar;
use crate::operators::random_rows::{Random, column, types};

fn area(directory: &Directory, spill_encryption: bool) -> Arc<SpillArea> {
    SpillArea::new(&Config { spill_encryption, ..config(&[directory]) })
}

fn file(area: &Arc<SpillArea>) -> Arc<SpillFile> {
    area.file("Sort", &OperatorMetrics::new()).unwrap()
}

/// The one file in `directory`, opened again, and what is in it.
fn on_disk(directory: &Directory) -> (std::fs::File, Vec<u8>) {
    let paths = open_files(&directory.0);
    let [path] = &paths[..] else { panic!("one file, not {paths:?}") };
    let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
    let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    (file, bytes)
}

/// A column of one text, in values and as bytes.
fn secret() -> (Column, &'static [u8]) {
    let text = "5105-1051-0510-5100 of Jane Doe";
    (Column::flat(Values::View(Views::from_values(std::iter::repeat_n(text, 100)))), &text.as_bytes()[..20])
}

#[test]
fn every_type_comes_back() {
    let (directory, mut random) = (Directory::new(), Random(1));
    let area = area(&directory, true);
    for data_type in types() {
        let file = file(&area);
        let written: Vec<Column> = [0, 1, 65, 1000].map(|len| column(&mut random, &data_type, len)).into();
        for number in 0..3 {
            file.append(&written[number..], 1000).unwrap();
        }
        for number in 0..3 {
            let block = file.block(number).unwrap();
            assert_eq!((block.rows, block.columns.len()), (1000, 4 - number));
            for (read, written) in block.columns.iter().zip(&written[number..]) {
                assert_eq!(read.len(), written.len());
                let shown = |column: &Column, row| format!("{:?}", Scalar::from_column(column, row));
                (0..read.len()).for_each(|row| assert_eq!(shown(read, row), shown(written, row), "{data_type}"));
            }
        }
    }
}

#[test]
fn values_cannot_be_found_on_the_disk() {
    let (column, text) = secret();
    for is_encrypted in [false, true] {
        let directory = Directory::new();
        let file = file(&area(&directory, is_encrypted));
        file.append(std::slice::from_ref(&column), 100).unwrap();
        assert_eq!(file.block(0).unwrap().columns[0].len(), 100);
        let (_, bytes) = on_disk(&directory);
        assert_eq!(bytes.len() as u64, file.bytes());
        assert_eq!(bytes.windows(text.len()).any(|window| window == text), !is_encrypted);
    }
}

#[test]
fn equal_blocks_differ_on_the_disk_and_cannot_change_places() {
    let (column, _) = secret();
    for is_encrypted in [false, true] {
        let directory = Directory::new();
        let file = file(&area(&directory, is_encrypted));
        for rows in [100, 100] {
            file.append(std::slice::from_ref(&column), rows).unwrap();
        }
        drop((file.block(0).unwrap(), file.block(1).unwrap()));
        let (disk, bytes) = on_disk(&directory);
        let (first, second) = bytes.split_at(bytes.len() / 2);
        assert_eq!(first == second, !is_encrypted);
        disk.write_all_at(second, 0).unwrap();
        disk.write_all_at(first, second.len() as u64).unwrap();
        for number in 0..2 {
            match file.block(number) {
                Ok(block) => assert!(!is_encrypted && block.rows == 100),
                Err(error) => assert!(is_encrypted && error.to_string().contains("checksum"), "{error}"),
            }
        }
    }
}

#[test]
fn equal_files_differ_on_the_disk() {
    let (column, _) = secret();
    let contents = [(); 2].map(|()| {
        let directory = Directory::new();
        let file = file(&area(&directory, true));
        file.append(std::slice::from_ref(&column), 100).unwrap();
        drop(file.block(0).unwrap());
        on_disk(&directory).1
    });
    assert_ne!(contents[0], contents[1]);
}
