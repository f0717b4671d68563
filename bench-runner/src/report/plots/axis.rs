//! Scales with ticks that people can read, and the panel that they frame.

use super::canvas::{Anchor, Canvas, GRID, INK, widest_px};
use crate::report::figures::{duration, three_digits};

/// Ticks that a horizontal axis has room for.
pub const ACROSS: usize = 10;
/// Ticks that an upright axis has room for.
pub const UPWARDS: usize = 14;

/// More ticks than this are not needed between 1-2-5.
const FEW: usize = 8;

/// A position on an axis and its label.
type Tick = (f64, String);

/// Values to pixels, with ticks.
#[derive(Debug, Clone)]
pub struct Axis {
    low: f64,
    high: f64,
    is_log: bool,
    ticks: Vec<Tick>,
    title: String,
}

impl Axis {
    /// Logarithmic, from a step of 1, 2 or 5 below the smallest to one above the largest.
    /// As many of these steps get ticks as there is room for.
    pub fn log(
        title: &str,
        values: impl IntoIterator<Item = f64>,
        label: fn(f64) -> String,
        most: usize,
    ) -> Self {
        let (mut low, mut high) = (f64::INFINITY, 0.0_f64);
        for value in values.into_iter().filter(|value| *value > 0.0) {
            low = low.min(value);
            high = high.max(value);
        }
        if low > high {
            (low, high) = (1.0, 10.0);
        }
        let steps: Vec<(u8, f64)> = (-3..20)
            .flat_map(|decade| (1..10).map(move |digit| (digit, f64::from(digit) * 10_f64.powi(decade))))
            .collect();
        let ends = [1, 2, 5];
        let values = || steps.iter().filter(|(digit, _)| ends.contains(digit)).map(|(_, step)| *step);
        let low = values().filter(|step| *step <= low * 0.97).fold(1e-3, f64::max);
        let high = values().filter(|step| *step >= high * 1.03).fold(5e19, f64::min);
        let inside: Vec<&(u8, f64)> =
            steps.iter().filter(|(_, step)| *step >= low * 0.999 && *step <= high * 1.001).collect();
        let of = |digits: &[u8]| -> Vec<f64> {
            inside.iter().filter(|(digit, _)| digits.contains(digit)).map(|(_, step)| *step).collect()
        };
        // Every digit on less than a decade, where the others would leave hardly a tick.
        let every = Some(of(&[1, 2, 3, 4, 5, 6, 7, 8, 9])).filter(|steps| steps.len() <= FEW.min(most));
        let sparse = [&ends[..], &[1, 5], &[1]].into_iter().map(of).find(|steps| steps.len() <= most);
        let fit = every.or(sparse);
        let fit = fit.unwrap_or_else(|| {
            let decades = of(&[1]);
            let every = decades.len().div_ceil(most.max(1));
            decades.into_iter().step_by(every).collect()
        });
        let ticks = fit.into_iter().map(|step| (step, label(step))).collect();
        Axis { low, high, is_log: true, ticks, title: title.into() }
    }

    /// Linear, from zero.
    pub fn linear(title: &str, highest: f64, label: fn(f64) -> String) -> Self {
        let highest = highest.max(1e-9) * 1.02;
        let rough = highest / 5.0;
        let decade = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * decade).into_iter().find(|step| *step >= rough);
        let step = step.unwrap_or(rough);
        let count = (highest / step).ceil() as u32;
        let ticks = (0..=count).map(|at| (f64::from(at) * step, label(f64::from(at) * step))).collect();
        Axis { low: 0.0, high: f64::from(count) * step, is_log: false, ticks, title: title.into() }
    }

    /// Linear between these ends, with these ticks.
    pub fn between(title: &str, (low, high): (f64, f64), ticks: Vec<Tick>) -> Self {
        Axis { low, high, is_log: false, ticks, title: title.into() }
    }

    /// Share of the way from the low to the high end.
    pub fn share(&self, value: f64) -> f64 {
        let share = if self.is_log {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        share.clamp(0.0, 1.0)
    }
}

/// `1 ms`, `500 µs`: a tick of a time axis, without the digits of a measurement.
pub fn time_tick(ns: f64) -> String {
    let text = duration(ns);
    let (digits, unit) = text.split_once(' ').unwrap_or((&text, ""));
    format!("{} {unit}", plain(digits))
}

/// A tick of an axis of counts or rates.
pub fn count_tick(value: f64) -> String {
    plain(&three_digits(value)).to_owned()
}

