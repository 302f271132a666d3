//! When each order would be denoised if nothing else came: the denoiser's calls, played through in thought.
//!
//! Time is counted in rows served. A picture moves by one step a call however few others there are, so what is due first does
//! not end after its own row-steps but after its own calls, with all the rows that share them.

use std::collections::{BTreeMap, HashMap, VecDeque};

/// Which rows may share a call: those of one latent shape and one denoiser; a deterministic order's (`true`) are alone.
pub(super) type Kind = ([usize; 3], usize, bool);

/// A picture with steps to come.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Waiting {
    /// The number of its order.
    pub(super) job: u64,
    /// When it is due, in virtual time.
    pub(super) tag: f64,
    /// Calls of the denoiser to come; not 0.
    pub(super) calls: usize,
    /// Rows in all of them.
    pub(super) row_steps: u64,
    pub(super) kind: Kind,
}

impl Waiting {
    /// Rows in a call, on average.
    fn width(&self) -> f64 {
        self.row_steps as f64 / self.calls as f64
    }
}

/// What an order was admitted for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Promise {
    pub(super) job: u64,
    /// Of its last picture.
    pub(super) tag: f64,
    /// Rows that can be served before its deadline.
    pub(super) within: f64,
}

/// For each order the rows served until it is denoised, in calls of `most` rows.
pub(super) fn ends(pictures: &[Waiting], most: usize) -> HashMap<u64, f64> {
    let mut kinds: BTreeMap<Kind, VecDeque<Waiting>> = BTreeMap::new();
    for picture in pictures {
        kinds.entry(picture.kind).or_default().push_back(picture.clone());
    }
    for queue in kinds.values_mut() {
        queue.make_contiguous().sort_by(|a, b| a.tag.total_cmp(&b.tag));
    }
    let (mut ends, mut served) = (HashMap::new(), 0.0);
    while let Some((kind, queue)) = next(&mut kinds) {
        let (mut rows, mut together) = (0.0, 0);
        for picture in queue.iter() {
            if together > 0 && (kind.2 || rows + picture.width() > most as f64) {
                break;
            }
            rows += picture.width();
            together += 1;
        }
        let calls = queue.iter().take(together).map(|picture| picture.calls).min().unwrap_or(1);
        served += rows * calls as f64;
        for at in (0..together).rev() {
            let picture = &mut queue[at];
            if picture.calls == calls {
                ends.insert(picture.job, served);
                queue.remove(at);
            } else {
                picture.row_steps = (picture.width() * (picture.calls - calls) as f64).round() as u64;
                picture.calls -= calls;
            }
        }
    }
    ends
}

/// The kind of the picture that is due first.
fn next(kinds: &mut BTreeMap<Kind, VecDeque<Waiting>>) -> Option<(Kind, &mut VecDeque<Waiting>)> {
    let tag = |queue: &VecDeque<Waiting>| queue.front().map_or(f64::INFINITY, |first| first.tag);
    let (kind, queue) = kinds.iter_mut().min_by(|(_, a), (_, b)| tag(a).total_cmp(&tag(b)))?;
    (!queue.is_empty()).then_some((*kind, queue))
}

