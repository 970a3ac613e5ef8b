//! Everything the API can answer besides success: errors of the gateway and errors of the business.
//!
//! A gateway error says that a request was not carried out for a reason of form, identity or time;
//! it has an HTTP status of its own and a fixed text, which official clients parse. A business
//! error says why the service refused; it travels with HTTP 200 (vendor page "API error codes").

use std::borrow::Cow;

use super::signature::acs3;

/// Why an action gave no success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// As an error of the gateway.
    Gateway(GatewayError),
    /// As a business error.
    Business(BusinessError),
    /// Not at all: the connection ends; see [`super::fault_numbers`].
    Unanswered,
}

impl Failure {
    /// Its code, from a closed list: without the name of a parameter.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Gateway(error) => error.label(),
            Self::Business(error) => error.code.code(),
            Self::Unanswered => "unanswered",
        }
    }
}

impl From<GatewayError> for Failure {
    fn from(error: GatewayError) -> Self {
        Self::Gateway(error)
    }
}

impl From<BusinessError> for Failure {
    fn from(error: BusinessError) -> Self {
        Self::Business(error)
    }
}

impl From<BusinessCode> for Failure {
    fn from(code: BusinessCode) -> Self {
        Self::Business(code.into())
    }
}

/// An error of the gateway: HTTP status 4xx or 5xx and a body of its own form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GatewayError {
    /// No such AccessKey.
    AccessKeyNotFound,
    /// The AccessKey is disabled.
    AccessKeyInactive,
    /// The signature is another one than ours; holds our string to sign.
    SignatureDoesNotMatch(String),
    /// The signature has not the form of one; holds our string to sign, where one could be made.
    IncompleteSignature(String),
    /// The same of the newer scheme: what its `Authorization` lacks.
    IncompleteAuthorization(acs3::Incomplete),
    /// `SignatureMethod` or the algorithm of `Authorization` is not one of ours.
    InvalidSignatureMethod,
    /// The time stamp has none of the accepted forms.
    TimestampFormat,
    /// The time stamp is further from our clock than the settings allow, 15 minutes by default.
    TimestampExpired,
    /// The nonce was used before by the same AccessKey.
    NonceUsed,
    /// A required parameter, by its name, is absent or empty.
    Missing(&'static str),
    /// A common parameter, by its name, has a value that is not allowed.
    Invalid(&'static str),
    /// Query or body are not percent-encoded UTF-8.
    ParameterFormat,
    /// Query, body, or one of their parameters pass a bound.
    TooLarge,
    /// No such action, or the path is not `/`.
    ActionNotFound,
    /// Neither GET nor POST.
    UnsupportedMethod,
    /// The AccessKey passed its total rate, or used as many nonces as are remembered.
    ThrottledKey,
    /// Temporary credentials (STS), which this server does not issue.
    SecurityToken,
    /// Bearer tokens, which this server does not issue.
    BearerToken,
    /// The body did not arrive in time.
    BodyTimeout,
    /// The table of nonces is full, though not by this AccessKey alone.
    Unavailable,
    /// A fault of ours.
    Internal,
}

impl GatewayError {
    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::AccessKeyNotFound | Self::ActionNotFound => 404,
            Self::BodyTimeout => 408,
            Self::TooLarge => 413,
            Self::Internal => 500,
            Self::Unavailable => 503,
            Self::AccessKeyInactive
            | Self::SignatureDoesNotMatch(_)
            | Self::IncompleteSignature(_)
            | Self::IncompleteAuthorization(_)
            | Self::InvalidSignatureMethod
            | Self::TimestampFormat
            | Self::TimestampExpired
            | Self::NonceUsed
            | Self::Missing(_)
            | Self::Invalid(_)
            | Self::ParameterFormat
            | Self::UnsupportedMethod
            | Self::ThrottledKey
            | Self::SecurityToken
            | Self::BearerToken => 400,
        }
    }

    /// The `Code` member.
    #[must_use]
    pub fn code(&self) -> Cow<'static, str> {
        match self {
            Self::Missing(parameter) | Self::Invalid(parameter) => {
                Cow::Owned(format!("{}{parameter}", self.label()))
            }
            _ => Cow::Borrowed(self.label()),
        }
    }

    /// The code without the name of a parameter, for metrics.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::AccessKeyNotFound => "InvalidAccessKeyId.NotFound",
            Self::AccessKeyInactive => "InvalidAccessKeyId.Inactive",
            Self::SignatureDoesNotMatch(_) => "SignatureDoesNotMatch",
            Self::IncompleteSignature(_) | Self::IncompleteAuthorization(_) => {
                "IncompleteSignature"
            }
            Self::InvalidSignatureMethod => "InvalidSignatureMethod",
            Self::TimestampFormat => "InvalidTimeStamp.Format",
            Self::TimestampExpired => "InvalidTimeStamp.Expired",
            Self::NonceUsed => "SignatureNonceUsed",
            Self::Missing(_) => "Missing",
            Self::Invalid(_) => "Invalid",
            Self::ParameterFormat => "InvalidParameter.Format",
            Self::TooLarge => "InvalidParameter.TooLarge",
            Self::ActionNotFound => "InvalidAction.NotFound",
            Self::UnsupportedMethod => "UnsupportedHTTPMethod",
            Self::ThrottledKey => "Throttling.User",
            Self::SecurityToken => "InvalidSecurityToken.Malformed",
            Self::BearerToken => "InvalidBearerToken",
            Self::BodyTimeout => "RequestTimeout",
            Self::Unavailable => "ServiceUnavailable",
            Self::Internal => "InternalError",
        }
    }

    /// The `Message` member.
    ///
    /// Clients find our string to sign behind the first colon (Python v1) or behind
    /// `string to sign is:` (Java v1, Go v1) and take all that follows, so in those two messages
    /// there is no earlier colon and nothing after the string.
    #[must_use]
    pub fn message(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::AccessKeyNotFound => "Specified access key is not found.",
            Self::AccessKeyInactive => "Specified access key is disabled.",
            Self::SignatureDoesNotMatch(string) => {
                return Cow::Owned(format!(
                    "Specified signature is not matched with our calculation. server string to sign is:{string}"
                ));
            }
            Self::IncompleteSignature(string) => {
                return Cow::Owned(format!(
                    "The request signature does not conform to Aliyun standards. server string to sign is:{string}"
                ));
            }
            // No client looks for a string to sign in the newer scheme.
            Self::IncompleteAuthorization(incomplete) => {
                return Cow::Owned(format!(
                    "The request signature does not conform to Aliyun standards. {incomplete}"
                ));
            }
            Self::InvalidSignatureMethod => "Specified signature method is not valid.",
            Self::TimestampFormat => "Specified time stamp or date value is not well formatted.",
            Self::TimestampExpired => "Specified time stamp or date value is expired.",
            Self::NonceUsed => "Specified signature nonce was used already.",
            Self::Missing(parameter) => {
                return Cow::Owned(format!("{parameter} is mandatory for this action."));
            }
            Self::Invalid(parameter) => {
                return Cow::Owned(format!("Specified parameter {parameter} is not valid."));
            }
            Self::ParameterFormat => "Specified parameter format is not valid.",
            Self::TooLarge => "Specified parameters are larger than this server accepts.",
            Self::ActionNotFound => "Specified api is not found, please check your url and method.",
            Self::UnsupportedMethod => "Specified signature is not matched with our calculation.",
            Self::ThrottledKey => "Request was denied due to user flow control.",
            Self::SecurityToken => "Specified SecurityToken is malformed.",
            Self::BearerToken => "Specified parameter BearerToken is not valid.",
            Self::BodyTimeout => "The request body was not received in time.",
            Self::Unavailable => "The request has failed due to a temporary failure of the server.",
            Self::Internal => {
                "The request processing has failed due to some unknown error, exception or failure."
            }
        })
    }

    /// Where the page about errors speaks of this one: the fragment of the URL in `Recommend`. It is
    /// what GitHub and others make of the code as a heading.
    #[must_use]
    pub fn anchor(&self) -> String {
        match self {
            Self::Missing(_) | Self::Invalid(_) => anchor(&format!("{}Parameter", self.label())),
            _ => anchor(self.label()),
        }
    }
}

