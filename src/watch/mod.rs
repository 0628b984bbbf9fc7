//! `heraldns watch`: a load of one's own that asks a service address all the time and shows which servers answer.
//!
//! It asks `id.server. CH TXT` (RFC 4892), to which every server answers with its name, at a set rate from many source
//! ports, as many clients would. `tally` counts, `asker` has the sockets, `screen` and `lines` show. It knows nothing
//! of the servers but their answers, so it works for any program that answers this question.

mod asker;
mod lines;
mod screen;
pub mod tally;

use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::time::Duration;

use self::asker::Asker;
use self::screen::Screen;
use self::tally::{Row, Tally, Totals};
use crate::io::clock;
use crate::io::process::{Asked, Signals};

const SECOND: Duration = Duration::from_secs(1);
/// How long a key on the keyboard may go unnoticed.
const KEY_PATIENCE: Duration = Duration::from_millis(50);

/// What is asked, how often, from how many ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The service address and its port.
    pub service: SocketAddr,
    /// Queries a second.
    pub rate: u32,
    /// Source ports, asked from in turn.
    pub ports: u16,
    /// Ends after so many seconds.
    pub seconds: Option<u32>,
    /// A line a second even on a terminal.
    pub plain: bool,
}

/// Why there is nothing to watch.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// A socket could not be opened.
    #[error("no socket to ask {service} from: {error}")]
    Socket {
        /// What was to be asked.
        service: SocketAddr,
        /// The kernel's answer.
        error: io::Error,
    },
    /// The screen could not be drawn.
    #[error("the terminal cannot be used: {0}: --plain prints a line a second")]
    Terminal(io::Error),
    /// The system refused something else.
    #[error("the system refuses: {0}")]
    System(#[from] io::Error),
}

/// Asks and shows until told to stop, or for the set time; then waits for the last answers.
///
/// # Errors
/// [`WatchError`].
pub fn watch(settings: &Settings) -> Result<Totals, WatchError> {
    let signals = Signals::open()?;
    let mut asker = Asker::open(settings).map_err(|error| WatchError::Socket {
        service: settings.service,
        error,
    })?;
    let mut tally = Tally::new(settings.ports.into());
    let mut view = View::open(settings)?;
    let begin = clock::now();
    let mut shown = 0;
    loop {
        let now = clock::now();
        asker.ask_what_is_due(now.since(begin), &mut tally)?;
        if now >= begin + SECOND * (shown + 1) {
            shown += 1;
            let row = tally.end_second(now);
            view.show(settings, &tally, &row)?;
        }
        if settings.seconds.is_some_and(|seconds| shown >= seconds) || is_told_to_stop(&signals)? || view.is_closed()? {
            break;
        }
        let next = asker.next_due().min(SECOND * (shown + 1));
        let pause = next.saturating_sub(clock::now().since(begin));
        asker.receive(pause.min(view.patience()), &mut tally)?;
    }
    drop(view);
    let ended = clock::now();
    while tally.is_waiting() && clock::now() < ended + tally::PATIENCE {
        asker.receive(KEY_PATIENCE, &mut tally)?;
    }
    Ok(tally.totals_at(ended + tally::PATIENCE))
}

fn is_told_to_stop(signals: &Signals) -> io::Result<bool> {
    Ok(matches!(signals.next_asked()?, Some(Asked::Stop(_))))
}

/// Where it is shown.
#[derive(Debug)]
enum View {
    Lines,
    Screen(Box<Screen>),
}

impl View {
    fn open(settings: &Settings) -> Result<Self, WatchError> {
        if settings.plain || !io::stdout().is_terminal() {
            return Ok(Self::Lines);
        }
        let screen = Screen::open().map_err(WatchError::Terminal)?;
        Ok(Self::Screen(Box::new(screen)))
    }

    fn show(&mut self, settings: &Settings, tally: &Tally, row: &Row) -> Result<(), WatchError> {
        match self {
            Self::Lines => Ok(lines::print(clock::wall_clock(), row)?),
            Self::Screen(screen) => screen.draw(settings, tally).map_err(WatchError::Terminal),
        }
    }

    /// Somebody pressed the key that ends it.
    fn is_closed(&self) -> Result<bool, WatchError> {
        match self {
            Self::Lines => Ok(false),
            Self::Screen(screen) => screen.is_closed().map_err(WatchError::Terminal),
        }
    }

    const fn patience(&self) -> Duration {
        match self {
            Self::Lines => SECOND,
            Self::Screen(_) => KEY_PATIENCE,
        }
    }
}
