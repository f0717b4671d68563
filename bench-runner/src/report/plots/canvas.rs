//! Drawing in pixels on an SVG: colours and marker shapes that stay apart, text whose room is reserved generously.

use crate::report::html::escape;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Pixels that a character may take; sans-serif fonts differ, so this is more than any needs on average.
pub const CHARACTER_PX: i32 = 8;
/// Height of a line of text with its gap, in pixels.
pub const LINE_PX: i32 = 20;

/// Text of this many pixels: plotters writes sizes divided by 1.24.
const TEXT_SIZE: f64 = 13.0 * 1.24;
const TITLE_SIZE: f64 = 17.0 * 1.24;

pub const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
pub const GRID: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);
pub const SOFT: RGBColor = RGBColor(0x66, 0x66, 0x66);
pub const BAND: RGBColor = RGBColor(0xf3, 0xe3, 0xd3);
pub const WARMUP: RGBColor = RGBColor(0xec, 0xec, 0xec);

/// Okabe and Ito's colours without yellow (too light for lines), and grey.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x56, 0xb4, 0xe9),
    RGBColor(0x00, 0x00, 0x00),
    RGBColor(0x80, 0x80, 0x80),
];

/// Pixels of a series' line.
pub const LINE_WIDTH: u32 = 2;
/// Pixels of a line that must be seen below another one.
pub const BROAD: u32 = 8;

/// How many series one chart keeps apart by colour and shape.
pub const STYLES: usize = COLOURS.len();

/// Colour and shape of a series, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style(pub usize);

impl Style {
    /// Its colour.
    pub fn colour(self) -> RGBColor {
        COLOURS[self.0 % STYLES]
    }
}

/// Where a text stands relative to its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// The text begins there.
    Start,
    /// Centred.
    Middle,
    /// The text ends there.
    End,
}

/// A picture that is being drawn.
pub struct Canvas<'a> {
    root: DrawingArea<SVGBackend<'a>, Shift>,
}

/// Drawing into memory has no way to fail.
const INTO_MEMORY: &str = "drawing into a string does not fail";

/// A picture of this size with its title, its lines at the foot, and a title and description inside the SVG.
pub fn picture(
    (width, height): (i32, i32),
    title: &str,
    description: &str,
    foot: &[String],
    draw: impl FnOnce(&Canvas),
) -> String {
    let mut svg = String::new();
    // What is printed outside of the panels must fit as well.
    let foot_width = widest_px(foot.iter().map(String::as_str)).max(title.chars().count() as i32 * 11) + 32;
    {
        let size = (width.max(foot_width) as u32, height as u32);
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&WHITE).expect(INTO_MEMORY);
        let canvas = Canvas { root };
        canvas.sized_text((16, 22), title, Anchor::Start, TITLE_SIZE, INK);
        for (line, words) in foot.iter().enumerate() {
            let y = height - 14 - LINE_PX * (foot.len() - 1 - line) as i32;
            canvas.sized_text((16, y), words, Anchor::Start, TEXT_SIZE, SOFT);
        }
        draw(&canvas);
        canvas.root.present().expect(INTO_MEMORY);
    }
    let inside = format!("<title>{}</title>\n<desc>{}</desc>\n", escape(title), escape(description));
    match svg.find("<svg").and_then(|start| svg[start..].find('>').map(|end| start + end)) {
        Some(end) => format!("{} role=\"img\">\n{inside}{}", &svg[..end], &svg[end + 1..]),
        None => svg,
    }
}

/// Pixels that the foot takes.
pub fn foot_px(foot: &[String]) -> i32 {
    16 + LINE_PX * foot.len() as i32
}

/// Pixels that the longest of these texts may take.
pub fn widest_px<'t>(texts: impl IntoIterator<Item = &'t str>) -> i32 {
    texts.into_iter().map(|text| text.chars().count() as i32 * CHARACTER_PX).max().unwrap_or(0)
}

