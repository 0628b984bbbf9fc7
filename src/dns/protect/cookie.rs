//! DNS cookies: what a client sends, what it gets back, and whether its server cookie is one of ours (RFC 7873, RFC 9018).
//!
//! A server cookie proves that the client receives what is sent to its address. All servers of an anycast set make and take
//! the same cookies when they have the same secrets. Time and secrets are handed in; nothing here reads a clock or a file.
//!
//! ```text
//!  0                 8        9         12          16               24
//! +-----------------+--------+---------+-----------+----------------+
//! |  client cookie  | ver. 1 | reserved| timestamp | SipHash-2-4    |   of all before it and the client's address
//! +-----------------+--------+---------+-----------+----------------+
//! ```

use std::fmt;
use std::net::IpAddr;

use siphasher::sip::SipHasher24;

/// Octets of a client cookie (RFC 7873 §4.1).
pub const CLIENT: usize = 8;
/// Octets of a server cookie as RFC 9018 makes it; other servers may make 8 to 32.
pub const SERVER: usize = 16;
/// Octets of a secret.
pub const SECRET: usize = 16;
/// More secrets than this would only make false cookies dearer to refuse: a roll-over needs two.
pub const MOST_SECRETS: usize = 4;

/// The only version there is (RFC 9018 §4.1).
const VERSION: u8 = 1;
/// An older cookie is not believed (RFC 9018 §4.3), in seconds.
const OLDEST: u32 = 3_600;
/// A cookie is believed so far ahead of our clock (RFC 9018 §4.3), in seconds.
const AHEAD: u32 = 300;
/// From this age on the client gets a new cookie (RFC 9018 §4.3), in seconds.
const RENEWED: u32 = 1_800;

/// What a client sends in its COOKIE option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie {
    client: [u8; CLIENT],
    server: ServerPart,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ServerPart {
    /// The client has none yet.
    Absent,
    /// One of our length.
    Ours([u8; SERVER]),
    /// One of a length that we do not make.
    Foreign,
}

impl Cookie {
    /// Reads the option's content; none if it has a length that no cookie has (RFC 7873 §5.2.2).
    #[must_use]
    pub fn from_option(octets: &[u8]) -> Option<Self> {
        let (client, server) = octets.split_first_chunk()?;
        let server = match server.len() {
            0 => ServerPart::Absent,
            8..=32 => server.try_into().map_or(ServerPart::Foreign, ServerPart::Ours),
            _ => return None,
        };
        Some(Self { client: *client, server })
    }
}

/// What a client's cookie is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Standing {
    /// It has no server cookie yet.
    New,
    /// Its server cookie is ours and in time: the client does receive at this address.
    Valid,
    /// Its server cookie is not ours, or out of time, or of another address.
    Invalid,
}

impl Standing {
    /// All of them, in the order in which they are counted.
    pub const ALL: [Self; 3] = [Self::New, Self::Valid, Self::Invalid];

    /// Its name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Valid => "valid",
            Self::Invalid => "invalid",
        }
    }
}

/// What comes of a client's cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// What it is worth.
    pub standing: Standing,
    /// The content of the COOKIE option that goes back: the client's cookie, and a server cookie that is good from now on.
    pub answer: [u8; CLIENT + SERVER],
}

/// The secrets that server cookies are made and checked with. Their octets show up nowhere, not in debug output either.
#[derive(Clone)]
pub struct Secrets {
    making: SipHasher24,
    /// For cookies that the secret before made, or the next one will: roll-over (RFC 9018 §5).
    checking: Vec<SipHasher24>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Secrets({})", 1 + self.checking.len())
    }
}

/// Text that holds no secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretsError {
    /// Nothing but empty lines and comments.
    #[error("no secret in it: a line of 32 hexadecimal digits was expected; `openssl rand -hex 16` makes one")]
    Empty,
    /// A line that is no secret. What it holds instead is not told: it may be one with a slip in it.
    #[error("line {0} is no secret: 32 hexadecimal digits were expected")]
    Malformed(usize),
    /// A line that is one secret too many.
    #[error("line {0} is one secret too many: at most {MOST_SECRETS} are used, the first one to make cookies")]
    TooMany(usize),
}

