//! One row that a statement returned, whichever connection ran it.

use sqlx::sqlite::{SqliteRow, SqliteValueRef};
use sqlx::{Decode, Row as _, Sqlite, TypeInfo, ValueRef};

/// What a cell holds. SQLite types values, not columns.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
    /// Text that is not UTF-8.
    Broken,
}

/// The cells of one row, in the statement's order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tuple(Vec<Cell>);

impl Tuple {
    /// The cell at `index`; null where there is none.
    pub(crate) fn cell(&self, index: usize) -> &Cell {
        self.0.get(index).unwrap_or(&Cell::Null)
    }

    /// The value at `index`.
    ///
    /// # Errors
    /// Says what is there instead, without its value.
    pub(crate) fn get<'t, T: FromCell<'t>>(&'t self, index: usize) -> Result<T, String> {
        let cell = self.cell(index);
        T::from_cell(cell).ok_or_else(|| format!("column {index} holds {}", cell.kind()))
    }
}

impl Cell {
    fn kind(&self) -> &'static str {
        match self {
            Cell::Null => "null",
            Cell::Integer(_) => "an integer",
            Cell::Real(_) => "a floating-point number",
            Cell::Text(_) => "text",
            Cell::Blob(_) => "bytes",
            Cell::Broken => "broken text",
        }
    }
}

/// A value read from a cell.
pub(crate) trait FromCell<'t>: Sized {
    /// `None` if the cell holds something else.
    fn from_cell(cell: &'t Cell) -> Option<Self>;
}

impl<'t> FromCell<'t> for &'t str {
    fn from_cell(cell: &'t Cell) -> Option<Self> {
        match cell {
            Cell::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl FromCell<'_> for String {
    fn from_cell(cell: &Cell) -> Option<Self> {
        <&str>::from_cell(cell).map(str::to_owned)
    }
}

impl FromCell<'_> for i64 {
    fn from_cell(cell: &Cell) -> Option<Self> {
        match cell {
            Cell::Integer(number) => Some(*number),
            _ => None,
        }
    }
}

impl FromCell<'_> for bool {
    fn from_cell(cell: &Cell) -> Option<Self> {
        i64::from_cell(cell).map(|number| number != 0)
    }
}

impl<'t, T: FromCell<'t>> FromCell<'t> for Option<T> {
    fn from_cell(cell: &'t Cell) -> Option<Self> {
        match cell {
            Cell::Null => Some(None),
            cell => T::from_cell(cell).map(Some),
        }
    }
}

impl From<rusqlite::types::ValueRef<'_>> for Cell {
    fn from(value: rusqlite::types::ValueRef<'_>) -> Self {
        use rusqlite::types::ValueRef;
        match value {
            ValueRef::Null => Cell::Null,
            ValueRef::Integer(number) => Cell::Integer(number),
            ValueRef::Real(number) => Cell::Real(number),
            ValueRef::Text(bytes) => {
                std::str::from_utf8(bytes).map_or(Cell::Broken, |t| Cell::Text(t.to_owned()))
            }
            ValueRef::Blob(bytes) => Cell::Blob(bytes.to_vec()),
        }
    }
}

impl From<SqliteValueRef<'_>> for Cell {
    fn from(value: SqliteValueRef<'_>) -> Self {
        if value.is_null() {
            return Cell::Null;
        }
        let name = value.type_info().name().to_owned();
        let cell = match name.as_str() {
            "INTEGER" => <i64 as Decode<Sqlite>>::decode(value).map(Cell::Integer),
            "REAL" => <f64 as Decode<Sqlite>>::decode(value).map(Cell::Real),
            "TEXT" => <String as Decode<Sqlite>>::decode(value).map(Cell::Text),
            _ => <Vec<u8> as Decode<Sqlite>>::decode(value).map(Cell::Blob),
        };
        cell.unwrap_or(Cell::Broken)
    }
}

impl FromIterator<Cell> for Tuple {
    fn from_iter<I: IntoIterator<Item = Cell>>(cells: I) -> Self {
        Self(cells.into_iter().collect())
    }
}

impl TryFrom<&SqliteRow> for Tuple {
    type Error = sqlx::Error;

    fn try_from(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        (0..row.len()).map(|index| Ok(Cell::from(row.try_get_raw(index)?))).collect()
    }
}
