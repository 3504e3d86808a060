//! Access keys of every cloud, in their vendors' formats, and how people name their halves.
//!
//! Formats are the vendors' documented ones, structures and encodings included. Where a cloud's keys
//! have no form of their own, its name must be near: the table says so.
//!
//! Longer than 800 lines because it is one table, a row a cloud.

use super::dice::{ALNUM, BASE32, BASE64, BASE64URL, Dice, HEX, LOWNUM, UPNUM, UPPER};
use super::page::{Credential, Tier};
use super::text::base64;

/// A cloud, or one sort of its keys.
#[derive(Debug)]
pub struct Cloud {
    /// Its name in labels.
    pub family: &'static str,
    /// Words with which people name it in variables, sections and paths.
    pub brands: &'static [&'static str],
    /// What its documentation calls the variables: id, secret, session token (or nothing).
    pub documented: &'static [(&'static str, &'static str, &'static str)],
    /// What people call the halves.
    pub halves: &'static [(&'static str, &'static str)],
    /// Hosts of its services.
    pub endpoints: &'static [&'static str],
    /// What people write above it.
    pub notes: &'static [&'static str],
    /// Nothing but its name says whose key it is.
    pub nameless: bool,
    /// Makes one.
    pub make: fn(&mut Dice) -> Credential,
}

fn pair(family: &'static str, id: String, secret: String) -> Credential {
    Credential {
        tier: Tier::Ak,
        family,
        id: Some(id),
        secret,
        forms: Vec::new(),
        also: Vec::new(),
    }
}

fn temporary(family: &'static str, id: String, secret: String, session: String) -> Credential {
    Credential {
        also: vec![session],
        ..pair(family, id, secret)
    }
}

fn lone(family: &'static str, secret: String) -> Credential {
    Credential::lone(Tier::Ak, family, secret)
}

const AKSK: &[(&str, &str)] = &[
    ("access key id", "access key secret"),
    ("access key", "secret key"),
    ("ak", "sk"),
    ("access key id", "secret access key"),
    ("access id", "access secret"),
    ("key id", "key secret"),
    ("accesskey", "secretkey"),
    ("access_key", "access_secret"),
];
const SECRET_ID: &[(&str, &str)] = &[
    ("secret id", "secret key"),
    ("secretid", "secretkey"),
    ("access key", "secret key"),
    ("ak", "sk"),
    ("app secret id", "app secret key"),
];
const LONE: &[(&str, &str)] = &[
    ("", "api token"),
    ("", "token"),
    ("", "api key"),
    ("", "access token"),
];