impl Secrets {
    /// A single secret.
    #[must_use]
    pub fn of(secret: &[u8; SECRET]) -> Self {
        Self {
            making: SipHasher24::new_with_key(secret),
            checking: Vec::new(),
        }
    }

    /// Reads one secret a line, 32 hexadecimal digits; empty lines and those that begin with `#` are left out.
    /// The first secret makes cookies, all of them check.
    ///
    /// # Errors
    /// The first line that is wrong.
    pub fn from_text(text: &[u8]) -> Result<Self, SecretsError> {
        let mut keys = Vec::new();
        for (index, line) in text.split(|octet| *octet == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let secret = read_secret(line).ok_or(SecretsError::Malformed(index + 1))?;
            if keys.len() == MOST_SECRETS {
                return Err(SecretsError::TooMany(index + 1));
            }
            keys.push(SipHasher24::new_with_key(&secret));
        }
        let mut keys = keys.into_iter();
        Ok(Self {
            making: keys.next().ok_or(SecretsError::Empty)?,
            checking: keys.collect(),
        })
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        1 + self.checking.len()
    }

    /// Judges the cookie of a client at `address` and makes what it gets back; `now` is in seconds since 1970, modulo 2^32.
    #[must_use]
    pub fn exchange(&self, cookie: &Cookie, address: IpAddr, now: u32) -> Exchange {
        let (standing, server) = match cookie.server {
            ServerPart::Absent => (Standing::New, None),
            ServerPart::Foreign => (Standing::Invalid, None),
            ServerPart::Ours(server) => self.check(&cookie.client, server, address, now),
        };
        let server = server.unwrap_or_else(|| make(&self.making, &cookie.client, address, now));
        let mut answer = [0; CLIENT + SERVER];
        answer[..CLIENT].copy_from_slice(&cookie.client);
        answer[CLIENT..].copy_from_slice(&server);
        Exchange { standing, answer }
    }

    /// What a server cookie is worth; it comes back as long as it is young and of the secret that makes new ones.
    fn check(&self, client: &[u8; CLIENT], server: [u8; SERVER], address: IpAddr, now: u32) -> (Standing, Option<[u8; SERVER]>) {
        let made_at = u32::from_be_bytes([server[4], server[5], server[6], server[7]]);
        // Modulo 2^32 (RFC 1982): a cookie from ahead of our clock has a small negative age.
        let age = now.wrapping_sub(made_at);
        let from_ahead = age.wrapping_neg() <= AHEAD;
        if server[0] != VERSION || !(age <= OLDEST || from_ahead) {
            return (Standing::Invalid, None);
        }
        let is_of = |key: &SipHasher24| hash(key, client, &server, address) == server[8..];
        if is_of(&self.making) {
            let young = age < RENEWED || from_ahead;
            (Standing::Valid, young.then_some(server))
        } else if self.checking.iter().any(is_of) {
            (Standing::Valid, None)
        } else {
            (Standing::Invalid, None)
        }
    }
}

fn make(key: &SipHasher24, client: &[u8; CLIENT], address: IpAddr, now: u32) -> [u8; SERVER] {
    let mut server = [0; SERVER];
    server[0] = VERSION;
    server[4..8].copy_from_slice(&now.to_be_bytes());
    let hash = hash(key, client, &server, address);
    server[8..].copy_from_slice(&hash);
    server
}

/// The last half of a server cookie from its first half (RFC 9018 §4.4).
fn hash(key: &SipHasher24, client: &[u8; CLIENT], server: &[u8; SERVER], address: IpAddr) -> [u8; 8] {
    let mut input = [0; CLIENT + 8 + 16];
    input[..CLIENT].copy_from_slice(client);
    input[CLIENT..16].copy_from_slice(&server[..8]);
    let length = match address {
        IpAddr::V4(address) => {
            input[16..20].copy_from_slice(&address.octets());
            20
        }
        IpAddr::V6(address) => {
            input[16..].copy_from_slice(&address.octets());
            32
        }
    };
    key.hash(&input[..length]).to_le_bytes()
}

fn read_secret(digits: &[u8]) -> Option<[u8; SECRET]> {
    let digits: &[u8; 2 * SECRET] = digits.try_into().ok()?;
    let mut secret = [0; SECRET];
    for (octet, pair) in secret.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *octet = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
    }
    Some(secret)
}

#[cfg(test)]
mod tests;
