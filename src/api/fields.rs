//! The fields of a request, each taken once; what is left over does not exist.

use serde_json::{Map, Value};

use super::{ApiError, Code};

/// The largest integer that a JSON number of any origin carries exactly.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Fields by name. Those of a form are texts; those of JSON have types.
#[derive(Debug)]
pub(super) struct Fields {
    values: Map<String, Value>,
    form: bool,
}

impl Fields {
    /// Fields of a JSON object.
    pub(super) fn json(values: Map<String, Value>) -> Self {
        Self { values, form: false }
    }

    /// Fields of a form.
    pub(super) fn form(values: Map<String, Value>) -> Self {
        Self { values, form: true }
    }

    /// `null` is as good as absent.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.values.remove(name).filter(|value| !value.is_null())
    }

    /// A text.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong(name, "a string", &other)),
        }
    }

    /// A text that is one of those listed.
    pub(super) fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Result<Option<T>, ApiError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let found = choices.iter().find(|(choice, _)| *choice == text);
        let names = || choices.iter().map(|(choice, _)| *choice).collect::<Vec<_>>().join(", ");
        found.map(|(_, value)| Some(*value)).ok_or_else(|| ApiError::invalid(name, format!("it is one of {}", names())))
    }

    /// A whole number within bounds; `7.0` is one, as JSON Schema has it.
    pub(super) fn integer(&mut self, name: &str, least: u64, most: u64) -> Result<Option<u64>, ApiError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let expected = format!("a whole number from {least} to {most}");
        let number = match &value {
            Value::Number(number) => number.as_u64().or_else(|| number.as_f64().and_then(whole)),
            Value::String(text) if self.form => text.trim().parse().ok(),
            _ => None,
        };
        let within = number.filter(|number| (least..=most).contains(number));
        within.map(Some).ok_or_else(|| wrong(name, &expected, &value))
    }

    /// A number within bounds.
    pub(super) fn number(&mut self, name: &str, least: f64, most: f64) -> Result<Option<f64>, ApiError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let expected = format!("a number from {least} to {most}");
        let number = match &value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) if self.form => text.trim().parse().ok(),
            _ => None,
        };
        let within = number.filter(|number| (least..=most).contains(number));
        within.map(Some).ok_or_else(|| wrong(name, &expected, &value))
    }

    /// True or false.
    pub(super) fn flag(&mut self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(Value::String(text)) if self.form && text == "true" => Ok(Some(true)),
            Some(Value::String(text)) if self.form && text == "false" => Ok(Some(false)),
            Some(other) => Err(wrong(name, "true or false", &other)),
        }
    }

    /// A list of texts; absent it is empty.
    pub(super) fn texts(&mut self, name: &str) -> Result<Vec<String>, ApiError> {
        let Some(value) = self.take(name) else { return Ok(Vec::new()) };
        let texts = serde_json::from_value(value.clone()).ok();
        texts.ok_or_else(|| wrong(name, "a list of strings", &value))
    }

    /// Fields of an object in a field.
    pub(super) fn object(&mut self, name: &str) -> Result<Option<Self>, ApiError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(values)) => Ok(Some(Self::json(values))),
            Some(other) => Err(wrong(name, "an object", &other)),
        }
    }

    /// Two fractions in order; in a form as JSON, `[0.1, 0.9]`.
    pub(super) fn interval(&mut self, name: &str) -> Result<Option<(f64, f64)>, ApiError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let list = match &value {
            Value::String(text) if self.form => serde_json::from_str(text).ok(),
            value => serde_json::from_value::<[f64; 2]>(value.clone()).ok(),
        };
        let within = list.filter(|[start, end]: &[f64; 2]| 0.0 <= *start && start <= end && *end <= 1.0);
        let pair = within.map(|[start, end]| Some((start, end)));
        pair.ok_or_else(|| wrong(name, "[start, end], two fractions of the steps with 0 ≤ start ≤ end ≤ 1", &value))
    }

    /// Which of these are there and not off; they are taken.
    pub(super) fn take_switched_on(&mut self, names: &[&'static str]) -> Vec<&'static str> {
        let off = |value: &Value| *value == Value::Bool(false) || value.as_array().is_some_and(Vec::is_empty);
        names.iter().copied().filter(|name| self.take(name).is_some_and(|value| !off(&value))).collect()
    }

    /// Refuses what nobody took.
    pub(super) fn finish(self) -> Result<(), ApiError> {
        let Some(first) = self.values.keys().next() else { return Ok(()) };
        let names: Vec<&str> = self.values.keys().map(String::as_str).collect();
        let message = match names.as_slice() {
            [name] => format!("there is no field {name:?}"),
            names => format!("there are no fields {names:?}"),
        };
        Err(ApiError::new(Code::UnknownField, format!("{message}; /docs lists those that there are")).at(first))
    }
}

fn whole(number: f64) -> Option<u64> {
    (number >= 0.0 && number.fract() == 0.0 && number <= EXACT).then_some(number as u64)
}

fn wrong(name: &str, expected: &str, given: &Value) -> ApiError {
    /// What is quoted of a value at most, in characters.
    const QUOTED: usize = 60;
    let given: String = given.to_string().chars().take(QUOTED).collect();
    ApiError::invalid(name, format!("it must be {expected}, not {given}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn json_fields(value: Value) -> Fields {
        Fields::json(value.as_object().expect("an object").clone())
    }

    #[test]
    fn whole_numbers_have_bounds_and_types() {
        let read = |value| json_fields(json!({"n": value})).integer("n", 1, 10).ok().flatten();
        assert_eq!(read(json!(3)), Some(3));
        assert_eq!(read(json!(3.0)), Some(3));
        for foreign in [json!(0), json!(11), json!(-1), json!(2.5), json!("3"), json!(true), json!([1])] {
            assert_eq!(read(foreign.clone()), None, "{foreign}");
            assert!(json_fields(json!({"n": foreign})).integer("n", 1, 10).is_err());
        }
        assert_eq!(json_fields(json!({"n": null})).integer("n", 1, 10).ok(), Some(None));
    }

    #[test]
    fn texts_of_a_form_are_read_as_what_they_mean() {
        let values = json!({"n": "3", "g": " 2.5", "k": "true", "i": "[0.1, 0.5]"});
        let mut fields = Fields::form(values.as_object().expect("an object").clone());
        assert_eq!(fields.integer("n", 1, 10).ok(), Some(Some(3)));
        assert_eq!(fields.number("g", 0.0, 10.0).ok(), Some(Some(2.5)));
        assert_eq!(fields.flag("k").ok(), Some(Some(true)));
        assert_eq!(fields.interval("i").ok(), Some(Some((0.1, 0.5))));
        assert!(fields.finish().is_ok());
    }

    #[test]
    fn what_is_left_over_is_refused_by_name() {
        let mut fields = json_fields(json!({"prompt": "a", "promt": "b", "stepz": 2}));
        fields.text("prompt").expect("a text");
        let error = fields.finish().expect_err("two are unknown");
        assert_eq!(error.code(), Code::UnknownField);
        assert!(error.message().contains("promt") && error.message().contains("stepz"), "{error}");
    }

    #[test]
    fn a_value_of_the_wrong_type_is_named_with_what_was_given() {
        let error = json_fields(json!({"prompt": 7})).text("prompt").expect_err("a number");
        assert_eq!(error.message(), "prompt: it must be a string, not 7");
    }
}