/// The fragment of a heading: lower case, and letters, digits, `-` and `_` alone.
#[must_use]
pub fn anchor(heading: &str) -> String {
    heading
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

/// The language of business messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Chinese, as the vendor answers.
    Chinese,
    /// English.
    English,
}

macro_rules! business_codes {
    ($($name:ident $code:literal $chinese:literal $english:literal;)*) => {
        /// A business error code with its texts; the whole list of the API.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum BusinessCode {
            $(#[doc = concat!("`", $code, "`: ", $english, ".")] $name,)*
        }

        impl BusinessCode {
            /// Every code, in the order of the vendor's list.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The `Code` member.
            #[must_use]
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The `Message` member when there is nothing more particular to say.
            #[must_use]
            pub fn message(self, language: Language) -> &'static str {
                match (self, language) {
                    $((Self::$name, Language::Chinese) => $chinese,
                      (Self::$name, Language::English) => $english,)*
                }
            }
        }
    };
}

business_codes! {
    RamPermissionDeny "isp.RAM_PERMISSION_DENY" "RAM权限DENY" "The user's policy denies this action";
    OutOfService "isv.OUT_OF_SERVICE" "业务停机" "The service is suspended, usually for unpaid bills";
    ProductUnSubscript "isv.PRODUCT_UN_SUBSCRIPT" "未开通云通信产品的阿里云客户" "The account has not opened communication products";
    ProductUnsubscribe "isv.PRODUCT_UNSUBSCRIBE" "产品未开通" "The account has not opened this product";
    AccountNotExists "isv.ACCOUNT_NOT_EXISTS" "账户不存在" "The account does not exist";
    AccountAbnormal "isv.ACCOUNT_ABNORMAL" "账户异常" "The account is in an abnormal state";
    SystemError "isp.SYSTEM_ERROR" "系统错误" "System error, try again later";
    UnknownErrCode "isp.UNKNOWN_ERR_CODE" "运营商未知错误" "The carrier answered with an unknown error";
    PartnerNotExist "isv.PARTNER_NOT_EXIST" "未知合作伙伴" "Unknown partner";
    NoNotExist "isv.NO_NOT_EXIST" "号码不存在" "The number does not exist";
    IllegalArgument "isv.ILLEGAL_ARGUMENT" "参数非法" "Illegal parameter";
    DaoException "isp.DAO_EXCEPTION" "数据库异常" "Database error";
    NoAvailableNumber "isv.NO_AVAILABLE_NUMBER" "无可用号码" "No number is available";
    VendorUnavailable "isp.VENDOR_UNAVAILABLE" "运营商降级" "The carrier is degraded";
    FlowLimit "isv.FLOW_LIMIT" "业务流控" "Too many requests of this action";
    PartnerIsClosed "isv.PARTNER_IS_CLOSED" "partner被关停" "The partner is shut down";
    ForbiddenAction "isv.FORBIDDEN_ACTION" "无权操作" "This action is not allowed";
    NoUsedByOthers "isv.NO_USED_BY_OTHERS" "号码被其他业务方占用" "The number is used by others";
    VendorBindFailed "isv.VENDOR_BIND_FAILED" "运营商绑定失败" "The carrier refused the binding";
    ExpireDateIllegal "isv.EXPIRE_DATE_ILLEGAL" "过期时间非法" "The expiration is illegal";
    MobileNumberIllegal "isv.MOBILE_NUMBER_ILLEGAL" "号码格式非法" "The format of a number is illegal";
    BindConflict "isv.BIND_CONFLICT" "绑定冲突" "The binding conflicts with another one";
    SubsNotExist "isv.SUBS_NOT_EXIST" "绑定关系不存在" "The binding does not exist";
    BuyNumOverLimit "isv.BUY_NUM_OVER_LIMIT" "购买号码超过限制" "More numbers than may be bought";
    PoolKeyNotExists "isv.POOLKEY_NOT_EXISTS" "号池不存在" "The pool does not exist";
    GatewayFault "isp.GATEWAY_ERROR" "网关错误" "Forwarding to the back end failed";
    InvalidParameters "isv.INVALID_PARAMETERS" "参数格式错误" "The format of a parameter is wrong";
    UpdateConflict "isv.UPDATE_CONFLICT" "更新冲突" "The update conflicts with another binding";
}

