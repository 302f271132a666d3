//! Reading Parquet, whoever wrote it: known columns by name, whatever their order and widths.

use std::{
    any::Any,
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use arrow_array::{
    Array, RecordBatch,
    cast::AsArray,
    types::{
        Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
        UInt64Type,
    },
};
use arrow_schema::DataType;
use parquet::{
    arrow::{
        ProjectionMask,
        arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder},
    },
    basic::Compression,
    file::metadata::RowGroupMetaData,
};
use serde_json::{Map, Value};

use super::super::{DatasetError, DatasetLimits, Place, Row, columns::COLUMNS, files};

/// Rows that are decoded at once; with large pictures they are what takes memory.
const BATCH_ROWS: usize = 32;

/// A picture's place, caption and bytes.
pub(in super::super) type Captioned = (Place, String, Vec<u8>);

/// The rows of a file with the bytes of their pictures, in its order. After damage there is nothing more.
pub(in super::super) struct Rows {
    path: PathBuf,
    reader: Option<ParquetRecordBatchReader>,
    batch: Option<RecordBatch>,
    /// The next row in the batch.
    next: usize,
    /// The next row in the file, from 0.
    row: usize,
}

impl Rows {
    /// Opens a file of votes below `folder`.
    pub(in super::super) fn open(folder: &Path, name: &str, limits: &DatasetLimits) -> Result<Self, DatasetError> {
        Self::with_columns(folder, name, limits, &COLUMNS.each_ref().map(|column| column.name))
    }

    /// Opens a file below `folder` to read these columns and `image`, where they are there.
    pub(in super::super) fn with_columns(
        folder: &Path,
        name: &str,
        limits: &DatasetLimits,
        columns: &[&str],
    ) -> Result<Self, DatasetError> {
        let file = files::open(folder, name, u64::MAX).map_err(|reason| DatasetError::file(folder, reason))?;
        let path = folder.join(name);
        let reader = guarded(|| reader(file, limits, columns)).map_err(|reason| DatasetError::file(&path, reason))?;
        Ok(Self { path, reader: Some(reader), batch: None, next: 0, row: 0 })
    }

    /// The next picture with its caption, which is the first of `columns` that is there.
    pub(in super::super) fn next_captioned(&mut self, columns: &[&str]) -> Option<Result<Captioned, DatasetError>> {
        let read = self.next_with(|batch, index| {
            let column = columns.iter().find(|name| batch.column_by_name(name).is_some());
            let column = column.ok_or_else(|| format!("the file has none of the columns {}", columns.join(", ")))?;
            let text = batch.column_by_name(column).map(|array| value(array, index)).transpose()?;
            let Some(Value::String(text)) = text else { return Err(format!("{column} is no text")) };
            let image = picture(batch, index)?.ok_or("the row has no picture's bytes")?;
            Ok((text, image))
        });
        read.map(|read| read.map(|(place, (text, image))| (place, text, image)))
    }

    /// Reads the next row.
    fn next_with<T>(
        &mut self,
        read: impl FnOnce(&RecordBatch, usize) -> Result<T, String>,
    ) -> Option<Result<(Place, T), DatasetError>> {
        match self.advance() {
            Err(error) => return Some(Err(error)),
            Ok(false) => return None,
            Ok(true) => {}
        }
        let batch = self.batch.as_ref()?;
        let index = self.next;
        self.next += 1;
        self.row += 1;
        let place = Place { file: self.path.clone(), row: Some(self.row), unit: "row" };
        Some(match guarded(|| read(batch, index)) {
            Ok(found) => Ok((place, found)),
            Err(reason) => Err(DatasetError::row(&place, reason)),
        })
    }

    /// Takes up the next batch that has rows; `false` at the end.
    fn advance(&mut self) -> Result<bool, DatasetError> {
        while self.batch.as_ref().is_none_or(|batch| self.next >= batch.num_rows()) {
            let Some(reader) = self.reader.as_mut() else { return Ok(false) };
            let batch = guarded(|| reader.next().transpose().map_err(|error| error.to_string()));
            let batch = batch.map_err(|reason| {
                self.reader = None;
                DatasetError::file(&self.path, format!("damaged after row {}: {reason}", self.row))
            })?;
            (self.batch, self.next) = (batch, 0);
            if self.batch.is_none() {
                self.reader = None;
            }
        }
        Ok(true)
    }
}

