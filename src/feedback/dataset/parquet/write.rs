//! Writing Parquet: shards of bounded row groups.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, StructArray,
    builder::{BinaryBuilder, ListBuilder, StringBuilder},
};
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema, SchemaRef};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    file::{metadata::KeyValue, properties::WriterProperties},
    schema::types::ColumnPath,
};
use serde_json::{Map, Value};

use super::super::{
    DatasetError, Row,
    columns::{COLUMNS, Column, Kind, features},
};

/// Rows of a row group: what a viewer loads for one page of pictures.
const GROUP_ROWS: usize = 512;
/// Bytes of pictures in a row group: what writer and reader hold in memory.
const GROUP_BYTES: usize = 64 << 20;
/// Bytes of a file before the next one begins: what Hugging Face's hub advises.
const SHARD_BYTES: usize = 500 << 20;
/// Where `datasets` looks for its features in the metadata of a schema.
const FEATURES_KEY: &str = "huggingface";

/// Writes rows into `train-00000.parquet` and the files after it.
#[derive(Debug)]
pub(in super::super) struct Shards {
    folder: PathBuf,
    schema: SchemaRef,
    waiting: Vec<(Row, Vec<u8>)>,
    waiting_bytes: usize,
    shards: usize,
    writer: Option<(PathBuf, ArrowWriter<File>)>,
}

impl Shards {
    pub(in super::super) fn create(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            schema: Arc::new(schema()),
            waiting: Vec::new(),
            waiting_bytes: 0,
            shards: 0,
            writer: None,
        }
    }

    pub(in super::super) fn push(&mut self, row: Row, image: Vec<u8>) -> Result<(), DatasetError> {
        self.waiting_bytes += image.len();
        self.waiting.push((row, image));
        if self.waiting.len() >= GROUP_ROWS || self.waiting_bytes >= GROUP_BYTES { self.write_group() } else { Ok(()) }
    }

    /// Writes what waits, also where that is nothing: a dataset has at least one file.
    pub(in super::super) fn finish(mut self) -> Result<(), DatasetError> {
        self.write_group()?;
        self.close()
    }

    fn write_group(&mut self) -> Result<(), DatasetError> {
        let rows = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        let (path, mut writer) = match self.writer.take() {
            Some(open) => open,
            None => self.open()?,
        };
        let failed = |error: &dyn std::fmt::Display| DatasetError::file(&path, error);
        let batch = batch(&self.schema, &rows).map_err(|error| failed(&error))?;
        writer.write(&batch).and_then(|()| writer.flush()).map_err(|error| failed(&error))?;
        let full = writer.bytes_written() >= SHARD_BYTES;
        self.writer = Some((path, writer));
        if full { self.close() } else { Ok(()) }
    }

    fn open(&mut self) -> Result<(PathBuf, ArrowWriter<File>), DatasetError> {
        let path = self.folder.join(format!("train-{:05}.parquet", self.shards));
        self.shards += 1;
        let file = File::create_new(&path).map_err(DatasetError::io(&path))?;
        let writer = ArrowWriter::try_new(file, self.schema.clone(), Some(properties()))
            .map_err(|error| DatasetError::file(&path, error))?;
        Ok((path, writer))
    }

    fn close(&mut self) -> Result<(), DatasetError> {
        let Some((path, writer)) = self.writer.take() else { return Ok(()) };
        writer.close().map(drop).map_err(|error| DatasetError::file(path, error))
    }
}

fn properties() -> WriterProperties {
    // Pictures are compressed and all different: a dictionary of them is a copy.
    let bytes = ColumnPath::new(vec!["image".into(), "bytes".into()]);
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_column_dictionary_enabled(bytes, false)
        .set_key_value_metadata(Some(vec![KeyValue::new(FEATURES_KEY.to_owned(), features().to_string())]))
        .build()
}

fn schema() -> Schema {
    let mut fields = vec![Field::new("image", DataType::Struct(image_fields()), true)];
    fields.extend(COLUMNS.iter().map(|column| Field::new(column.name, data_type(column.kind), true)));
    Schema::new(fields)
}

fn image_fields() -> Fields {
    Fields::from(vec![Field::new("bytes", DataType::Binary, true), Field::new("path", DataType::Utf8, true)])
}

fn data_type(kind: Kind) -> DataType {
    match kind {
        Kind::Text => DataType::Utf8,
        Kind::Integer => DataType::Int64,
        Kind::Real => DataType::Float64,
        Kind::Truth => DataType::Boolean,
        Kind::Texts => DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))),
    }
}

fn batch(schema: &SchemaRef, rows: &[(Row, Vec<u8>)]) -> Result<RecordBatch, ArrowError> {
    let objects: Vec<_> = rows.iter().map(|(row, _)| object(row)).collect();
    let mut columns: Vec<ArrayRef> = vec![Arc::new(images(rows)?)];
    columns.extend(COLUMNS.iter().map(|column| array(column, &objects)));
    RecordBatch::try_new(schema.clone(), columns)
}

/// A row by the names of its columns.
fn object(row: &Row) -> Map<String, Value> {
    match serde_json::to_value(row) {
        Ok(Value::Object(object)) => object,
        // A struct of plain fields is an object.
        _ => Map::new(),
    }
}

fn images(rows: &[(Row, Vec<u8>)]) -> Result<StructArray, ArrowError> {
    let mut bytes = BinaryBuilder::new();
    rows.iter().for_each(|(_, image)| bytes.append_value(image));
    // `datasets` takes the base name only; it names a picture when it is written to a folder.
    let path = rows.iter().map(|(row, _)| row.file_name.as_deref().and_then(|name| name.rsplit('/').next()));
    let path = StringArray::from_iter(path);
    StructArray::try_new(image_fields(), vec![Arc::new(bytes.finish()), Arc::new(path)], None)
}

fn array(column: &Column, rows: &[Map<String, Value>]) -> ArrayRef {
    let values = rows.iter().map(|row| row.get(column.name));
    match column.kind {
        Kind::Text => Arc::new(StringArray::from_iter(values.map(|value| value.and_then(Value::as_str)))),
        Kind::Integer => Arc::new(Int64Array::from_iter(values.map(|value| value.and_then(Value::as_i64)))),
        Kind::Real => Arc::new(Float64Array::from_iter(values.map(|value| value.and_then(Value::as_f64)))),
        Kind::Truth => Arc::new(BooleanArray::from_iter(values.map(|value| value.and_then(Value::as_bool)))),
        Kind::Texts => {
            let mut lists = ListBuilder::new(StringBuilder::new());
            for value in values {
                let texts = value.and_then(Value::as_array).into_iter().flatten();
                texts.for_each(|text| lists.values().append_option(text.as_str()));
                lists.append(true);
            }
            Arc::new(lists.finish())
        }
    }
}