/// Without zeros behind the point.
fn plain(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

/// A rectangle between two axes, in pixels.
#[derive(Debug, Clone)]
pub struct Panel {
    /// Left edge.
    pub left: i32,
    /// Right edge.
    pub right: i32,
    /// Top edge.
    pub top: i32,
    /// Bottom edge.
    pub bottom: i32,
    /// From left to right.
    pub x: Axis,
    /// From bottom to top; `None`: the rows are the caller's.
    pub y: Option<Axis>,
}

impl Panel {
    /// The pixel column of a value.
    pub fn x_px(&self, value: f64) -> i32 {
        self.left + (self.x.share(value) * f64::from(self.right - self.left)).round() as i32
    }

    /// The pixel row of a value.
    pub fn y_px(&self, value: f64) -> i32 {
        let share = self.y.as_ref().map_or(0.0, |axis| axis.share(value));
        self.bottom - (share * f64::from(self.bottom - self.top)).round() as i32
    }

    /// The pixel of a point.
    pub fn at(&self, x: f64, y: f64) -> (i32, i32) {
        (self.x_px(x), self.y_px(y))
    }

    /// The labels below, from left to right, without those that would touch the one before.
    fn labels_across(&self) -> Vec<(i32, &str)> {
        let mut free_px = i32::MIN;
        let mut labels = Vec::new();
        for (value, label) in &self.x.ticks {
            let (x, half_px) = (self.x_px(*value), widest_px([label.as_str()]) / 2);
            if x - half_px >= free_px {
                labels.push((x, label.as_str()));
                free_px = x + half_px + 6;
            }
        }
        labels
    }

    /// Grid, frame, tick labels, titles: x below, y above the left edge.
    pub fn draw(&self, canvas: &Canvas) {
        for (value, _) in &self.x.ticks {
            let x = self.x_px(*value);
            canvas.line(&[(x, self.top), (x, self.bottom)], GRID, 1);
        }
        for (x, label) in self.labels_across() {
            canvas.text((x, self.bottom + 14), label, Anchor::Middle, INK);
        }
        if let Some(axis) = &self.y {
            for (value, label) in &axis.ticks {
                let y = self.y_px(*value);
                canvas.line(&[(self.left, y), (self.right, y)], GRID, 1);
                canvas.text((self.left - 8, y), label, Anchor::End, INK);
            }
            canvas.text((16, self.top - 20), &axis.title, Anchor::Start, INK);
        }
        canvas.line(&[(self.left, self.top), (self.left, self.bottom), (self.right, self.bottom)], INK, 1);
        let middle = (self.left + self.right) / 2;
        canvas.text((middle, self.bottom + 36), &self.x.title, Anchor::Middle, INK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn labels_that_would_touch_are_left_out() {
        let of = |width: i32| {
            let x = Axis::log("latency", [1.1e6, 0.9e9], time_tick, ACROSS);
            let panel = Panel { left: 0, right: width, top: 0, bottom: 10, x, y: None };
            panel.labels_across().into_iter().map(|(_, label)| label.to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(
            of(900),
            ["1 ms", "2 ms", "5 ms", "10 ms", "20 ms", "50 ms", "100 ms", "200 ms", "500 ms", "1 s"]
        );
        assert_eq!(of(250), ["1 ms", "5 ms", "20 ms", "100 ms", "500 ms"]);
    }

    #[test]
    fn ticks_are_steps_that_people_read() {
        let narrow = Axis::log("latency", [1.3e6, 40e6], time_tick, ACROSS);
        assert_eq!(labels(&narrow), ["1 ms", "2 ms", "5 ms", "10 ms", "20 ms", "50 ms"]);
        let short = Axis::log("latency", [6e6, 8e6], time_tick, ACROSS);
        assert_eq!(labels(&short), ["5 ms", "6 ms", "7 ms", "8 ms", "9 ms", "10 ms"]);
        let upwards = Axis::log("latency", [300e3, 4e9], time_tick, UPWARDS);
        assert_eq!(labels(&upwards)[..4], ["200 µs", "500 µs", "1 ms", "2 ms"]);
        let across = Axis::log("latency", [300e3, 4e9], time_tick, ACROSS);
        assert_eq!(labels(&across)[..4], ["500 µs", "1 ms", "5 ms", "10 ms"]);
        let vast = Axis::log("latency", [1e3, 1e12], time_tick, 4);
        assert_eq!(labels(&vast), ["1 µs", "1 ms", "1 s", "1,000 s"]);
        let rate = Axis::linear("rate", 20_000.0, count_tick);
        assert_eq!(labels(&rate), ["0", "5,000", "10,000", "15,000", "20,000", "25,000"]);
    }

    #[test]
    fn values_at_the_ends_stay_inside() {
        let axis = Axis::log("latency", [1e6], time_tick, ACROSS);
        assert!(axis.share(1e6) > 0.0 && axis.share(1e6) < 1.0);
        assert_eq!(Axis::log("latency", [], time_tick, ACROSS).share(0.0), 0.0);
    }
}