impl Iterator for Rows {
    type Item = Result<(Place, Row, Option<Vec<u8>>), DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = self.next_with(|batch, index| Ok((row(batch, index)?, picture(batch, index)?)));
        read.map(|read| read.map(|(place, (row, image))| (place, row, image)))
    }
}

/// Damage in a file may end in a panic of the decoder: it costs the file, not the process.
fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let said = |panic: Box<dyn Any + Send>| match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast::<&str>().map_or_else(|_| "damaged".to_owned(), |text| (*text).to_owned()),
    };
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(said(panic)))
}

fn reader(file: File, limits: &DatasetLimits, columns: &[&str]) -> Result<ParquetRecordBatchReader, String> {
    // Types as Parquet has them, not as the writer's memory had them: texts are texts, no views or dictionaries.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)
        .map_err(|error| format!("this is no Parquet file, or a damaged one: {error}"))?;
    for (index, group) in builder.metadata().row_groups().iter().enumerate() {
        let bytes = group.total_byte_size();
        if !u64::try_from(bytes).is_ok_and(|bytes| bytes <= limits.max_row_group_bytes) {
            return Err(format!("row group {index} has {bytes} bytes, more than {}", limits.max_row_group_bytes));
        }
    }
    compressions(builder.metadata().row_groups())?;
    let known = |name: &str| name == "image" || columns.contains(&name);
    let fields = builder.schema().fields().iter().enumerate();
    let wanted: Vec<_> = fields.filter(|(_, field)| known(field.name())).map(|(index, _)| index).collect();
    let mask = ProjectionMask::roots(builder.parquet_schema(), wanted);
    builder.with_projection(mask).with_batch_size(BATCH_ROWS).build().map_err(|error| error.to_string())
}

/// Refuses compressions that this program does not read, before rows are asked for.
fn compressions(groups: &[RowGroupMetaData]) -> Result<(), String> {
    let all = groups.iter().flat_map(RowGroupMetaData::columns).map(|column| column.compression());
    match all
        .into_iter()
        .find(|found| !matches!(found, Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::ZSTD(_)))
    {
        Some(other) => Err(format!("is compressed with {other}; only zstd, Snappy and no compression are read")),
        None => Ok(()),
    }
}

fn row(batch: &RecordBatch, index: usize) -> Result<Row, String> {
    let mut object = Map::new();
    for column in &COLUMNS {
        let Some(array) = batch.column_by_name(column.name) else { continue };
        let value = value(array, index).map_err(|reason| format!("{} {reason}", column.name))?;
        // A list that is absent is an empty one.
        if !(value.is_null() && column.name == "reasons") {
            object.insert(column.name.to_owned(), value);
        }
    }
    serde_json::from_value(Value::Object(object)).map_err(|error| error.to_string())
}

/// The bytes of the picture, if the row has any.
fn picture(batch: &RecordBatch, index: usize) -> Result<Option<Vec<u8>>, String> {
    let Some(image) = batch.column_by_name("image") else { return Ok(None) };
    let image = image.as_struct_opt().ok_or("image is not a struct of bytes and path")?;
    let bytes = image.column_by_name("bytes").ok_or("image has no bytes")?;
    let bytes = bytes.as_binary_opt::<i32>().ok_or("image.bytes is not binary")?;
    Ok(bytes.is_valid(index).then(|| bytes.value(index).to_vec()))
}

fn value(array: &dyn Array, index: usize) -> Result<Value, String> {
    if array.is_null(index) {
        return Ok(Value::Null);
    }
    Ok(match array.data_type() {
        DataType::Null => Value::Null,
        DataType::Utf8 => array.as_string::<i32>().value(index).into(),
        DataType::Boolean => array.as_boolean().value(index).into(),
        DataType::Int8 => array.as_primitive::<Int8Type>().value(index).into(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(index).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(index).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(index).into(),
        DataType::UInt8 => array.as_primitive::<UInt8Type>().value(index).into(),
        DataType::UInt16 => array.as_primitive::<UInt16Type>().value(index).into(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(index).into(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(index).into(),
        DataType::Float32 => f64::from(array.as_primitive::<Float32Type>().value(index)).into(),
        DataType::Float64 => array.as_primitive::<Float64Type>().value(index).into(),
        DataType::List(_) => {
            let list = array.as_list::<i32>().value(index);
            Value::Array((0..list.len()).map(|index| value(&list, index)).collect::<Result<_, _>>()?)
        }
        other => return Err(format!("has the type {other}, which is none of a vote's")),
    })
}
