//! Everything the API can answer besides success: errors of the gateway and errors of the business.
//!
//! A gateway error says that a request was not carried out for a reason of form, identity or time;
//! it has an HTTP status of its own and a fixed text, which official clients parse. A business
//! error says why the service refused; it travels with HTTP 200 (vendor page "API error codes").

use std::borrow::Cow;

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
    /// `SignatureMethod` or the algorithm of `Authorization` is not one of ours.
    InvalidSignatureMethod,
    /// The time stamp is not `yyyy-MM-ddTHH:mm:ssZ`.
    TimestampFormat,
    /// The time stamp is more than 15 minutes away from our clock.
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
            Self::IncompleteSignature(_) => "IncompleteSignature",
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

    /// The `Recommend` member: what to do, in words of our own. No client parses it.
    #[must_use]
    pub fn recommend(&self) -> &'static str {
        match self {
            Self::UnsupportedMethod => "Use GET or POST.",
            Self::SecurityToken | Self::BearerToken => {
                "Temporary credentials and bearer tokens are not supported. Use an AccessKey id and secret."
            }
            Self::InvalidSignatureMethod => {
                "Use HMAC-SHA1 or HMAC-SHA256 with signature version 1.0, or ACS3-HMAC-SHA256."
            }
            Self::TimestampExpired => "Check the clock of the calling machine.",
            Self::TooLarge
            | Self::AccessKeyNotFound
            | Self::AccessKeyInactive
            | Self::SignatureDoesNotMatch(_)
            | Self::IncompleteSignature(_)
            | Self::TimestampFormat
            | Self::NonceUsed
            | Self::Missing(_)
            | Self::Invalid(_)
            | Self::ParameterFormat
            | Self::ActionNotFound
            | Self::ThrottledKey
            | Self::BodyTimeout
            | Self::Unavailable
            | Self::Internal => "",
        }
    }
}

/// The language of business messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Chinese, as the vendor answers.
    #[default]
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
        assert_eq!(error.message(Language::default()), "过期时间非法");
        assert_eq!(
            error.message(Language::English),
            "The expiration is illegal"
        );
        let error = BusinessError::new(BusinessCode::ForbiddenAction, "not supported");
        assert_eq!(error.message(Language::Chinese), "not supported");
    }
}