/// A business error as it is answered: a code, and words of its own where the code alone says too
/// little. The words never hold a number or any other value of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusinessError {
    /// The code.
    pub code: BusinessCode,
    /// What is said instead of the code's own message.
    pub detail: Option<Cow<'static, str>>,
}

impl BusinessError {
    /// An error with words of its own.
    pub fn new(code: BusinessCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            detail: Some(detail.into()),
        }
    }

    /// The `Message` member.
    #[must_use]
    pub fn message(&self, language: Language) -> &str {
        match &self.detail {
            Some(detail) => detail,
            None => self.code.message(language),
        }
    }
}

impl From<BusinessCode> for BusinessError {
    fn from(code: BusinessCode) -> Self {
        Self { code, detail: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Code, status and text of the vendor's pages, written out once more on purpose.
    #[test]
    fn gateway_errors_have_their_published_status_and_text() {
        let string = || "POST&%2F&AccessKeyId%3Dtestid".to_owned();
        let rows = [
            (
                GatewayError::AccessKeyNotFound,
                404,
                "InvalidAccessKeyId.NotFound",
                "Specified access key is not found.",
            ),
            (
                GatewayError::AccessKeyInactive,
                400,
                "InvalidAccessKeyId.Inactive",
                "Specified access key is disabled.",
            ),
            (
                GatewayError::SignatureDoesNotMatch(string()),
                400,
                "SignatureDoesNotMatch",
                "Specified signature is not matched with our calculation. server string to sign is:POST&%2F&AccessKeyId%3Dtestid",
            ),
            (
                GatewayError::IncompleteSignature(string()),
                400,
                "IncompleteSignature",
                "The request signature does not conform to Aliyun standards. server string to sign is:POST&%2F&AccessKeyId%3Dtestid",
            ),
            (
                GatewayError::InvalidSignatureMethod,
                400,
                "InvalidSignatureMethod",
                "Specified signature method is not valid.",
            ),
            (
                GatewayError::TimestampFormat,
                400,
                "InvalidTimeStamp.Format",
                "Specified time stamp or date value is not well formatted.",
            ),
            (
                GatewayError::TimestampExpired,
                400,
                "InvalidTimeStamp.Expired",
                "Specified time stamp or date value is expired.",
            ),
            (
                GatewayError::NonceUsed,
                400,
                "SignatureNonceUsed",
                "Specified signature nonce was used already.",
            ),
            (
                GatewayError::Missing("PhoneNoA"),
                400,
                "MissingPhoneNoA",
                "PhoneNoA is mandatory for this action.",
            ),
            (
                GatewayError::Invalid("Version"),
                400,
                "InvalidVersion",
                "Specified parameter Version is not valid.",
            ),
            (
                GatewayError::ParameterFormat,
                400,
                "InvalidParameter.Format",
                "Specified parameter format is not valid.",
            ),
            (
                GatewayError::ActionNotFound,
                404,
                "InvalidAction.NotFound",
                "Specified api is not found, please check your url and method.",
            ),
            (
                GatewayError::ThrottledKey,
                400,
                "Throttling.User",
                "Request was denied due to user flow control.",
            ),
            (
                GatewayError::Unavailable,
                503,
                "ServiceUnavailable",
                "The request has failed due to a temporary failure of the server.",
            ),
            (
                GatewayError::Internal,
                500,
                "InternalError",
                "The request processing has failed due to some unknown error, exception or failure.",
            ),
        ];
        for (error, status, code, message) in rows {
            assert_eq!(
                (error.status(), &*error.code(), &*error.message()),
                (status, code, message)
            );
        }
    }

    #[test]
    fn string_to_sign_stands_behind_the_only_colon() {
        let string = "POST&%2F&AccessKeyId%3Dtestid";
        for error in [
            GatewayError::SignatureDoesNotMatch(string.to_owned()),
            GatewayError::IncompleteSignature(string.to_owned()),
        ] {
            let message = error.message().into_owned();
            let parts: Vec<&str> = message.split(':').collect();
            assert_eq!(parts.len(), 2, "{message}");
            assert_eq!(parts[1], string);
            assert!(parts[0].ends_with("string to sign is"));
        }
    }

    /// One error of each kind. The match beside it has no wildcard: a new kind must come here too.
    fn every_kind() -> Vec<GatewayError> {
        use GatewayError as E;
        let kinds = vec![
            E::AccessKeyNotFound,
            E::AccessKeyInactive,
            E::SignatureDoesNotMatch(String::new()),
            E::IncompleteSignature(String::new()),
            E::IncompleteAuthorization(acs3::Incomplete::Authorization),
            E::InvalidSignatureMethod,
            E::TimestampFormat,
            E::TimestampExpired,
            E::NonceUsed,
            E::Missing("PhoneNoA"),
            E::Invalid("Version"),
            E::ParameterFormat,
            E::TooLarge,
            E::ActionNotFound,
            E::UnsupportedMethod,
            E::ThrottledKey,
            E::SecurityToken,
            E::BearerToken,
            E::BodyTimeout,
            E::Unavailable,
            E::Internal,
        ];
        let place = |error: &GatewayError| match error {
            E::AccessKeyNotFound => 0,
            E::AccessKeyInactive => 1,
            E::SignatureDoesNotMatch(_) => 2,
            E::IncompleteSignature(_) => 3,
            E::IncompleteAuthorization(_) => 4,
            E::InvalidSignatureMethod => 5,
            E::TimestampFormat => 6,
            E::TimestampExpired => 7,
            E::NonceUsed => 8,
            E::Missing(_) => 9,
            E::Invalid(_) => 10,
            E::ParameterFormat => 11,
            E::TooLarge => 12,
            E::ActionNotFound => 13,
            E::UnsupportedMethod => 14,
            E::ThrottledKey => 15,
            E::SecurityToken => 16,
            E::BearerToken => 17,
            E::BodyTimeout => 18,
            E::Unavailable => 19,
            E::Internal => 20,
        };
        for (index, kind) in kinds.iter().enumerate() {
            assert_eq!(place(kind), index, "{kind:?}");
        }
        kinds
    }

    /// `Recommend` leads to a paragraph that is there, and the page tells status and text as they are.
    #[test]
    fn every_code_has_its_paragraph_on_the_page_about_errors() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors-api.md");
        let page = std::fs::read_to_string(file).unwrap();
        let paragraphs: Vec<(&str, &str)> = page
            .split("\n### ")
            .skip(1)
            .map(|paragraph| paragraph.split_once('\n').unwrap())
            .collect();
        let told_of = |wanted: &str| {
            let found: Vec<&str> = paragraphs
                .iter()
                .filter(|(heading, _)| anchor(heading) == wanted)
                .map(|(_, text)| *text)
                .collect();
            assert_eq!(found.len(), 1, "{wanted}");
            found[0]
        };
        for error in every_kind() {
            let text = told_of(&error.anchor());
            assert!(
                text.contains(&format!("HTTP {}", error.status())),
                "{error:?}"
            );
        }
        for code in BusinessCode::ALL {
            let text = told_of(&anchor(code.code()));
            for language in [Language::Chinese, Language::English] {
                assert!(text.contains(code.message(language)), "{code:?}");
            }
        }
        let gateway = every_kind().len() - 1; // IncompleteSignature has two kinds.
        assert_eq!(paragraphs.len(), gateway + BusinessCode::ALL.len());
    }

    #[test]
    fn business_codes_are_the_published_list() {
        let codes: Vec<&str> = BusinessCode::ALL.iter().map(|code| code.code()).collect();
        assert_eq!(codes.len(), 28);
        let mut unique = codes.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), codes.len());
        assert!(
            codes
                .iter()
                .all(|code| code.starts_with("isv.") || code.starts_with("isp."))
        );
    }

    #[test]
    fn chinese_is_the_default_language() {
        let error = BusinessError::from(BusinessCode::ExpireDateIllegal);
        assert_eq!(error.message(Language::Chinese), "过期时间非法");
        assert_eq!(
            error.message(Language::English),
            "The expiration is illegal"
        );
        let error = BusinessError::new(BusinessCode::ForbiddenAction, "not supported");
        assert_eq!(error.message(Language::Chinese), "not supported");
    }
}
