//! Every type goes out and comes back over the same bytes; everything that can be seen to be wrong is refused; every struct is released once.

use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ::arrow::array::*;
use ::arrow::buffer::{OffsetBuffer, ScalarBuffer};
use ::arrow::datatypes::*;
use ::arrow::error::ArrowError;
use proptest::prelude::*;

use super::*;
use crate::{Code, Failure};

// ---- structs whose releases are counted

/// A struct of another's, which its private data holds.
fn counted_array(inner: ArrowArray, releases: &Arc<AtomicUsize>) -> ArrowArray {
    unsafe extern "C" fn release(array: *mut ArrowArray) {
        // SAFETY: the struct made below, released once.
        let array = unsafe { &mut *array };
        // SAFETY: as above.
        let held = unsafe { Box::from_raw(array.private_data.cast::<(ArrowArray, Arc<AtomicUsize>)>()) };
        held.1.fetch_add(1, Ordering::Relaxed);
        array.release = None;
    }
    let (length, null_count, offset) = (inner.length, inner.null_count, inner.offset);
    let (n_buffers, n_children, buffers) = (inner.n_buffers, inner.n_children, inner.buffers);
    let (children, dictionary) = (inner.children, inner.dictionary);
    let private_data = Box::into_raw(Box::new((inner, releases.clone()))).cast::<c_void>();
    let release = Some(release as unsafe extern "C" fn(*mut ArrowArray));
    ArrowArray {
        length,
        null_count,
        offset,
        n_buffers,
        n_children,
        buffers,
        children,
        dictionary,
        release,
        private_data,
    }
}

/// Imports `batch` after `spoil` had its way with the struct; a refused one must have been released.
fn import_spoilt(batch: &RecordBatch, spoil: impl FnOnce(&mut ArrowArray)) -> crate::Result<RecordBatch> {
    let releases = Arc::default();
    let mut array = counted_array(export_batch(batch.clone()), &releases);
    spoil(&mut array);
    let was_released = array.release.is_none();
    // SAFETY: a struct as the interface says, but for what was spoilt.
    let imported = unsafe { import_batch(&mut array, &batch.schema()) };
    assert!(array.release.is_none(), "the struct was not moved");
    match &imported {
        // Its values are read, so that a bad one shows.
        Ok(batch) => assert!(format!("{batch:?}").len() > 1),
        Err(failure) => {
            assert_eq!(failure.code, Code::InvalidArrow, "{failure}");
            assert_eq!(releases.load(Ordering::Relaxed), usize::from(!was_released), "releases");
        }
    }
    imported
}

#[test]
fn a_struct_is_released_when_its_last_buffer_is_dropped() {
    let (releases, batch) = (Arc::default(), batch(70));
    let mut array = counted_array(export_batch(batch.clone()), &releases);
    // SAFETY: a struct as the interface says.
    let imported = unsafe { import_batch(&mut array, &batch.schema()) }.expect("valid");
    let last = imported.column(3).clone();
    drop(imported);
    assert_eq!(releases.load(Ordering::Relaxed), 0);
    drop(last);
    assert_eq!(releases.load(Ordering::Relaxed), 1);
}

// ---- every type

fn words(rows: usize) -> impl Iterator<Item = Option<String>> + Clone {
    (0..rows).map(|row| (row % 5 != 1).then(|| "né à Plasmon, longer than a view ".repeat(row % 4)))
}

fn numbers<T: ArrowPrimitiveType>(rows: usize, of: impl Fn(usize) -> T::Native) -> PrimitiveArray<T> {
    (0..rows).map(|row| (row % 3 != 2).then(|| of(row))).collect()
}

fn lists(rows: usize) -> ListArray {
    ListArray::from_iter_primitive::<Int32Type, _, _>(
        (0..rows).map(|row| (row % 4 != 3).then(|| (0..row % 3).map(|n| Some(n as i32)).collect::<Vec<_>>())),
    )
}

