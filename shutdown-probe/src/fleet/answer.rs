//! What the HTTP API of Prometheus answers.

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The outermost object.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    pub status: String,
    pub data: Option<Data>,
    #[serde(default)]
    pub error_type: String,
    #[serde(default)]
    pub error: String,
    #[serde(default)]
    pub warnings: Vec<String>,
    #[serde(default)]
    pub infos: Vec<String>,
}

/// What was asked for.
#[derive(Debug, Deserialize)]
pub struct Data {
    pub result: Value,
}

/// Series, and what is doubtful about them.
#[derive(Debug, Default)]
pub struct Answer {
    pub series: Vec<Series>,
    pub warnings: Vec<String>,
}

/// One series.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    pub labels: BTreeMap<String, String>,
    /// Seconds since the epoch, and the value then.
    pub values: Vec<(f64, f64)>,
}

#[derive(Deserialize)]
struct Given {
    metric: BTreeMap<String, String>,
    value: Option<(f64, String)>,
    values: Option<Vec<(f64, String)>>,
}

impl Series {
    /// What a label says; one that is not there says nothing.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    /// All its values together.
    pub fn sum(&self) -> f64 {
        self.values.iter().map(|(_, value)| value).sum()
    }
}

/// The series of a result; what is no number is left out.
pub fn series(result: Value) -> Option<Vec<Series>> {
    let given: Vec<Given> = serde_json::from_value(result).ok()?;
    let number =
        |(at, text): (f64, String)| Some((at, text.parse().ok().filter(|value: &f64| value.is_finite())?));
    let series = given.into_iter().map(|given| Series {
        labels: given.metric,
        values: given
            .value
            .into_iter()
            .chain(given.values.into_iter().flatten())
            .filter_map(number)
            .collect(),
    });
    Some(series.collect())
}

/// The value of a scalar.
pub fn scalar(result: &Value) -> Option<f64> {
    result.get(1)?.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn vectors_and_matrices_are_series() {
        let vector = series(json!([{"metric": {"a": "b"}, "value": [7.5, "3"]}])).expect("a vector");
        assert_eq!((vector[0].label("a"), vector[0].label("c"), vector[0].sum()), ("b", "", 3.0));
        let matrix = json!([{"metric": {}, "values": [[1, "2"], [2, "NaN"], [3, "+Inf"], [4, "5"]]}]);
        assert_eq!(series(matrix).expect("a matrix")[0].values, [(1.0, 2.0), (4.0, 5.0)]);
        assert_eq!(series(json!({"nothing": 1})), None);
    }

    #[test]
    fn a_scalar_is_a_pair() {
        assert_eq!(scalar(&json!([1.5, "17.25"])), Some(17.25));
        assert_eq!(scalar(&json!([])), None);
    }
}
