//! What all lists share: the scope, and pages by keyset.

use akwatch_proto::agent::HostId;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite};

use super::At as _;
use super::words::unsigned;
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
            query.push(host).push(" = ");
            host_number(query, *id);
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

/// `(SELECT id FROM host WHERE uuid = …)`: the number of a host.
pub(crate) fn host_number(query: &mut QueryBuilder<Sqlite>, host: HostId) {
    query
        .push("(SELECT id FROM host WHERE uuid = ")
        .push_bind(host.0.as_bytes().to_vec())
        .push(")");
}

/// `expression LIKE … OR …`: the text stands somewhere in one of them.
pub(crate) fn any_like(
    query: &mut QueryBuilder<Sqlite>,
    expressions: &'static [&'static str],
    text: &str,
) {
    let pattern = anywhere(text);
    let mut any = query.separated(" OR ");
    for expression in expressions {
        any.push(expression);
        any.push_unseparated(" LIKE ");
        any.push_bind_unseparated(pattern.clone());
        any.push_unseparated(" ESCAPE '\\'");
    }
}

/// An order of a list: its name in cursors, its keys with the row's number last as the tie-breaker,
/// and the direction of all.
pub(crate) struct Order {
    pub(crate) name: &'static str,
    pub(crate) keys: &'static [SortKey],
    pub(crate) descending: bool,
}

/// The SQL of a sort key and its type.
#[derive(Clone, Copy)]
pub(crate) enum SortKey {
    Number(&'static str),
    Text(&'static str),
}

impl SortKey {
    fn sql(self) -> &'static str {
        match self {
            SortKey::Number(sql) | SortKey::Text(sql) => sql,
        }
    }

    /// A key of this type, as cursors hold them.
    fn like(self) -> Key {
        match self {
            SortKey::Number(_) => Key::Number(0),
            SortKey::Text(_) => Key::Text(String::new()),
        }
    }
}

impl Order {
    /// Largest first.
    pub(crate) const fn down(name: &'static str, keys: &'static [SortKey]) -> Order {
        Order {
            name,
            keys,
            descending: true,
        }
    }

    /// Smallest first.
    pub(crate) const fn up(name: &'static str, keys: &'static [SortKey]) -> Order {
        Order {
            name,
            keys,
            descending: false,
        }
    }

    /// Reads a cursor of this order.
    pub(crate) fn read(&self, cursor: &str) -> Result<Vec<Key>, StoreError> {
        let like: Vec<Key> = self.keys.iter().map(|key| key.like()).collect();
        Ok(Cursor::read(cursor, self.name, &like)?.keys)
    }

    /// Writes the cursor after a row with these keys.
    pub(crate) fn write(&self, keys: Vec<Key>) -> String {
        let sort = self.name.to_owned();
        Cursor { sort, keys }.write()
    }

    /// Begins after the cursor's row: `AND (keys) > (values)`.
    fn after(&self, query: &mut QueryBuilder<Sqlite>, page: &Paging) -> Result<(), StoreError> {
        let Some(text) = &page.cursor else {
            return Ok(());
        };
        let after = self.read(text)?;
        query.push(" AND (");
        let mut keys = query.separated(", ");
        for key in self.keys {
            keys.push(key.sql());
        }
        query.push(if self.descending { ") < (" } else { ") > (" });
        let mut values = query.separated(", ");
        for key in after {
            match key {
                Key::Number(number) => values.push_bind(number),
                Key::Text(text) => values.push_bind(text),
            };
        }
        query.push(")");
        Ok(())
    }

    /// `ORDER BY keys LIMIT one more than the page`.
    fn order(&self, query: &mut QueryBuilder<Sqlite>, page: &Paging) {
        query.push(" ORDER BY ");
        let mut keys = query.separated(", ");
        for key in self.keys {
            keys.push(key.sql());
            keys.push_unseparated(if self.descending { " DESC" } else { " ASC" });
        }
        query.push(" LIMIT ").push_bind(i64::from(page.limit) + 1);
    }

    /// The cursor after `row`, whose sort keys are selected as `k0`, `k1`, ….
    fn cursor(&self, row: &SqliteRow) -> Result<String, StoreError> {
        const STEP: &str = "reading a sort key";
        let keys = self
            .keys
            .iter()
            .enumerate()
            .map(|(index, key)| {
                let name = ["k0", "k1", "k2", "k3"][index];
                Ok(match key {
                    SortKey::Number(_) => Key::Number(row.try_get(name).at(STEP)?),
                    SortKey::Text(_) => Key::Text(row.try_get(name).at(STEP)?),
                })
            })
            .collect::<Result<_, StoreError>>()?;
        Ok(self.write(keys))
    }

    /// `key AS k0, …` for the select list.
    fn select(&self, query: &mut QueryBuilder<Sqlite>) {
        for (index, key) in self.keys.iter().enumerate() {
            query
                .push(", ")
                .push(key.sql())
                .push(format_args!(" AS k{index}"));
        }
    }

    /// Cuts the row that was asked for beyond the page; the cursor if there was one.
    fn cut(&self, rows: &mut Vec<SqliteRow>, page: &Paging) -> Result<Option<String>, StoreError> {
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        if rows.len() <= limit {
            return Ok(None);
        }
        rows.truncate(limit);
        rows.last().map(|row| self.cursor(row)).transpose()
    }
}

/// A list to be cut into pages: what it selects, and of which rows.
pub(crate) struct List<'a, Conditions> {
    /// What it lists, for errors.
    pub(crate) step: &'static str,
    /// `SELECT …`, in parts, without the sort keys.
    pub(crate) select: &'static [&'static str],
    /// Writes `FROM … WHERE …`; told whether it is for the rows, or for their count, which needs no
    /// join that only the select list wants.
    pub(crate) conditions: Conditions,
    pub(crate) order: Order,
    pub(crate) page: &'a Paging,
}

/// The rows of one page.
pub(crate) struct Listed {
    pub(crate) rows: Vec<SqliteRow>,
    /// All rows of the list; zero when nobody asked.
    pub(crate) total: u64,
    pub(crate) next: Option<String>,
}

impl super::Sqlite {
    /// Reads one page of a list.
    pub(crate) async fn listed<Conditions>(
        &self,
        list: List<'_, Conditions>,
    ) -> Result<Listed, StoreError>
    where
        Conditions: Fn(&mut QueryBuilder<Sqlite>, bool),
    {
        let (order, page) = (&list.order, list.page);
        let mut query = QueryBuilder::new("");
        for part in list.select {
            query.push(part);
        }
        order.select(&mut query);
        (list.conditions)(&mut query, true);
        order.after(&mut query, page)?;
        order.order(&mut query, page);
        let rows = query.build().fetch_all(&self.readers).await;
        let mut rows = rows.at(list.step)?;
        let next = order.cut(&mut rows, page)?;
        let mut total = 0;
        if page.count {
            let mut query = QueryBuilder::new("SELECT count(*)");
            (list.conditions)(&mut query, false);
            let counted = query.build_query_scalar().fetch_one(&self.readers).await;
            total = unsigned("total", counted.at(list.step)?)?;
        }
        Ok(Listed { rows, total, next })
    }
}

/// `text` as a pattern of LIKE that matches it anywhere, with `\` as the escape.
fn anywhere(text: &str) -> String {
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
