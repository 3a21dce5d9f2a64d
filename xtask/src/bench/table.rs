//! Tables as text that is also Markdown.

use std::fmt;

/// Columns are as wide as what is in them; all but the first are aligned to the right.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new<const N: usize>(header: [&str; N]) -> Self {
        Self { rows: vec![header.map(String::from).into()] }
    }

    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |column| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell: &String| cell.chars().count()).max().unwrap_or(0).max(2)
        };
        (0..columns).map(width).collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        for (index, row) in self.rows.iter().enumerate() {
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                match column {
                    0 => write!(f, "| {cell:<width$} |")?,
                    _ => write!(f, " {cell:>width$} |")?,
                }
            }
            writeln!(f)?;
            if index == 0 {
                rule(f, &widths)?;
            }
        }
        Ok(())
    }
}

fn rule(f: &mut fmt::Formatter<'_>, widths: &[usize]) -> fmt::Result {
    for (column, width) in widths.iter().enumerate() {
        let line = "-".repeat(width - 1);
        if column == 0 { write!(f, "| {line}- |")? } else { write!(f, " {line}: |")? }
    }
    writeln!(f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(["what", "ns"]);
        table.row(["a".to_owned(), "1.0".to_owned()]);
        table.row(["longer µ".to_owned(), "20.5".to_owned()]);
        let expected = "\
| what     |   ns |
| -------- | ---: |
| a        |  1.0 |
| longer µ | 20.5 |
";
        assert_eq!(table.to_string(), expected);
    }
}