/// The earliest virtual time from which a newcomer's pictures may count so that no promise that could be kept without it is
/// broken, and the rows served until the newcomer is denoised then. `pictures` makes them for a time.
pub(super) fn place(
    waiting: &[Waiting],
    promises: &[Promise],
    most: usize,
    pictures: impl Fn(f64) -> Vec<Waiting>,
) -> (f64, f64) {
    let without = ends(waiting, most);
    let mut from = 0.0;
    loop {
        let own = pictures(from);
        let number = own.first().map(|picture| picture.job);
        let with = ends(&[waiting, &own].concat(), most);
        let broken = promises.iter().filter(|promise| {
            let end = |ends: &HashMap<u64, f64>| ends.get(&promise.job).copied().unwrap_or(0.0);
            end(&with) > promise.within && end(&with) > end(&without)
        });
        match broken.map(|promise| promise.tag).max_by(f64::total_cmp) {
            Some(tag) if tag > from => from = tag,
            _ => return (from, number.and_then(|number| with.get(&number).copied()).unwrap_or(0.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = ([4, 8, 8], 0, false);

    /// Guided: two rows a call.
    fn picture(job: u64, tag: f64, calls: usize) -> Waiting {
        Waiting { job, tag, calls, row_steps: 2 * calls as u64, kind: KIND }
    }

    #[test]
    fn a_picture_takes_its_calls_and_not_its_rows() {
        let shared: Vec<Waiting> = (0..4).map(|job| picture(job, job as f64, 10)).collect();
        assert_eq!(ends(&shared[..1], 8)[&0], 20.0, "alone");
        assert_eq!(ends(&shared, 8)[&0], 80.0, "in calls of eight rows");
        assert_eq!(ends(&shared, 2), [(0, 20.0), (1, 40.0), (2, 60.0), (3, 80.0)].into(), "one after another");
    }

    #[test]
    fn the_next_in_line_takes_the_place_of_the_one_that_ends() {
        let pictures = [picture(0, 1.0, 10), picture(1, 2.0, 4), picture(2, 3.0, 6), picture(3, 4.0, 1)];
        // Calls of two pictures: 0 and 1, then 0 and 2, then 3.
        assert_eq!(ends(&pictures, 4), [(0, 40.0), (1, 16.0), (2, 40.0), (3, 42.0)].into());
    }

    #[test]
    fn other_shapes_and_deterministic_orders_have_calls_of_their_own() {
        let alone = |job, tag| Waiting { kind: (KIND.0, 0, true), ..picture(job, tag, 5) };
        let large = Waiting { kind: ([4, 16, 16], 0, false), ..picture(9, 1.5, 5) };
        let pictures = [picture(0, 1.0, 5), large, alone(1, 2.0), alone(2, 3.0), picture(3, 4.0, 7)];
        // 0 and 3 share five calls, then the large one, then each alone; what is left of 3 comes last.
        assert_eq!(ends(&pictures, 8), [(0, 20.0), (9, 30.0), (1, 40.0), (2, 50.0), (3, 54.0)].into());
    }

    #[test]
    fn a_picture_of_changing_width_counts_all_its_rows() {
        let half_guided = Waiting { row_steps: 15, ..picture(0, 1.0, 10) };
        assert_eq!(ends(&[half_guided], 8)[&0], 15.0);
    }

    #[test]
    fn a_newcomer_passes_who_has_time_and_nobody_else() {
        let waiting = [picture(0, 100.0, 50), picture(1, 200.0, 50)];
        let short = |from| vec![picture(7, from + 10.0, 5)];
        let promise = |job: u64, within| Promise { job, tag: 100.0 * (job + 1) as f64, within };
        let place = |promises: &[Promise]| place(&waiting, promises, 2, short);
        assert_eq!(place(&[]), (0.0, 10.0), "nothing was promised");
        assert_eq!(place(&[promise(0, 110.0), promise(1, 210.0)]), (0.0, 10.0), "there is time for it");
        assert_eq!(place(&[promise(0, 109.0), promise(1, 250.0)]), (100.0, 110.0), "it comes after the first");
        assert_eq!(place(&[promise(0, 500.0), promise(1, 205.0)]), (200.0, 210.0), "it comes after the second");
        assert_eq!(place(&[promise(0, 50.0)]), (100.0, 110.0), "who is late is not made later");
    }

    #[test]
    fn a_full_queue_is_played_through_quickly() {
        let pictures: Vec<Waiting> = (0..20_000)
            .map(|job| Waiting {
                kind: ([4, 8, (job % 64) as usize], 0, job % 3 == 0),
                ..picture(job, (job % 97) as f64, 1)
            })
            .collect();
        assert_eq!(ends(&pictures, 16).len(), pictures.len());
    }
}
