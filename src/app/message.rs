//! What other threads tell the herald loop, and the inbox they tell it through.

use std::sync::mpsc::{self, Receiver, Sender};

use tokio::sync::oneshot;

use crate::control::{Command, Measurements, Reply};
use crate::io::driver::Waker;

/// Something for the herald loop.
pub(super) enum Message {
    /// An operator's command.
    Command(Command, oneshot::Sender<Reply>),
    /// The numbers for `/metrics`.
    Measure(oneshot::Sender<Measurements>),
}

/// The way into the herald loop from any thread.
#[derive(Clone)]
pub(super) struct Inbox {
    sender: Sender<Message>,
    waker: Waker,
}

impl Inbox {
    /// The inbox of the loop that `waker` wakes, and where that loop reads it.
    pub(super) fn new(waker: Waker) -> (Self, Receiver<Message>) {
        let (sender, receiver) = mpsc::channel();
        (Self { sender, waker }, receiver)
    }

    /// Hands a message over. After the loop has ended it is dropped, and with it the way to reply: the asker sees that.
    pub(super) fn put(&self, message: Message) {
        if self.sender.send(message).is_ok() {
            self.waker.wake();
        }
    }
}
