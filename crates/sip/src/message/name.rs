//! Header names and methods that mean something to us.

macro_rules! names {
    ($($variant:ident $text:literal $($short:literal)?;)*) => {
        /// A header name. Names that mean nothing to us are all [`Name::Other`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        #[expect(missing_docs, reason = "each variant is the header it is named after")]
        pub enum Name { Other, $($variant,)* }

        const NAMES: &[(Name, &str, u8)] = &[$((Name::$variant, $text, names!(@short $($short)?)),)*];
    };
    (@short) => { 0 };
    (@short $short:literal) => { $short };
}

// The compact forms are those of the IANA registry of SIP header fields.
names! {
    Via "Via" b'v';
    From "From" b'f';
    To "To" b't';
    CallId "Call-ID" b'i';
    CSeq "CSeq";
    MaxForwards "Max-Forwards";
    Contact "Contact" b'm';
    ContentLength "Content-Length" b'l';
    ContentType "Content-Type" b'c';
    ContentEncoding "Content-Encoding" b'e';
    ContentDisposition "Content-Disposition";
    Route "Route";
    RecordRoute "Record-Route";
    Require "Require";
    ProxyRequire "Proxy-Require";
    Supported "Supported" b'k';
    Unsupported "Unsupported";
    Allow "Allow";
    Accept "Accept";
    Reason "Reason";
    RetryAfter "Retry-After";
    RSeq "RSeq";
    RAck "RAck";
    SessionExpires "Session-Expires" b'x';
    MinSe "Min-SE";
    InfoPackage "Info-Package";
    UserAgent "User-Agent";
    Server "Server";
    PAssertedIdentity "P-Asserted-Identity";
    PPreferredIdentity "P-Preferred-Identity";
    RemotePartyId "Remote-Party-ID";
    Privacy "Privacy";
    Diversion "Diversion";
    HistoryInfo "History-Info";
    Expires "Expires";
    Warning "Warning";
    MinExpires "Min-Expires";
    Authorization "Authorization";
    ProxyAuthorization "Proxy-Authorization";
    WwwAuthenticate "WWW-Authenticate";
    ProxyAuthenticate "Proxy-Authenticate";
}

impl Name {
    /// The header that `text` names, in any case and in the compact form too.
    pub fn parse(text: &[u8]) -> Self {
        let found = match text {
            [letter] => NAMES
                .iter()
                .find(|(_, _, short)| *short == letter.to_ascii_lowercase()),
            _ => NAMES
                .iter()
                .find(|(_, long, _)| long.as_bytes().eq_ignore_ascii_case(text)),
        };
        found.map_or(Self::Other, |(name, _, _)| *name)
    }

    /// The long form, as we write it. Empty for [`Name::Other`], which is never written.
    pub fn as_str(self) -> &'static str {
        NAMES
            .iter()
            .find(|(name, _, _)| *name == self)
            .map_or("", |(_, long, _)| long)
    }
}

macro_rules! methods {
    ($($variant:ident $text:literal;)*) => {
        /// A request method. Methods are case-sensitive (RFC 3261 section 7.1).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "each variant is the method it is named after")]
        pub enum Method { $($variant,)* Unknown }

        impl Method {
            /// The method that `text` names.
            pub fn parse(text: &[u8]) -> Self {
                match text { $(bytes if bytes == $text.as_bytes() => Self::$variant,)* _ => Self::Unknown }
            }

            /// As it stands on the wire; empty for [`Method::Unknown`], which is never written.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* Self::Unknown => "" }
            }
        }
    };
}

methods! {
    Invite "INVITE";
    Ack "ACK";
    Bye "BYE";
    Cancel "CANCEL";
    Options "OPTIONS";
    Register "REGISTER";
    Prack "PRACK";
    Update "UPDATE";
    Info "INFO";
    Subscribe "SUBSCRIBE";
    Notify "NOTIFY";
    Publish "PUBLISH";
    Refer "REFER";
    Message "MESSAGE";
}
