//! Pictures to PNG files that tell how they were made.

use image::RgbImage;
use serde_json::json;

use super::{Picture, Request, schedule::SchedulerKind};

/// Keyword of the text chunk that AUTOMATIC1111's and most other tools read.
pub const PARAMETERS: &str = "parameters";
/// Keyword of the text chunk with the same facts as JSON, under the API's names.
pub const FACTS: &str = "plaudit";

/// How a picture was made.
#[derive(Debug, Clone, Copy)]
pub struct Provenance<'a> {
    /// What was asked for.
    pub request: &'a Request,
    /// The scheduler that ran.
    pub scheduler: SchedulerKind,
    /// The pack's `name@hash`.
    pub version: &'a str,
}

impl Provenance<'_> {
    /// AUTOMATIC1111's form: the prompt, the negative prompt, and one line of settings.
    pub fn parameters(&self, picture: &Picture) -> String {
        let Request { prompt, negative_prompt, steps, guidance, .. } = self.request;
        let (name, hash) = self.version.split_once('@').unwrap_or((self.version, ""));
        let negative =
            if negative_prompt.is_empty() { String::new() } else { format!("Negative prompt: {negative_prompt}\n") };
        format!(
            "{prompt}\n{negative}Steps: {steps}, Sampler: {sampler}, CFG scale: {guidance}, Seed: {seed}, \
             Size: {width}x{height}, Model hash: {hash}, Model: {name}, Version: plaudit {release}",
            sampler = sampler(self.scheduler),
            seed = picture.seed,
            width = picture.pixels.width(),
            height = picture.pixels.height(),
            release = env!("CARGO_PKG_VERSION"),
        )
    }

    /// The same facts as JSON.
    pub fn facts(&self, picture: &Picture) -> String {
        let request = self.request;
        json!({
            "prompt": request.prompt, "negative_prompt": request.negative_prompt, "seed": picture.seed,
            "num_inference_steps": request.steps, "guidance_scale": request.guidance, "scheduler": self.scheduler.name(),
            "size": format!("{}x{}", picture.pixels.width(), picture.pixels.height()),
            "model_version": self.version, "plaudit": env!("CARGO_PKG_VERSION"),
        })
        .to_string()
    }
}

/// AUTOMATIC1111's names.
pub(crate) fn sampler(kind: SchedulerKind) -> &'static str {
    match kind {
        SchedulerKind::Ddim => "DDIM",
        SchedulerKind::Pndm => "PLMS",
        SchedulerKind::Euler => "Euler",
        SchedulerKind::EulerAncestral => "Euler a",
        SchedulerKind::DpmPp2m => "DPM++ 2M",
        SchedulerKind::DpmPp2mKarras => "DPM++ 2M Karras",
    }
}

/// A PNG file of a picture, with its parameters in two text chunks.
///
/// # Errors
/// When the text cannot be a chunk.
pub fn png(picture: &Picture, provenance: &Provenance<'_>) -> Result<Vec<u8>, png::EncodingError> {
    let texts = [(PARAMETERS, provenance.parameters(picture)), (FACTS, provenance.facts(picture))];
    png_with_text(&picture.pixels, &texts)
}

/// A PNG file with text chunks: `tEXt` where Latin-1 suffices, else `iTXt`, as PIL writes them.
///
/// # Errors
/// When a text cannot be a chunk.
pub fn png_with_text(pixels: &RgbImage, texts: &[(&str, String)]) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, pixels.width(), pixels.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    for (keyword, text) in texts {
        match text.chars().all(|c| u32::from(c) <= u32::from(u8::MAX)) {
            true => encoder.add_text_chunk((*keyword).to_owned(), text.clone())?,
            false => encoder.add_itxt_chunk((*keyword).to_owned(), text.clone())?,
        }
    }
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(bytes)
}

/// Lays pictures of one size out in rows of `columns`, in reading order, with a margin between.
pub fn sheet(pictures: &[&RgbImage], columns: usize) -> RgbImage {
    /// Pixels between pictures and around them.
    const MARGIN: u32 = 4;
    /// White, as paper is.
    const PAPER: image::Rgb<u8> = image::Rgb([u8::MAX; 3]);
    let columns = columns.max(1);
    let (width, height) = pictures.first().map_or((0, 0), |first| first.dimensions());
    let extent = |count: usize, size: u32| MARGIN + count as u32 * (size + MARGIN);
    let rows = pictures.len().div_ceil(columns);
    let mut sheet = RgbImage::from_pixel(extent(columns, width), extent(rows, height), PAPER);
    for (i, picture) in pictures.iter().enumerate() {
        let (x, y) = (extent(i % columns, width), extent(i / columns, height));
        image::imageops::replace(&mut sheet, *picture, i64::from(x), i64::from(y));
    }
    sheet
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(prompt: &str) -> Vec<String> {
        let request = Request { prompt: prompt.into(), negative_prompt: "blur".into(), seed: 7, ..Request::default() };
        let picture = Picture { seed: 7, latent: Vec::new(), pixels: RgbImage::new(2, 3) };
        let provenance =
            Provenance { request: &request, scheduler: SchedulerKind::EulerAncestral, version: "tiny@0123" };
        let bytes = png(&picture, &provenance).unwrap();
        let reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let info = reader.info();
        let latin = info.uncompressed_latin1_text.iter().map(|chunk| chunk.text.clone());
        latin.chain(info.utf8_text.iter().map(|chunk| chunk.get_text().unwrap())).collect()
    }

    #[test]
    fn a_file_tells_how_it_was_made() {
        let texts = texts("two blue stars");
        assert_eq!(
            texts[0],
            format!(
                "two blue stars\nNegative prompt: blur\nSteps: 20, Sampler: Euler a, CFG scale: 5, Seed: 7, Size: 2x3, \
                 Model hash: 0123, Model: tiny, Version: plaudit {}",
                env!("CARGO_PKG_VERSION")
            )
        );
        let facts: serde_json::Value = serde_json::from_str(&texts[1]).unwrap();
        assert_eq!((&facts["seed"], &facts["scheduler"]), (&json!(7), &json!("euler_a")));
    }

    #[test]
    fn prompts_in_any_script_survive() {
        assert!(texts("二つの青い星 🐱").iter().all(|text| text.contains("二つの青い星 🐱")));
    }

    #[test]
    fn a_sheet_holds_all_pictures_in_reading_order() {
        let colours = [10, 20, 30].map(|grey| RgbImage::from_pixel(8, 6, image::Rgb([grey; 3])));
        let sheet = sheet(&colours.iter().collect::<Vec<_>>(), 2);
        assert_eq!(sheet.dimensions(), (4 + 2 * 12, 4 + 2 * 10));
        assert_eq!([(4, 4), (16, 4), (4, 14), (16, 14)].map(|(x, y)| sheet.get_pixel(x, y)[0]), [10, 20, 30, 255]);
    }
}
