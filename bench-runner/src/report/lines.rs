//! Sentences: broken into lines of a width, and with the right plural. Knows words, not results.

/// Lines of at most `width` characters; a word that is longer stands alone.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("never empty");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

/// `1 cell`, `2 cells`.
pub fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_full_and_no_word_is_lost() {
        assert_eq!(wrapped("ab cd  ef gh", 5), ["ab cd", "ef gh"]);
        assert_eq!(wrapped("a longword b", 4), ["a", "longword", "b"]);
    }

    #[test]
    fn one_is_no_plural() {
        assert_eq!((counted(1, "cell"), counted(0, "cell")), ("1 cell".into(), "0 cells".into()));
    }
}
