//! A line a second, for logs and other programs: `12:00:07 sent=300 answered=300 lost=0 gap=0ms | s1=300 s2=0`.
//!
//! Names of servers stand behind the bar, so that none can be taken for a count of this program.

use std::io::{self, Write};

use jiff::Timestamp;

use super::tally::Row;

/// Prints it, at once.
pub(super) fn print(time: Timestamp, row: &Row) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", line(time, row))?;
    out.flush()
}

fn line(time: Timestamp, row: &Row) -> String {
    let Row {
        sent,
        answered,
        lost,
        gap,
        by_server,
    } = row;
    let time = time.strftime("%H:%M:%S");
    let servers: String = by_server.iter().map(|(name, answers)| format!(" {name}={answers}")).collect();
    format!(
        "{time} sent={sent} answered={answered} lost={lost} gap={}ms |{servers}",
        gap.as_millis()
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_line_has_the_counts_before_the_bar_and_the_servers_behind_it() {
        let row = Row {
            sent: 300,
            answered: 299,
            lost: 1,
            gap: Duration::from_millis(212),
            by_server: BTreeMap::from([("s1".to_owned(), 299), ("s2".to_owned(), 0)]),
        };
        let time = Timestamp::from_second(3_607).unwrap();
        assert_eq!(line(time, &row), "01:00:07 sent=300 answered=299 lost=1 gap=212ms | s1=299 s2=0");
    }
}
