//! A SQLite database of one small table, by the published description of the file format.

const PAGE: usize = 4096;

/// A database with one table of text columns. What does not fit into a page goes to overflow pages.
///
/// # Panics
/// When the rows need more than one leaf page.
#[must_use]
pub fn database(create: &str, table: &str, rows: &[Vec<String>]) -> Vec<u8> {
    let mut overflow: Vec<Vec<u8>> = Vec::new();
    let schema = [
        text("table"),
        text(table),
        text(table),
        Value::Number(2),
        text(create),
    ];
    let first = leaf(&[cell(1, &schema, &mut overflow)], 100);
    let cells: Vec<Vec<u8>> = rows
        .iter()
        .zip(1..)
        .map(|(row, id)| {
            let values: Vec<Value> = row.iter().map(|value| text(value)).collect();
            cell(id, &values, &mut overflow)
        })
        .collect();
    let second = leaf(&cells, 0);
    let pages = u32::try_from(2 + overflow.len()).unwrap_or(u32::MAX);
    let mut out = first;
    out[..100].copy_from_slice(&header(pages));
    out.extend(second);
    for page in overflow {
        out.extend(page);
    }
    out
}

fn header(pages: u32) -> [u8; 100] {
    let mut header = [0; 100];
    header[..16].copy_from_slice(b"SQLite format 3\0");
    header[16..18].copy_from_slice(&[0x10, 0]);
    header[18..24].copy_from_slice(&[1, 1, 0, 64, 32, 32]);
    header[24..28].copy_from_slice(&1_u32.to_be_bytes());
    header[28..32].copy_from_slice(&pages.to_be_bytes());
    header[40..44].copy_from_slice(&1_u32.to_be_bytes());
    header[44..48].copy_from_slice(&4_u32.to_be_bytes());
    header[56..60].copy_from_slice(&1_u32.to_be_bytes());
    header[92..96].copy_from_slice(&1_u32.to_be_bytes());
    header[96..100].copy_from_slice(&3_045_000_u32.to_be_bytes());
    header
}

enum Value {
    Text(String),
    Number(u8),
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

/// A leaf page of a table: header, pointers, cells from the end.
fn leaf(cells: &[Vec<u8>], head: usize) -> Vec<u8> {
    let mut page = vec![0; PAGE];
    let mut end = PAGE;
    for (number, cell) in cells.iter().enumerate() {
        end -= cell.len();
        page[end..end + cell.len()].copy_from_slice(cell);
        let at = head + 8 + number * 2;
        assert!(at + 2 <= end, "the rows fit one page");
        page[at..at + 2].copy_from_slice(&short(end));
    }
    page[head] = 0x0d;
    page[head + 3..head + 5].copy_from_slice(&short(cells.len()));
    page[head + 5..head + 7].copy_from_slice(&short(end));
    page
}

fn short(number: usize) -> [u8; 2] {
    u16::try_from(number).unwrap_or(0).to_be_bytes()
}

/// A row: size of the payload, row id, payload, and the overflow page if it is long.
fn cell(id: usize, values: &[Value], overflow: &mut Vec<Vec<u8>>) -> Vec<u8> {
    let mut types = Vec::new();
    let mut body = Vec::new();
    for value in values {
        match value {
            Value::Text(text) => {
                types.extend(varint(13 + 2 * text.len()));
                body.extend(text.bytes());
            }
            Value::Number(number) => {
                types.push(1);
                body.push(*number);
            }
        }
    }
    let mut payload = varint(types.len() + 1);
    payload.extend(types);
    payload.extend(body);
    let mut out = varint(payload.len());
    out.extend(varint(id));
    // The largest payload that stays in the page, and the smallest part that does when it does not.
    let (most, least) = (PAGE - 35, (PAGE - 12) * 32 / 255 - 23);
    if payload.len() <= most {
        out.extend(payload);
        return out;
    }
    let kept = least + (payload.len() - least) % (PAGE - 4);
    let kept = if kept <= most { kept } else { least };
    out.extend(&payload[..kept]);
    let pieces: Vec<&[u8]> = payload[kept..].chunks(PAGE - 4).collect();
    let first = 3 + overflow.len();
    out.extend(u32::try_from(first).unwrap_or(0).to_be_bytes());
    for (number, piece) in pieces.iter().enumerate() {
        let next = if number + 1 == pieces.len() {
            0
        } else {
            first + number + 1
        };
        let mut page = u32::try_from(next).unwrap_or(0).to_be_bytes().to_vec();
        page.extend_from_slice(piece);
        page.resize(PAGE, 0);
        overflow.push(page);
    }
    out
}

/// Seven bits a byte, the highest first.
fn varint(number: usize) -> Vec<u8> {
    let mut groups = vec![u8::try_from(number & 0x7f).unwrap_or(0)];
    let mut rest = number >> 7;
    while rest > 0 {
        groups.push(u8::try_from(rest & 0x7f).unwrap_or(0) | 0x80);
        rest >>= 7;
    }
    groups.reverse();
    groups
}
