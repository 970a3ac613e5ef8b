//! What has to change about X numbers.

use std::collections::{BTreeMap, BTreeSet};

use maskline_domain::inventory::NumberClass;
use maskline_domain::number::Form;
use maskline_domain::ops::AddNumbers;
use maskline_domain::{Number, PhoneNumber};

use super::change::text_of;
use super::{Change, Entry, Mistakes, NUMBERS_PER_COMMAND, PlanError, Planner, Verb};
use crate::admin::document::{Document, WantedNumbers};

/// Examples that one message gives.
const EXAMPLES_MAX: usize = 3;
/// Numbers that one document may tell to be wrong.
const WRONG_MAX: usize = 50;

/// What becomes of numbers that are there already and would change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KnownNumbers {
    /// They are changed, as the document says.
    #[default]
    Changed,
    /// The document is refused: whoever only adds numbers does not mean it.
    Refused,
}

/// The numbers that a document names, each once.
///
/// # Errors
/// Entries that are not well formed; numbers that stand twice, or that nobody can dial.
pub fn numbers_of(document: &Document) -> Result<Vec<PhoneNumber>, Mistakes> {
    let mut seen: BTreeMap<PhoneNumber, Entry> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (index, entry) in document.numbers.iter().enumerate() {
        let place = Entry {
            kind: "numbers",
            index,
        };
        let all = match entry.all() {
            Ok(all) => all,
            Err(reason) => {
                let what = format!("numbers of {}", entry.city);
                wrong.push(PlanError::new(&what, reason).at(place));
                continue;
            }
        };
        for x in all {
            let reason = match seen.insert(x, place) {
                Some(_) => "stands in the document twice".to_owned(),
                None if x.form() == Form::Other => not_dialled(x),
                None => continue,
            };
            if wrong.len() < WRONG_MAX {
                wrong.push(PlanError::new(&format!("number {}", x.reveal()), reason).at(place));
            }
        }
    }
    let removed: BTreeSet<PhoneNumber> = document.remove.numbers.iter().copied().collect();
    for x in removed {
        let place = Entry {
            kind: "remove",
            index: 0,
        };
        if seen.insert(x, place).is_some() && wrong.len() < WRONG_MAX {
            let error = PlanError::new(
                &format!("number {}", x.reveal()),
                "the document wants it there and wants it gone",
            );
            wrong.push(error.at(place));
        }
    }
    Mistakes::none_of(wrong)?;
    Ok(seen.into_keys().collect())
}

/// Why an X is none: by the Chinese numbering plan nobody reaches it.
pub fn not_dialled(x: PhoneNumber) -> String {
    format!(
        "{} digits, and nobody can dial it: a mobile has 11 digits from 13 to 19, a landline stands with its \
         area code and 0, a service number begins with 95, 400 or 800",
        x.len()
    )
}

impl Planner {
    pub(super) fn numbers(&mut self, wanted: &WantedNumbers) -> Result<(), PlanError> {
        let place = wanted.pool.as_deref().map_or("the stock", |pool| pool);
        let what = format!("numbers of {}", wanted.city);
        let all = wanted
            .all()
            .map_err(|reason| PlanError::new(&what, reason))?;
        let mut created = Vec::new();
        let mut changed: Vec<(Number, NumberClass)> = Vec::new();
        for x in all {
            let before = self.state.number(x);
            let number = wanted.number(x, before.as_ref(), self.now);
            match before {
                None => created.push(number),
                Some(before) if before.class != number.class => {
                    changed.push((number, before.class))
                }
                Some(_) => {}
            }
        }
        if self.known == KnownNumbers::Refused && !changed.is_empty() {
            return Err(PlanError::new(&what, known_already(&changed)));
        }
        for chunk in created.chunks(NUMBERS_PER_COMMAND) {
            let change = number_change(Verb::Create, chunk.len(), place, &wanted.city);
            self.step(change, AddNumbers(chunk.to_vec()))?;
        }
        for chunk in changed.chunks(NUMBERS_PER_COMMAND) {
            let change = Change {
                fields: fields_of(chunk),
                ..number_change(Verb::Change, chunk.len(), place, &wanted.city)
            };
            let numbers = chunk.iter().map(|(number, _)| number.clone()).collect();
            self.step(change, AddNumbers(numbers))?;
        }
        Ok(())
    }
}

fn number_change(verb: Verb, count: usize, place: &str, city: &str) -> Change {
    Change {
        verb,
        what: format!("{count} number(s) of {city} in {place}"),
        fields: Vec::new(),
    }
}

/// The facts of a number that a document sets, as they are shown.
fn facts(class: &NumberClass) -> [(&'static str, String); 6] {
    let shown = |value: serde_json::Value| text_of(&value);
    let pool = class
        .pool
        .as_ref()
        .map_or("the stock", |pool| pool.as_str());
    [
        ("pool", pool.to_owned()),
        ("city", class.city.as_str().to_owned()),
        ("province", class.province.to_string()),
        ("kind", shown(serde_json::json!(class.kind))),
        ("carrier", shown(serde_json::json!(class.carrier))),
        ("certified", class.certified.to_string()),
    ]
}

/// The facts that change, with what they were for some or all of the numbers.
fn fields_of(changed: &[(Number, NumberClass)]) -> Vec<(String, String, String)> {
    let Some((last, _)) = changed.last() else {
        return Vec::new();
    };
    let mut fields = Vec::new();
    for (place, (name, after)) in facts(&last.class).into_iter().enumerate() {
        let before: BTreeSet<String> = changed
            .iter()
            .map(|(_, before)| facts(before)[place].1.clone())
            .filter(|before| *before != after)
            .collect();
        if before.is_empty() {
            continue;
        }
        let mut listed: Vec<String> = before.iter().take(EXAMPLES_MAX).cloned().collect();
        if before.len() > EXAMPLES_MAX {
            listed.push("…".to_owned());
        }
        fields.push((name.to_owned(), listed.join(", "), after));
    }
    fields
}

fn known_already(changed: &[(Number, NumberClass)]) -> String {
    let one = |(number, before): &(Number, NumberClass)| {
        let pairs = facts(before).into_iter().zip(facts(&number.class));
        let differing: Vec<String> = pairs
            .filter(|((_, before), (_, after))| before != after)
            .map(|((name, before), (_, after))| format!("{name} {before} -> {after}"))
            .collect();
        format!("{} ({})", number.x.reveal(), differing.join(", "))
    };
    let examples: Vec<String> = changed.iter().take(EXAMPLES_MAX).map(one).collect();
    let more = changed.len().saturating_sub(EXAMPLES_MAX);
    let more = match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "{} of them are there already and would change: {}{more}; --move changes them",
        changed.len(),
        examples.join(", ")
    )
}
