//! Tokens of services: their vendors' formats with valid checksums, and the variables that hold them.

use super::dice::{ALNUM, BASE64, Dice, LOWNUM};
use super::page::{Credential, Tier};
use super::text::{base64, crc32, in_base};

/// One kind of token.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// Its name in labels.
    pub family: &'static str,
    /// A pattern of [`Dice::pattern`], or `!name` for what only code can make.
    pub pattern: &'static str,
    /// Names of variables, as vendors' documents have them or as people write them.
    pub names: &'static [&'static str],
}

const fn service(
    family: &'static str,
    pattern: &'static str,
    names: &'static [&'static str],
) -> Service {
    Service {
        family,
        pattern,
        names,
    }
}

/// Every kind.
pub const SERVICES: &[Service] = &[
    // Source hosts and CI.
    service(
        "github",
        "!ghp",
        &["GITHUB_TOKEN", "GH_TOKEN", "github_pat", "repoToken"],
    ),
    service("github-oauth", "!gho", &["GITHUB_OAUTH_TOKEN"]),
    service(
        "github-server",
        "!ghs",
        &["GH_APP_TOKEN", "installation_token"],
    ),
    service(
        "github-fine",
        "github_pat_{22:w}_{59:w}",
        &["GITHUB_PAT", "GIT_PUSH_TOKEN"],
    ),
    service(
        "gitlab",
        "glpat-{20:b}",
        &["GITLAB_TOKEN", "CI_PUSH_TOKEN", "gitlabPrivateToken"],
    ),
    service("gitlab-routable", "!glpat", &["GITLAB_TOKEN", "GL_TOKEN"]),
    service(
        "gitlab-runner",
        "glrt-{20:b}",
        &["RUNNER_TOKEN", "CI_SERVER_TOKEN"],
    ),
    service("gitlab-deploy", "gldt-{20:b}", &["GITLAB_DEPLOY_TOKEN"]),
    service("gitlab-trigger", "glptt-{40:x}", &["TRIGGER_TOKEN"]),
    service("bitbucket", "ATBB{32:w}", &["BITBUCKET_APP_PASSWORD"]),
    service(
        "atlassian",
        "ATATT3xFfGF0{171:b}={8:X}",
        &["JIRA_API_TOKEN", "CONFLUENCE_TOKEN"],
    ),
    service("gitea", "{40:x}", &["GITEA_TOKEN", "GITEA_ACCESS_TOKEN"]),
    service("gitee", "{32:x}", &["GITEE_ACCESS_TOKEN", "GITEE_TOKEN"]),
    service("circleci", "CCIPAT_{22:w}_{40:x}", &["CIRCLE_TOKEN"]),
    service("buildkite", "bkua_{40:x}", &["BUILDKITE_API_TOKEN"]),
    service("travis", "{22:b}", &["TRAVIS_API_TOKEN"]),
    service(
        "azure-devops",
        "{76:w}AZDO{4:w}",
        &["AZURE_DEVOPS_EXT_PAT", "SYSTEM_ACCESSTOKEN"],
    ),
    service(
        "sonarqube",
        "squ_{40:x}",
        &["SONAR_TOKEN", "SONARQUBE_TOKEN"],
    ),
    service("sonarqube-project", "sqp_{40:x}", &["SONAR_LOGIN"]),
    service("codecov", "{u}", &["CODECOV_TOKEN"]),
    service("snyk", "{u}", &["SNYK_TOKEN"]),
    service("jenkins", "11{32:x}", &["JENKINS_API_TOKEN"]),
    // Package registries.
    service("npm", "!npm", &["NPM_TOKEN", "NODE_AUTH_TOKEN"]),
    service(
        "pypi",
        "!pypi",
        &["PYPI_TOKEN", "TWINE_PASSWORD", "UV_PUBLISH_TOKEN"],
    ),
    service("rubygems", "rubygems_{48:x}", &["GEM_HOST_API_KEY"]),
    service("crates", "cio{32:w}", &["CARGO_REGISTRY_TOKEN"]),
    service("nuget", "oy2{43:n}", &["NUGET_API_KEY"]),
    service(
        "docker-hub",
        "dckr_pat_{27:b}",
        &["DOCKERHUB_TOKEN", "DOCKER_PAT"],
    ),
    service(
        "jfrog",
        "AKCp8{68:w}",
        &["ARTIFACTORY_API_KEY", "JFROG_API_KEY"],
    ),
    service("jfrog-ref", "cmVmdGtuOjAxO{51:w}", &["JF_ACCESS_TOKEN"]),
    service("cloudsmith", "{40:x}", &["CLOUDSMITH_API_KEY"]),
    // Chat and its robots.
    service(
        "slack-bot",
        "xoxb-{12:d}-{13:d}-{24:w}",
        &["SLACK_BOT_TOKEN", "slackToken"],
    ),
    service(
        "slack-user",
        "xoxp-{12:d}-{12:d}-{13:d}-{32:x}",
        &["SLACK_USER_TOKEN"],
    ),
    service(
        "slack-app",
        "xapp-1-A{10:N}-{13:d}-{64:x}",
        &["SLACK_APP_TOKEN"],
    ),
    service(
        "slack-webhook",
        "https://hooks.slack.com/services/T{8:N}/B{10:N}/{24:w}",
        &["SLACK_WEBHOOK_URL", "alert_webhook"],
    ),
    service(
        "discord-bot",
        "!discord",
        &["DISCORD_TOKEN", "DISCORD_BOT_TOKEN"],
    ),
    service(
        "discord-webhook",
        "https://discord.com/api/webhooks/{18:d}/{68:b}",
        &["DISCORD_WEBHOOK"],
    ),
    service(
        "telegram",
        "{10:d}:AA{33:b}",
        &["TELEGRAM_BOT_TOKEN", "TG_TOKEN"],
    ),
    service(
        "teams-webhook",
        "https://acme.webhook.office.com/webhookb2/{u}@{u}/IncomingWebhook/{32:x}/{u}",
        &["TEAMS_WEBHOOK_URL"],
    ),
    service(
        "dingtalk-robot",
        "https://oapi.dingtalk.com/robot/send?access_token={64:x}",
        &["DINGTALK_WEBHOOK", "ding_robot_url"],
    ),
    service(
        "dingtalk-sign",
        "SEC{64:x}",
        &["DINGTALK_SECRET", "DING_SIGN_SECRET"],
    ),
    service(
        "feishu-hook",
        "https://open.feishu.cn/open-apis/bot/v2/hook/{u}",
        &["FEISHU_WEBHOOK", "lark_hook"],
    ),
    service(
        "feishu-app",
        "{32:w}",
        &["FEISHU_APP_SECRET", "LARK_APP_SECRET"],
    ),
    service(
        "wecom-hook",
        "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key={u}",
        &["WECOM_WEBHOOK", "qywx_robot"],
    ),
    service(
        "wecom-secret",
        "{43:b}",
        &["WECOM_CORP_SECRET", "WEWORK_SECRET"],
    ),
    service(
        "wechat-app",
        "{32:x}",
        &["WECHAT_APP_SECRET", "WX_APPSECRET"],
    ),
    service(
        "wechat-pay",
        "{32:w}",
        &["WECHAT_PAY_APIV3_KEY", "WXPAY_API_KEY"],
    ),
    service("line", "{170:B}=", &["LINE_CHANNEL_ACCESS_TOKEN"]),
    service("mattermost", "{26:n}", &["MATTERMOST_TOKEN"]),
    // Payments.
    service(
        "stripe",
        "sk_live_{24:w}",
        &["STRIPE_SECRET_KEY", "stripeApiKey"],
    ),
    service("stripe-long", "sk_live_51{97:w}", &["STRIPE_API_KEY"]),
    service(
        "stripe-restricted",
        "rk_live_{24:w}",
        &["STRIPE_RESTRICTED_KEY"],
    ),
    service("stripe-webhook", "whsec_{32:w}", &["STRIPE_WEBHOOK_SECRET"]),
    service("square", "EAAA{60:w}", &["SQUARE_ACCESS_TOKEN"]),
    service("shopify", "shpat_{32:x}", &["SHOPIFY_ACCESS_TOKEN"]),
    service("shopify-secret", "shpss_{32:x}", &["SHOPIFY_SHARED_SECRET"]),
    service(
        "paypal",
        "E{79:b}",
        &["PAYPAL_CLIENT_SECRET", "PAYPAL_SECRET"],
    ),
    service(
        "braintree",
        "access_token$production${16:n}${32:x}",
        &["BRAINTREE_ACCESS_TOKEN"],
    ),
    service("razorpay", "{24:w}", &["RAZORPAY_KEY_SECRET"]),
    service("adyen", "AQE{150:w}", &["ADYEN_API_KEY"]),
    service("flutterwave", "FLWSECK-{32:x}-X", &["FLW_SECRET_KEY"]),
    service("plaid", "{30:x}", &["PLAID_SECRET"]),
    // Mail, SMS, maps.
    service(
        "sendgrid",
        "SG.{22:b}.{43:b}",
        &["SENDGRID_API_KEY", "MAIL_API_KEY"],
    ),
    service("mailgun", "key-{32:x}", &["MAILGUN_API_KEY", "MG_KEY"]),
    service("mailchimp", "{32:x}-us{2:d}", &["MAILCHIMP_API_KEY"]),
    service(
        "postmark",
        "{u}",
        &["POSTMARK_SERVER_TOKEN", "POSTMARK_API_TOKEN"],
    ),
    service(
        "sendinblue",
        "xkeysib-{64:x}-{16:w}",
        &["BREVO_API_KEY", "SENDINBLUE_KEY"],
    ),
    service("resend", "re_{8:w}_{24:w}", &["RESEND_API_KEY"]),
    service("twilio-key", "{32:x}", &["TWILIO_AUTH_TOKEN"]),
    service(
        "vonage",
        "{16:w}",
        &["NEXMO_API_SECRET", "VONAGE_API_SECRET"],
    ),
    service("messagebird", "{25:w}", &["MESSAGEBIRD_API_KEY"]),
    service(
        "mapbox",
        "sk.eyJ1Ijoi{70:w}.{22:b}",
        &["MAPBOX_SECRET_TOKEN"],
    ),
    service(
        "amap",
        "{32:x}",
        &["AMAP_KEY", "AMAP_WEB_KEY", "GAODE_API_KEY"],
    ),
    service("baidu-map", "{32:w}", &["BAIDU_MAP_AK"]),
    // Language models.
    service(
        "openai",
        "sk-proj-{74:b}T3BlbkFJ{74:b}",
        &["OPENAI_API_KEY"],
    ),
    service(
        "openai-old",
        "sk-{20:w}T3BlbkFJ{20:w}",
        &["OPENAI_KEY", "openaiApiKey"],
    ),
    service(
        "anthropic",
        "sk-ant-api03-{93:b}AA",
        &["ANTHROPIC_API_KEY", "CLAUDE_KEY"],
    ),
    service(
        "dashscope",
        "sk-{32:x}",
        &["DASHSCOPE_API_KEY", "QWEN_API_KEY"],
    ),
    service("deepseek", "sk-{32:x}", &["DEEPSEEK_API_KEY"]),
    service(
        "moonshot",
        "sk-{48:w}",
        &["MOONSHOT_API_KEY", "KIMI_API_KEY"],
    ),
    service(
        "zhipu",
        "{32:x}.{16:w}",
        &["ZHIPUAI_API_KEY", "GLM_API_KEY"],
    ),
    service("ark", "{u}", &["ARK_API_KEY", "DOUBAO_API_KEY"]),
    service(
        "qianfan",
        "bce-v3/ALTAK-{21:w}/{40:x}",
        &["QIANFAN_API_KEY"],
    ),
    service(
        "huggingface",
        "hf_{34:l}",
        &["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"],
    ),
    service("groq", "gsk_{52:w}", &["GROQ_API_KEY"]),
    service("xai", "xai-{80:w}", &["XAI_API_KEY"]),
    service("openrouter", "sk-or-v1-{64:x}", &["OPENROUTER_API_KEY"]),
    service("replicate", "r8_{37:w}", &["REPLICATE_API_TOKEN"]),
    service("perplexity", "pplx-{48:w}", &["PERPLEXITY_API_KEY"]),
    service("cohere", "{40:w}", &["COHERE_API_KEY", "CO_API_KEY"]),
    service("mistral", "{32:w}", &["MISTRAL_API_KEY"]),
    service("siliconflow", "sk-{48:a}", &["SILICONFLOW_API_KEY"]),
    service(
        "langsmith",
        "lsv2_pt_{32:x}_{10:x}",
        &["LANGCHAIN_API_KEY", "LANGSMITH_API_KEY"],
    ),
    service("pinecone", "pcsk_{5:w}_{63:w}", &["PINECONE_API_KEY"]),
    service("nvidia", "nvapi-{64:b}", &["NVIDIA_API_KEY"]),
    // Monitoring.
    service(
        "grafana-service",
        "!glsa",
        &["GRAFANA_TOKEN", "GF_SA_TOKEN"],
    ),
    service("grafana-cloud", "!glc", &["GRAFANA_CLOUD_API_KEY"]),
    service("datadog", "{32:x}", &["DD_API_KEY", "DATADOG_API_KEY"]),
    service("datadog-app", "{40:x}", &["DD_APP_KEY", "DATADOG_APP_KEY"]),
    service(
        "newrelic",
        "NRAK-{27:N}",
        &["NEW_RELIC_API_KEY", "NEWRELIC_USER_KEY"],
    ),
    service("newrelic-license", "{36:x}NRAL", &["NEW_RELIC_LICENSE_KEY"]),
    service("sentry", "sntrys_eyJ{120:w}_{43:w}", &["SENTRY_AUTH_TOKEN"]),
    service("sentry-user", "sntryu_{64:x}", &["SENTRY_TOKEN"]),
    service("pagerduty", "u+{18:b}", &["PAGERDUTY_TOKEN", "PD_API_KEY"]),
    service("opsgenie", "{u}", &["OPSGENIE_API_KEY"]),
    service("honeycomb", "hcaik_01{56:n}", &["HONEYCOMB_API_KEY"]),
    service(
        "dynatrace",
        "dt0c01.{24:N}.{64:N}",
        &["DT_API_TOKEN", "DYNATRACE_TOKEN"],
    ),
    service("influx", "{86:b}==", &["INFLUX_TOKEN", "INFLUXDB_TOKEN"]),
    service("elastic", "{58:w}==", &["ELASTIC_API_KEY"]),
    service("splunk", "{u}", &["SPLUNK_HEC_TOKEN"]),
    service("rollbar", "{32:x}", &["ROLLBAR_ACCESS_TOKEN"]),
    service("logzio", "{32:w}", &["LOGZIO_TOKEN"]),
    service("posthog", "phx_{43:w}", &["POSTHOG_PERSONAL_API_KEY"]),
    service(
        "better-stack",
        "{24:w}",
        &["BETTERSTACK_TOKEN", "LOGTAIL_SOURCE_TOKEN"],
    ),
    // Identity, secrets, infrastructure.
    service("vault", "hvs.{92:b}", &["VAULT_TOKEN"]),
    service("vault-old", "s.{24:w}", &["VAULT_TOKEN"]),
    service(
        "terraform",
        "{14:w}.atlasv1.{67:b}",
        &["TFE_TOKEN", "TF_API_TOKEN"],
    ),
    service("doppler", "dp.st.prd.{43:w}", &["DOPPLER_TOKEN"]),
    service("infisical", "st.{24:x}.{32:x}.{32:x}", &["INFISICAL_TOKEN"]),
    service(
        "onepassword",
        "ops_eyJ{250:w}",
        &["OP_SERVICE_ACCOUNT_TOKEN"],
    ),
    service("okta", "00{40:b}", &["OKTA_API_TOKEN", "OKTA_TOKEN"]),
    service("auth0", "{64:b}", &["AUTH0_CLIENT_SECRET"]),
    service(
        "keycloak",
        "{32:w}",
        &["KEYCLOAK_CLIENT_SECRET", "OIDC_CLIENT_SECRET"],
    ),
    service("consul", "{u}", &["CONSUL_HTTP_TOKEN"]),
    service("nomad", "{u}", &["NOMAD_TOKEN"]),
    service(
        "tailscale",
        "tskey-auth-k{10:w}CNTRL-{32:w}",
        &["TS_AUTHKEY"],
    ),
    service("ngrok", "2{26:w}_{21:w}", &["NGROK_AUTHTOKEN"]),
    service("fastly", "{32:b}", &["FASTLY_API_TOKEN", "FASTLY_API_KEY"]),
    service("netlify", "nfp_{36:w}", &["NETLIFY_AUTH_TOKEN"]),
    service("vercel", "{24:w}", &["VERCEL_TOKEN"]),
    service("heroku", "HRKU-AA{58:b}", &["HEROKU_API_KEY"]),
    service("fly", "FlyV1 fm2_{400:B}", &["FLY_API_TOKEN"]),
    service("render", "rnd_{28:w}", &["RENDER_API_KEY"]),
    service("supabase", "sbp_{40:x}", &["SUPABASE_ACCESS_TOKEN"]),
    service(
        "planetscale",
        "pscale_tkn_{43:b}",
        &["PLANETSCALE_SERVICE_TOKEN"],
    ),
    service("neon", "napi_{64:n}", &["NEON_API_KEY"]),
    service("databricks", "dapi{32:x}", &["DATABRICKS_TOKEN"]),
    service("snowflake-pat", "{220:b}", &["SNOWFLAKE_PAT"]),
    service(
        "confluent",
        "!cflt",
        &["CONFLUENT_API_SECRET", "KAFKA_SASL_SECRET"],
    ),
    service(
        "algolia",
        "{32:x}",
        &["ALGOLIA_ADMIN_KEY", "ALGOLIA_API_KEY"],
    ),
    service("kubernetes-jwt", "!jwt-k8s", &["K8S_TOKEN", "KUBE_TOKEN"]),
    service(
        "openshift",
        "sha256~{43:b}",
        &["OPENSHIFT_TOKEN", "OC_TOKEN"],
    ),
    service(
        "swarm-join",
        "SWMTKN-1-{50:n}-{25:n}",
        &["SWARM_JOIN_TOKEN"],
    ),
    service(
        "kubeadm",
        "{6:n}.{16:n}",
        &["KUBEADM_TOKEN", "bootstrap_token"],
    ),
    service(
        "rancher",
        "token-{5:n}:{54:n}",
        &["RANCHER_TOKEN", "CATTLE_TOKEN"],
    ),
    service("k3s", "K10{64:x}::server:{32:x}", &["K3S_TOKEN"]),
    service(
        "harbor-robot",
        "{32:w}",
        &["HARBOR_ROBOT_TOKEN", "HARBOR_ROBOT_SECRET"],
    ),
    service("argocd", "!jwt", &["ARGOCD_AUTH_TOKEN"]),
    service("age", "AGE-SECRET-KEY-1{58:N}", &["SOPS_AGE_KEY"]),
    service(
        "cloudflare-origin",
        "v1.0-{24:x}-{146:x}",
        &["CLOUDFLARE_ORIGIN_CA_KEY"],
    ),
    service("linear", "lin_api_{40:w}", &["LINEAR_API_KEY"]),
    service("notion", "ntn_{46:w}", &["NOTION_TOKEN", "NOTION_API_KEY"]),
    service("airtable", "pat{14:w}.{64:x}", &["AIRTABLE_API_KEY"]),
    service("figma", "figd_{40:b}", &["FIGMA_TOKEN"]),
    service("asana", "2/{16:d}/{16:d}:{32:x}", &["ASANA_ACCESS_TOKEN"]),
    service("hubspot", "pat-na1-{u}", &["HUBSPOT_ACCESS_TOKEN"]),
    service("intercom", "dG9rO{55:w}=", &["INTERCOM_ACCESS_TOKEN"]),
    service("zendesk", "{40:w}", &["ZENDESK_API_TOKEN"]),
    service("typeform", "tfp_{44:b}_{14:b}", &["TYPEFORM_TOKEN"]),
    service("dropbox", "sl.{136:b}", &["DROPBOX_ACCESS_TOKEN"]),
    service(
        "facebook",
        "EAAC{180:w}",
        &["FB_ACCESS_TOKEN", "FACEBOOK_PAGE_TOKEN"],
    ),
    service(
        "twitter-bearer",
        "AAAAAAAAAAAAAAAAAAAAA{80:w}",
        &["TWITTER_BEARER_TOKEN"],
    ),
    service("easypost", "EZAK{54:w}", &["EASYPOST_API_KEY"]),
    service("shippo", "shippo_live_{40:x}", &["SHIPPO_TOKEN"]),
    service("duffel", "duffel_live_{43:b}", &["DUFFEL_ACCESS_TOKEN"]),
    service(
        "launchdarkly",
        "sdk-{u}",
        &["LAUNCHDARKLY_SDK_KEY", "LD_SDK_KEY"],
    ),
    service(
        "contentful",
        "CFPAT-{43:b}",
        &["CONTENTFUL_MANAGEMENT_TOKEN"],
    ),
    service("pulumi", "pul-{40:x}", &["PULUMI_ACCESS_TOKEN"]),
    service("postman", "PMAK-{24:x}-{34:x}", &["POSTMAN_API_KEY"]),
    service("readme", "rdme_{70:n}", &["README_API_KEY"]),
    service("prefect", "pnu_{36:n}", &["PREFECT_API_KEY"]),
    service(
        "clickhouse-cloud",
        "4b1d{38:w}",
        &["CLICKHOUSE_CLOUD_API_SECRET"],
    ),
    service("jpush", "{24:x}", &["JPUSH_MASTER_SECRET"]),
    service("getui", "{22:w}", &["GETUI_MASTER_SECRET"]),
    service("umeng", "{32:n}", &["UMENG_APP_MASTER_SECRET"]),
    service(
        "serverchan",
        "SCT{6:d}T{22:w}",
        &["SERVERCHAN_SENDKEY", "SCKEY"],
    ),
    service("pushplus", "{32:x}", &["PUSHPLUS_TOKEN"]),
    service("bark", "https://api.day.app/{22:w}", &["BARK_PUSH"]),
];

