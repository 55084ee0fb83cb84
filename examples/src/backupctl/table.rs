//! Aligned columns.

/// Rows under a head. The last column is the free one: it is not padded, and cut where a terminal ends; no other ever is.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    right: &'static [usize],
}

impl Table {
    /// A table with these heads; the columns `right` are numbers.
    pub(super) fn new(head: &[&str], right: &'static [usize]) -> Self {
        Self { rows: vec![head.iter().map(|&text| text.to_owned()).collect()], right }
    }

    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.iter().map(|cell| clean(cell)).collect());
    }

    /// The lines, at most `width` letters long if the free column can be cut for it.
    pub(super) fn lines(&self, width: Option<usize>) -> Vec<String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|column| self.rows.iter().filter_map(|row| row.get(column)).map(|cell| letters(cell)).max().unwrap_or(0))
            .collect();
        self.rows.iter().map(|row| self.line(row, &widths, width)).collect()
    }

    fn line(&self, row: &[String], widths: &[usize], width: Option<usize>) -> String {
        let mut line = String::new();
        for (column, (cell, wide)) in row.iter().zip(widths).enumerate() {
            if column > 0 {
                line.push_str("  ");
            }
            if column + 1 == widths.len() {
                line.push_str(&cut(cell, width.map(|width| width.saturating_sub(letters(&line)))));
                continue;
            }
            let space = " ".repeat(wide.saturating_sub(letters(cell)));
            let (before, after) = if self.right.contains(&column) { (space.as_str(), "") } else { ("", space.as_str()) };
            line.extend([before, cell, after]);
        }
        line.trim_end().to_owned()
    }
}

fn letters(text: &str) -> usize {
    text.chars().count()
}

fn cut(text: &str, width: Option<usize>) -> String {
    match width {
        // Less than that says nothing.
        Some(width) if width >= 8 && letters(text) > width => text.chars().take(width - 1).chain(['…']).collect(),
        _ => text.to_owned(),
    }
}

/// Text from a repository on one line, without what a terminal would take for a command.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

/// `3 d ago`: how long ago something was, in one unit.
pub(super) fn ago(now: chrono::DateTime<chrono::Utc>, then: chrono::DateTime<chrono::Utc>) -> String {
    let seconds = (now - then).num_seconds();
    let (count, unit) = match seconds {
        ..0 => return "in the future".to_owned(),
        0..60 => (seconds, "s"),
        60..3600 => (seconds / 60, "min"),
        3600..172_800 => (seconds / 3600, "h"),
        _ => (seconds / 86400, "d"),
    };
    format!("{count} {unit} ago")
}

/// `2026-11-21 09:30:00Z`.
pub(super) fn instant(time: chrono::DateTime<chrono::Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_only_the_last_one_is_cut() {
        let mut table = Table::new(&["ID", "SIZE", "NOTES"], &[1]);
        table.row(["20261121T093000123Z-1f0c9a2b".into(), "1.5 kB".into(), "a long, long note".into()]);
        table.row(["é".into(), "12.0 MB".into(), "\x1b[31mred\nline".into()]);
        let lines = table.lines(None);
        assert_eq!(lines[0], "ID                               SIZE  NOTES");
        assert_eq!(lines[1], "20261121T093000123Z-1f0c9a2b   1.5 kB  a long, long note");
        assert_eq!(lines[2], "é                             12.0 MB  \u{fffd}[31mred\u{fffd}line");
        assert_eq!(table.lines(Some(50))[1], "20261121T093000123Z-1f0c9a2b   1.5 kB  a long, lo…");
        assert_eq!(table.lines(Some(20))[1], lines[1], "nothing to cut there");
    }

    #[test]
    fn ages_have_one_unit() {
        let now: chrono::DateTime<chrono::Utc> = "2026-11-21T12:00:00Z".parse().unwrap();
        let before = |seconds| ago(now, now - chrono::TimeDelta::seconds(seconds));
        assert_eq!([before(0), before(59), before(3599), before(3600)], ["0 s ago", "59 s ago", "59 min ago", "1 h ago"]);
        assert_eq!([before(172_799), before(172_800), before(-5)], ["47 h ago", "2 d ago", "in the future"]);
    }
}
