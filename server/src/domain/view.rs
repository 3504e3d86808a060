//! What a role may see of a row: viewers see ids masked, everywhere.

use akwatch_proto::people::{
    AuditEntry, CredentialDetail, CredentialRow, FindingRow, Holders, Overview, Page, Role,
};

use crate::domain::people::{Operation, may};

/// Characters of an id that stay at its two ends.
const ENDS: (usize, usize) = (6, 4);

/// Something that holds ids.
pub trait Masked {
    /// Masks every id in it.
    fn mask(&mut self);
}

/// Masks what a viewer must not see whole.
#[must_use]
pub fn for_role<T: Masked>(role: Role, mut shown: T) -> T {
    if !may(role, Operation::ReadIds) {
        shown.mask();
    }
    shown
}

fn mask(id: &mut Option<String>) {
    if let Some(id) = id {
        let (head, tail) = ENDS;
        let characters = id.chars().count();
        *id = if characters <= head + tail {
            "…".to_owned()
        } else {
            let start: String = id.chars().take(head).collect();
            let end: String = id.chars().skip(characters - tail).collect();
            format!("{start}…{end}")
        };
    }
}

impl Masked for CredentialRow {
    fn mask(&mut self) {
        mask(&mut self.credential_id);
    }
}

impl Masked for FindingRow {
    fn mask(&mut self) {
        mask(&mut self.credential_id);
    }
}

impl<T: Masked> Masked for Page<T> {
    fn mask(&mut self) {
        self.rows.mask();
    }
}

impl<T: Masked> Masked for Vec<T> {
    fn mask(&mut self) {
        self.iter_mut().for_each(Masked::mask);
    }
}

impl Masked for CredentialDetail {
    fn mask(&mut self) {
        self.credential.mask();
        self.places.mask();
    }
}

impl Masked for Holders {
    fn mask(&mut self) {
        if let Some(credential) = &mut self.credential {
            credential.mask();
        }
        self.places.mask();
    }
}

impl Masked for Overview {
    fn mask(&mut self) {
        self.top_credentials.mask();
    }
}

impl Masked for AuditEntry {
    /// Who asked about an id named it; whoever may not read ids reads its ends.
    fn mask(&mut self) {
        let Some(rest) = self.object.strip_prefix("id:") else {
            return;
        };
        let (id, what) = rest.split_once(' ').unwrap_or((rest, ""));
        let mut id = Some(id.to_owned());
        mask(&mut id);
        self.object = format!("id:{} {what}", id.unwrap_or_default())
            .trim_end()
            .to_owned();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_in_the_log_is_masked_and_nothing_else_is() {
        let told = |object: &str| {
            let mut entry = AuditEntry {
                number: 1,
                time: akwatch_proto::time::Time(0),
                actor: "ada".to_owned(),
                from: None,
                action: "who-holds".to_owned(),
                object: object.to_owned(),
                result: "done".to_owned(),
                hash: String::new(),
            };
            entry.mask();
            entry.object
        };
        assert_eq!(
            told("id:AKIDz8abcdefghij3kPq → cr_1"),
            "id:AKIDz8…3kPq → cr_1"
        );
        assert_eq!(told("id:AKIDz8abcdefghij3kPq"), "id:AKIDz8…3kPq");
        assert_eq!(
            told("a pasted secret → nothing"),
            "a pasted secret → nothing"
        );
    }

    #[test]
    fn an_id_keeps_its_ends_or_nothing() {
        for (id, masked) in [
            ("AKIDz8abcdefghij3kPq", "AKIDz8…3kPq"),
            ("AKIDEXAMPL", "…"),
            ("", "…"),
            ("密钥密钥密钥密钥密钥密钥", "密钥密钥密钥…密钥密钥"),
        ] {
            let mut id = Some(id.to_owned());
            mask(&mut id);
            assert_eq!(id.as_deref(), Some(masked));
        }
    }
}