/// Makes a token of this kind.
#[must_use]
pub fn make(service: &Service, dice: &mut Dice) -> Credential {
    let secret = match service.pattern.strip_prefix('!') {
        Some(name) => made(name, dice),
        None => dice.pattern(service.pattern),
    };
    Credential::lone(Tier::Token, service.family, secret)
}

/// The kind of that name.
///
/// # Panics
/// When there is none: names are constants.
#[must_use]
pub fn named(family: &str) -> &'static Service {
    let found = SERVICES.iter().find(|service| service.family == family);
    found.unwrap_or_else(|| panic!("no service is called {family:?}"))
}

const BASE62: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

fn made(name: &str, dice: &mut Dice) -> String {
    match name {
        // Thirty characters and the base62 CRC-32 of them, six wide.
        "ghp" | "gho" | "ghs" | "npm" => {
            let body = dice.text(ALNUM, 30);
            let sum = in_base(u64::from(crc32(body.as_bytes())), BASE62, 6);
            format!("{name}_{body}{sum}")
        }
        // GitLab's routable form: payload, version, its length, and a base36 CRC-32 of all before.
        "glpat" => {
            let payload = data_encoding::BASE64URL_NOPAD.encode(
                format!(
                    "o:{}\np:{}\nu:{}{}",
                    dice.below(9),
                    dice.below(99_999),
                    dice.below(999),
                    dice.text(LOWNUM, 12)
                )
                .as_bytes(),
            );
            let head = format!(
                "glpat-{payload}.01.{}",
                in_base(payload.len() as u64, LOWER36, 2)
            );
            let sum = in_base(u64::from(crc32(head.as_bytes())), LOWER36, 7);
            format!("{head}{sum}")
        }
        "pypi" => {
            let mut macaroon = b"\x02\x01\x08pypi.org\x02\x24".to_vec();
            macaroon.extend(dice.uuid().into_bytes());
            macaroon.extend(b"\x00\x00\x06\x20");
            macaroon.extend(dice.bytes(32));
            let text = data_encoding::BASE64URL_NOPAD.encode(&macaroon);
            format!("pypi-{text}")
        }
        "discord" => {
            let user = base64(dice.text("123456789", 18).as_bytes());
            format!(
                "{}.{}.{}",
                user.trim_end_matches('='),
                dice.pattern("G{5:w}"),
                dice.pattern("{38:b}")
            )
        }
        "glsa" => {
            let body = dice.text(ALNUM, 32);
            // The checksum is of the prefix and the body.
            let sum = crc32(format!("glsa_{body}").as_bytes());
            format!("glsa_{body}_{sum:08x}")
        }
        "glc" => {
            let json = format!(
                r#"{{"o":"{}","n":"stack-{}","k":"{}","m":{{"r":"prod-eu-west-2"}}}}"#,
                dice.within(100_000, 999_999),
                dice.text(LOWNUM, 6),
                dice.text(BASE64, 24)
            );
            format!("glc_{}", base64(json.as_bytes()))
        }
        "cflt" => {
            let body = dice.text(BASE64, 54);
            let sum = base64(&crc32(format!("cflt{body}").as_bytes()).to_le_bytes());
            format!("cflt{body}{}", sum.trim_end_matches('='))
        }
        "jwt" => jwt(
            dice,
            r#"{"iss":"argocd","sub":"ci:apiKey","iat":1735689600}"#,
        ),
        "jwt-k8s" => jwt(
            dice,
            r#"{"iss":"kubernetes/serviceaccount","kubernetes.io/serviceaccount/namespace":"ops","sub":"system:serviceaccount:ops:deployer"}"#,
        ),
        other => panic!("nothing makes {other:?}"),
    }
}

const LOWER36: &str = "0123456789abcdefghijklmnopqrstuvwxyz";

/// A JSON web token over these claims, its signature drawn.
pub fn jwt(dice: &mut Dice, claims: &str) -> String {
    let part = |text: &str| data_encoding::BASE64URL_NOPAD.encode(text.as_bytes());
    let head = part(r#"{"alg":"RS256","typ":"JWT"}"#);
    let signature = data_encoding::BASE64URL_NOPAD.encode(&dice.bytes(256));
    format!("{head}.{}.{signature}", part(claims))
}
