use super::*;
use crate::miniature::grammar::{Category, Count};

#[test]
fn a_seed_fixes_every_pixel() {
    let scene: Scene = "four purple cats in the city".parse().unwrap();
    assert_eq!(draw(&scene, 5).picture, draw(&scene, 5).picture);
    assert_ne!(draw(&scene, 5).picture, draw(&scene, 6).picture);
}

#[test]
fn what_was_said_is_what_is_drawn() {
    let mut random = Random::new(0);
    for seed in 0..200 {
        let scene = Scene::sample(Category::Composition, &Object::ALL, &mut random);
        assert_eq!(draw(&scene, seed).truth, scene);
    }
}

#[test]
fn objects_are_as_large_in_a_crowd_as_alone() {
    let mean_radius = |count: u8| {
        let radii = (0..300).flat_map(|seed| layout::poses(Object::Star, count, &mut Random::new(seed)));
        let radii: Vec<f32> = radii.map(|pose| pose.radius).collect();
        radii.iter().sum::<f32>() / radii.len() as f32
    };
    let alone = mean_radius(1);
    for count in Count::all() {
        let ratio = mean_radius(count.get()) / alone;
        assert!((0.95..=1.05).contains(&ratio), "{count:?}: {ratio}");
    }
}

#[test]
fn objects_stay_apart_and_inside() {
    for seed in 0..300 {
        let poses = layout::poses(Object::Car, 6, &mut Random::new(seed));
        assert_eq!(poses.len(), 6);
        for (index, one) in poses.iter().enumerate() {
            let inside = one.radius..=SIDE as f32 - one.radius;
            assert!(inside.contains(&one.x) && inside.contains(&one.y));
            for other in &poses[..index] {
                assert!((one.x - other.x).hypot(one.y - other.y) > one.radius + other.radius);
            }
        }
    }
}

#[test]
fn backgrounds_are_nearly_grey() {
    /// Largest chroma of a background pixel, of 255; the palest object colour has 120.
    const LIMIT: u8 = 58;
    for place in Background::ALL {
        for seed in 0..20 {
            for pixel in draw_background(place, seed).pixels() {
                let [r, g, b] = pixel.0;
                assert!(r.max(g).max(b) - r.min(g).min(b) <= LIMIT, "{place:?} {pixel:?}");
            }
        }
    }
}

#[test]
fn one_seed_lays_out_other_objects_and_colours_alike() {
    let scene: Scene = "four purple cats in the city".parse().unwrap();
    let drawn = draw(&scene, 5);
    for (other, same_place) in [("four purple boats in the city", false), ("four red cats in the city", true)] {
        let other = draw(&other.parse().unwrap(), 5);
        assert_eq!(drawn.circles, other.circles);
        assert_ne!(drawn.picture, other.picture);
        if !same_place {
            continue;
        }
        let outside = |x: u32, y: u32| {
            let far = |circle: &Circle| (x as f32 - circle.x).hypot(y as f32 - circle.y) > circle.radius + 3.0;
            drawn.circles.iter().all(far)
        };
        for (x, y, pixel) in drawn.picture.enumerate_pixels().filter(|&(x, y, _)| outside(x, y)) {
            assert_eq!(pixel, other.picture.get_pixel(x, y), "the place at {x}, {y}");
        }
    }
}

#[test]
fn any_number_can_be_drawn() {
    for number in [0, 1, 7, 8] {
        assert_eq!(draw_number(&Scene::of(Object::Star), number, 3).circles.len(), usize::from(number));
    }
}

#[test]
fn other_forms_stand_where_objects_do_and_leave_the_rest_alone() {
    let scene: Scene = "three red mugs on the beach".parse().expect("a scene");
    let usual = draw_number(&scene, 3, 5);
    assert_eq!(draw_some_odd(&scene, 3, Some((Odd::Block, 0)), 5).picture, usual.picture);
    for odd in [Odd::Block, Odd::StoutMug] {
        let drawn = draw_some_odd(&scene, 3, Some((odd, 1)), 5);
        let first = usual.circles[0];
        let changed =
            usual.picture.enumerate_pixels().filter(|(x, y, pixel)| drawn.picture.get_pixel(*x, *y) != *pixel);
        let away: Vec<f32> =
            changed.map(|(x, y, _)| (x as f32 + 0.5 - first.x).hypot(y as f32 + 0.5 - first.y)).collect();
        assert!(away.len() > 10, "{odd:?} is another form");
        assert!(away.iter().all(|away| *away < first.radius + 3.0), "{odd:?} stays where the first mug was");
    }
}