fn columns(rows: usize) -> Vec<(&'static str, ArrayRef)> {
    let decimals = numbers::<Decimal128Type>(rows, |row| row as i128 * 100);
    let months = numbers::<IntervalMonthDayNanoType>(rows, |row| IntervalMonthDayNano::new(row as i32, 1, 2));
    let codes = numbers::<Int8Type>(rows, |row| row as i8 % 3);
    let dictionary = DictionaryArray::new(codes, Arc::new(StringArray::from(vec!["x", "y", "z"])));
    let pairs = StructArray::from(vec![
        (
            Arc::new(Field::new("n", DataType::Int64, true)),
            Arc::new(numbers::<Int64Type>(rows, |r| r as i64)) as ArrayRef,
        ),
        (Arc::new(Field::new("t", DataType::Utf8, true)), Arc::new(words(rows).collect::<StringArray>()) as ArrayRef),
    ]);
    let sized = FixedSizeListArray::from_iter_primitive::<Int16Type, _, _>(
        (0..rows).map(|row| (row % 4 != 0).then(|| vec![Some(row as i16), None])),
        2,
    );
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    for row in 0..rows {
        (0..row % 3).for_each(|n| {
            map.keys().append_value(n.to_string());
            map.values().append_value(n as i32);
        });
        map.append(row % 5 != 0).expect("keys and values");
    }
    let bytes = words(rows).map(|w| w.map(String::into_bytes));
    let hashes = (0..rows).map(|row| (row % 2 == 0).then(|| [row as u8; 3]));
    vec![
        ("null", Arc::new(NullArray::new(rows))),
        ("boolean", Arc::new((0..rows).map(|r| (r % 4 != 1).then_some(r % 2 == 0)).collect::<BooleanArray>())),
        ("i8", Arc::new(numbers::<Int8Type>(rows, |r| r as i8))),
        ("i64", Arc::new(numbers::<Int64Type>(rows, |r| r as i64))),
        ("u16", Arc::new(numbers::<UInt16Type>(rows, |r| r as u16))),
        ("f64", Arc::new(numbers::<Float64Type>(rows, |r| r as f64 / 3.0))),
        ("date", Arc::new(numbers::<Date32Type>(rows, |r| r as i32))),
        ("timestamp", Arc::new(numbers::<TimestampMicrosecondType>(rows, |r| r as i64).with_timezone("Europe/Berlin"))),
        ("decimal", Arc::new(decimals.with_precision_and_scale(20, 2).expect("fits"))),
        ("interval", Arc::new(months)),
        ("text", Arc::new(words(rows).collect::<StringArray>())),
        ("large text", Arc::new(words(rows).collect::<LargeStringArray>())),
        ("text view", Arc::new(words(rows).collect::<StringViewArray>())),
        ("bytes", Arc::new(bytes.clone().collect::<BinaryArray>())),
        ("byte view", Arc::new(bytes.collect::<BinaryViewArray>())),
        ("hash", Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(hashes, 3).expect("3 bytes"))),
        ("dictionary", Arc::new(dictionary)),
        ("list", Arc::new(lists(rows))),
        ("sized list", Arc::new(sized)),
        ("struct", Arc::new(pairs)),
        ("map", Arc::new(map.finish())),
    ]
}

fn batch(rows: usize) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns(rows).into_iter().map(|(n, c)| (n, c, true))).expect("a batch")
}

fn one_column(column: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([("c", column, true)]).expect("a batch")
}

/// A struct's only column.
fn child(array: &mut ArrowArray) -> &mut ArrowArray {
    // SAFETY: the batches of these tests have columns, which live as long as the struct.
    unsafe { &mut **array.children }
}

#[test]
fn every_type_crosses_over_the_same_bytes() {
    for (rows, first, len) in [(0, 0, 0), (1, 0, 1), (100, 0, 100), (100, 13, 70), (9, 9, 0), (70, 64, 6)] {
        let batch = batch(rows).slice(first, len);
        let back = import_spoilt(&batch, |_| {}).expect("valid");
        assert_eq!(back, batch);
        for (field, (ours, theirs)) in batch.schema().fields().iter().zip(back.columns().iter().zip(batch.columns())) {
            // Empty buffers may lie anywhere.
            let filled = |data: &ArrayData| data.buffers().last().filter(|b| !b.is_empty()).map(|b| b.as_ptr());
            assert_eq!(filled(&ours.to_data()), filled(&theirs.to_data()), "{} was copied", field.name());
        }
    }
}

