//! Weighted fair queueing over pictures (Demers, Keshav and Shenker 1989), with the denoiser's rows as the unit of service.
//!
//! Each flow (a client's work of one class) gets a share of the denoiser by its weight. A picture is tagged with the virtual
//! time at which a fluid server would finish it; pictures are served by tag, and between two steps a picture may be passed by
//! one with an earlier tag. So a flow's backlog delays that flow, short pictures pass long ones, and nobody starves:
//! virtual time goes on with every row served.

use std::{collections::HashMap, sync::Arc};

use super::Class;

/// Who is served together.
pub(super) type Flow = (Arc<str>, Class);

/// Virtual time and what each flow was promised.
#[derive(Debug, Default)]
pub(super) struct Fairness {
    /// Row-steps of service that a flow of weight 1 has had since the start.
    now: f64,
    flows: HashMap<Flow, Promised>,
}

#[derive(Debug)]
struct Promised {
    /// The tag of the last picture.
    last: f64,
    /// Pictures that are not done.
    pictures: usize,
}

impl Fairness {
    /// The tag of a flow's next picture of `row_steps`, which counts from a virtual time on that is not passed yet.
    pub(super) fn tag(&mut self, flow: &Flow, row_steps: u64, from: f64) -> f64 {
        let last = self.next_tag(flow, row_steps, from);
        let promised = self.flows.entry(flow.clone()).or_insert(Promised { last, pictures: 0 });
        promised.pictures += 1;
        promised.last = last;
        last
    }

    /// The tags that a flow's next pictures of `row_steps` would have.
    pub(super) fn tags(&self, flow: &Flow, row_steps: u64, from: f64) -> impl Iterator<Item = f64> {
        let each = row_steps as f64 / flow.1.weight();
        std::iter::successors(Some(self.next_tag(flow, row_steps, from)), move |tag| Some(tag + each))
    }

    fn next_tag(&self, flow: &Flow, row_steps: u64, from: f64) -> f64 {
        let last = self.flows.get(flow).map_or(self.now, |promised| promised.last.max(self.now));
        last.max(from) + row_steps as f64 / flow.1.weight()
    }

    /// Of the denoiser's rows, the part that is a flow's, among those that have work. In (0, 1].
    pub(super) fn share(&self, flow: &Flow) -> f64 {
        let others: f64 = self.flows.keys().filter(|&other| other != flow).map(|(_, class)| class.weight()).sum();
        flow.1.weight() / (flow.1.weight() + others)
    }

    /// A picture left, done or not.
    pub(super) fn leave(&mut self, flow: &Flow) {
        if let Some(promised) = self.flows.get_mut(flow) {
            promised.pictures -= 1;
            if promised.pictures == 0 {
                self.flows.remove(flow);
            }
        }
    }

    /// The denoiser served `rows` rows.
    pub(super) fn serve(&mut self, rows: usize) {
        let weight: f64 = self.flows.keys().map(|(_, class)| class.weight()).sum();
        if weight > 0.0 {
            self.now += rows as f64 / weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(client: &str, class: Class) -> Flow {
        (client.into(), class)
    }

    /// Serves pictures of these flows by tag and returns the order in which they end.
    fn served(arrivals: &[(&str, Class, u64)]) -> Vec<usize> {
        let mut fairness = Fairness::default();
        let tags: Vec<f64> =
            arrivals.iter().map(|&(c, class, cost)| fairness.tag(&flow(c, class), cost, 0.0)).collect();
        let mut order: Vec<usize> = (0..tags.len()).collect();
        order.sort_by(|&a, &b| tags[a].total_cmp(&tags[b]));
        order
    }

    #[test]
    fn a_backlog_delays_its_own_client_only() {
        let mut arrivals = vec![("greedy", Class::Interactive, 40); 10];
        arrivals.push(("modest", Class::Interactive, 40));
        let place = served(&arrivals).iter().position(|&at| at == 10).expect("served");
        assert_eq!(place, 1, "right after the picture that came first");
    }

    #[test]
    fn short_pictures_pass_long_ones() {
        assert_eq!(served(&[("a", Class::Interactive, 100), ("b", Class::Interactive, 10)]), [1, 0]);
    }

    #[test]
    fn bulk_gets_a_ninth_beside_interactive_work() {
        let mut fairness = Fairness::default();
        let (bulk, interactive) = (flow("a", Class::Bulk), flow("b", Class::Interactive));
        let ahead = fairness.tag(&bulk, 10, 0.0);
        let tags: Vec<f64> = (0..20).map(|_| fairness.tag(&interactive, 10, 0.0)).collect();
        assert_eq!(tags.iter().filter(|&&tag| tag < ahead).count(), 7, "the eighth ties and came later");
    }

    #[test]
    fn a_long_picture_is_not_starved_by_a_stream_of_short_ones() {
        let mut fairness = Fairness::default();
        let long = fairness.tag(&flow("long", Class::Interactive), 1000, 0.0);
        let mut passed = 0;
        loop {
            let short = flow(&format!("short {passed}"), Class::Interactive);
            if fairness.tag(&short, 10, 0.0) > long {
                break;
            }
            fairness.serve(10);
            fairness.leave(&short);
            passed += 1;
            assert!(passed < 1000, "starved");
        }
    }

    #[test]
    fn a_picture_may_have_to_count_from_later_on() {
        let mut fairness = Fairness::default();
        let (first, later) = (flow("a", Class::Interactive), flow("b", Class::Interactive));
        let tag = fairness.tag(&first, 80, 0.0);
        let told: Vec<f64> = fairness.tags(&later, 8, tag).take(2).collect();
        assert_eq!(told, [tag + 1.0, tag + 2.0]);
        assert_eq!([0, 1].map(|_| fairness.tag(&later, 8, tag)).to_vec(), told);
    }

    #[test]
    fn a_share_is_by_the_weights_of_those_that_have_work() {
        let mut fairness = Fairness::default();
        let (mine, bulk) = (flow("a", Class::Interactive), flow("b", Class::Bulk));
        assert_eq!(fairness.share(&mine), 1.0);
        fairness.tag(&bulk, 8, 0.0);
        assert_eq!((fairness.share(&mine), fairness.share(&bulk)), (8.0 / 9.0, 1.0));
    }

    #[test]
    fn what_left_is_forgotten() {
        let mut fairness = Fairness::default();
        let gone = flow("a", Class::Interactive);
        fairness.tag(&gone, 1_000_000, 0.0);
        fairness.leave(&gone);
        assert!(fairness.flows.is_empty() && fairness.tag(&gone, 8, 0.0) <= 1.0);
    }
}
