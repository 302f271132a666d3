//! Separates the objects: connected saturated regions.

use super::pixels::{EDGE, Pixels};

/// A pixel belongs to an object from this share of the strongest chroma on …
const SHARE: f32 = 0.5;
/// … but never below this (no background reaches it), and always above this.
const BOUNDS: (f32, f32) = (0.24, 0.42);
/// Pixels below which a region is a speck.
const SPECK: usize = 24;
/// Pixels below which a region may be a fragment of a neighbour.
const FRAGMENT: usize = 60;
/// Pixels between a fragment and what it belongs to.
const REACH: i32 = 3;
/// Pixels above which a region must be several objects in contact: the largest single one has 330.
const LARGEST: usize = 350;
/// Factors on the threshold that are tried to separate objects in contact.
const STRICTER: [f32; 5] = [1.15, 1.3, 1.45, 1.6, 1.75];

/// One region: pixel indices, row by row.
pub(super) type Region = Vec<usize>;

/// The objects' regions, largest first.
pub(super) fn regions(pixels: &Pixels) -> Vec<Region> {
    let threshold = (SHARE * pixels.strongest).clamp(BOUNDS.0, BOUNDS.1);
    let everywhere: Vec<usize> = (0..EDGE * EDGE).collect();
    let found = connected(pixels, &everywhere, threshold);
    let mut whole: Vec<Region> = found.into_iter().flat_map(|region| separate(pixels, region, threshold)).collect();
    whole.sort_by_key(|region| std::cmp::Reverse(region.len()));
    join_fragments(whole)
}

/// Regions of `among` whose chroma is at least `threshold`, four-connected, specks left out.
fn connected(pixels: &Pixels, among: &[usize], threshold: f32) -> Vec<Region> {
    let mut open = vec![false; EDGE * EDGE];
    among.iter().for_each(|&at| open[at] = pixels.chroma[at] >= threshold);
    let mut regions = Vec::new();
    for &start in among {
        if !open[start] {
            continue;
        }
        open[start] = false;
        let mut region = vec![start];
        let mut next = 0;
        while next < region.len() {
            for neighbour in neighbours(region[next]) {
                if std::mem::take(&mut open[neighbour]) {
                    region.push(neighbour);
                }
            }
            next += 1;
        }
        if region.len() >= SPECK {
            regions.push(region);
        }
    }
    regions
}

fn neighbours(at: usize) -> impl Iterator<Item = usize> {
    let (x, y) = (at % EDGE, at / EDGE);
    let left = (x > 0).then(|| at - 1);
    let right = (x + 1 < EDGE).then(|| at + 1);
    let up = (y > 0).then(|| at - EDGE);
    let down = (y + 1 < EDGE).then(|| at + EDGE);
    [left, right, up, down].into_iter().flatten()
}

fn separate(pixels: &Pixels, region: Region, threshold: f32) -> Vec<Region> {
    if region.len() <= LARGEST {
        return vec![region];
    }
    let attempts = STRICTER.iter().map(|factor| connected(pixels, &region, threshold * factor));
    let mut split = attempts.map(|parts| parts.into_iter().filter(|part| part.len() >= FRAGMENT).collect::<Vec<_>>());
    split.find(|parts| parts.len() > 1).unwrap_or_else(|| vec![region])
}

/// Gives every fragment to a region within reach of it; a fragment with none stays a region.
fn join_fragments(sorted: Vec<Region>) -> Vec<Region> {
    let mut whole: Vec<Region> = Vec::new();
    for region in sorted {
        let owner = (region.len() < FRAGMENT).then(|| whole.iter().position(|other| touches(other, &region))).flatten();
        match owner {
            Some(owner) => whole[owner].extend(region),
            None => whole.push(region),
        }
    }
    whole
}

fn touches(one: &Region, other: &Region) -> bool {
    let place = |at: usize| ((at % EDGE) as i32, (at / EDGE) as i32);
    other.iter().any(|&a| {
        let (ax, ay) = place(a);
        one.iter().any(|&b| {
            let (bx, by) = place(b);
            (ax - bx).abs() <= REACH && (ay - by).abs() <= REACH
        })
    })
}
