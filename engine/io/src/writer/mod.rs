//! Results as files: one file, or a folder of several, by partition values and by size, here or in an object store.
//!
//! Rows go to the encoder (`encode`) of their folder's open file (`output`). Nothing has its final name before [`Writer::finish`]: a writer that is
//! dropped leaves nothing behind.

mod encode;
mod output;
mod parquet_options;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{SortColumn, lexsort_to_indices, partition, take_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::util::display::array_value_to_string;
use plasmon_core::{Error, Result};

use crate::format::{Compression, Format, Options};
use crate::partition::{NULL_PARTITION, url_encoded};
use crate::store::{DataFile, Place, list_folder, parse_location};
use encode::Encoder;
use output::Output;

/// Files that are open at once; beyond that the first one is completed, and later rows of its folder begin another.
const OPEN_MAX: usize = 256;

/// What may be asked of a writer, beyond a format's own options.
const WRITER_OPTIONS: [&str; 3] = ["overwrite", "append", "file_size_bytes"];

/// Writes batches; nothing is under its final name before [`Writer::finish`].
pub struct Writer {
    target: Target,
    format: Format,
    options: Options,
    /// The columns that files hold.
    schema: SchemaRef,
    kept: Vec<usize>,
    partitions: Vec<(usize, String)>,
    file_bytes_max: Option<usize>,
    /// Open files by folder below the target.
    open: BTreeMap<String, Encoder>,
    /// Complete files without their names yet.
    complete: Vec<Output>,
    /// Files begun, by folder.
    begun: HashMap<String, usize>,
    /// Files that the new ones replace.
    replaced: Vec<Arc<DataFile>>,
    /// Distinguishes the files of this writer from those of others in the folder.
    token: String,
    rows: u64,
}

/// Where results go.
struct Target {
    place: Place,
    name: String,
    is_folder: bool,
}

impl Writer {
    /// Prepares writing rows of `schema` to `path`; without `format` the extension tells. With `partition_by`, `path` is a folder of `column=value` folders.
    pub fn create(
        path: &str,
        format: Option<Format>,
        options: &Options,
        schema: SchemaRef,
        partition_by: &[String],
    ) -> Result<Self> {
        let file_bytes_max = options.number("file_size_bytes")?;
        let is_split = !partition_by.is_empty() || file_bytes_max.is_some();
        let format = match format {
            Some(format) => format,
            None if is_split => return Err(Error::user("COPY to several files needs STORED AS")),
            None => Format::of_name(path)?,
        };
        options.check_known(&[&WRITER_OPTIONS[..], encode::options_of(format)])?;
        let target = Target::of(path, is_split)?;
        let partitions = partition_by
            .iter()
            .map(|name| {
                let index = schema.index_of(name);
                Ok((index.map_err(|_| Error::user(format!("PARTITIONED BY {name}: no such column")))?, name.clone()))
            })
            .collect::<Result<Vec<_>>>()?;
        let kept: Vec<usize> = (0..schema.fields().len()).filter(|c| !partitions.iter().any(|(p, _)| p == c)).collect();
        if kept.is_empty() {
            return Err(Error::user("PARTITIONED BY leaves no column to write"));
        }
        let append = options.flag(&["append"], false)?;
        let replaced = target.replaced(options, append)?;
        let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_nanos());
        let mut writer = Writer {
            target,
            format,
            options: options.clone(),
            schema: Arc::new(schema.project(&kept)?),
            kept,
            partitions,
            file_bytes_max,
            open: BTreeMap::new(),
            complete: Vec::new(),
            begun: HashMap::new(),
            replaced,
            token: if append { format!("{:x}-{nanos:x}-", std::process::id()) } else { String::new() },
            rows: 0,
        };
        if writer.partitions.is_empty() {
            // Also no rows make a file, with the columns in it.
            writer.file("")?;
        }
        Ok(writer)
    }

