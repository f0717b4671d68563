//! One table, four renderings: terminal, Markdown, HTML, CSV. Knows text, not results.

use super::html::escape;
use super::lines::wrapped;
use comfy_table::presets::{ASCII_MARKDOWN, NOTHING};
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Width};
use std::fmt::Write as _;

/// Wider tables are not aligned in Markdown.
const WIDEST_ALIGNED: usize = 240;
/// Characters of a line in a terminal; wider tables are folded.
pub const TERMINAL_COLUMNS: u16 = 120;

/// Characters of a cell's name that are not folded.
const WHOLE_NAME: usize = 32;

/// The column that a terminal shows as lines of their own.
pub const PROFILE: &str = "profile";

/// A table of text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    notes: Vec<String>,
}

impl Table {
    /// A table with these columns; a name that begins with `>` is aligned to the right.
    pub fn new<S: Into<String>>(columns: impl IntoIterator<Item = S>) -> Self {
        Table { columns: columns.into_iter().map(Into::into).collect(), ..Table::default() }
    }

    /// Adds a row.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        let row: Vec<String> = cells.into_iter().map(Into::into).collect();
        debug_assert_eq!(row.len(), self.columns.len(), "a row has as many cells as there are columns");
        self.rows.push(row);
    }

    /// Without rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Adds a sentence that stands under the table.
    pub fn note(&mut self, words: impl Into<String>) {
        self.notes.push(words.into());
    }

    /// Leaves out the columns in which every row holds one of `idle`, and says which these are.
    pub fn without_idle_columns(mut self, idle: &[&str]) -> Self {
        let left_out = self.columns_of_only(idle);
        if !left_out.is_empty() {
            let values = idle.join(" or ");
            self.notes.push(format!("No column, because {values} in every cell: {}.", left_out.join(", ")));
        }
        self.without_columns_of_only(idle)
    }

    fn columns_of_only(&self, idle: &[&str]) -> Vec<String> {
        let heads = self.heads().enumerate().skip(1);
        heads
            .filter(|(at, _)| {
                !self.rows.is_empty() && self.rows.iter().all(|row| idle.contains(&row[*at].as_str()))
            })
            .map(|(_, (name, _))| name.to_owned())
            .collect()
    }

    /// Leaves out the columns in which every row holds one of `idle`.
    pub fn without_columns_of_only(mut self, idle: &[&str]) -> Self {
        let keep: Vec<bool> = (0..self.columns.len())
            .map(|at| at == 0 || self.rows.iter().any(|row| !idle.contains(&row[at].as_str())))
            .collect();
        let pick = |row: Vec<String>| {
            row.into_iter().zip(&keep).filter(|(_, keep)| **keep).map(|(cell, _)| cell).collect()
        };
        self.rows = self.rows.into_iter().map(pick).collect();
        self.columns = pick(self.columns);
        self
    }

    /// Leaves out these columns, named as in [`Table::new`].
    pub fn without_columns(mut self, names: &[&str]) -> Self {
        let keep: Vec<bool> = self.columns.iter().map(|name| !names.contains(&name.as_str())).collect();
        let pick = |row: Vec<String>| {
            row.into_iter().zip(&keep).filter(|(_, keep)| **keep).map(|(cell, _)| cell).collect()
        };
        self.rows = self.rows.into_iter().map(pick).collect();
        self.columns = pick(self.columns);
        self
    }

    fn heads(&self) -> impl Iterator<Item = (&str, bool)> {
        self.columns
            .iter()
            .map(|name| name.strip_prefix('>').map_or((name.as_str(), false), |name| (name, true)))
    }

    /// Folded to a width where there is one.
    fn drawn(
        &self,
        style: comfy_table::TableStyle,
        width: Option<u16>,
        cell: impl Fn(&str) -> String,
    ) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(style).set_content_arrangement(ContentArrangement::Disabled);
        if let Some(width) = width {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        }
        table.set_header(self.heads().map(|(name, _)| cell(name)));
        for row in &self.rows {
            table.add_row(row.iter().map(|text| cell(text)));
        }
        for (at, (_, right)) in self.heads().enumerate() {
            if let (true, Some(column)) = (right, table.column_mut(at)) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        if width.is_some() {
            table.set_constraints(self.longest_words());
        }
        let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
        lines.join("\n")
    }

    /// Aligned, for a terminal, with a rule under the names; too wide columns are folded between words, and a column of
    /// profiles becomes a line above the rows of each.
    pub fn terminal(&self) -> String {
        let style = NOTHING.header_separator(LineStyle::none().fill('─'));
        let mut text = self.by_profile().drawn(style, Some(TERMINAL_COLUMNS), str::to_owned) + "\n";
        for line in self.notes.iter().flat_map(|note| wrapped(note, usize::from(TERMINAL_COLUMNS) - 2)) {
            let _ = writeln!(text, " {line}");
        }
        text
    }

    fn by_profile(&self) -> Table {
        if self.columns.first().is_none_or(|name| name != PROFILE) {
            return self.clone();
        }
        let mut table = Table { columns: self.columns[1..].to_vec(), ..Table::default() };
        let mut above: Option<&String> = None;
        for row in &self.rows {
            if above != Some(&row[0]) {
                let blank = std::iter::repeat_n(String::new(), self.columns.len() - 2);
                table.rows.push(std::iter::once(format!("{}:", row[0])).chain(blank).collect());
                above = Some(&row[0]);
            }
            table.rows.push(row[1..].to_vec());
        }
        table
    }

    /// The longest word of each column (of cells' names more), its padding included: no column is narrower.
    fn longest_words(&self) -> Vec<ColumnConstraint> {
        let longest = |text: &str| text.split(' ').map(|word| word.chars().count()).max().unwrap_or(0);
        let of_column = |(at, (name, _)): (usize, (&str, bool))| {
            let words = self.rows.iter().map(|row| longest(&row[at])).chain([longest(name)]);
            // Whole names of cells, where there is room for them.
            let names = self.rows.iter().map(|row| row[at].chars().count()).filter(|_| name == "cell");
            let width = words.chain(names.map(|name| name.min(WHOLE_NAME))).max().unwrap_or(0) + 2;
            ColumnConstraint::LowerBoundary(Width::Fixed(u16::try_from(width).unwrap_or(u16::MAX)))
        };
        self.heads().enumerate().map(of_column).collect()
    }

    /// For Markdown, with its notes below.
    pub fn markdown(&self) -> String {
        let notes: String =
            self.notes.iter().map(|note| format!("\n\n{}", note.replace('<', "\\<"))).collect();
        self.markdown_rows() + &notes
    }

    /// Aligned, unless one long value would pad every line.
    fn markdown_rows(&self) -> String {
        let safe = |text: &str| text.replace('|', "\\|").replace('\n', " ");
        let rule_of = |right: bool| if right { "--:" } else { "---" };
        let drawn = self.drawn(ASCII_MARKDOWN, None, safe);
        if drawn.lines().next().is_some_and(|line| line.chars().count() > WIDEST_ALIGNED) {
            let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
            let mut lines = vec![
                line(self.heads().map(|(name, _)| safe(name)).collect()),
                line(self.heads().map(|(_, right)| rule_of(right).to_owned()).collect()),
            ];
            lines.extend(self.rows.iter().map(|row| line(row.iter().map(|cell| safe(cell)).collect())));
            return lines.join("\n");
        }
        let mut lines: Vec<String> = drawn.lines().map(str::to_owned).collect();
        if let Some(rule) = lines.get_mut(1) {
            let mut parts: Vec<String> = rule.split('|').map(str::to_owned).collect();
            for (part, (_, right)) in parts.iter_mut().skip(1).zip(self.heads()) {
                if right && part.pop().is_some() {
                    part.push(':');
                }
            }
            *rule = parts.join("|");
        }
        lines.join("\n")
    }

    /// An HTML table.
    pub fn html(&self) -> String {
        let class = |right: bool| if right { " class=\"n\"" } else { "" };
        let mut text = String::from("<div class=\"wide\"><table>\n<thead><tr>");
        for (name, right) in self.heads() {
            let _ = write!(text, "<th scope=\"col\"{}>{}</th>", class(right), escape(name));
        }
        text.push_str("</tr></thead>\n<tbody>\n");
        for row in &self.rows {
            text.push_str("<tr>");
            for (cell, (_, right)) in row.iter().zip(self.heads()) {
                let _ = write!(text, "<td{}>{}</td>", class(right), escape(cell));
            }
            text.push_str("</tr>\n");
        }
        text.push_str("</tbody></table></div>\n");
        for note in &self.notes {
            let _ = writeln!(text, "<p class=\"note\">{}</p>", escape(note));
        }
        text
    }

    /// Comma-separated values with a header line.
    pub fn csv(&self) -> String {
        let field = |text: &str| {
            if text.contains([',', '"', '\n', '\r']) {
                format!("\"{}\"", text.replace('"', "\"\""))
            } else {
                text.to_owned()
            }
        };
        let mut text = self.heads().map(|(name, _)| field(name)).collect::<Vec<_>>().join(",");
        text.push('\n');
        for row in &self.rows {
            text.push_str(&row.iter().map(|cell| field(cell)).collect::<Vec<_>>().join(","));
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn every_rendering_keeps_hostile_text_inside_its_cell() {
        let mut table = Table::new(["cell", ">count"]);
        table.row(["a|b, \"c\" <d>", "1"]);
        assert_eq!(table.csv(), "cell,count\n\"a|b, \"\"c\"\" <d>\",1\n");
        assert!(table.markdown().contains("a\\|b"));
        assert!(table.markdown().lines().nth(1).is_some_and(|rule| rule.ends_with(":|")));
        assert!(table.html().contains("<td class=\"n\">1</td>"));
        assert!(table.html().contains("&lt;d&gt;"));
    }
}
