//! What all lists share: the scope, and pages by keyset.

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite};

use super::At as _;
use crate::cursor::{Cursor, Key};
use crate::filter::Paging;
use crate::{Scope, StoreError};

/// A condition that holds for hosts in scope; `host` is the SQL of the host's number.
pub(crate) fn in_scope(query: &mut QueryBuilder<Sqlite>, scope: &Scope, host: &'static str) {
    match scope {
        Scope::All => {
            query.push("1");
        }
        Scope::Host(id) => {
            query
                .push(host)
                .push(" = (SELECT id FROM host WHERE uuid = ")
                .push_bind(id.0.as_bytes().to_vec())
                .push(")");
        }
        Scope::Labels(labels) if labels.is_empty() => {
            query.push("0");
        }
        Scope::Labels(labels) => {
            query
                .push(host)
                .push(" IN (SELECT host_id FROM host_label WHERE ");
            let mut any = query.separated(" OR ");
            for (key, value) in labels {
                any.push("(key = ");
                any.push_bind_unseparated(key.clone());
                any.push_unseparated(" AND value = ");
                any.push_bind_unseparated(value.clone());
                any.push_unseparated(")");
            }
            query.push(")");
        }
    }
}

/// `AND expression IN (values)`, or nothing when there are none.
pub(crate) fn and_among<T>(
    query: &mut QueryBuilder<Sqlite>,
    expression: &'static str,
    values: impl IntoIterator<Item = T>,
) where
    T: for<'q> sqlx::Encode<'q, Sqlite> + sqlx::Type<Sqlite> + Send + 'static,
{
    let mut values = values.into_iter().peekable();
    if values.peek().is_none() {
        return;
    }
    query.push(" AND ").push(expression).push(" IN (");
    let mut list = query.separated(", ");
    for value in values {
        list.push_bind(value);
    }
    query.push(")");
}

/// An order of a list: its name in cursors, its SQL keys, their types, and the direction of all.
pub(crate) struct Order {
    pub(crate) name: &'static str,
    /// The row's number last: the tie-breaker.
    pub(crate) keys: &'static [&'static str],
    pub(crate) like: &'static [Kind],
    pub(crate) descending: bool,
}

/// The type of a sort key.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Number,
    Text,
}

impl Order {
    /// Begins after the cursor's row: `AND (keys) > (values)`.
    pub(crate) fn after(
        &self,
        query: &mut QueryBuilder<Sqlite>,
        page: &Paging,
    ) -> Result<(), StoreError> {
        let Some(text) = &page.cursor else {
            return Ok(());
        };
        let like: Vec<Key> = self
            .like
            .iter()
            .map(|kind| match kind {
                Kind::Number => Key::Number(0),
                Kind::Text => Key::Text(String::new()),
            })
            .collect();
        let cursor = Cursor::read(text, self.name, &like)?;
        query.push(" AND (");
        let mut keys = query.separated(", ");
        for key in self.keys {
            keys.push(key);
        }
        query.push(if self.descending { ") < (" } else { ") > (" });
        let mut values = query.separated(", ");
        for key in cursor.keys {
            match key {
                Key::Number(number) => values.push_bind(number),
                Key::Text(text) => values.push_bind(text),
            };
        }
        query.push(")");
        Ok(())
    }

    /// `ORDER BY keys LIMIT one more than the page`.
    pub(crate) fn order(&self, query: &mut QueryBuilder<Sqlite>, page: &Paging) {
        query.push(" ORDER BY ");
        let mut keys = query.separated(", ");
        for key in self.keys {
            keys.push(key);
            keys.push_unseparated(if self.descending { " DESC" } else { " ASC" });
        }
        query.push(" LIMIT ").push_bind(i64::from(page.limit) + 1);
    }

    /// The cursor after `row`, whose sort keys are selected as `k0`, `k1`, ….
    fn cursor(&self, row: &SqliteRow) -> Result<String, StoreError> {
        let keys = self
            .like
            .iter()
            .enumerate()
            .map(|(index, kind)| {
                let name = ["k0", "k1", "k2", "k3"][index];
                Ok(match kind {
                    Kind::Number => Key::Number(row.try_get(name).at("reading a sort key")?),
                    Kind::Text => Key::Text(row.try_get(name).at("reading a sort key")?),
                })
            })
            .collect::<Result<_, StoreError>>()?;
        Ok(Cursor {
            sort: self.name.to_owned(),
            keys,
        }
        .write())
    }

    /// `key AS k0, …` for the select list.
    pub(crate) fn select(&self, query: &mut QueryBuilder<Sqlite>) {
        for (index, key) in self.keys.iter().enumerate() {
            query
                .push(", ")
                .push(key)
                .push(format_args!(" AS k{index}"));
        }
    }

    /// Cuts the row that was asked for beyond the page; the cursor if there was one.
    pub(crate) fn cut(
        &self,
        rows: &mut Vec<SqliteRow>,
        page: &Paging,
    ) -> Result<Option<String>, StoreError> {
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        if rows.len() <= limit {
            return Ok(None);
        }
        rows.truncate(limit);
        rows.last().map(|row| self.cursor(row)).transpose()
    }
}

/// `text` as a pattern of LIKE that matches it anywhere, with `\` as the escape.
pub(crate) fn anywhere(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}
