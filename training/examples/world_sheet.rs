//! Writes a contact sheet of the miniature world: `cargo run -p plaudit-training --example world_sheet -- out.png`.

use std::time::Instant;

use plaudit_training::miniature::{
    Random,
    draw::{draw, sheet},
    grammar::{Background, Category, Colour, Count, Object, Scene},
};

fn main() -> anyhow::Result<()> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "world.png".to_owned());
    let mut scenes = Vec::new();
    for (index, object) in Object::ALL.into_iter().enumerate() {
        scenes.push(Scene { background: Some(Background::Plain), ..Scene::of(object) });
        for place in Background::ALL {
            let count = Count::new(1 + (index as u8 + place as u8) % Count::MAX);
            let colour = Some(Colour::ALL[(index + place as usize) % Colour::ALL.len()]);
            scenes.push(Scene { object, count, colour, background: Some(place) });
        }
    }
    let pictures: Vec<_> = scenes.iter().zip(0..).map(|(scene, seed)| draw(scene, seed).picture).collect();
    sheet(&pictures, 8, 2).save(&path)?;
    let (start, mut random, amount) = (Instant::now(), Random::new(0), 4000);
    for seed in 0..amount {
        draw(&Scene::sample(Category::Composition, &Object::ALL, &mut random), seed);
    }
    println!("{path}; {:.0} scenes a second on one core", amount as f64 / start.elapsed().as_secs_f64());
    Ok(())
}