/// Each level counts its rows from an offset of its own: of ten rows the structs show five from the third on, those inside nine from the second on.
#[test]
fn offsets_of_nested_structs_and_lists_add_up() {
    let values = || Arc::new(Int64Array::from_iter_values(0..10)) as ArrayRef;
    let field = Arc::new(Field::new("v", DataType::Int64, true));
    let inner = || Arc::new(StructArray::from(vec![(field.clone(), values())])) as ArrayRef;
    let of_structs = StructArray::from(vec![(Arc::new(Field::new("s", inner().data_type().clone(), true)), inner())]);
    let item = Arc::new(Field::new_list_field(inner().data_type().clone(), true));
    let lists = FixedSizeListArray::new(item, 1, inner(), None);
    let wanted = Int64Array::from_iter_values(3..8);
    for column in [Arc::new(of_structs) as ArrayRef, Arc::new(lists)] {
        let whole = one_column(column);
        let imported = import_spoilt(&whole, |array| {
            array.length = 5;
            let outer = child(array);
            (outer.offset, outer.length) = (2, 5);
            let inner = child(outer);
            (inner.offset, inner.length) = (1, 9);
        });
        let column = imported.expect("valid").column(0).clone();
        let structs = match column.as_struct_opt() {
            Some(outer) => outer.column(0).as_struct().clone(),
            None => column.as_fixed_size_list().values().as_struct().clone(),
        };
        assert_eq!(structs.column(0).as_primitive::<Int64Type>(), &wanted);
    }
}

/// Arrow's own lists count a null in the dictionary as one of theirs.
#[test]
fn nulls_of_a_dictionary_are_nulls_of_the_list() {
    let dictionary = Arc::new(StringArray::from(vec![Some("a"), None])) as ArrayRef;
    let codes = Arc::new(DictionaryArray::new(Int8Array::from(vec![0, 0]), dictionary)) as ArrayRef;
    let list = |nullable| {
        let field = Field::new_list_field(codes.data_type().clone(), nullable);
        Schema::new(vec![Field::new("c", DataType::List(Arc::new(field)), true)])
    };
    let field = Arc::new(Field::new_list_field(codes.data_type().clone(), true));
    let column = ListArray::new(field, OffsetBuffer::from_lengths([2]), codes.clone(), None);
    let import = |schema: Schema| {
        let mut array = export_batch(one_column(Arc::new(column.clone())));
        // SAFETY: a struct of ours.
        unsafe { import_batch(&mut array, &Arc::new(schema)) }
    };
    assert!(import(list(true)).is_ok());
    assert!(import(list(false)).expect_err("a null").message.contains("nulls"));
}

#[test]
fn schemas_come_back() {
    let schema = Schema::clone(&batch(3).schema()).with_metadata([("owner".to_string(), "naïve".to_string())].into());
    let mut exported = export_schema(&schema).expect("exports");
    // SAFETY: a schema of ours.
    let back = unsafe { import_schema(&mut exported) }.expect("valid");
    assert_eq!(*back, schema);
    assert!(exported.release.is_none());
    // SAFETY: a schema that is released, and none.
    unsafe {
        assert!(import_schema(&mut exported).expect_err("released").message.contains("released"));
        assert_eq!(import_schema(null_mut()).expect_err("null").code, Code::InvalidArgument);
    }
}

unsafe extern "C" fn release_nothing(schema: *mut ArrowSchema) {
    // SAFETY: a struct on the test's stack.
    unsafe { (*schema).release = None };
}

#[test]
fn malformed_schemas_are_refused() {
    let refused = |spoil: &dyn Fn(&mut ArrowSchema)| {
        let mut exported = export_schema(&batch(1).schema()).expect("exports");
        spoil(&mut exported);
        // SAFETY: a schema of ours, but for what was spoilt.
        let failure = unsafe { import_schema(&mut exported) }.expect_err("malformed");
        assert!(matches!(failure.code, Code::InvalidArrow | Code::Unsupported), "{failure}");
        failure.message
    };
    // Texts of the library's own would be freed as such: the originals are put back by whoever reads them, so only children's pointers change here.
    assert!(refused(&|s| s.n_children = -1).contains("-1 children"));
    assert!(refused(&|s| s.children = null_mut()).contains("null pointer"));
    for format in [
        c"",
        c"q",
        c"w:-4",
        c"d:99,2",
        c"d:5,9",
        c"+ud:0",
        c"+w:-1",
        c"tsx:",
        c"+r",
        c"d:1",
        c"d:9,-2",
        c"tss:nowhere",
        c"+s",
        c"w:0",
    ] {
        let mut leaf = ArrowSchema::empty();
        let mut whole = ArrowSchema::empty();
        (leaf.format, leaf.name) = (format.as_ptr(), c"c".as_ptr());
        leaf.release = Some(release_nothing);
        let mut children = [&raw mut leaf];
        (whole.format, whole.n_children) = (c"+s".as_ptr(), 1);
        whole.release = Some(release_nothing);
        whole.children = children.as_mut_ptr();
        // SAFETY: structs of the test that live until the call is over.
        let failure = unsafe { import_schema(&mut whole) }.expect_err("no such format");
        assert!(matches!(failure.code, Code::InvalidArrow | Code::Unsupported), "{format:?}: {failure}");
    }
}

