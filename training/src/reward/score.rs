//! Rewards of pairs of points.

use indexmap::IndexMap;
use plaudit::runtime::{Session, SessionSettings, View};
use plaudit_onnx::{Model, Tensor};

use super::{Calibration, HeadShape, RewardError, embed::Embedded};

/// Rows of one call.
const ROWS: usize = 4096;

/// Raw rewards of pairs (picture, text) by their numbers, each in [0, 1].
pub(super) fn raw(
    shape: &HeadShape,
    weights: &IndexMap<String, Tensor>,
    embedded: &Embedded,
    pairs: &[(usize, usize)],
) -> Result<Vec<f64>, RewardError> {
    run(&shape.served(weights, &Calibration::NONE)?, "raw", embedded, pairs)
}

/// One output of a head's graph.
pub(super) fn run(
    model: &Model,
    output: &'static str,
    embedded: &Embedded,
    pairs: &[(usize, usize)],
) -> Result<Vec<f64>, RewardError> {
    let settings = SessionSettings { threads: 1, spinning: false, ..SessionSettings::default() };
    let mut session = Session::from_model(model, &settings)?;
    let mut values = Vec::with_capacity(pairs.len());
    for rows in pairs.chunks(ROWS) {
        let images: Vec<f32> = rows.iter().flat_map(|&(image, _)| embedded.image(image)).copied().collect();
        let texts: Vec<f32> = rows.iter().flat_map(|&(_, text)| embedded.text(text)).copied().collect();
        let shape = [rows.len(), embedded.width];
        let inputs = [("image_embeds", View::new(&shape, &images)), ("text_embeds", View::new(&shape, &texts))];
        let outputs = session.run_views(&inputs)?;
        let found = outputs.get(output).and_then(|view| view.values::<f32>().map(<[f32]>::to_vec));
        values.extend(found.into_iter().flatten().map(f64::from));
    }
    Ok(values)
}

/// CLIP's score of pairs: cosines.
pub(super) fn cosines(embedded: &Embedded, pairs: &[(usize, usize)]) -> Vec<f64> {
    let dot = |&(image, text): &(usize, usize)| {
        let (image, text) = (embedded.image(image), embedded.text(text));
        image.iter().zip(text).map(|(one, other)| f64::from(one * other)).sum()
    };
    pairs.iter().map(dot).collect()
}
