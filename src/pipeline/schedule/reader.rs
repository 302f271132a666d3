//! Typed access to a scheduler's options that collects what is wrong instead of stopping at the first.

use std::{collections::BTreeMap, ops::RangeInclusive};

use serde_json::{Map, Value};

/// Characters of a value that a message repeats.
const SHOWN: usize = 60;

/// An option whose value is not supported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionFault {
    /// The option's key in `scheduler_config.json`.
    pub key: String,
    /// Its value there, as JSON; the beginning of a long one.
    pub value: String,
    /// What would be accepted.
    pub accepted: String,
}

impl std::fmt::Display for OptionFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` is {} (supported: {})", self.key, self.value, self.accepted)
    }
}

pub(super) struct Reader<'a> {
    options: &'a Map<String, Value>,
    pub(super) faults: Vec<OptionFault>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(options: &'a Map<String, Value>) -> Self {
        Self { options, faults: Vec::new() }
    }

    /// A key that is absent or null takes its default.
    fn get(&self, key: &str) -> Option<&'a Value> {
        self.options.get(key).filter(|value| !value.is_null())
    }

    pub(super) fn fault(&mut self, key: &str, accepted: &str) {
        let mut value = self.options.get(key).map_or_else(|| "absent".to_owned(), Value::to_string);
        if let Some((end, _)) = value.char_indices().nth(SHOWN) {
            value.replace_range(end.., "…");
        }
        self.faults.push(OptionFault { key: key.to_owned(), value, accepted: accepted.to_owned() });
    }

    pub(super) fn number(&mut self, key: &str, default: f64) -> f64 {
        self.optional_number(key).unwrap_or(default)
    }

    /// A number from 0 to 1.
    pub(super) fn share(&mut self, key: &str, default: f64) -> f64 {
        let share = self.number(key, default);
        if !(0.0..=1.0).contains(&share) {
            self.fault(key, "a number from 0 to 1");
        }
        share
    }

    /// A whole number; JSON may write it with a point.
    pub(super) fn whole(&mut self, key: &str, default: i64, range: RangeInclusive<i64>) -> i64 {
        let Some(value) = self.get(key) else { return default };
        let whole = value.as_f64().filter(|number| number.fract() == 0.0).map(|number| number as i64);
        whole.filter(|number| range.contains(number)).unwrap_or_else(|| {
            self.fault(key, &format!("a whole number from {} to {}", range.start(), range.end()));
            default
        })
    }

    pub(super) fn optional_number(&mut self, key: &str) -> Option<f64> {
        let value = self.get(key)?;
        let number = value.as_f64().or_else(|| match value.as_str()? {
            "-Infinity" => Some(f64::NEG_INFINITY),
            "Infinity" => Some(f64::INFINITY),
            _ => None,
        });
        if number.is_none() {
            self.fault(key, "a number");
        }
        number
    }

    /// `count` numbers from 0 to 1.
    pub(super) fn shares(&mut self, key: &str, count: usize) -> Option<Vec<f32>> {
        let value = self.get(key)?;
        let share = |item: &Value| item.as_f64().filter(|share| (0.0..=1.0).contains(share)).map(|share| share as f32);
        let shares: Option<Vec<f32>> = value.as_array().and_then(|items| items.iter().map(share).collect());
        let shares = shares.filter(|shares| shares.len() == count);
        if shares.is_none() {
            self.fault(key, &format!("{count} numbers from 0 to 1, one for each trained timestep"));
        }
        shares
    }

    pub(super) fn flag(&mut self, key: &str, default: bool) -> bool {
        match self.get(key).map(Value::as_bool) {
            None => default,
            Some(Some(flag)) => flag,
            Some(None) => {
                self.fault(key, "true, false");
                default
            }
        }
    }

    pub(super) fn choice<T: Copy>(&mut self, key: &str, default: T, choices: &[(&str, T)]) -> T {
        let Some(value) = self.get(key) else { return default };
        let choices: BTreeMap<&str, T> = choices.iter().copied().collect();
        if let Some(choice) = value.as_str().and_then(|name| choices.get(name)) {
            return *choice;
        }
        self.fault(key, &choices.into_keys().collect::<Vec<_>>().join(", "));
        default
    }

    pub(super) fn only(&mut self, key: &str, accepted: &Value) {
        let differs = self.get(key).is_some_and(|value| value != accepted);
        if differs {
            self.fault(key, &accepted.to_string());
        }
    }
}
