//! The page as one HTML file that needs no network: styles and charts are inside.

use super::page::{Block, Page};
use std::fmt::Write as _;

const STYLE: &str = "
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2, h3 { line-height: 1.2; } h2 { margin-top: 2.5rem; border-bottom: 1px solid #ccc; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .85rem; margin: .75rem 0; }
th, td { border-bottom: 1px solid #ddd; padding: .25rem .6rem; text-align: left; vertical-align: top; white-space: nowrap; }
th { background: #f4f4f4; } .n { text-align: right; font-variant-numeric: tabular-nums; }
.note { font-size: .85rem; color: #444; margin-top: 0; }
figure { margin: 1.5rem 0; } figure svg { max-width: 100%; height: auto; } figcaption { font-size: .9rem; }
pre { background: #f4f4f4; padding: .75rem; overflow-x: auto; } summary { cursor: pointer; }
.stamp { border: 2px solid #D55E00; padding: .5rem 1rem; font-weight: bold; }
";

/// Text as it stands between tags and in attributes.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The whole document.
pub fn render(page: &Page) -> String {
    let title = escape(&page.title);
    let mut text = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
    );
    blocks(&page.blocks, &mut text);
    text.push_str("</body>\n</html>\n");
    text
}

fn blocks(list: &[Block], text: &mut String) {
    for block in list {
        let _ = match block {
            Block::Heading(2, words) => writeln!(text, "<h2>{}</h2>", escape(words)),
            Block::Heading(_, words) => writeln!(text, "<h3>{}</h3>", escape(words)),
            Block::Text(words) => writeln!(text, "<p>{}</p>", escape(words)),
            Block::Stamp(words) => writeln!(text, "<p class=\"stamp\">{}</p>", escape(words)),
            Block::Code(words) => writeln!(text, "<pre><code>{}</code></pre>", escape(words)),
            Block::List(items) => {
                let items: String = items.iter().map(|item| format!("<li>{}</li>\n", escape(item))).collect();
                writeln!(text, "<ul>\n{items}</ul>")
            }
            Block::Table(table) => write!(text, "{}", table.html()),
            Block::Chart(chart) => {
                let caption = escape(&chart.caption);
                writeln!(text, "<figure>\n{}\n<figcaption>{caption}</figcaption>\n</figure>", chart.svg)
            }
            Block::Details(summary, inner) | Block::Bulk { title: summary, inner, .. } => {
                let _ = writeln!(text, "<details><summary>{}</summary>", escape(summary));
                blocks(inner, text);
                writeln!(text, "</details>")
            }
        };
    }
}