impl Canvas<'_> {
    fn sized_text(&self, at: (i32, i32), words: &str, anchor: Anchor, size: f64, colour: RGBColor) {
        let horizontal = match anchor {
            Anchor::Start => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::End => HPos::Right,
        };
        let style = ("sans-serif", size).into_font().color(&colour).pos(Pos::new(horizontal, VPos::Center));
        self.root.draw(&Text::new(words.to_owned(), at, style)).expect(INTO_MEMORY);
    }

    /// A line of text, vertically centred.
    pub fn text(&self, at: (i32, i32), words: &str, anchor: Anchor, colour: RGBColor) {
        self.sized_text(at, words, anchor, TEXT_SIZE, colour);
    }

    /// A line through the points.
    pub fn line(&self, points: &[(i32, i32)], colour: RGBColor, width: u32) {
        self.root.draw(&PathElement::new(points.to_vec(), colour.stroke_width(width))).expect(INTO_MEMORY);
    }

    /// A dotted line through the points.
    pub fn dotted(&self, points: &[(i32, i32)], colour: RGBColor) {
        const GAP_PX: f64 = 6.0;
        let mut until_dot = 0.0;
        for pair in points.windows(2) {
            let (dx, dy) = (f64::from(pair[1].0 - pair[0].0), f64::from(pair[1].1 - pair[0].1));
            let length = dx.hypot(dy);
            while until_dot < length {
                let share = until_dot / length;
                let dot = (pair[0].0 + (dx * share).round() as i32, pair[0].1 + (dy * share).round() as i32);
                self.root.draw(&Circle::new(dot, 1, colour.filled())).expect(INTO_MEMORY);
                until_dot += GAP_PX;
            }
            until_dot -= length;
        }
    }

    /// A filled rectangle.
    pub fn area(&self, corners: [(i32, i32); 2], colour: RGBColor) {
        self.root.draw(&Rectangle::new(corners, colour.filled())).expect(INTO_MEMORY);
    }

    /// A marker whose shape tells the series without its colour.
    pub fn marker(&self, (x, y): (i32, i32), style: Style) {
        let colour = style.colour();
        let outline = |points: Vec<(i32, i32)>| {
            self.root.draw(&Polygon::new(points.clone(), WHITE.filled())).expect(INTO_MEMORY);
            let closed = points.iter().chain(points.first()).copied().collect::<Vec<_>>();
            self.line(&closed, colour, 2);
        };
        let solid = |points: Vec<(i32, i32)>| {
            self.root.draw(&Polygon::new(points, colour.filled())).expect(INTO_MEMORY);
        };
        let square = vec![(x - 4, y - 4), (x + 4, y - 4), (x + 4, y + 4), (x - 4, y + 4)];
        let diamond = vec![(x, y - 6), (x + 6, y), (x, y + 6), (x - 6, y)];
        match style.0 % STYLES {
            0 => self.root.draw(&Circle::new((x, y), 5, colour.filled())).expect(INTO_MEMORY),
            1 => solid(square),
            2 => solid(vec![(x, y - 6), (x + 6, y + 5), (x - 6, y + 5)]),
            3 => solid(diamond),
            4 => outline(square),
            5 => outline(vec![(x, y + 6), (x + 6, y - 5), (x - 6, y - 5)]),
            6 => {
                self.line(&[(x - 5, y - 5), (x + 5, y + 5)], colour, 2);
                self.line(&[(x - 5, y + 5), (x + 5, y - 5)], colour, 2);
            }
            _ => outline(diamond),
        }
    }

    /// An open ring around a marker: the value is a bound, not an observation.
    pub fn ring(&self, at: (i32, i32), colour: RGBColor) {
        self.root.draw(&Circle::new(at, 9, colour.stroke_width(2))).expect(INTO_MEMORY);
    }

    /// A small circle: one repeat.
    pub fn dot(&self, at: (i32, i32), colour: RGBColor) {
        self.root.draw(&Circle::new(at, 3, colour.stroke_width(1))).expect(INTO_MEMORY);
    }

    /// An arrow head at the point: `(dx, dy)` of -1, 0 or 1 says where to.
    pub fn arrow(&self, (x, y): (i32, i32), (dx, dy): (i32, i32), colour: RGBColor) {
        let side = |sign: i32| (x - 6 * dx + sign * 4 * dy, y - 6 * dy + sign * 4 * dx);
        self.line(&[side(1), (x, y), side(-1)], colour, 2);
    }

    /// A legend of markers, one name a line, in the order of the styles.
    pub fn legend(&self, at: (i32, i32), names: &[String]) {
        let styles: Vec<(Style, u32)> = (0..names.len()).map(|at| (Style(at), LINE_WIDTH)).collect();
        self.legend_of(at, &styles, names);
    }

    /// A legend of these markers and line widths, one name a line.
    pub fn legend_of(&self, (x, y): (i32, i32), styles: &[(Style, u32)], names: &[String]) {
        for (at, ((style, width), name)) in styles.iter().zip(names).enumerate() {
            let row = y + LINE_PX * at as i32;
            self.line(&[(x, row), (x + 28, row)], style.colour(), *width);
            self.marker((x + 14, row), *style);
            self.text((x + 38, row), name, Anchor::Start, INK);
        }
    }
}
