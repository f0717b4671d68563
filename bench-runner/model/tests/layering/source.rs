//! Takes a Rust source apart as text: its marks, and every path that it names. Knows no rule.

/// Identifiers, `::` and single marks, each with its line; comments and literals are gone.
pub fn tokens(source: &str) -> Vec<(String, usize)> {
    let chars: Vec<char> = source.chars().collect();
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let rest = &chars[at..];
        let taken = if rest.starts_with(&['/', '/']) {
            rest.iter().take_while(|c| **c != '\n').count()
        } else if rest.starts_with(&['/', '*']) {
            block_comment(rest)
        } else if let Some((length, text)) = string(rest) {
            // Attributes such as serde's `with` hide paths in strings.
            if text.starts_with("crate::") || text.starts_with("super::") {
                found.extend(tokens(&text).into_iter().map(|(token, _)| (token, line)));
            }
            length
        } else if rest[0] == '\'' {
            quote(rest)
        } else if rest[0].is_alphanumeric() || rest[0] == '_' {
            let length = rest.iter().take_while(|c| c.is_alphanumeric() || **c == '_').count();
            found.push((rest[..length].iter().collect(), line));
            length
        } else if rest.starts_with(&[':', ':']) {
            found.push(("::".into(), line));
            2
        } else {
            if !rest[0].is_whitespace() {
                found.push((rest[0].to_string(), line));
            }
            1
        };
        line += rest[..taken].iter().filter(|c| **c == '\n').count();
        at += taken;
    }
    found
}

/// Length of a block comment; they nest.
fn block_comment(rest: &[char]) -> usize {
    let (mut at, mut depth) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with(&['/', '*']) {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(&['*', '/']) {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += 1;
        }
    }
    at
}

/// Length and text of a string literal (plain, byte, C or raw) that starts here.
fn string(rest: &[char]) -> Option<(usize, String)> {
    let prefix = rest.iter().take(2).take_while(|c| matches!(c, 'b' | 'c' | 'r')).count();
    let raw = rest[..prefix].contains(&'r');
    let hashes = if raw { rest[prefix..].iter().take_while(|c| **c == '#').count() } else { 0 };
    let open = prefix + hashes;
    if rest.get(open) != Some(&'"') {
        return None;
    }
    let mut at = open + 1;
    while at < rest.len() {
        match rest[at] {
            '\\' if !raw => at += 2,
            '"' if rest[at + 1..].iter().take_while(|c| **c == '#').count() >= hashes => break,
            _ => at += 1,
        }
    }
    let end = at.min(rest.len());
    Some(((end + 1 + hashes).min(rest.len()), rest[open + 1..end].iter().collect()))
}

/// Length of a character literal, or of the mark that begins a lifetime.
fn quote(rest: &[char]) -> usize {
    match rest {
        [_, '\\', ..] => 3 + rest[3..].iter().take_while(|c| **c != '\'').count() + 1,
        [_, _, '\'', ..] => 3,
        _ => 1,
    }
}

/// One path as written, with groups opened: `a::{b, c::d}` is `a::b` and `a::c::d`.
pub struct Mention {
    /// Its parts.
    pub path: Vec<String>,
    /// The inline modules around it.
    pub inline: usize,
    /// Where it begins, from 1.
    pub line: usize,
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Reads one path at `at` into `into`; returns the index behind it.
fn path_at(
    all: &[(String, usize)],
    at: usize,
    prefix: &[String],
    inline: usize,
    into: &mut Vec<Mention>,
) -> usize {
    let (mut path, line, mut next) = (prefix.to_vec(), all[at].1, at);
    loop {
        match all.get(next).map(|(token, _)| token.as_str()) {
            Some("{") if next > at || !prefix.is_empty() => {
                next += 1;
                while next < all.len() && all[next].0 != "}" {
                    let token = all[next].0.as_str();
                    let starts = (is_name(token) && token != "as") || token == "{" || token == "*";
                    next = if starts { path_at(all, next, &path, inline, into) } else { next + 1 };
                    if all.get(next).is_some_and(|(token, _)| token == "as") {
                        next += 2;
                    }
                }
                return next + 1;
            }
            Some(token) if is_name(token) || token == "*" => path.push(token.to_owned()),
            _ => break,
        }
        next += 1;
        if all.get(next).is_none_or(|(token, _)| token != "::") {
            break;
        }
        next += 1;
    }
    into.push(Mention { path, inline, line });
    next
}

/// Every path of a source.
pub fn mentions(source: &str) -> Vec<Mention> {
    let all = tokens(source);
    let (mut found, mut inline, mut depth, mut at) = (Vec::new(), Vec::new(), 0usize, 0);
    while at < all.len() {
        let token = all[at].0.as_str();
        let before = if at == 0 { "" } else { all[at - 1].0.as_str() };
        match token {
            "mod" if all.get(at + 2).is_some_and(|(token, _)| token == "{") => {
                depth += 1;
                inline.push(depth);
                at += 3;
                continue;
            }
            "{" => depth += 1,
            "}" => {
                if inline.last() == Some(&depth) {
                    inline.pop();
                }
                depth = depth.saturating_sub(1);
            }
            // `pub(crate)` and `#[serde(crate = …)]` import nothing.
            "crate" if before == "(" && all.get(at + 1).is_none_or(|(token, _)| token != "::") => {}
            _ if is_name(token) && before != "." => {
                at = path_at(&all, at, &[], inline.len(), &mut found);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}
