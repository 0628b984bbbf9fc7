//! Cookies: the examples of RFC 9018 Appendix A, a table of times, the secrets file, and roll-over.

use proptest::prelude::*;

use super::*;

const SECRET_A: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn secrets(text: &str) -> Secrets {
    Secrets::from_text(text.as_bytes()).unwrap()
}

fn exchange(secrets: &Secrets, cookie: &str, address: &str, now: u32) -> (Standing, String) {
    let cookie = Cookie::from_option(&hex(cookie)).unwrap();
    let exchange = secrets.exchange(&cookie, address.parse().unwrap(), now);
    let answer = exchange.answer.iter().map(|octet| format!("{octet:02x}")).collect();
    (exchange.standing, answer)
}

#[test]
fn a_new_client_learns_its_server_cookie() {
    // RFC 9018 Appendix A.1.
    let answer = exchange(&secrets(SECRET_A), "2464c4abcf10c957", "198.51.100.100", 1_559_731_985);
    let expected = "2464c4abcf10c957010000005cf79f111f8130c3eee29480";
    assert_eq!(answer, (Standing::New, expected.to_owned()));
}

#[test]
fn a_cookie_of_forty_minutes_is_believed_and_renewed() {
    // Appendix A.2.
    let cookie = "2464c4abcf10c957010000005cf79f111f8130c3eee29480";
    let answer = exchange(&secrets(SECRET_A), cookie, "198.51.100.100", 1_559_734_385);
    let expected = "2464c4abcf10c957010000005cf7a871d4a564a1442aca77";
    assert_eq!(answer, (Standing::Valid, expected.to_owned()));
}

#[test]
fn reserved_octets_are_hashed_as_they_came() {
    // Appendix A.3. Its answer is made 112 minutes after the cookie, which §4.3 of the same document no longer believes:
    // the hash is checked at the cookie's own time, the new cookie at the answer's.
    let cookie = "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5";
    let at_its_time = exchange(&secrets(SECRET_A), cookie, "203.0.113.203", 1_559_727_985);
    assert_eq!(at_its_time, (Standing::Valid, cookie.to_owned()));
    let later = exchange(&secrets(SECRET_A), cookie, "203.0.113.203", 1_559_734_700);
    let expected = "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e";
    assert_eq!(later, (Standing::Invalid, expected.to_owned()));
}

#[test]
fn a_cookie_of_the_secret_before_is_believed_and_replaced() {
    // Appendix A.4, IPv6.
    let (old, new) = ("dd3bdf9344b678b185a6f5cb60fca715", "445536bcd2513298075a5d379663c962");
    let cookie = "22681ab97d52c298010000005cf7c57926556bd0934c72f8";
    let address = "2001:db8:220:1:59de:d0f4:8769:82b8";
    let answer = exchange(&secrets(&format!("{new}\n{old}\n")), cookie, address, 1_559_741_961);
    let expected = "22681ab97d52c298010000005cf7c609a6bb79d16625507a";
    assert_eq!(answer, (Standing::Valid, expected.to_owned()));
    // Before the roll-over the server that had both in the other order made that cookie, and believes the new ones already.
    let before = secrets(&format!("{old}\n{new}\n"));
    assert_eq!(
        exchange(&before, cookie, address, 1_559_741_961),
        (Standing::Valid, cookie.to_owned())
    );
    assert_eq!(exchange(&before, expected, address, 1_559_741_961).0, Standing::Valid);
    assert_eq!(
        exchange(&secrets(new), cookie, address, 1_559_741_961).0,
        Standing::Invalid,
        "the old secret is gone"
    );
}

#[test]
fn the_times_of_a_cookie() {
    let made_at = 1_000_000;
    let secrets = secrets(SECRET_A);
    let (_, cookie) = exchange(&secrets, "2464c4abcf10c957", "192.0.2.1", made_at);
    let rows = [
        (made_at, Standing::Valid, true),
        (made_at + 1_799, Standing::Valid, true),
        (made_at + 1_800, Standing::Valid, false),
        (made_at + 3_600, Standing::Valid, false),
        (made_at + 3_601, Standing::Invalid, false),
        (made_at - 300, Standing::Valid, true),
        (made_at - 301, Standing::Invalid, false),
        (made_at.wrapping_add(1 << 31), Standing::Invalid, false),
    ];
    for (now, standing, kept) in rows {
        let (found, answer) = exchange(&secrets, &cookie, "192.0.2.1", now);
        assert_eq!((found, answer == cookie), (standing, kept), "at {now}");
    }
}

