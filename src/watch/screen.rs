//! The moving plot in the terminal: answers per second for each server, and what was lost, the newest second at the right.
//!
//! All plots have one scale, the rate that is asked at, so that shares can be compared by eye. The terminal is given back as it was
//! when this is dropped, and by ratatui's hook when the program panics.

use std::io;
use std::time::Duration;

use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Sparkline};
use ratatui::{DefaultTerminal, Frame};

use super::Settings;
use super::tally::{Row, Tally};

/// Told apart on dark and on light ground, and never the one of the losses.
const COLORS: [Color; 5] = [Color::Green, Color::Blue, Color::Yellow, Color::Magenta, Color::Cyan];
const LOST: Color = Color::Red;
/// A plot lower than this, with its title, shows nothing.
const LOWEST_PLOT: u16 = 3;

/// The terminal while it belongs to us.
#[derive(Debug)]
pub(super) struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self {
            terminal: ratatui::try_init()?,
        })
    }

    pub(super) fn draw(&mut self, settings: &Settings, tally: &Tally) -> io::Result<()> {
        self.terminal.draw(|frame| render(frame, settings, tally)).map(drop)
    }

    /// Somebody pressed q, Escape or Ctrl-C, which in this mode of the terminal is a key like any other.
    #[allow(clippy::unused_self, reason = "only who has the terminal may read its keys")]
    pub(super) fn is_closed(&self) -> io::Result<bool> {
        while event::poll(Duration::ZERO)? {
            if let Event::Key(key) = event::read()? {
                let interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
                if interrupt || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

fn render(frame: &mut Frame<'_>, settings: &Settings, tally: &Tally) {
    let last = tally.history().next_back().cloned().unwrap_or_default();
    let plots = last.by_server.len() + 1;
    let areas = Layout::vertical([Constraint::Length(1), Constraint::Fill(1), Constraint::Length(1)]).split(frame.area());
    frame.render_widget(headline(settings), areas[0]);
    let fitting = usize::from(areas[1].height / LOWEST_PLOT).clamp(1, plots);
    let rows = Layout::vertical(vec![Constraint::Fill(1); fitting]).split(areas[1]);
    // What does not fit is left out above; the losses are always there.
    let servers = last.by_server.keys().enumerate().skip(plots - fitting);
    for ((number, name), area) in servers.zip(rows.iter()) {
        let answers = |row: &Row| row.by_server.get(name).copied().unwrap_or_default();
        let title = format!(" {name}  {}/s  {} ", answers(&last), share(answers(&last), last.answered));
        plot(frame, *area, tally, settings, title, COLORS[number % COLORS.len()], answers);
    }
    let title = format!(" lost  {}/s  gap {} ms ", last.lost, last.gap.as_millis());
    plot(frame, rows[fitting - 1], tally, settings, title, LOST, |row| row.lost);
    frame.render_widget(footline(tally), areas[2]);
}

fn headline(settings: &Settings) -> Line<'static> {
    Line::from(vec![
        Span::from(" heraldns watch ").bold().reversed(),
        Span::from(format!(
            " {} asked {} times a second from {} ports",
            settings.service, settings.rate, settings.ports
        )),
    ])
}

fn footline(tally: &Tally) -> Line<'static> {
    let totals = tally.totals();
    let text = format!(
        " in all: sent {}, answered {}, lost {}, longest gap {} ms     q ends",
        totals.sent,
        totals.answered,
        totals.lost,
        totals.gap.as_millis()
    );
    Line::from(text).dim()
}

fn plot(frame: &mut Frame<'_>, area: Rect, tally: &Tally, settings: &Settings, title: String, color: Color, value: impl Fn(&Row) -> u64) {
    let width = usize::from(area.width);
    let seconds = tally.history().len().min(width);
    let empty = std::iter::repeat_n(0, width - seconds);
    let values = tally.history().skip(tally.history().len() - seconds).map(value);
    let sparkline = Sparkline::default()
        .block(Block::new().borders(Borders::TOP).title(title))
        .data(empty.chain(values))
        .max(settings.rate.into())
        .style(Style::new().fg(color));
    frame.render_widget(sparkline, area);
}

fn share(part: u64, whole: u64) -> String {
    format!("{} %", (part * 100).checked_div(whole).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::base::time::Timestamp;

    /// A second of s1 alone, one of s1 and s2, one without any answer.
    fn three_seconds() -> Tally {
        let mut tally = Tally::new(1);
        let mut id = 0;
        for (second, servers) in [[Some("s1"), Some("s1")], [Some("s1"), Some("s2")], [None, None]]
            .into_iter()
            .enumerate()
        {
            for server in servers {
                let now = Timestamp::from_secs(second as u64);
                tally.asked(0, id, now);
                if server.is_some() {
                    tally.answered(0, id, server);
                }
                id += 1;
            }
            tally.end_second(Timestamp::from_secs(second as u64 + 1));
        }
        tally
    }

    fn drawn(width: u16, height: u16) -> String {
        let settings = Settings {
            service: "[2001:db8:5::53]:53".parse().unwrap(),
            rate: 2,
            ports: 1,
            seconds: None,
            plain: false,
        };
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| render(frame, &settings, &three_seconds())).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn the_newest_second_is_at_the_right_and_all_plots_have_one_scale() {
        insta::assert_snapshot!(drawn(60, 14), @r#"
        " heraldns watch  [2001:db8:5::53]:53 asked 2 times a second "
        " s1  0/s  0 % ──────────────────────────────────────────────"
        "                                                         █  "
        "                                                         █▄ "
        "                                                         ██ "
        " s2  0/s  0 % ──────────────────────────────────────────────"
        "                                                            "
        "                                                          ▄ "
        "                                                          █ "
        " lost  2/s  gap 0 ms ───────────────────────────────────────"
        "                                                           █"
        "                                                           █"
        "                                                           █"
        " in all: sent 6, answered 4, lost 2, longest gap 0 ms     q "
        "#);
    }

    #[test]
    fn the_losses_are_shown_on_the_smallest_screen() {
        for (width, height) in [(20, 5), (1, 1), (300, 6)] {
            let drawn = drawn(width, height);
            assert!(height < 5 || drawn.contains("lost"), "{drawn}");
        }
    }
}