/// Every cloud.
pub const CLOUDS: &[Cloud] = &[
    Cloud {
        family: "alibaba",
        brands: &["aliyun", "alibaba", "oss", "sls", "alicloud", "ali"],
        documented: &[
            (
                "ALIBABA_CLOUD_ACCESS_KEY_ID",
                "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
                "",
            ),
            ("ALICLOUD_ACCESS_KEY", "ALICLOUD_SECRET_KEY", ""),
            ("OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", ""),
            ("accessKeyId", "accessKeySecret", ""),
        ],
        halves: AKSK,
        endpoints: &[
            "oss-cn-hangzhou.aliyuncs.com",
            "https://cn-shanghai.log.aliyuncs.com",
        ],
        notes: &[
            "阿里云 OSS 子账号",
            "aliyun RAM user for uploads",
            "短信服务密钥",
        ],
        nameless: false,
        make: |dice| match dice.below(6) {
            0 => pair(
                "alibaba",
                format!("LTAI{}", dice.text(ALNUM, 12)),
                dice.text(ALNUM, 30),
            ),
            1 => pair(
                "alibaba",
                format!("LTAI4{}", dice.text(ALNUM, 19)),
                dice.text(ALNUM, 30),
            ),
            _ => pair(
                "alibaba",
                format!("LTAI5t{}", dice.text(ALNUM, 18)),
                dice.text(ALNUM, 30),
            ),
        },
    },
    Cloud {
        family: "alibaba-sts",
        brands: &["aliyun", "oss", "sts", "alibaba cloud"],
        documented: &[
            (
                "ALIBABA_CLOUD_ACCESS_KEY_ID",
                "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
                "ALIBABA_CLOUD_SECURITY_TOKEN",
            ),
            ("AccessKeyId", "AccessKeySecret", "SecurityToken"),
            (
                "OSS_ACCESS_KEY_ID",
                "OSS_ACCESS_KEY_SECRET",
                "OSS_SESSION_TOKEN",
            ),
        ],
        halves: &[
            ("access key id", "access key secret"),
            ("tmp access key", "tmp access secret"),
        ],
        endpoints: &["sts.cn-beijing.aliyuncs.com"],
        notes: &["临时凭证，一小时过期"],
        nameless: false,
        make: |dice| {
            let id = format!(
                "STS.N{}",
                dice.text(
                    "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz",
                    24
                )
            );
            let secret = dice.text(
                "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz",
                44,
            );
            let session = format!("CAIS{}", base64(&dice.bytes(420)));
            temporary("alibaba-sts", id, secret, session)
        },
    },
    Cloud {
        family: "tencent",
        brands: &["tencent", "qcloud", "cos", "tencentcloud", "tx", "txcloud"],
        documented: &[
            ("TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY", ""),
            ("COS_SECRET_ID", "COS_SECRET_KEY", ""),
            ("SecretId", "SecretKey", ""),
            ("TENCENT_SECRET_ID", "TENCENT_SECRET_KEY", ""),
        ],
        halves: SECRET_ID,
        endpoints: &["cos.ap-guangzhou.myqcloud.com", "sms.tencentcloudapi.com"],
        notes: &["腾讯云对象存储", "CAM sub user, CDN refresh"],
        nameless: false,
        make: |dice| {
            pair(
                "tencent",
                format!("AKID{}", dice.text(ALNUM, 32)),
                dice.text(ALNUM, 32),
            )
        },
    },
    Cloud {
        family: "tencent-sts",
        brands: &["tencent", "cos", "qcloud"],
        documented: &[
            (
                "TENCENTCLOUD_SECRET_ID",
                "TENCENTCLOUD_SECRET_KEY",
                "TENCENTCLOUD_SESSION_TOKEN",
            ),
            ("TmpSecretId", "TmpSecretKey", "Token"),
            ("tmpSecretId", "tmpSecretKey", "sessionToken"),
        ],
        halves: &[
            ("tmp secret id", "tmp secret key"),
            ("secret id", "secret key"),
        ],
        endpoints: &["sts.tencentcloudapi.com"],
        notes: &["temporary, for the upload page"],
        nameless: false,
        make: |dice| {
            let id = format!("AKID{}", dice.text(BASE64URL, 64));
            let secret = base64(&dice.bytes(32));
            let session = dice.text(BASE64URL, 340);
            temporary("tencent-sts", id, secret, session)
        },
    },
    Cloud {
        family: "aws",
        brands: &["aws", "s3", "ses", "amazon", "dynamo", "sqs"],
        documented: &[
            ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", ""),
            ("aws_access_key_id", "aws_secret_access_key", ""),
            ("AWSAccessKeyId", "AWSSecretKey", ""),
            ("S3_ACCESS_KEY", "S3_SECRET_KEY", ""),
        ],
        halves: AKSK,
        endpoints: &[
            "s3.eu-central-1.amazonaws.com",
            "https://email.us-east-1.amazonaws.com",
        ],
        notes: &["IAM user: backup-writer", "rotate every 90 days"],
        nameless: false,
        make: |dice| {
            let id = format!(
                "AKIA{}{}",
                dice.text("QRSTUVWXYZ234567", 1),
                dice.text(BASE32, 15)
            );
            pair("aws", id, dice.text(BASE64, 40))
        },
    },
    Cloud {
        family: "aws-sts",
        brands: &["aws", "session", "assumed"],
        documented: &[
            (
                "AWS_ACCESS_KEY_ID",
                "AWS_SECRET_ACCESS_KEY",
                "AWS_SESSION_TOKEN",
            ),
            ("AccessKeyId", "SecretAccessKey", "SessionToken"),
            (
                "aws_access_key_id",
                "aws_secret_access_key",
                "aws_session_token",
            ),
        ],
        halves: &[("access key id", "secret access key")],
        endpoints: &["sts.amazonaws.com"],
        notes: &["assume-role output"],
        nameless: false,
        make: |dice| {
            let id = format!(
                "ASIA{}{}",
                dice.text("QRSTUVWXYZ234567", 1),
                dice.text(BASE32, 15)
            );
            let session = format!("IQoJb3JpZ2luX2Vj{}", base64(&dice.bytes(300)));
            temporary("aws-sts", id, dice.text(BASE64, 40), session)
        },
    },
    Cloud {
        family: "aws-bedrock",
        brands: &["bedrock", "aws"],
        documented: &[("", "AWS_BEARER_TOKEN_BEDROCK", "")],
        halves: &[("", "bedrock api key"), ("", "bearer token")],
        endpoints: &["bedrock-runtime.us-west-2.amazonaws.com"],
        notes: &["model gateway"],
        nameless: false,
        make: |dice| {
            let inner = format!(
                "BedrockAPIKey-{}-at-{}:{}",
                dice.text(LOWNUM, 4),
                dice.text("0123456789", 12),
                dice.text(BASE64, 60)
            );
            lone("aws-bedrock", format!("ABSK{}", base64(inner.as_bytes())))
        },
    },
    Cloud {
        family: "huawei",
        brands: &["huawei", "obs", "huaweicloud", "hwcloud", "hw"],
        documented: &[
            ("HUAWEICLOUD_SDK_AK", "HUAWEICLOUD_SDK_SK", ""),
            ("HW_ACCESS_KEY", "HW_SECRET_KEY", ""),
            ("OBS_ACCESS_KEY_ID", "OBS_SECRET_ACCESS_KEY", ""),
            ("CLOUD_SDK_AK", "CLOUD_SDK_SK", ""),
        ],
        halves: AKSK,
        endpoints: &[
            "obs.cn-north-4.myhuaweicloud.com",
            "https://smn.cn-south-1.myhuaweicloud.com",
        ],
        notes: &["华为云 OBS", "huawei cloud IAM"],
        nameless: true,
        make: |dice| {
            let id = if dice.once_in(3) {
                format!("HPUA{}", dice.text(UPNUM, 16))
            } else {
                dice.text(UPNUM, 20)
            };
            pair("huawei", id, dice.text(ALNUM, 40))
        },
    },
    Cloud {
        family: "volcengine",
        brands: &["volc", "volcengine", "tos", "ark"],
        documented: &[
            ("VOLCENGINE_ACCESS_KEY", "VOLCENGINE_SECRET_KEY", ""),
            ("VOLC_ACCESSKEY", "VOLC_SECRETKEY", ""),
            ("TOS_ACCESS_KEY", "TOS_SECRET_KEY", ""),
        ],
        halves: AKSK,
        endpoints: &["tos-cn-beijing.volces.com", "open.volcengineapi.com"],
        notes: &["火山引擎 子用户"],
        nameless: false,
        make: |dice| {
            let (id, secret) = volcengine(dice, "AKLT");
            pair("volcengine", id, secret)
        },
    },
    Cloud {
        family: "volcengine-sts",
        brands: &["volc", "volcengine", "tos"],
        documented: &[
            (
                "VOLCENGINE_ACCESS_KEY",
                "VOLCENGINE_SECRET_KEY",
                "VOLCENGINE_SESSION_TOKEN",
            ),
            ("AccessKeyId", "SecretAccessKey", "SessionToken"),
        ],
        halves: &[("access key id", "secret access key")],
        endpoints: &["tos-cn-shanghai.volces.com"],
        notes: &["AssumeRole"],
        nameless: false,
        make: |dice| {
            let (id, secret) = volcengine(dice, "AKTP");
            let session = format!("STS2{}", base64(&dice.bytes(240)));
            temporary("volcengine-sts", id, secret, session)
        },
    },
    Cloud {
        family: "byteplus",
        brands: &["byteplus", "bp"],
        documented: &[("BYTEPLUS_ACCESS_KEY", "BYTEPLUS_SECRET_KEY", "")],
        halves: AKSK,
        endpoints: &["tos-ap-southeast-1.bytepluses.com"],
        notes: &["BytePlus VOD"],
        nameless: false,
        make: |dice| {
            let length = dice.within(20, 28);
            pair(
                "byteplus",
                format!("AKLT{}", dice.text(ALNUM, length)),
                base64(&dice.bytes(49)),
            )
        },
    },
    Cloud {
        family: "kingsoft",
        brands: &["ksyun", "ks3", "kingsoft"],
        documented: &[
            ("KSYUN_ACCESS_KEY", "KSYUN_SECRET_KEY", ""),
            ("KS3_ACCESS_KEY_ID", "KS3_ACCESS_KEY_SECRET", ""),
        ],
        halves: AKSK,
        endpoints: &["ks3-cn-beijing.ksyuncs.com", "https://iam.api.ksyun.com"],
        notes: &["金山云对象存储"],
        nameless: false,
        make: |dice| {
            let tail = base64(&dice.bytes(16)).replace('+', "-").replace('/', "_");
            pair(
                "kingsoft",
                format!("AKLT{}", tail.trim_end_matches('=')),
                base64(&dice.bytes(49)),
            )
        },
    },
    Cloud {
        family: "baidu",
        brands: &["baidu", "bce", "bos", "qianfan", "baiducloud"],
        documented: &[
            ("BCE_ACCESS_KEY_ID", "BCE_SECRET_ACCESS_KEY", ""),
            ("QIANFAN_ACCESS_KEY", "QIANFAN_SECRET_KEY", ""),
            ("BAIDUCLOUD_ACCESS_KEY", "BAIDUCLOUD_SECRET_KEY", ""),
        ],
        halves: AKSK,
        endpoints: &["bj.bcebos.com", "https://aip.baidubce.com"],
        notes: &["百度智能云 BOS"],
        nameless: true,
        make: |dice| {
            let id = if dice.once_in(3) {
                dice.text(HEX, 32)
            } else {
                format!("ALTAK{}", dice.text(ALNUM, 21))
            };
            pair("baidu", id, dice.text(HEX, 32))
        },
    },
    Cloud {
        family: "jd",
        brands: &["jdcloud", "jd", "jcloud"],
        documented: &[("JDCLOUD_ACCESS_KEY", "JDCLOUD_SECRET_KEY", "")],
        halves: AKSK,
        endpoints: &["s3.cn-north-1.jdcloud-oss.com"],
        notes: &["京东云"],
        nameless: false,
        make: |dice| {
            let length = dice.within(28, 32);
            pair(
                "jd",
                format!("JDC_{}", dice.text(UPNUM, length)),
                dice.text(UPNUM, 32),
            )
        },
    },
    Cloud {
        family: "qiniu",
        brands: &["qiniu", "kodo"],
        documented: &[
            ("QINIU_ACCESS_KEY", "QINIU_SECRET_KEY", ""),
            ("QINIU_AK", "QINIU_SK", ""),
        ],
        halves: AKSK,
        endpoints: &["up-z2.qiniup.com", "https://rs.qiniu.com"],
        notes: &["七牛云 图床"],
        nameless: true,
        make: |dice| pair("qiniu", dice.text(BASE64URL, 40), dice.text(BASE64URL, 40)),
    },
    Cloud {
        family: "ucloud",
        brands: &["ucloud", "us3", "ufile"],
        documented: &[("UCLOUD_PUBLIC_KEY", "UCLOUD_PRIVATE_KEY", "")],
        halves: &[("public key", "private key"), ("pub key", "pri key")],
        endpoints: &["cn-bj.ufileos.com", "https://api.ucloud.cn"],
        notes: &["UCloud US3"],
        nameless: true,
        make: |dice| {
            let id = dice.text(ALNUM, 44);
            let secret = if dice.once_in(2) {
                dice.text(HEX, 40)
            } else {
                dice.text(ALNUM, 44)
            };
            pair("ucloud", id, secret)
        },
    },
    Cloud {
        family: "qingcloud",
        brands: &["qingcloud", "qingstor"],
        documented: &[
            ("QINGCLOUD_ACCESS_KEY_ID", "QINGCLOUD_SECRET_ACCESS_KEY", ""),
            ("qy_access_key_id", "qy_secret_access_key", ""),
        ],
        halves: AKSK,
        endpoints: &["pek3b.qingstor.com", "https://api.qingcloud.com/iaas/"],
        notes: &["青云"],
        nameless: true,
        make: |dice| {
            pair(
                "qingcloud",
                format!("QY{}", dice.text(UPPER, 18)),
                dice.text(ALNUM, 40),
            )
        },
    },
    Cloud {
        family: "ctyun",
        brands: &["ctyun", "zos", "tianyi"],
        documented: &[("CTYUN_AK", "CTYUN_SK", "")],
        halves: AKSK,
        endpoints: &["oos-cn.ctyunapi.cn", "jiangsu-10.zos.ctyun.cn"],
        notes: &["天翼云"],
        nameless: true,
        make: |dice| {
            if dice.once_in(2) {
                pair("ctyun", dice.text(HEX, 20), dice.text(HEX, 40))
            } else {
                pair("ctyun", dice.text(HEX, 32), dice.text(HEX, 32))
            }
        },
    },
    Cloud {
        family: "ecloud",
        brands: &["ecloud", "cmecloud", "eos"],
        documented: &[("ECLOUD_ACCESS_KEY", "ECLOUD_SECRET_KEY", "")],
        halves: AKSK,
        endpoints: &["eos-wuxi-1.cmecloud.cn", "https://ecloud.10086.cn"],
        notes: &["移动云"],
        nameless: true,
        make: |dice| pair("ecloud", dice.text(UPNUM, 20), dice.text(ALNUM, 40)),
    },
    Cloud {
        family: "cucloud",
        brands: &["cucloud", "wocloud", "unicom"],
        documented: &[("CUCLOUD_ACCESS_KEY", "CUCLOUD_SECRET_KEY", "")],
        halves: AKSK,
        endpoints: &["obs-helf.cucloud.cn"],
        notes: &["联通云"],
        nameless: true,
        make: |dice| pair("cucloud", dice.text(UPNUM, 20), dice.text(ALNUM, 40)),
    },
    Cloud {
        family: "minio",
        brands: &["minio", "object store", "s3 local"],
        documented: &[
            ("MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD", ""),
            ("MINIO_ACCESS_KEY", "MINIO_SECRET_KEY", ""),
        ],
        halves: &[
            ("access key", "secret key"),
            ("accesskey", "secretkey"),
            ("ak", "sk"),
        ],
        endpoints: &["http://minio.storage.svc:9000", "minio-01.lan:9000"],
        notes: &["self-hosted minio"],
        nameless: true,
        make: |dice| pair("minio", dice.text(ALNUM, 20), dice.text(ALNUM, 40)),
    },
    Cloud {
        family: "ceph",
        brands: &["ceph", "rgw", "radosgw"],
        documented: &[("RGW_ACCESS_KEY", "RGW_SECRET_KEY", "")],
        halves: &[("access key", "secret key"), ("ak", "sk")],
        endpoints: &["http://rgw.ceph.internal:7480"],
        notes: &["ceph rgw user=backup"],
        nameless: true,
        make: |dice| pair("ceph", dice.text(UPNUM, 20), dice.text(ALNUM, 40)),
    },
    Cloud {
        family: "wasabi",
        brands: &["wasabi"],
        documented: &[("WASABI_ACCESS_KEY_ID", "WASABI_SECRET_ACCESS_KEY", "")],
        halves: AKSK,
        endpoints: &["s3.eu-central-2.wasabisys.com"],
        notes: &["wasabi archive"],
        nameless: true,
        make: |dice| pair("wasabi", dice.text(UPNUM, 20), dice.text(ALNUM, 40)),
    },
    Cloud {
        family: "gcs-hmac",
        brands: &["gcs", "google storage", "gcp"],
        documented: &[
            ("GCS_HMAC_ACCESS_ID", "GCS_HMAC_SECRET", ""),
            ("gs_access_key_id", "gs_secret_access_key", ""),
        ],
        halves: &[
            ("access key", "secret key"),
            ("hmac key", "hmac secret"),
            ("access id", "secret"),
        ],
        endpoints: &["storage.googleapis.com"],
        notes: &["interoperability key"],
        nameless: false,
        make: |dice| {
            let id = if dice.once_in(2) {
                format!("GOOG1E{}", dice.text(UPNUM, 55))
            } else {
                format!("GOOG{}", dice.text(UPNUM, 20))
            };
            pair("gcs-hmac", id, dice.text(BASE64, 40))
        },
    },
    Cloud {
        family: "gcp-api-key",
        brands: &["google", "maps", "gcp", "firebase", "gemini"],
        documented: &[("", "GOOGLE_API_KEY", ""), ("", "GEMINI_API_KEY", "")],
        halves: &[("", "api key"), ("", "key"), ("", "browser key")],
        endpoints: &["https://maps.googleapis.com/maps/api"],
        notes: &["unrestricted key"],
        nameless: false,
        make: |dice| lone("gcp-api-key", format!("AIza{}", dice.text(BASE64URL, 35))),
    },
    Cloud {
        family: "gcp-oauth",
        brands: &["google", "oauth", "gmail"],
        documented: &[("", "GOOGLE_CLIENT_SECRET", "")],
        halves: &[("", "client secret"), ("", "oauth client secret")],
        endpoints: &["https://oauth2.googleapis.com/token"],
        notes: &["web client"],
        nameless: false,
        make: |dice| lone("gcp-oauth", format!("GOCSPX-{}", dice.text(BASE64URL, 28))),
    },
    Cloud {
        family: "azure-storage",
        brands: &["azure", "blob", "azure storage"],
        documented: &[
            ("AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_KEY", ""),
            ("", "ARM_ACCESS_KEY", ""),
        ],
        halves: &[
            ("account name", "account key"),
            ("storage account", "storage key"),
        ],
        endpoints: &["https://acmeprod.blob.core.windows.net"],
        notes: &["storage account, key1"],
        nameless: false,
        make: |dice| {
            let account = format!("acme{}", dice.text(LOWNUM, 8));
            let key = format!(
                "{}+ASt{}==",
                dice.text(BASE64, 76),
                dice.text(BASE64, 5) + &dice.text("AQgw", 1)
            );
            pair("azure-storage", account, key)
        },
    },
    Cloud {
        family: "azure-ai",
        brands: &["azure openai", "cognitive", "azure speech"],
        documented: &[("", "AZURE_OPENAI_API_KEY", ""), ("", "SPEECH_KEY", "")],
        halves: &[("", "api key"), ("", "subscription key")],
        endpoints: &["https://acme-gpt.openai.azure.com"],
        notes: &["eastus2 deployment"],
        nameless: false,
        make: |dice| {
            let month = dice.text("ABCDEFGHIJKL", 1);
            lone(
                "azure-ai",
                format!(
                    "{}JQQJ99B{month}AC{}XJ3w3AAABACOG{}",
                    dice.text(ALNUM, 52),
                    dice.text(ALNUM, 5),
                    dice.text(ALNUM, 4)
                ),
            )
        },
    },
    Cloud {
        family: "azure-client-secret",
        brands: &["azure", "entra", "aad", "arm"],
        documented: &[
            ("", "AZURE_CLIENT_SECRET", ""),
            ("", "ARM_CLIENT_SECRET", ""),
        ],
        halves: &[("", "client secret"), ("", "sp password")],
        endpoints: &["https://login.microsoftonline.com"],
        notes: &["service principal terraform"],
        nameless: false,
        make: |dice| {
            lone(
                "azure-client-secret",
                format!(
                    "{}8Q~{}",
                    dice.text(ALNUM, 3),
                    dice.text(&format!("{ALNUM}_.-~"), 34)
                ),
            )
        },
    },
    Cloud {
        family: "azure-service-bus",
        brands: &["servicebus", "eventhub", "azure bus"],
        documented: &[
            ("", "AzureWebJobsServiceBus", ""),
            ("", "SERVICEBUS_CONNECTION_STRING", ""),
        ],
        halves: &[("", "connection string"), ("", "conn str")],
        endpoints: &["acme.servicebus.windows.net"],
        notes: &["orders topic"],
        nameless: false,
        make: |dice| {
            let key = base64(&dice.bytes(32));
            let whole = format!(
                "Endpoint=sb://{}.servicebus.windows.net/;SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey={key}",
                dice.text(LOWNUM, 9)
            );
            Credential {
                forms: vec![whole.clone()],
                also: vec![whole],
                ..lone("azure-service-bus", key)
            }
        },
    },
    Cloud {
        family: "azure-app-config",
        brands: &["appconfig", "azure app configuration"],
        documented: &[("", "AZURE_APPCONFIG_CONNECTION_STRING", "")],
        halves: &[("", "connection string")],
        endpoints: &["https://acme.azconfig.io"],
        notes: &["feature flags"],
        nameless: false,
        make: |dice| {
            let key = base64(&dice.bytes(32));
            let whole = format!(
                "Endpoint=https://{}.azconfig.io;Id={};Secret={key}",
                dice.text(LOWNUM, 9),
                dice.pattern("{4:w}-l9-s0:{20:w}")
            );
            Credential {
                forms: vec![whole.clone()],
                also: vec![whole],
                ..lone("azure-app-config", key)
            }
        },
    },
    Cloud {
        family: "azure-sas",
        brands: &["azure", "blob", "backup"],
        documented: &[("", "AZURE_STORAGE_SAS_TOKEN", "")],
        halves: &[("", "sas token"), ("", "sas")],
        endpoints: &["https://acmebackup.blob.core.windows.net/dumps"],
        notes: &["write only, to 2027"],
        nameless: false,
        make: |dice| {
            let signature = base64(&dice.bytes(32))
                .replace('+', "%2B")
                .replace('/', "%2F")
                .replace('=', "%3D");
            let whole = format!(
                "sv=2022-11-02&ss=b&srt=co&sp=rwl&se=2027-06-30T00:00:00Z&st=2025-01-01T00:00:00Z&spr=https&sig={signature}"
            );
            let decoded = signature
                .replace("%2B", "+")
                .replace("%2F", "/")
                .replace("%3D", "=");
            Credential {
                forms: vec![
                    format!("sig={signature}"),
                    format!("sig={decoded}"),
                    decoded,
                    whole.clone(),
                ],
                also: vec![whole],
                ..lone("azure-sas", signature)
            }
        },
    },
    Cloud {
        family: "oci",
        brands: &["oci", "oracle cloud", "oracle object storage"],
        documented: &[("OCI_S3_ACCESS_KEY", "OCI_S3_SECRET_KEY", "")],
        halves: AKSK,
        endpoints: &["https://axq3x.compat.objectstorage.eu-frankfurt-1.oraclecloud.com"],
        notes: &["customer secret key"],
        nameless: true,
        make: |dice| pair("oci", dice.text(HEX, 40), base64(&dice.bytes(32))),
    },
    Cloud {
        family: "ibm",
        brands: &["ibm", "ibmcloud", "watson"],
        documented: &[("", "IBMCLOUD_API_KEY", ""), ("", "IC_API_KEY", "")],
        halves: &[("", "api key"), ("", "apikey"), ("", "iam apikey")],
        endpoints: &["https://iam.cloud.ibm.com/identity/token"],
        notes: &["watson assistant"],
        nameless: true,
        make: |dice| lone("ibm", dice.text(BASE64URL, 44)),
    },
    Cloud {
        family: "ibm-cos",
        brands: &["ibm cos", "cloud object storage", "ibm"],
        documented: &[("IBM_COS_ACCESS_KEY_ID", "IBM_COS_SECRET_ACCESS_KEY", "")],
        halves: &[("access key id", "secret access key")],
        endpoints: &["s3.eu-de.cloud-object-storage.appdomain.cloud"],
        notes: &["hmac credentials"],
        nameless: true,
        make: |dice| pair("ibm-cos", dice.text(HEX, 32), dice.text(HEX, 48)),
    },
    Cloud {
        family: "digitalocean",
        brands: &["digitalocean", "do"],
        documented: &[
            ("", "DIGITALOCEAN_ACCESS_TOKEN", ""),
            ("", "DIGITALOCEAN_TOKEN", ""),
        ],
        halves: LONE,
        endpoints: &["https://api.digitalocean.com"],
        notes: &["droplet autoscaler"],
        nameless: false,
        make: |dice| lone("digitalocean", format!("dop_v1_{}", dice.text(HEX, 64))),
    },
    Cloud {
        family: "do-spaces",
        brands: &["spaces", "do spaces"],
        documented: &[("SPACES_ACCESS_KEY_ID", "SPACES_SECRET_ACCESS_KEY", "")],
        halves: AKSK,
        endpoints: &["fra1.digitaloceanspaces.com"],
        notes: &["static assets"],
        nameless: false,
        make: |dice| {
            pair(
                "do-spaces",
                format!("DO00{}", dice.text(UPNUM, 16)),
                dice.text(BASE64, 43),
            )
        },
    },
    Cloud {
        family: "scaleway",
        brands: &["scaleway", "scw"],
        documented: &[("SCW_ACCESS_KEY", "SCW_SECRET_KEY", "")],
        halves: &[("access key", "secret key")],
        endpoints: &["s3.fr-par.scw.cloud", "https://api.scaleway.com"],
        notes: &["scaleway project default"],
        nameless: false,
        make: |dice| {
            pair(
                "scaleway",
                format!("SCW{}", dice.text(UPNUM, 17)),
                dice.uuid(),
            )
        },
    },
    Cloud {
        family: "ovh",
        brands: &["ovh"],
        documented: &[(
            "OVH_APPLICATION_KEY",
            "OVH_APPLICATION_SECRET",
            "OVH_CONSUMER_KEY",
        )],
        halves: &[("application key", "application secret")],
        endpoints: &["ovh-eu"],
        notes: &["dns challenge"],
        nameless: true,
        make: |dice| {
            temporary(
                "ovh",
                dice.text(HEX, 16),
                dice.text(HEX, 32),
                dice.text(HEX, 32),
            )
        },
    },
    Cloud {
        family: "hetzner",
        brands: &["hcloud", "hetzner"],
        documented: &[("", "HCLOUD_TOKEN", "")],
        halves: LONE,
        endpoints: &["https://api.hetzner.cloud/v1"],
        notes: &["node autoscaler"],
        nameless: true,
        make: |dice| lone("hetzner", dice.text(ALNUM, 64)),
    },
    Cloud {
        family: "linode",
        brands: &["linode"],
        documented: &[("", "LINODE_TOKEN", ""), ("", "LINODE_CLI_TOKEN", "")],
        halves: LONE,
        endpoints: &["https://api.linode.com/v4"],
        notes: &["nodebalancer"],
        nameless: true,
        make: |dice| lone("linode", dice.text(HEX, 64)),
    },
    Cloud {
        family: "vultr",
        brands: &["vultr"],
        documented: &[("", "VULTR_API_KEY", "")],
        halves: &[("", "api key"), ("", "token")],
        endpoints: &["https://api.vultr.com/v2"],
        notes: &["game servers"],
        nameless: true,
        make: |dice| lone("vultr", dice.text(UPNUM, 36)),
    },
    Cloud {
        family: "cloudflare",
        brands: &["cloudflare", "cf"],
        documented: &[
            ("", "CLOUDFLARE_API_TOKEN", ""),
            ("", "CF_API_TOKEN", ""),
            ("", "CF_Token", ""),
        ],
        halves: LONE,
        endpoints: &["https://api.cloudflare.com/client/v4"],
        notes: &["zone edit"],
        nameless: true,
        make: |dice| lone("cloudflare", dice.text(BASE64URL, 40)),
    },
    Cloud {
        family: "cloudflare-global",
        brands: &["cloudflare"],
        documented: &[("", "CLOUDFLARE_API_KEY", ""), ("", "CF_Key", "")],
        halves: &[("", "api key"), ("", "global api key")],
        endpoints: &["https://api.cloudflare.com/client/v4"],
        notes: &["global key, do not share"],
        nameless: true,
        make: |dice| lone("cloudflare-global", dice.text(HEX, 37)),
    },
    Cloud {
        family: "r2",
        brands: &["r2", "cloudflare r2"],
        documented: &[("R2_ACCESS_KEY_ID", "R2_SECRET_ACCESS_KEY", "")],
        halves: &[("access key id", "secret access key")],
        endpoints: &["https://0f3b.r2.cloudflarestorage.com"],
        notes: &["R2 media bucket"],
        nameless: true,
        make: |dice| pair("r2", dice.text(HEX, 32), dice.text(HEX, 64)),
    },
    Cloud {
        family: "backblaze",
        brands: &["b2", "backblaze"],
        documented: &[
            ("B2_APPLICATION_KEY_ID", "B2_APPLICATION_KEY", ""),
            ("B2_ACCOUNT_ID", "B2_ACCOUNT_KEY", ""),
        ],
        halves: &[
            ("key id", "application key"),
            ("account id", "application key"),
        ],
        endpoints: &["s3.us-west-004.backblazeb2.com"],
        notes: &["restic target"],
        nameless: false,
        make: |dice| {
            pair(
                "backblaze",
                format!(
                    "004{}00000000{}",
                    dice.text(HEX, 12),
                    dice.text("0123456789", 2)
                ),
                format!("K004{}", dice.text(BASE64, 27)),
            )
        },
    },
    Cloud {
        family: "yandex",
        brands: &["yandex", "yc"],
        documented: &[("YC_ACCESS_KEY_ID", "YC_SECRET_ACCESS_KEY", "")],
        halves: AKSK,
        endpoints: &["storage.yandexcloud.net"],
        notes: &["static key"],
        nameless: false,
        make: |dice| {
            pair(
                "yandex",
                format!("YCAJE{}", dice.text(BASE64URL, 20)),
                format!("YC{}", dice.text(BASE64URL, 38)),
            )
        },
    },
    Cloud {
        family: "softlayer",
        brands: &["softlayer", "sl"],
        documented: &[("SL_USERNAME", "SL_API_KEY", "")],
        halves: &[("username", "api key")],
        endpoints: &["https://api.softlayer.com/rest/v3.1"],
        notes: &["classic infrastructure"],
        nameless: true,
        make: |dice| lone("softlayer", dice.text(HEX, 64)),
    },
    Cloud {
        family: "upcloud",
        brands: &["upcloud"],
        documented: &[("", "UPCLOUD_PASSWORD", ""), ("", "UPCLOUD_TOKEN", "")],
        halves: &[("", "api password")],
        endpoints: &["https://api.upcloud.com/1.3"],
        notes: &["api subaccount"],
        nameless: true,
        make: |dice| lone("upcloud", dice.text(ALNUM, 24)),
    },
    Cloud {
        family: "exoscale",
        brands: &["exoscale"],
        documented: &[("EXOSCALE_API_KEY", "EXOSCALE_API_SECRET", "")],
        halves: &[("api key", "api secret"), ("key", "secret")],
        endpoints: &["https://api-ch-gva-2.exoscale.com/v2"],
        notes: &["sks nodepool"],
        nameless: false,
        make: |dice| {
            pair(
                "exoscale",
                format!("EXO{}", dice.text(HEX, 24)),
                dice.text(BASE64URL, 43),
            )
        },
    },
];

/// Id and secret are base64 of hexadecimal, the secret twice.
fn volcengine(dice: &mut Dice, prefix: &str) -> (String, String) {
    let unpadded = |hex: String| base64(hex.as_bytes()).trim_end_matches('=').to_owned();
    let id = format!("{prefix}{}", unpadded(dice.uuid().replace('-', "")));
    let secret = base64(unpadded(dice.uuid().replace('-', "")).as_bytes());
    (id, secret)
}

/// The cloud of that name.
///
/// # Panics
/// When there is none: names are constants.
#[must_use]
pub fn cloud(family: &str) -> &'static Cloud {
    let found = CLOUDS.iter().find(|cloud| cloud.family == family);
    found.unwrap_or_else(|| panic!("no cloud is called {family:?}"))
}