#[test]
fn times_go_on_where_32_bits_end() {
    let secrets = secrets(SECRET_A);
    let (_, cookie) = exchange(&secrets, "2464c4abcf10c957", "192.0.2.1", u32::MAX);
    assert_eq!(exchange(&secrets, &cookie, "192.0.2.1", 1_000).0, Standing::Valid);
    assert_eq!(exchange(&secrets, &cookie, "192.0.2.1", 3_600).0, Standing::Invalid);
    let (_, cookie) = exchange(&secrets, "2464c4abcf10c957", "192.0.2.1", 5);
    assert_eq!(exchange(&secrets, &cookie, "192.0.2.1", u32::MAX - 200).0, Standing::Valid);
}

#[test]
fn a_cookie_belongs_to_its_client_and_its_address() {
    let secrets = secrets(SECRET_A);
    let (_, cookie) = exchange(&secrets, "2464c4abcf10c957", "192.0.2.1", 9);
    assert_eq!(exchange(&secrets, &cookie, "192.0.2.2", 9).0, Standing::Invalid);
    assert_eq!(exchange(&secrets, &cookie, "::ffff:192.0.2.1", 9).0, Standing::Invalid);
    let of_another = cookie.replacen("24", "25", 1);
    assert_eq!(exchange(&secrets, &of_another, "192.0.2.1", 9).0, Standing::Invalid);
    let of_another_version = cookie.replacen("c95701", "c95702", 1);
    assert_eq!(exchange(&secrets, &of_another_version, "192.0.2.1", 9).0, Standing::Invalid);
}

#[test]
fn only_lengths_that_cookies_have_are_read() {
    let readable: Vec<usize> = (0..=64).filter(|length| Cookie::from_option(&vec![1; *length]).is_some()).collect();
    let expected: Vec<usize> = std::iter::once(8).chain(16..=40).collect();
    assert_eq!(readable, expected);
    let foreign = "2464c4abcf10c9570102030405060708";
    assert_eq!(exchange(&secrets(SECRET_A), foreign, "192.0.2.1", 9).0, Standing::Invalid);
}

#[test]
fn the_secrets_file_is_read_line_by_line() {
    let count = |text: &str| Secrets::from_text(text.as_bytes()).map(|secrets| secrets.count());
    assert_eq!(count(SECRET_A), Ok(1));
    assert_eq!(
        count(&format!("# of 2026\r\n{}\r\n\n  {SECRET_A}\n", SECRET_A.to_uppercase())),
        Ok(2)
    );
    assert_eq!(count(""), Err(SecretsError::Empty));
    assert_eq!(count("# none\n"), Err(SecretsError::Empty));
    assert_eq!(count(&format!("{SECRET_A}\n{}\n", &SECRET_A[1..])), Err(SecretsError::Malformed(2)));
    assert_eq!(count(&SECRET_A.replace('e', "g")), Err(SecretsError::Malformed(1)));
    assert_eq!(count(&format!("{SECRET_A}\n").repeat(5)), Err(SecretsError::TooMany(5)));
    let slip = format!("{}x", &SECRET_A[1..]);
    let told = Secrets::from_text(slip.as_bytes()).unwrap_err().to_string();
    assert!(!told.contains(&slip[..8]), "a secret is told: {told}");
    assert_eq!(format!("{:?}", secrets(SECRET_A)), "Secrets(1)");
}

proptest! {
    #[test]
    fn what_a_server_gives_it_believes(client: [u8; 8], secret: [u8; 16], address: IpAddr, now: u32, later in 0_u32..=3_600) {
        let secrets = Secrets::of(&secret);
        let first = secrets.exchange(&Cookie::from_option(&client).unwrap(), address, now);
        let again = secrets.exchange(&Cookie::from_option(&first.answer).unwrap(), address, now.wrapping_add(later));
        prop_assert_eq!(again.standing, Standing::Valid);
        let other = secrets.exchange(&Cookie::from_option(&again.answer).unwrap(), address, now.wrapping_add(later));
        prop_assert_eq!((other.standing, other.answer), (Standing::Valid, again.answer));
    }

    #[test]
    fn no_changed_bit_is_believed(client: [u8; 8], secret: [u8; 16], address: IpAddr, now: u32, bit in 0_usize..192) {
        let secrets = Secrets::of(&secret);
        let mut changed = secrets.exchange(&Cookie::from_option(&client).unwrap(), address, now).answer;
        changed[bit / 8] ^= 1 << (bit % 8);
        let judged = secrets.exchange(&Cookie::from_option(&changed).unwrap(), address, now);
        prop_assert_eq!(judged.standing, Standing::Invalid);
    }
}
