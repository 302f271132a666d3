use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use reqwest::{
    Method, Response,
    multipart::{Form, Part},
};
use serde_json::Value;

use crate::harness::{TestApp, error};

fn file(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let picture = RgbImage::from_fn(width, height, |x, y| Rgb([x as u8, y as u8, 90]));
    DynamicImage::ImageRgb8(picture).write_to(&mut bytes, ImageFormat::Png).expect("a file");
    bytes.into_inner()
}

fn form(image: Vec<u8>) -> Form {
    let image = Part::bytes(image).file_name("a.png");
    Form::new().part("image", image).text("prompt", "a fish").text("num_inference_steps", "4").text("seed", "7")
}

async fn edit(app: &TestApp, form: Form) -> Response {
    app.ask(Method::POST, "/v1/images/edits").multipart(form).send().await.expect("an answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_drawn_from_a_picture() {
    let app = TestApp::start().await;
    let mut pictures = Vec::new();
    for strength in ["0.3", "1"] {
        let answer = edit(&app, form(file(80, 64)).text("strength", strength)).await;
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap_or_default());
        let answer: Value = answer.json().await.expect("JSON");
        pictures.push(answer["data"][0]["b64_json"].as_str().expect("a picture").to_owned());
    }
    assert_ne!(pictures[0], pictures[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_that_cannot_be_used_say_why() {
    let app = TestApp::with(&["--server-max-upload", "100000", "--server-max-upload-side", "100"]).await;
    let cases = [
        (form(b"no picture".to_vec()), 400, "invalid_value", "image"),
        (form(file(101, 16)), 413, "too_large", "image"),
        (form(file(16, 16)).text("strength", "0"), 400, "invalid_value", "strength"),
        (form(file(16, 16)).text("colour", "blue"), 400, "unknown_field", "colour"),
        (form(file(16, 16)).text("prompt", "twice"), 400, "invalid_value", "prompt"),
        (form(file(16, 16)).text("mask", "m"), 400, "invalid_value", "mask"),
        (Form::new().text("prompt", "a fish"), 400, "invalid_value", "image"),
        (Form::new().part("image", Part::bytes(file(16, 16))), 400, "invalid_value", "prompt"),
    ];
    for (form, status, code, param) in cases {
        let (found, error) = error(edit(&app, form).await).await;
        assert_eq!((found, error["code"].as_str(), error["param"].as_str()), (status, Some(code), Some(param)));
    }
    let (status, error) = error(edit(&app, form(vec![0; 200_000])).await).await;
    assert_eq!((status, error["code"].as_str()), (413, Some("too_large")));
}
