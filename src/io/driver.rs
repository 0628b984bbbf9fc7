//! What machines run on: one thread, one epoll, no runtime. Opens their channels, sends, waits, hands back what came in.
//!
//! Nothing here knows a protocol. All waiting is in [`Driver::wait`]: until a deadline on CLOCK_BOOTTIME, a packet, a
//! [`Waker`] or another descriptor that was asked to be watched. A socket under a flood gets [`BUDGET`] datagrams a
//! turn, so that it cannot starve the others or the timers.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::io::Errno;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime};
use socket2::Socket;

use super::datagram::{Nothing, Receiver};
use super::port::Port;
pub use super::socket::OpenError;
use crate::base::machine::{Channel, Datagram, InterfaceState, OutDatagram, SendError};
use crate::base::time::Timestamp;

/// Datagrams that one socket is given before the others have their turn.
pub const BUDGET: usize = 64;
/// Descriptors that are looked at in one turn; the kernel rotates when more are ready.
const EVENTS: usize = 64;

/// An open channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(u32);

/// The caller's own number for a descriptor it asked to be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u32);

/// Something to be handled.
#[derive(Clone, Copy, Debug)]
pub enum Ready<'a> {
    /// A packet came in on a channel.
    Datagram(Handle, Datagram<'a>),
    /// A [`Waker`] was used, once or more often.
    Woken,
    /// A watched descriptor can be read.
    Descriptor(Token),
}

/// Ends a wait from any thread. Wakings before and during a wait count; several are told as one.
#[derive(Clone, Debug)]
pub struct Waker(Arc<OwnedFd>);

impl Waker {
    /// Ends the present wait, or the next one.
    pub fn wake(&self) {
        // It can fail only when 2^64 - 2 wakings are waiting: then waking is not needed.
        let _ = rustix::io::write(&*self.0, &1_u64.to_ne_bytes());
    }
}

/// The driver of all machines of one thread.
pub struct Driver {
    epoll: OwnedFd,
    timer: OwnedFd,
    armed: Option<Timestamp>,
    waker: Waker,
    /// By [`Handle`]; closed ones stay empty, so that a handle never means two channels.
    ports: Vec<Option<Port>>,
    receiver: Receiver,
    frame: Vec<u8>,
    /// Datagrams that were received and could not be used, or errors in place of one.
    unusable: u64,
}