/// A walk along two pointers that lead back would take longer than anyone waits.
#[test]
fn cycles_are_refused() {
    // The import moves the root away: the cycle is that of its child.
    let (mut whole, mut looped) = (ArrowSchema::empty(), ArrowSchema::empty());
    let mut children = [&raw mut looped; 2];
    for schema in [&mut whole, &mut looped] {
        (schema.format, schema.n_children) = (c"+s".as_ptr(), 2);
        schema.children = children.as_mut_ptr();
        schema.release = Some(release_nothing);
    }
    looped.dictionary = &raw mut looped;
    // SAFETY: structs of the test that live until the call is over.
    let failure = unsafe { import_schema(&mut whole) }.expect_err("a cycle");
    assert!(failure.message.contains("cycles"), "{failure}");
}

#[test]
fn what_is_seen_to_be_wrong_is_refused() {
    let refuse = |column: ArrayRef, what: &str, spoil: &dyn Fn(&mut ArrowArray)| {
        assert!(import_spoilt(&one_column(column), |array| spoil(child(array))).is_err(), "{what} was accepted");
    };
    let long = || Arc::new(numbers::<Int64Type>(70, |r| r as i64)) as ArrayRef;
    let text = || Arc::new(words(70).collect::<StringArray>()) as ArrayRef;
    refuse(long(), "a negative length", &|a| a.length = -1);
    refuse(long(), "a length of exabytes", &|a| a.length = i64::MAX);
    refuse(long(), "a negative offset", &|a| a.offset = -1);
    refuse(long(), "fewer rows than the struct", &|a| a.length = 69);
    refuse(long(), "a wrong null count", &|a| a.null_count = 1);
    refuse(long(), "more nulls than rows", &|a| a.null_count = 71);
    refuse(long(), "one buffer", &|a| a.n_buffers = 1);
    refuse(long(), "three buffers", &|a| a.n_buffers = 3);
    refuse(long(), "buffers at null", &|a| a.buffers = null_mut());
    refuse(long(), "a null value buffer", &|a| set_buffer(a, 1, null_mut()));
    refuse(long(), "nulls without validity", &|a| set_buffer(a, 0, null_mut()));
    refuse(long(), "children of a number", &|a| a.n_children = 1);
    refuse(text(), "no text bytes", &|a| set_buffer(a, 2, null_mut()));
    refuse(Arc::new(lists(70)), "a list without child", &|a| a.n_children = 0);
    refuse(Arc::new(lists(70)), "children at null", &|a| a.children = null_mut());
    refuse(Arc::new(lists(70)), "a child too short", &|a| child(a).length = 3);
    let codes =
        DictionaryArray::new(Int8Array::from(vec![0, 1]), Arc::new(StringArray::from(vec!["a", "b"])) as ArrayRef);
    refuse(Arc::new(codes), "no dictionary", &|a| a.dictionary = null_mut());
    let codes =
        DictionaryArray::new(Int8Array::from(vec![0, 1]), Arc::new(StringArray::from(vec!["a", "b"])) as ArrayRef);
    // SAFETY: the dictionary lives as long as its array.
    refuse(Arc::new(codes), "codes beyond the dictionary", &|a| unsafe { (*a.dictionary).length = 1 });
    assert!(
        import_spoilt(&one_column(long()), |array| array.release = None).is_err(),
        "a released struct was accepted"
    );
}

