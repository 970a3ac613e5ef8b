//! Who is on the phone, and all that must not be heard of them.

use crate::leaks::scanner::Secret;
use maskline_fixtures::sip::address;
use std::net::{IpAddr, SocketAddr};

/// One of the two parties, in one of the variants in which it appears: everything that hides a person behind
/// it differs between variants, and what it does is the same.
#[derive(Clone, Debug)]
pub struct Party {
    /// In the national form.
    pub number: &'static str,
    /// As its network writes it.
    pub written: &'static str,
    pub name: &'static str,
    pub host: SocketAddr,
    /// A proxy in its network that wants to stay in the way.
    pub proxy: IpAddr,
    pub media: SocketAddr,
    /// Somebody from whom the call was diverted.
    pub diverter: &'static str,
    /// A word that names this person, this call and this machine; in Call-ID, tag and CNAME.
    pub word: &'static str,
    pub product: &'static str,
    pub ssrc: u32,
    /// Where its counting of requests begins.
    pub cseq: u32,
}

/// The two of a call.
#[derive(Clone, Debug)]
pub struct Parties {
    pub caller: Party,
    pub callee: Party,
}

impl Parties {
    /// The caller and the callee in one of their two variants each.
    pub fn new(caller: usize, callee: usize) -> Self {
        Self {
            caller: callers()[caller].clone(),
            callee: callees()[callee].clone(),
        }
    }
}

fn callers() -> [Party; 2] {
    [
        Party {
            number: "13867594021",
            written: "+8613867594021",
            name: "Wang Mimi",
            host: address("198.51.100.77:5072"),
            proxy: address("198.51.100.61:0").ip(),
            media: address("198.51.100.78:17844"),
            diverter: "+8613670284915",
            word: "q7caller0wanghouse",
            product: "Wangphone/4.11",
            ssrc: 0x9e41_a07c,
            cseq: 4_711,
        },
        Party {
            number: "075586421973",
            written: "0086-755-86421973",
            name: "\u{738b}\u{79d8}\u{5bc6}",
            host: address("198.18.203.9:6061"),
            proxy: address("198.18.203.144:0").ip(),
            media: address("198.19.7.33:9112"),
            diverter: "18923407165",
            word: "zz-Other.Liu-88",
            product: "L\u{fc}tel",
            ssrc: 0x27d0_55b3,
            cseq: 12,
        },
    ]
}

fn callees() -> [Party; 2] {
    [
        Party {
            number: "13940718263",
            written: "013940718263",
            name: "Zhao Anjing",
            host: address("203.0.113.91:5082"),
            proxy: address("203.0.113.17:0").ip(),
            media: address("203.0.113.92:28806"),
            diverter: "13305196482",
            word: "k3callee0zhaohouse",
            product: "Zhaofon 9",
            ssrc: 0x6b13_f2d8,
            cseq: 90_210,
        },
        Party {
            number: "18675309142",
            written: "+8618675309142",
            name: "\u{738b}\u{79d8}\u{5bc6}",
            host: address("192.88.99.140:5064"),
            proxy: address("192.88.99.201:0").ip(),
            media: address("192.88.99.183:11022"),
            diverter: "+8615208649731",
            word: "X9.Sun_elsewhere",
            product: "Sunset-UA (beta)",
            ssrc: 0xc5a9_3310,
            cseq: 3,
        },
    ]
}

impl Party {
    /// All that the other side must not learn.
    pub fn secrets(&self) -> Vec<Secret> {
        let diverter = self.diverter.trim_start_matches("+86");
        vec![
            Secret::Number(self.number.into()),
            Secret::Number(diverter.into()),
            Secret::Name(self.name.into()),
            Secret::Address(self.host.ip()),
            Secret::Address(self.proxy),
            Secret::Address(self.media.ip()),
            Secret::Token(self.word.into()),
            Secret::Token(self.product.into()),
            Secret::Ssrc(self.ssrc),
        ]
    }

