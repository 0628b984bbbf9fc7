//! The manual's pictures of the status page, taken of running servers: no test, made anew by `LAB_PICTURES=docs/pictures`.

use std::net::{Ipv6Addr, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::harness::browser::Browser;
use crate::harness::clock::let_pass;
use crate::harness::network::Network;
use crate::harness::probe::{Probe, question};
use crate::harness::server::{Server, Setup};
use crate::status_page::{LoneServer, URL, holder_of};

const SOON: Duration = Duration::from_secs(10);
const WIDE: (u32, u32) = (1280, 800);
const PHONE: (u32, u32) = (360, 740);

/// Writes all pictures into `folder`; takes some minutes, because the plots are to show something.
pub(crate) fn take(folder: &Path) {
    take_alone(folder);
    take_turns(folder);
    take_drain(folder);
}

/// What somebody sees who starts the program in its folder, without a configuration.
fn take_alone(folder: &Path) {
    let network = Network::new(1);
    let server = LoneServer::start(&network.hosts[0], "ns1");
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| ask_the_lone_server(&network, &stop));
        let_pass(Duration::from_secs(45));
        let browser = Browser::open(&network.hosts[0].namespace, URL);
        picture(&browser, WIDE, "light", &folder.join("alone-light.png"));
        stop.store(true, Ordering::Relaxed);
    });
    drop(server);
}

/// Some hundred queries a second, now more, now fewer.
fn ask_the_lone_server(network: &Network, stop: &AtomicBool) {
    network.hosts[0].namespace.enter(|| {
        let socket = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).expect("a socket");
        for number in (0..=u16::MAX).cycle().take_while(|_| !stop.load(Ordering::Relaxed)) {
            let _nobody_listens_yet = socket.send_to(&question(number), (Ipv6Addr::LOCALHOST, 5300));
            let wave = (f64::from(number) / 900.0).sin() + 0.4 * (f64::from(number) / 170.0).sin();
            let_pass(Duration::from_secs_f64(0.006 - 0.003 * wave));
        }
    });
}

fn take_turns(folder: &Path) {
    let network = Network::new(3);
    let setup = Setup {
        capacity: 1_000,
        ..Setup::rotate("3s")
    };
    let servers = Server::start_on_all(&network, &setup);
    let _probe = Probe::start(&network.client, 400);
    let_pass(Duration::from_secs(75));
    let browser = Browser::open(&servers[0].host.namespace, URL);
    browser.run("document.querySelector('#window input').click()");
    picture(&browser, WIDE, "dark", &folder.join("turns-dark.png"));
}

fn take_drain(folder: &Path) {
    let network = Network::new(3);
    let setup = Setup {
        capacity: 1_000,
        ..Setup::failover()
    };
    let servers = Server::start_on_all(&network, &setup);
    let holder = &servers[holder_of(&servers)];
    let _probe = Probe::start(&network.client, 250);
    let_pass(Duration::from_secs(60));
    let more = Probe::start(&network.client, 200);
    let_pass(Duration::from_secs(40));
    drop(more);
    let_pass(Duration::from_secs(20));
    let browser = Browser::open(&holder.host.namespace, URL);
    picture(&browser, WIDE, "light", &folder.join("three-light.png"));
    picture(&browser, WIDE, "dark", &folder.join("three-dark.png"));
    holder.drain();
    let_pass(Duration::from_secs(20));
    picture(&browser, WIDE, "light", &folder.join("drain-light.png"));
    picture(&browser, PHONE, "dark", &folder.join("drain-phone.png"));
}

fn picture(browser: &Browser<'_>, (width, height): (u32, u32), scheme: &str, file: &Path) {
    browser.look_like(width, height, scheme);
    browser.wait_for(SOON, "everything is shown at this width", &format!(
        "return document.querySelector('#decisions li') !== null && document.querySelector('#zones td') !== null \
        && innerWidth === {width} && Math.abs(document.querySelector('#rate svg').viewBox.baseVal.width - document.querySelector('#rate svg').clientWidth) < 1"
    ));
    browser.picture(file);
}