fn set_buffer(array: &mut ArrowArray, index: usize, to: *const c_void) {
    // SAFETY: the arrays of these tests have that buffer.
    unsafe { *array.buffers.add(index) = to };
}

/// Replaces a buffer's bytes by a changed copy while `import` runs.
fn with_bytes(column: ArrayRef, buffer: usize, len: usize, change: impl FnOnce(&mut [u8])) -> crate::Result<()> {
    let mut copy = Vec::new();
    import_spoilt(&one_column(column), |array| {
        let array = child(array);
        // SAFETY: the test knows the buffer's length.
        copy = unsafe { std::slice::from_raw_parts((*array.buffers.add(buffer)).cast::<u8>(), len) }.to_vec();
        change(&mut copy);
        set_buffer(array, buffer, copy.as_ptr().cast());
    })
    // The batch reads the copy and must not outlive it.
    .map(drop)
}

#[test]
fn values_that_lie_are_refused() {
    let text = || Arc::new(StringArray::from(vec!["a", "né", "c"])) as ArrayRef;
    let offsets = |offsets: [i32; 4]| {
        with_bytes(text(), 1, 16, |bytes| {
            bytes.copy_from_slice(&offsets.map(i32::to_le_bytes).concat());
        })
    };
    assert!(offsets([0, 1, 4, 5]).is_ok());
    assert!(offsets([0, 4, 1, 5]).is_err(), "offsets that fall");
    assert!(offsets([-1, 1, 4, 5]).is_err(), "an offset below zero");
    assert!(offsets([0, 1, 4, -5]).is_err(), "an end below zero");
    assert!(offsets([0, 2, 4, 5]).is_ok());
    assert!(offsets([0, 3, 4, 5]).is_err(), "a cut inside of a character");
    assert!(with_bytes(text(), 2, 5, |bytes| bytes[2] = 0xff).is_err(), "no UTF-8");
    let codes =
        DictionaryArray::new(Int8Array::from(vec![0, 1]), Arc::new(StringArray::from(vec!["a", "b"])) as ArrayRef);
    assert!(with_bytes(Arc::new(codes), 1, 2, |bytes| bytes[1] = 0x80).is_err(), "a negative code");
    let views = Arc::new(StringViewArray::from(vec!["short", "a text of more than twelve bytes"])) as ArrayRef;
    assert!(with_bytes(views.clone(), 1, 32, |_| ()).is_ok());
    assert!(with_bytes(views.clone(), 1, 32, |bytes| bytes[16] = 0xff).is_err(), "a view beyond its buffer");
    assert!(with_bytes(views.clone(), 1, 32, |bytes| bytes[24] = 9).is_err(), "a view of no buffer");
    assert!(with_bytes(views, 3, 8, |bytes| bytes[7] = 0x80).is_err(), "a buffer of negative length");
    let lists = Arc::new(ListArray::new(
        Arc::new(Field::new_list_field(DataType::Int64, true)),
        OffsetBuffer::new(ScalarBuffer::from(vec![0, 1, 2])),
        Arc::new(Int64Array::from(vec![1, 2])),
        None,
    ));
    assert!(with_bytes(lists, 1, 12, |bytes| bytes[8] = 7).is_err(), "a list beyond its values");
}

#[test]
fn buffers_that_are_not_aligned_are_copied() {
    let mut copy = vec![0u8; 8 * 70 + 1];
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..70));
    let batch = import_spoilt(&one_column(column.clone()), |array| {
        let array = child(array);
        let skew = usize::from((copy.as_ptr() as usize).is_multiple_of(8));
        // SAFETY: 70 values of 8 bytes.
        let bytes = unsafe { std::slice::from_raw_parts((*array.buffers.add(1)).cast::<u8>(), 560) };
        copy[skew..skew + 560].copy_from_slice(bytes);
        set_buffer(array, 1, copy[skew..].as_ptr().cast());
    })
    .expect("allowed by the interface");
    assert_eq!(batch.column(0), &column);
}