    /// Headers that say who this is, as phones, exchanges and applications send them; none of them changes
    /// what is to be done with a message.
    pub fn baggage(&self) -> String {
        let Self {
            number,
            written,
            name,
            host,
            diverter,
            word,
            product,
            ..
        } = self;
        let ip = host.ip();
        let hex: String = written.bytes().map(|byte| format!("{byte:02x}")).collect();
        format!(
            "Remote-Party-ID: \"{name}\" <sip:{written}@{ip}>;party=calling;screen=yes\r\n\
             P-Preferred-Identity: <sip:{written}@{ip}>\r\n\
             P-Called-Party-ID: <sip:{written}@{ip}>\r\n\
             P-Charging-Vector: icid-value={word}{number};orig-ioi={ip}\r\n\
             P-Access-Network-Info: 3GPP-E-UTRAN-FDD;utran-cell-id-3gpp={word}\r\n\
             Diversion: \"{name}\" <sip:{diverter}@{ip}>;reason=unconditional\r\n\
             History-Info: <sip:{diverter}@{ip}?Reason=SIP%3Bcause%3D302>;index=1, <sip:{number}@{ip}>;index=1.1\r\n\
             Referred-By: <sip:{number}@{ip}>\r\n\
             Reply-To: \"{name}\" <sip:{number}@{ip}>\r\n\
             In-Reply-To: {word}@{ip}\r\n\
             User-to-User: 04{hex};encoding=hex;purpose=isdn-uui\r\n\
             Subject: {name} calls, {number}\r\n\
             Organization: {name}\r\n\
             Alert-Info: <http://{ip}/{number}.wav>;info={word}\r\n\
             Call-Info: <http://{ip}/{number}.jpg>;purpose=icon\r\n\
             Error-Info: <sip:{number}@{ip}>\r\n\
             Warning: 399 {ip} \"{name} {number}\"\r\n\
             Geolocation: <cid:{number}@{ip}>\r\n\
             Identity: {word};info=<https://{ip}/{number}.cer>\r\n\
             Accept-Contact: *;x={word}\r\n\
             Call-UUID: {word}\r\n\
             X-Account: {number}\r\n\
             X-Name: {name}\r\n\
             {number}: {word}\r\n\
             User-Agent: {product} {number}\r\n\
             Server: {product} at {ip} of {name}\r\n"
        )
    }

    /// Session lines that say who this is.
    pub fn sdp_head(&self) -> String {
        let Self {
            number,
            name,
            host,
            media,
            word,
            ssrc,
            cseq,
            ..
        } = self;
        let (ip, at) = (host.ip(), media.ip());
        format!(
            "v=0\r\no={number} {ssrc} {cseq} IN IP4 {ip}\r\ns=call of {name}\r\ni={number}\r\n\
             u=http://{ip}/{number}\r\ne={word}@{ip} ({name})\r\np={number}\r\nc=IN IP4 {at}\r\nt=0 0\r\n\
             a=tool:{word}\r\na=ice-ufrag:{word}\r\n"
        )
    }

    /// Media lines that say who this is.
    pub fn sdp_tail(&self) -> String {
        let Self {
            host,
            media,
            word,
            ssrc,
            ..
        } = self;
        let (ip, at) = (host.ip(), media);
        format!(
            "i={word}\r\na=rtcp:{} IN IP4 {ip}\r\na=ssrc:{ssrc} cname:{word}@{ip}\r\na=label:{word}\r\n\
             a=candidate:{word} 1 UDP 2130706431 {ip} {} typ host\r\na=x-{word}:{ip}\r\n",
            at.port() + 1,
            at.port()
        )
    }

    /// A description of this one's audio: the formats of its media line, its attributes, the direction.
    pub fn sdp(&self, formats: &str, attributes: &str, direction: &str) -> String {
        format!(
            "{}m=audio {} RTP/AVP {formats}\r\n{attributes}a={direction}\r\n{}",
            self.sdp_head(),
            self.media.port(),
            self.sdp_tail()
        )
    }
}