impl Driver {
    /// A driver without channels.
    ///
    /// # Errors
    /// The kernel's, when it gives no epoll, eventfd or timerfd.
    pub fn new() -> io::Result<Self> {
        let driver = Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            timer: timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?,
            armed: None,
            waker: Waker(Arc::new(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?)),
            ports: Vec::new(),
            receiver: Receiver::default(),
            frame: Vec::new(),
            unusable: 0,
        };
        register(&driver.epoll, &driver.timer, Source::Timer)?;
        register(&driver.epoll, &driver.waker.0, Source::Waker)?;
        Ok(driver)
    }

    /// A handle with which other threads end a wait.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Opens the channels of one machine; the handles are in the order of its `ChannelId`s. All of them, or none.
    ///
    /// # Errors
    /// The first channel that cannot be opened, with place and cure.
    pub fn open(&mut self, channels: &[Channel]) -> Result<Vec<Handle>, OpenError> {
        let mut handles = Vec::with_capacity(channels.len());
        for channel in channels {
            match self.open_one(channel) {
                Ok(handle) => handles.push(handle),
                Err(error) => {
                    self.close(&handles);
                    return Err(error);
                }
            }
        }
        Ok(handles)
    }

    /// Closes channels; their groups are left. Their handles are never used again.
    pub fn close(&mut self, handles: &[Handle]) {
        for handle in handles {
            if let Some(port) = self.ports.get_mut(handle.0 as usize) {
                *port = None;
            }
        }
    }

    /// Tells the channels on the interface called `name` what it looks like now. Nothing can be sent before the first
    /// call, with what was read after the channels were opened; more calls than needed do no harm.
    ///
    /// A link that went down and up keeps its sockets and groups. One that vanished and came back has another index:
    /// its channels are opened again, which needs the capability they were opened with. Groups that the kernel forgot
    /// are joined again. True if either happened; `groups_held` has to be read again then.
    ///
    /// # Errors
    /// A channel that could not be restored, the others are; it is tried again at the next call.
    pub fn follow(&mut self, name: &str, state: &InterfaceState) -> Result<bool, OpenError> {
        let mut restored = Ok(false);
        for (number, port) in self.ports.iter_mut().enumerate() {
            let Some(port) = port.as_mut().filter(|port| port.interface() == name) else {
                continue;
            };
            port.follow(state);
            match restore(&self.epoll, port, number, state) {
                Ok(false) => {}
                Ok(true) => restored = restored.and(Ok(true)),
                Err(error) => restored = Err(error),
            }
        }
        restored
    }

    /// Sends now or not at all.
    ///
    /// # Errors
    /// Why not.
    pub fn send(&mut self, handle: Handle, datagram: &OutDatagram) -> Result<(), SendError> {
        let number = handle.0 as usize;
        let Some(port) = self.ports.get_mut(number).and_then(Option::as_mut) else {
            return Err(SendError::Kernel(Errno::BADF.raw_os_error()));
        };
        if port.lacks_socket_to(datagram.destination) {
            let socket = port.open_beyond().map_err(|error| SendError::Kernel(error.errno()))?;
            register(&self.epoll, &socket, Source::Beyond(handle.0)).map_err(|error| SendError::Kernel(error.raw_os_error()))?;
            port.beyond = Some(socket);
        }
        port.send(&mut self.frame, datagram)
    }

    /// Watches a descriptor of the caller's: [`Ready::Descriptor`] comes as long as it can be read.
    ///
    /// # Errors
    /// The kernel's, for a descriptor that cannot be watched or is watched already.
    pub fn watch(&self, descriptor: impl AsFd, token: Token) -> io::Result<()> {
        Ok(register(&self.epoll, descriptor, Source::Descriptor(token.0))?)
    }

    /// Ends a watch. Closing the descriptor does it too.
    ///
    /// # Errors
    /// The kernel's, for a descriptor that is not watched.
    pub fn unwatch(&self, descriptor: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, descriptor)?)
    }

    /// Datagrams that came and could not be used, and errors that sockets reported in place of one.
    #[must_use]
    pub fn unusable(&self) -> u64 {
        self.unusable
    }

    /// Waits for something to handle, at most until `deadline`, and hands over what there is, a bounded amount of it.
    ///
    /// Returns also when there was nothing: look at the clock and at the machines' deadlines, then wait again.
    ///
    /// # Errors
    /// The kernel's, when waiting itself fails.
    pub fn wait(&mut self, deadline: Option<Timestamp>, mut receive: impl FnMut(Ready<'_>)) -> io::Result<()> {
        self.arm(deadline)?;
        let mut events = [const { MaybeUninit::uninit() }; EVENTS];
        let ready = match epoll::wait(&self.epoll, &mut events, None) {
            Ok((ready, _)) => ready,
            Err(Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for event in ready {
            self.dispatch(Source::from_word(event.data.u64()), &mut receive);
        }
        Ok(())
    }

    fn open_one(&mut self, channel: &Channel) -> Result<Handle, OpenError> {
        let port = Port::open(channel)?;
        let number = self.ports.len();
        listen(&self.epoll, &port, number)?;
        self.ports.push(Some(port));
        Ok(Handle(number as u32))
    }

    fn arm(&mut self, deadline: Option<Timestamp>) -> io::Result<()> {
        if self.armed != deadline {
            set_timer(&self.timer, deadline)?;
            self.armed = deadline;
        }
        Ok(())
    }

    fn dispatch(&mut self, source: Source, receive: &mut impl FnMut(Ready<'_>)) {
        match source {
            // Reading it makes it silent until it is armed again.
            Source::Timer => {
                read_counter(&self.timer);
                self.armed = None;
            }
            Source::Waker => {
                read_counter(&self.waker.0);
                receive(Ready::Woken);
            }
            Source::Descriptor(number) => receive(Ready::Descriptor(Token(number))),
            Source::Link(number) => self.receive(number, |port| Some(&port.socket), receive),
            Source::Beyond(number) => self.receive(number, |port| port.beyond.as_ref(), receive),
        }
    }

    fn receive(&mut self, number: u32, socket: impl Fn(&Port) -> Option<&Socket>, receive: &mut impl FnMut(Ready<'_>)) {
        let Some(socket) = self.ports.get(number as usize).and_then(Option::as_ref).and_then(socket) else {
            return;
        };
        for _ in 0..BUDGET {
            match self.receiver.receive(socket) {
                Ok(datagram) => receive(Ready::Datagram(Handle(number), datagram)),
                Err(Nothing::Empty) => return,
                Err(Nothing::Unusable | Nothing::Kernel(_)) => self.unusable += 1,
            }
        }
    }
}

/// Mends what the port has lost by a change of its link; false if that is nothing.
fn restore(epoll: &OwnedFd, port: &mut Port, number: usize, state: &InterfaceState) -> Result<bool, OpenError> {
    if port.is_on_another_interface(state) {
        port.reopen()?;
        listen(epoll, port, number)?;
        return Ok(true);
    }
    if port.has_lost_groups(state) {
        port.join_again()?;
        return Ok(true);
    }
    Ok(false)
}

/// Listens to the socket on the port's link.
fn listen(epoll: &OwnedFd, port: &Port, number: usize) -> Result<(), OpenError> {
    if !port.receives() {
        return Ok(());
    }
    register(epoll, &port.socket, Source::Link(number as u32)).map_err(|error| OpenError::Kernel {
        what: "waiting for packets",
        interface: port.interface().to_owned(),
        source: error.into(),
    })
}

fn register(epoll: &OwnedFd, descriptor: impl AsFd, source: Source) -> rustix::io::Result<()> {
    epoll::add(
        epoll,
        descriptor,
        epoll::EventData::new_u64(source.into_word()),
        epoll::EventFlags::IN,
    )
}

/// Sets `timer` to expire once at `deadline`, or never.
fn set_timer(timer: impl AsFd, deadline: Option<Timestamp>) -> rustix::io::Result<()> {
    // Zero would disarm it; a deadline at the clock's start is over as much as one a microsecond later.
    let micros = deadline.map_or(0, |deadline| deadline.as_micros().max(1));
    let value = Timespec {
        tv_sec: (micros / 1_000_000) as i64,
        tv_nsec: (micros % 1_000_000 * 1_000) as i64,
    };
    let once = Itimerspec {
        it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
        it_value: value,
    };
    timerfd_settime(timer, TimerfdTimerFlags::ABSTIME, &once).map(|_| ())
}

/// Empties an eventfd or a timerfd; that it was empty already is no error.
fn read_counter(counter: impl AsFd) {
    let mut count = [0_u8; 8];
    let _ = rustix::io::read(counter, &mut count[..]);
}

/// What an epoll event is about; travels through the kernel as one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Timer,
    Waker,
    Link(u32),
    Beyond(u32),
    Descriptor(u32),
}

impl Source {
    const fn into_word(self) -> u64 {
        let (kind, number) = match self {
            Self::Timer => (0, 0),
            Self::Waker => (1, 0),
            Self::Link(number) => (2, number),
            Self::Beyond(number) => (3, number),
            Self::Descriptor(number) => (4, number),
        };
        kind << 32 | number as u64
    }

    /// Reads what [`Self::into_word`] wrote.
    const fn from_word(word: u64) -> Self {
        let number = word as u32;
        match word >> 32 {
            0 => Self::Timer,
            1 => Self::Waker,
            2 => Self::Link(number),
            3 => Self::Beyond(number),
            _ => Self::Descriptor(number),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv6Addr, UdpSocket};
    use std::time::Duration;

    use super::*;
    use crate::io::clock;

    #[test]
    fn a_deadline_ends_a_wait_after_it_and_not_much() {
        let mut driver = Driver::new().unwrap();
        for micros in [0, 300, 2_500] {
            let deadline = clock::now() + Duration::from_micros(micros);
            driver.wait(Some(deadline), |ready| panic!("{ready:?}")).unwrap();
            assert!(clock::now() >= deadline);
        }
        driver.wait(Some(Timestamp::ZERO), |ready| panic!("{ready:?}")).unwrap();
    }

    #[test]
    fn wakings_before_a_wait_are_told_once() {
        let mut driver = Driver::new().unwrap();
        let waker = driver.waker();
        std::thread::spawn(move || {
            waker.wake();
            waker.wake();
        })
        .join()
        .unwrap();
        let mut woken = 0;
        driver
            .wait(None, |ready| woken += usize::from(matches!(ready, Ready::Woken)))
            .unwrap();
        driver.wait(Some(clock::now()), |ready| panic!("{ready:?}")).unwrap();
        assert_eq!(woken, 1);
    }

    #[test]
    fn a_watched_descriptor_is_told_until_it_is_read() {
        let mut driver = Driver::new().unwrap();
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        driver.watch(&reader, Token(7)).unwrap();
        rustix::io::write(&writer, b"x").unwrap();
        for _ in 0..2 {
            let mut tokens = Vec::new();
            driver
                .wait(None, |ready| {
                    if let Ready::Descriptor(token) = ready {
                        tokens.push(token)
                    }
                })
                .unwrap();
            assert_eq!(tokens, [Token(7)]);
        }
        driver.unwatch(&reader).unwrap();
        driver.wait(Some(clock::now()), |ready| panic!("{ready:?}")).unwrap();
    }

    #[test]
    fn a_flood_is_handed_over_in_portions_and_answered_beyond_the_link() {
        let other = UdpSocket::bind("[::1]:0").unwrap();
        let free = UdpSocket::bind("[::]:0").unwrap().local_addr().unwrap().port();
        let mut driver = Driver::new().unwrap();
        let channel = Channel::Udp {
            interface: "lo".into(),
            port: free,
            hop_limit: 77,
            groups: Vec::new(),
        };
        let handle = driver.open(&[channel]).unwrap()[0];
        for number in 0..=BUDGET {
            other.send_to(&[number as u8], (Ipv6Addr::LOCALHOST, free)).unwrap();
        }
        let mut portions = Vec::new();
        for _ in 0..2 {
            let mut portion = 0;
            driver
                .wait(None, |ready| {
                    let Ready::Datagram(from, datagram) = ready else {
                        panic!("{ready:?}")
                    };
                    assert_eq!(
                        (from, datagram.destination, datagram.source),
                        (handle, Ipv6Addr::LOCALHOST, Ipv6Addr::LOCALHOST)
                    );
                    assert_eq!(datagram.source_port, other.local_addr().unwrap().port());
                    assert_eq!((datagram.hop_limit, datagram.payload.len()), (64, 1));
                    portion += 1;
                })
                .unwrap();
            portions.push(portion);
        }
        assert_eq!(portions, [BUDGET, 1]);

        let answer = OutDatagram {
            source: None,
            destination: Ipv6Addr::LOCALHOST,
            port: other.local_addr().unwrap().port(),
            link_layer: None,
            payload: b"answer".to_vec(),
        };
        driver.send(handle, &answer).unwrap();
        let mut buffer = [0; 16];
        let (length, from) = other.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..length], from.port()), (&b"answer"[..], free));

        let group = OutDatagram {
            destination: "ff12::4844".parse().unwrap(),
            ..answer
        };
        assert_eq!(
            driver.send(handle, &group),
            Err(SendError::InterfaceDown),
            "nothing is known of the link yet"
        );
        driver.close(&[handle]);
        assert_eq!(driver.send(handle, &group), Err(SendError::Kernel(Errno::BADF.raw_os_error())));
    }

    #[test]
    fn a_channel_that_cannot_be_opened_takes_the_others_with_it() {
        let mut driver = Driver::new().unwrap();
        let channel = |interface: &str, port| Channel::Udp {
            interface: interface.into(),
            port,
            hop_limit: 255,
            groups: Vec::new(),
        };
        let error = driver.open(&[channel("lo", 0), channel("no-such-link", 0)]).unwrap_err();
        assert!(matches!(error, OpenError::NoInterface { interface } if interface == "no-such-link"));
        assert!(driver.ports.iter().all(Option::is_none));
    }

    #[test]
    fn drivers_and_wakers_can_be_given_to_another_thread() {
        fn is_send(_: &impl Send) {}
        let driver = Driver::new().unwrap();
        is_send(&driver);
        is_send(&driver.waker());
    }

    #[test]
    fn words_keep_what_they_are_about() {
        for source in [
            Source::Timer,
            Source::Waker,
            Source::Link(u32::MAX),
            Source::Beyond(3),
            Source::Descriptor(9),
        ] {
            assert_eq!(Source::from_word(source.into_word()), source);
        }
    }
}