    /// Writes one batch.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        if self.partitions.is_empty() {
            return self.write_to("", batch);
        }
        let rows: ArrayRef = Arc::new(UInt32Array::from_iter_values(0..batch.num_rows() as u32));
        let keys: Vec<ArrayRef> = self.partitions.iter().map(|(c, _)| batch.column(*c).clone()).collect();
        // By partition, within one as the rows came.
        let sorted = keys.iter().chain([&rows]).map(|values| SortColumn { values: values.clone(), options: None });
        let order = lexsort_to_indices(&sorted.collect::<Vec<_>>(), None)?;
        let sorted = take_record_batch(batch, &order)?;
        let keys: Vec<ArrayRef> = self.partitions.iter().map(|(c, _)| sorted.column(*c).clone()).collect();
        let files = sorted.project(&self.kept)?;
        for range in partition(&keys)?.ranges() {
            let folder = self.folder(&keys, range.start)?;
            self.write_to(&folder, &files.slice(range.start, range.len()))?;
        }
        Ok(())
    }

    fn write_to(&mut self, folder: &str, batch: &RecordBatch) -> Result<()> {
        let max = self.file_bytes_max;
        let file = self.file(folder)?;
        file.write(batch)?;
        if max.is_some_and(|max| file.bytes() >= max)
            && let Some(full) = self.open.remove(folder)
        {
            self.complete.push(full.finish()?);
        }
        Ok(())
    }

    /// Completes every file, gives each its name, and removes what they replace; the number of rows written.
    pub fn finish(mut self) -> Result<u64> {
        for (_, encoder) in std::mem::take(&mut self.open) {
            self.complete.push(encoder.finish()?);
        }
        let mut published: Vec<Output> = Vec::new();
        for mut output in std::mem::take(&mut self.complete) {
            if let Err(error) = output.publish() {
                published.iter().for_each(Output::withdraw);
                return Err(error);
            }
            published.push(output);
        }
        for old in self.replaced.iter().filter(|old| !published.iter().any(|new| new.name() == old.name)) {
            old.remove()?;
        }
        Ok(self.rows)
    }

    fn folder(&self, keys: &[ArrayRef], row: usize) -> Result<String> {
        let mut folder = String::new();
        for ((_, name), values) in self.partitions.iter().zip(keys) {
            let value = if values.is_null(row) {
                NULL_PARTITION.to_string()
            } else {
                url_encoded(&array_value_to_string(values, row)?)
            };
            folder.push_str(&format!("{}={value}/", url_encoded(name)));
        }
        Ok(folder)
    }

    fn file(&mut self, folder: &str) -> Result<&mut Encoder> {
        if !self.open.contains_key(folder) {
            if self.open.len() >= OPEN_MAX
                && let Some((_, first)) = self.open.pop_first()
            {
                self.complete.push(first.finish()?);
            }
            let encoder = self.begin(folder)?;
            self.open.insert(folder.to_string(), encoder);
        }
        self.open.get_mut(folder).ok_or_else(|| Error::internal("a file that was just opened is gone"))
    }

    fn begin(&mut self, folder: &str) -> Result<Encoder> {
        let index = self.begun.entry(folder.to_string()).or_default();
        let below = if self.target.is_folder {
            let packed = match self.format {
                Format::Csv | Format::Json => {
                    Compression::of_file("", &self.options)?.map_or("", Compression::extension)
                }
                _ => "",
            };
            format!("{folder}part-{}{index}.{}{packed}", self.token, self.format.extension())
        } else {
            String::new()
        };
        *index += 1;
        let output = Output::create(&self.target.place, &below, &self.options)?;
        Encoder::create(self.format, output, self.schema.clone(), &self.options)
    }
}

impl Target {
    fn of(path: &str, is_split: bool) -> Result<Self> {
        let place = parse_location(path)?;
        let last = path.rsplit('/').next().unwrap_or_default();
        let is_directory = matches!(&place, Place::Local(local) if local.is_dir());
        let is_folder = is_split || last.is_empty() || !last.contains('.') || is_directory;
        Ok(Target { place, name: path.to_string(), is_folder })
    }

    /// The files that are there and have to go; refuses to touch them unless told to.
    fn replaced(&self, options: &Options, append: bool) -> Result<Vec<Arc<DataFile>>> {
        let overwrite = options.flag(&["overwrite"], !self.is_folder)?;
        if overwrite && append {
            let contrary = options.get(&["overwrite"]).is_some();
            if contrary {
                return Err(Error::user("options overwrite and append contradict each other"));
            }
        }
        if append {
            return if self.is_folder {
                Ok(Vec::new())
            } else {
                Err(Error::user(format!("{}: option append is for folders; a file is replaced as a whole", self.name)))
            };
        }
        if !self.is_folder && overwrite {
            return Ok(Vec::new());
        }
        let present = list_folder(&self.place, options)?;
        match present.first() {
            Some(first) if !overwrite => Err(Error::user(format!(
                "{}: {} is there already; OPTIONS (overwrite true) replaces what is there, (append true) adds to a folder",
                self.name, first.name
            ))),
            _ => Ok(present),
        }
    }
}