#[test]
fn day_time_intervals_are_aligned_as_arrows_own_functions_take_them() {
    let column: ArrayRef =
        Arc::new(IntervalDayTimeArray::from_iter_values((0..70).map(|i| IntervalDayTimeType::make_value(i, -i))));
    let mut copy = vec![0u64; 72];
    let batch = import_spoilt(&one_column(column.clone()), |array| {
        let array = child(array);
        // SAFETY: 70 values of 8 bytes, to a place that is aligned for 4 bytes and not for 8.
        let skewed = unsafe {
            let skewed = copy.as_mut_ptr().cast::<u8>().add(4);
            std::ptr::copy_nonoverlapping((*array.buffers.add(1)).cast::<u8>(), skewed, 560);
            skewed
        };
        set_buffer(array, 1, skewed.cast());
    })
    .expect("allowed by the interface");
    assert_eq!(batch.column(0), &column);
    assert_eq!(batch.column(0).to_data().buffers()[0].as_ptr().align_offset(8), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 20 } else { 4000 }))]

    /// One field of one struct of the tree gets one bad value: an answer comes, and no panic.
    #[test]
    fn no_field_can_make_it_panic(
        column in 0usize..21,
        depth in 0usize..3,
        field in 0usize..7,
        value in prop_oneof![Just(-1i64), Just(i64::MIN), Just(i64::MAX), -3i64..3, Just(i64::from(i32::MAX)), Just(1 << 40)],
        nulls in any::<bool>(),
    ) {
        let array = columns(40).swap_remove(column).1;
        let _ = import_spoilt(&one_column(array), |array| {
            let mut target = child(array);
            for _ in 0..depth {
                if target.n_children > 0 {
                    target = child(target);
                }
            }
            match field {
                // What makes a buffer or a list of pointers seem longer than it is cannot be seen: numbers only shrink or leave all bounds.
                0 if value < 40 || value > 1 << 40 => target.length = value,
                1 if value < 0 || value > 1 << 40 => target.offset = value,
                2 => target.null_count = value,
                3 if value <= target.n_buffers => target.n_buffers = value,
                4 => target.n_children = value.min(target.n_children),
                5 if nulls => target.children = null_mut(),
                5 => target.buffers = null_mut(),
                6 => target.dictionary = null_mut(),
                _ => {}
            }
        });
    }
}

// ---- streams

fn stream_of(batches: Vec<crate::Result<RecordBatch>>) -> ArrowArrayStream {
    let mut rest = batches.into_iter();
    export_stream(batch(0).schema(), Box::new(move || rest.next().transpose()))
}

#[test]
fn streams_cross() {
    let batches = [batch(3), batch(0), batch(40)];
    let mut stream = stream_of(batches.iter().cloned().map(Ok).collect());
    // SAFETY: a stream of ours.
    let reader = unsafe { import_stream(&mut stream) }.expect("valid");
    assert!(stream.release.is_none());
    assert_eq!(reader.map(|b| b.expect("valid")).collect::<Vec<_>>(), batches);
    // SAFETY: a stream that was taken, and none.
    unsafe {
        assert_eq!(import_stream(&mut stream).expect_err("taken").code, Code::InvalidArrow);
        assert_eq!(import_stream(null_mut()).expect_err("null").code, Code::InvalidArgument);
    }
}

#[test]
fn a_streams_failure_comes_with_its_message_and_ends_it() {
    let mut stream = stream_of(vec![Ok(batch(3)), Err(Failure::new(Code::OutOfMemory, "no more")), Ok(batch(4))]);
    // SAFETY: a stream of ours.
    let mut reader = unsafe { import_stream(&mut stream) }.expect("valid");
    assert_eq!(reader.read().expect("a batch").map(|b| b.num_rows()), Some(3));
    let failure = reader.read().expect_err("fails");
    assert_eq!((failure.code, failure.message.contains("no more")), (Code::Host, true));
    assert!(reader.read().expect("over").is_none());
}

#[test]
fn a_panic_inside_of_a_stream_is_its_failure() {
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut stream = export_stream(batch(0).schema(), Box::new(|| panic!("row 7")));
    // SAFETY: a stream of ours.
    let mut reader = unsafe { import_stream(&mut stream) }.expect("valid");
    let failure = reader.read().expect_err("fails");
    std::panic::set_hook(quiet);
    assert!(failure.message.contains("row 7"), "{failure}");
}

#[test]
fn failures_keep_their_code_through_the_engines_reader() {
    let error = ArrowError::ExternalError(Box::new(Failure::arrow("spoilt")));
    assert_eq!(Failure::from(plasmon::Error::from(error)).code, Code::InvalidArrow);
}
