//! Cookies between servers of different make, as an anycast set may have them, and with the clients that people use.
//!
//! All servers have one secret. Each makes a cookie, and every other one has to take it (RFC 9018 §1).

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::{Name, RecordType};
use tempfile::TempDir;

use crate::servers::{Program, Server, ZoneFile};

const SECRET: &str = "00112233445566778899aabbccddeeff";
const CLIENT_COOKIE: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];
const ZONE: &str = "$TTL 60\n@ SOA ns host 1 2 3 4 5\n@ NS ns\nns A 192.0.2.53\n";
const NAME: &str = "ns.cookie.test.";

/// The COOKIE option's number.
const COOKIE: u16 = 10;

fn start(programs: &[Program]) -> (TempDir, Vec<Server>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cookie.test.zone");
    fs::write(&file, ZONE).unwrap();
    let zones = [ZoneFile {
        apex: "cookie.test".to_owned(),
        file,
        original: None,
    }];
    let start = |program: &Program| Server::start_with_cookies(*program, &zones, folder.path(), Some(SECRET));
    let mut servers: Vec<Server> = programs.iter().map(start).collect();
    servers.iter_mut().for_each(Server::wait);
    (folder, servers)
}

/// The response code that a server gives to this cookie, and the cookie that comes back.
fn ask(server: SocketAddr, cookie: &[u8]) -> (ResponseCode, Vec<u8>) {
    let mut query = Message::new(1, MessageType::Query, OpCode::Query);
    query.add_query(Query::query(Name::from_ascii(NAME).unwrap(), RecordType::A));
    query.set_edns(Edns::new());
    let option = EdnsOption::Unknown(COOKIE, cookie.to_vec());
    query.edns.as_mut().unwrap().options_mut().insert(option);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.connect(server).unwrap();
    socket.send(&query.to_vec().unwrap()).unwrap();
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).unwrap();
    let answer = Message::from_vec(&buffer[..length]).unwrap();
    let options = answer
        .edns
        .as_ref()
        .map(|edns| edns.options().as_ref().to_vec())
        .unwrap_or_default();
    let cookie = options.into_iter().find(|(code, _)| u16::from(*code) == COOKIE);
    let cookie = cookie.map_or(Vec::new(), |(_, option)| (&option).try_into().unwrap());
    (answer.metadata.response_code, cookie)
}

/// Every server takes the cookies of every other one, and no false one.
pub(crate) fn exchange_between_servers() -> Result<(), String> {
    let (_folder, servers) = start(&Program::ALL);
    let mut taken = 0;
    for maker in &servers {
        let (_, cookie) = ask(maker.address, &CLIENT_COOKIE);
        if cookie.len() != 24 {
            return Err(format!("{} makes a cookie of {} octets", maker.program.name(), cookie.len()));
        }
        let mut false_cookie = cookie.clone();
        false_cookie[23] ^= 1;
        for taker in &servers {
            let pair = format!("{} for a cookie of {}", taker.program.name(), maker.program.name());
            let (code, _) = ask(taker.address, &cookie);
            if code != ResponseCode::NoError {
                return Err(format!("{code} from {pair}"));
            }
            let (code, _) = ask(taker.address, &false_cookie);
            // NSD has no means to require cookies.
            if taker.program != Program::Nsd && code != ResponseCode::BADCOOKIE {
                return Err(format!("{code} from {pair} that was changed"));
            }
            taken += 1;
        }
    }
    println!("  {taken} pairs of servers take each other's cookies");
    Ok(())
}

/// `dig` and `kdig` get their answer from a server that requires cookies: they come again with the one that they were given.
pub(crate) fn exchange_with_clients() -> Result<(), String> {
    let (folder, servers) = start(&[Program::Heraldns]);
    let port = servers[0].address.port().to_string();
    let run = |program: &str, arguments: &[&str]| said(folder.path(), program, &port, arguments);
    let dig = run("dig", &["+cookie"])?;
    for expected in ["BADCOOKIE, retrying", "status: NOERROR", "(good)", "192.0.2.53"] {
        expect(&dig, expected)?;
    }
    let kdig = run("kdig", &["+cookie", "+badcookie"])?;
    for expected in ["status: NOERROR", "192.0.2.53"] {
        expect(&kdig, expected)?;
    }
    // Without a second try both show what they were told.
    expect(&run("dig", &["+cookie", "+nobadcookie"])?, "status: BADCOOKIE")?;
    expect(&run("kdig", &["+cookie", "+nobadcookie"])?, "status: BADCOOKIE")?;
    // The other options, in the words of another implementation.
    let over_tcp = run("dig", &["+tcp", "+keepalive", "+nsid"])?;
    expect(&over_tcp, "TCP KEEPALIVE: 10.0 secs")?;
    expect(&over_tcp, "(\"d1\")")?;
    let elsewhere = said(folder.path(), "dig", &port, &["elsewhere.test"])?;
    expect(&elsewhere, "EDE: 20 (Not Authoritative)")
}

fn said(folder: &Path, program: &str, port: &str, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(["@127.0.0.1", "-p", port, NAME, "A"]).args(arguments);
    let output = command.current_dir(folder).env("HOME", folder).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn expect(said: &str, expected: &str) -> Result<(), String> {
    if said.contains(expected) {
        Ok(())
    } else {
        Err(format!("'{expected}' was expected in:\n{said}"))
    }
}
