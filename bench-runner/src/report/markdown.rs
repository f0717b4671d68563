//! The page as Markdown that points at the charts in `plots/`.

use super::html::escape;
use super::page::{Block, Page};
use std::fmt::Write as _;

/// The whole document.
pub fn render(page: &Page) -> String {
    let mut text = format!("# {}\n\n", page.title);
    blocks(&page.blocks, &mut text);
    text
}

fn blocks(list: &[Block], text: &mut String) {
    for block in list {
        let _ = match block {
            Block::Heading(level, words) => writeln!(text, "{} {words}\n", "#".repeat(usize::from(*level))),
            Block::Text(words) => writeln!(text, "{}\n", plain(words)),
            Block::Stamp(words) => writeln!(text, "> **{words}**\n"),
            Block::Code(words) => writeln!(text, "```\n{}\n```\n", words.trim_end()),
            Block::List(items) => {
                let items: String = items.iter().map(|item| format!("- {}\n", plain(item))).collect();
                writeln!(text, "{items}")
            }
            Block::Table(table) => writeln!(text, "{}\n", table.markdown()),
            Block::Chart(chart) => {
                writeln!(text, "![{}](plots/{})\n\n{}\n", chart.title, chart.file, chart.caption)
            }
            Block::Bulk { title, elsewhere, .. } => writeln!(text, "{title}: in {elsewhere}.\n"),
            Block::Details(summary, inner) => {
                let _ = writeln!(text, "<details><summary>{}</summary>\n", escape(summary));
                blocks(inner, text);
                writeln!(text, "</details>\n")
            }
        };
    }
}

/// Text that must not be taken for a tag.
fn plain(words: &str) -> String {
    words.replace('<', "\\<")
}
