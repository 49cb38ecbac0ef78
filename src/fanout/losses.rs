//! Loss summed up over a viewer's reports, as far as it is above what its link may lose at any rate: luck evens out, too
//! much does not.

/// Loss that repair makes up for. What is lost above it adds up, what stays below takes away.
const BORNE: f64 = 0.09;
/// So many packets lost too much say that the link is full. At 5 % of random loss that is a matter of years.
const EXCESS_BAD: f64 = 12.0;
/// One report, of an outage maybe, does not.
const EXCESS_OF_ONE: f64 = 10.0;
/// Reason enough to send little again.
const EXCESS_SUSPECT: f64 = 4.0;
/// Loss above the usual one that is borne, of a link known to be narrow and where it was just tried to send more.
const ABOVE_USUAL: f64 = 0.05;
const ABOVE_WHILE_RAISING: f64 = 0.02;
/// A link known to be narrow is full after so many.
const NARROW_EXCESS_BAD: f64 = 5.0;
const RAISING_EXCESS_BAD: f64 = 4.0;
const CALM: f64 = 1.5;
/// The mean follows by one part of so many.
const MEAN: f64 = 16.0;
/// What may become usual: where nothing helped, and where no more is sent than what got through. More than that would
/// mean that it is too much.
const USUAL_MAX: f64 = 0.3;
const USUAL_STEADY: f64 = 0.03;
/// Where much is lost at any rate, luck has more of a say.
const LUCK: f64 = 15.0;

/// The losses of one viewer.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// Packets lost too much.
    excess: f64,
    /// The part that is lost at any rate.
    usual: f64,
    mean: f64,
}

impl Losses {
    /// Of so many packets so many were lost, on a link not known to be narrow. True where that is too much.
    pub(super) fn add(&mut self, packets: f64, lost: f64) -> bool {
        let borne = BORNE.max(self.usual + ABOVE_USUAL);
        let excess = (lost - packets * borne).min(EXCESS_OF_ONE * self.luck());
        self.excess = (self.excess + excess).max(0.0);
        self.excess >= EXCESS_BAD * self.luck()
    }

    /// The same on a narrow link, where more is tried just now or not.
    pub(super) fn add_narrow(&mut self, packets: f64, lost: f64, raising: bool) -> bool {
        let (above, bad) = match raising {
            true => (ABOVE_WHILE_RAISING, RAISING_EXCESS_BAD),
            false => (ABOVE_USUAL, NARROW_EXCESS_BAD),
        };
        let excess = lost - packets * (self.usual + above);
        self.excess = (self.excess + excess).max(0.0);
        self.excess >= bad * self.luck()
    }

    /// It may be that the link is full.
    pub(super) fn suspect(&self) -> bool {
        self.excess >= EXCESS_SUSPECT
    }

    /// Nothing says that a narrow link is full.
    pub(super) fn calm(&self) -> bool {
        self.excess < CALM
    }

    /// This part was lost where nothing was too much. `steady`: of a narrow link, sent no more than what got through.
    pub(super) fn follow(&mut self, loss: f64, steady: bool) {
        self.mean += (loss - self.mean) / MEAN;
        self.usual = self.usual.min(self.mean);
        if steady {
            self.usual = self.usual.max(self.mean.min(USUAL_STEADY));
        }
    }

    /// So much is lost whatever is sent.
    pub(super) fn accept(&mut self, loss: f64) {
        self.usual = loss.min(USUAL_MAX);
        self.mean = self.usual;
    }

    /// What was lost has been answered.
    pub(super) fn forget(&mut self) {
        self.excess = 0.0;
    }

    fn luck(&self) -> f64 {
        1.0 + LUCK * (self.usual - USUAL_STEADY).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_lost_is_too_much_after_two_reports_and_one_report_never_is() {
        let mut losses = Losses::default();
        assert!(!losses.add(80.0, 80.0), "an outage");
        let mut losses = Losses::default();
        assert!(!losses.add(80.0, 20.0));
        assert!(losses.suspect());
        assert!(losses.add(80.0, 20.0));
        losses.forget();
        assert!(!losses.suspect() && losses.calm());
    }

    #[test]
    fn what_is_accepted_is_borne_until_less_is_lost() {
        let mut losses = Losses::default();
        losses.accept(0.2);
        assert!((0..100).all(|_| !losses.add(80.0, 16.0)));
        for _ in 0..100 {
            losses.follow(0.0, false);
        }
        assert!(!losses.add(80.0, 16.0));
        assert!(losses.add(80.0, 16.0));
    }
}
