//! What somebody most likely meant.

/// The one of `known` that is `written` but for a slip or two, `None` when nothing is that near.
pub(super) fn nearest<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    let allowed = (written.chars().count() / 3).clamp(1, 2);
    let near = known.iter().map(|candidate| (distance(written, candidate), *candidate));
    near.filter(|(distance, _)| *distance <= allowed).min().map(|(_, candidate)| candidate)
}

/// How many letters have to be put in, taken out, or changed (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, letter) in from.chars().enumerate() {
        let mut above_left = line;
        let mut left = line + 1;
        let mut next = vec![left];
        for (column, other) in to.iter().enumerate() {
            let above = row.get(column + 1).copied().unwrap_or(usize::MAX - 1);
            left = (above + 1).min(left + 1).min(above_left + usize::from(letter != *other));
            next.push(left);
            above_left = above;
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_what_was_meant_and_another_word_does_not() {
        let known = ["rotate", "listen", "etcd", "store"];
        assert_eq!(nearest("rotat", &known), Some("rotate"));
        assert_eq!(nearest("lsiten", &known), Some("listen"));
        assert_eq!(nearest("etdc", &known), None);
        assert_eq!(nearest("etc", &known), Some("etcd"));
        assert_eq!(nearest("password", &known), None);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }
}
