"""Keys and tokens that are recognized by their format: a table of the formats that vendors publish.

A row is plain data: the issuer, the prefixes, the characters that follow, and their least number. Origin: the
vendors' documentation and the public rule list of gitleaks (MIT licence, config/gitleaks.toml of July 2026), read as
facts and rewritten as these rows. A row requires fewer characters than the vendor issues, because a truncated token is still
a secret.

A format begins where no letter or digit precedes it. Nothing is required after an unbounded body, which keeps the search
linear in the length of the text.
"""

import re
from collections.abc import Iterator
from typing import Final

from logship.event.secrets.marks import mark

# Characters of a body. "base64" is the alphabet of both kinds.
ALPHABETS: Final = {
    "hex": "0-9A-Fa-f",
    "upper": "0-9A-Z",
    "lower": "0-9a-z",
    "alnum": "0-9A-Za-z",
    "word": r"0-9A-Za-z_\-",
    "dots": r"0-9A-Za-z_\-.=",
    "base64": r"0-9A-Za-z+/_\-",
}
# issuer, beginnings, alphabet of what follows, least length of what follows.
FORMATS: Final[tuple[tuple[str, str, str, int], ...]] = (
    ("1Password", "ops_eyJ", "base64", 40),
    ("Adobe", "p8e-", "alnum", 24),
    ("Adyen", "AQE", "base64", 60),
    ("age", "AGE-SECRET-KEY-1", "upper", 40),
    ("Alibaba Cloud", "LTAI", "alnum", 16),
    ("Anthropic, OpenAI, OpenRouter, DeepSeek", "sk-", "word", 16),
    ("Artifactory", "AKCp", "alnum", 50),
    ("Artifactory reference token", "cmVmd", "alnum", 50),
    ("Atlassian", "ATATT3 ATCTT3 ATBB", "dots", 16),
    ("AWS", "AKIA ASIA ABIA ACCA", "upper", 16),
    ("AWS Bedrock", "ABSK", "base64", 60),
    ("AWS Bedrock", "bedrock-api-key-", "base64", 16),
    ("Axiom", "xaat- xapt-", "word", 30),
    ("Buildkite", "bkua_ bkpi_ bkct_ bkar_", "alnum", 24),
    ("Cerebras", "csk-", "alnum", 30),
    ("CircleCI", "CCIPAT_ CCIPRJ_", "word", 20),
    ("Checkout.com", "sk_sbox_ pk_sbox_", "word", 20),
    ("Clojars", "CLOJARS_", "alnum", 40),
    ("Contentful", "CFPAT-", "word", 30),
    ("Databricks", "dapi", "hex", 30),
    ("Defined Networking", "dnkey-", "word", 40),
    ("Deno Deploy", "ddp_ ddo_", "alnum", 30),
    ("DigitalOcean", "dop_v1_ doo_v1_ dor_v1_", "hex", 16),
    ("Docker Hub", "dckr_pat_ dckr_oat_", "word", 16),
    ("Doppler", "dp.pt. dp.st. dp.ct. dp.sa. dp.scim. dp.audit.", "dots", 30),
    ("Dropbox", "sl.", "dots", 100),
    ("Duffel", "duffel_live_ duffel_test_", "dots", 30),
    ("EasyPost", "EZAK EZTK", "alnum", 40),
    ("Elastic Cloud", "essu_", "base64", 30),
    ("Facebook", "EAAC EAAM EAAG EAAB", "alnum", 60),
    ("Figma", "figd_ figu_ figo_", "word", 20),
    ("Firecrawl", "fc-", "hex", 32),
    ("Fireworks", "fw_", "alnum", 22),
    ("Flutterwave", "FLWSECK- FLWSECK_TEST- FLWPUBK- FLWPUBK_TEST-", "word", 12),
    ("Fly.io", "fo1_", "word", 30),
    ("Fly.io", "fm1a_ fm1r_ fm2_", "base64", 60),
    ("Frame.io", "fio-u-", "dots", 40),
    ("GitHub", "ghp_ gho_ ghu_ ghs_ ghr_", "alnum", 16),
    ("GitHub", "github_pat_", "word", 20),
    (
        "GitLab",
        "glpat- glptt- gldt- glft- glimt- glrt- glrtr- glcbt- glffct- glagent- gloas- glsoat- glwt-",
        "dots",
        16,
    ),
    ("GitLab runner", "GR1348941", "word", 16),
    ("Google", "AIza", "word", 30),
    ("Google OAuth", "GOCSPX-", "word", 16),
    ("Google OAuth", "ya29.", "dots", 16),
    ("Grafana", "glsa_", "word", 30),
    ("Grafana Cloud", "glc_ eyJrIjoi", "base64", 30),
    ("Groq", "gsk_", "alnum", 30),
    ("Heroku", "HRKU-", "word", 30),
    ("Honeycomb", "hcaik_ hcxik_ hcamk_ hcxmk_ hcalk_ hcxlk_ hcblk_", "alnum", 30),
    ("HubSpot", "pat-na1- pat-na2- pat-eu1- pat-ap1-", "word", 30),
    ("Hugging Face", "hf_ api_org_", "alnum", 20),
    ("Infracost", "ico-", "alnum", 30),
    ("Intercom", "dG9rOj", "base64", 40),
    ("Intra 42", "s-s4t2ud- s-s4t2af-", "hex", 40),
    ("JSON web token in base64", "ZXlK", "base64", 40),
    ("LangSmith", "lsv2_pt_ lsv2_sk_", "word", 20),
    ("Linear", "lin_api_ lin_oauth_", "alnum", 20),
    ("Lob, Mollie, GoCardless", "live_ test_ live_pub_ test_pub_", "alnum", 30),
    ("GoCardless, long form", "live_", "word", 40),
    ("MongoDB Atlas", "mdb_sa_sk_", "word", 20),
    ("Neon", "napi_", "lower", 30),
    ("Netlify", "nfp_ nfc_ nfo_ nfu_", "alnum", 30),
    ("New Relic", "NRAK- NRII- NRJS- NRRA- NRBR- NRIQ-", "word", 19),
    ("Notion", "ntn_", "alnum", 30),
    ("Notion, before 2024", "secret_", "alnum", 40),
    ("npm", "npm_", "alnum", 30),
    ("NuGet", "oy2", "lower", 43),
    ("NVIDIA", "nvapi-", "word", 40),
    ("Octopus Deploy", "API-", "upper", 24),
    ("OpenShift", "sha256~", "word", 40),
    ("Perplexity", "pplx-", "alnum", 30),
    ("Pinecone", "pcsk_", "word", 30),
    ("PlanetScale", "pscale_tkn_ pscale_oauth_ pscale_pw_", "dots", 20),
    ("PostHog", "phx_", "alnum", 30),
    ("Postman", "PMAK-", "word", 30),
    ("Prefect", "pnu_ pnb_", "alnum", 30),
    ("Pulumi", "pul-", "hex", 30),
    ("PyPI", "pypi-", "word", 30),
    ("Razorpay", "rzp_live_ rzp_test_", "alnum", 14),
    ("ReadMe", "rdme_", "alnum", 40),
    ("Render", "rnd_", "alnum", 24),
    ("Replicate", "r8_", "alnum", 30),
    ("RubyGems", "rubygems_", "hex", 30),
    ("Scalingo", "tk-us-", "word", 40),
    ("SendGrid", "SG.", "dots", 30),
    ("Sentry", "sntrys_ sntryu_", "base64", 30),
    ("SettleMint", "sm_aat_ sm_pat_ sm_sat_", "alnum", 14),
    ("Shippo", "shippo_live_ shippo_test_", "hex", 30),
    ("Shopify", "shpat_ shpca_ shppa_ shpss_ shptka_", "alnum", 16),
    ("Slack", "xoxa- xoxb- xoxe- xoxo- xoxp- xoxr- xoxs- xoxe.xoxb- xoxe.xoxp- xapp- xwfp-", "word", 11),
    ("SonarQube", "squ_ sqp_ sqa_", "hex", 30),
    ("Sourcegraph", "sgp_", "word", 40),
    ("Square", "sq0atp- sq0csp- sq0idp-", "word", 20),
    ("Square", "EAAA", "word", 50),
    ("Stripe, Clerk, Paystack", "sk_live_ sk_test_ sk_prod_ rk_live_ rk_test_ rk_prod_", "word", 10),
    ("ElevenLabs", "sk_", "hex", 40),
    ("Stripe webhook, Svix", "whsec_", "base64", 16),
    ("Stytch", "secret-live- secret-test-", "dots", 20),
    ("Supabase", "sbp_ sb_secret_", "word", 20),
    ("Tailscale", "tskey-", "word", 16),
    ("Tavily", "tvly-", "word", 20),
    ("Twitter", "AAAAAAAAAAAAAAAAAAAAAA", "alnum", 40),
    ("Typeform", "tfp_", "dots", 30),
    ("Vault", "hvs. hvb. hvr.", "word", 16),
    ("WooCommerce", "ck_ cs_", "hex", 38),
    ("xAI", "xai-", "alnum", 40),
    ("Yandex Cloud", "AQVN", "word", 35),
    ("Yandex", "y0_", "word", 40),
    ("Brevo", "xkeysib- xsmtpsib-", "word", 40),
)
# Formats with a beginning and more structure: issuer, beginnings, pattern of what follows.
SHAPES: Final[tuple[tuple[str, str, str], ...]] = (
    ("1Password", "A3-", r"[A-Z0-9]{6}-[A-Z0-9]{6}[A-Z0-9]{0,5}(?:-[A-Z0-9]{5}){2,4}"),
    ("Airtable", "pat", r"[A-Za-z0-9]{14}\.[a-f0-9]{32,64}"),
    (
        "Authress",
        "sc_ ext_ scauth_ authress_",
        r"[A-Za-z0-9]{5,30}\.[A-Za-z0-9]{4,6}\.acc[_-][\w-]{10,32}\.[\w+/=-]{30,}",
    ),
    ("Asana", "0/ 1/ 2/", r"[0-9]{16}(?:/[0-9]{16})?:[A-Za-z0-9]{32}"),
    ("ClickHouse", "4b1d", r"[A-Za-z0-9]{38}(?![A-Za-z0-9])"),
    ("ClickUp", "pk_", r"[0-9]{4,12}_[A-Z0-9]{32}"),
    ("Cloudflare", "v1.0-", r"[a-f0-9]{24}-[a-f0-9]{40,}"),
    # The base64 of a number begins so.
    ("Discord", "MT Mj Mz ND NT Nj Nz OD OT", r"[A-Za-z0-9_-]{21,26}\.[\w-]{6}\.[\w-]{27,}"),
    ("Discord webhook", "discord.com/api/ discordapp.com/api/", r"(?:v[0-9]{1,2}/)?webhooks/[0-9]{10,20}/[\w-]{30,}"),
    ("Dynatrace", "dt0", r"[a-z][0-9]{2}\.[A-Z0-9]{24}\.[A-Z0-9]{40,}"),
    ("Google OAuth refresh token", "1//0", r"[\w-]{30,}"),
    ("Harness", "pat. sat.", r"[\w-]{22}\.[A-Za-z0-9]{24}\.[A-Za-z0-9]{20}"),
    ("LaunchDarkly", "sdk- mob-", r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    ("Mailgun", "key- pubkey-", r"[a-z0-9]{32}(?![A-Za-z0-9])"),
    ("Microsoft Teams webhook", "webhook.office.com/webhookb2/", r"[\w@/-]{40,}"),
    ("Plaid", "access-sandbox- access-development- access-production-", r"[a-f0-9-]{36}"),
    ("Resend", "re_", r"[A-Za-z0-9]{8}_[A-Za-z0-9]{16,}"),
    ("Slack webhook", "hooks.slack.com/ hooks.slack-gov.com/", r"(?:services|workflows|triggers)/[\w+/-]{24,}"),
    ("Twilio", "SK", r"[a-f0-9]{32}(?![A-Za-z0-9])"),
    ("Twilio", "AC", r"[a-f0-9]{32}:[a-f0-9]{32}"),
    ("Vault, before 1.10", "s. b.", r"(?=[A-Za-z]{0,23}[0-9])(?=[a-z0-9]{0,23}[A-Z])[A-Za-z0-9]{24}(?![\w.])"),
    ("Yandex Cloud", "t1.", r"[A-Za-z0-9_-]{20,400}={0,2}\.[A-Za-z0-9_-]{80,}"),
    ("Yandex Cloud", "YC", r"(?=[a-zA-Z_-]{0,37}[0-9])[A-Za-z0-9_-]{38}(?![\w-])"),
    ("Zoho", "1000.", r"[a-f0-9]{32}\.[a-f0-9]{32}"),
)
_BESIDE_AWS_ID: Final = (
    r"(?<![A-Za-z0-9/+=])(?=[A-Za-z/+]{0,39}[0-9])(?=[a-z0-9/+]{0,39}[A-Z])(?=[A-Z0-9/+]{0,39}[a-z])"
    r"[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])"
)
# Formats told by something in their middle: issuer, that text, the whole pattern.
MIDDLES: Final[tuple[tuple[str, str, str], ...]] = (
    ("AWS secret key beside its id", "AKIA", _BESIDE_AWS_ID),
    ("AWS secret key beside its id", "ASIA", _BESIDE_AWS_ID),
    ("AWS secret key after the word", "ecret ", rf"(?:(?<=[Ss]ecret )|(?<=[Ss]ecret key )){_BESIDE_AWS_ID}"),
    ("Azure AD", "Q~", r"(?<![\w.~-])[\w.~]{3}[0-9]Q~[\w.~-]{30,}"),
    ("Azure DevOps", "AZDO", r"(?<![A-Za-z0-9])[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}"),
    ("Facebook app", "|", r"(?<![0-9])[0-9]{15,16}\|[\w-]{27,40}"),
    ("Firebase messaging", ":APA91b", r"(?<![\w:-])[\w-]{10,30}:APA91b[\w-]{30,}"),
    ("Mailchimp", "-us", r"(?<![A-Za-z0-9])[a-f0-9]{32}-us[0-9]{1,2}(?![\w-])"),
    ("MaxMind", "_mmk", r"(?<![A-Za-z0-9])[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk"),
    ("PayPal", "access_token$", r"access_token\$(?:production|sandbox)\$[a-z0-9]{16}\$[a-f0-9]{32}"),
    ("RapidAPI", "msh", r"(?<![A-Za-z0-9])[a-f0-9]{10}msh[a-f0-9]{15}p1[a-f0-9]{6}jsn[a-f0-9]{12}"),
    ("Salesforce", "00D", r"(?<![A-Za-z0-9])00D[A-Za-z0-9]{12,15}![\w.]{60,}"),
    ("Telegram", ":A", r"(?<![0-9])[0-9]{5,16}:A[\w-]{33,}"),
    ("Terraform Cloud", ".atlasv1.", r"(?<![A-Za-z0-9])[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{40,}"),
    ("Twitch", "oauth:", r"(?<![A-Za-z0-9])oauth:[a-z0-9]{30}(?![A-Za-z0-9])"),
)
# Hashes of passwords, as the libraries and systems of that name write them.
HASHES: Final[tuple[tuple[str, str, str], ...]] = (
    ("bcrypt", "$2", r"\$2[abxy]?\$[0-9]{2}\$[./A-Za-z0-9]{50,}"),
    (
        "argon2",
        "$argon2",
        r"\$argon2(?:id|i|d)\$(?:v=[0-9]{1,3}\$)?[mtp=,0-9]{5,40}\$[A-Za-z0-9+/]{8,}\$[A-Za-z0-9+/]{16,}",
    ),
    ("crypt", "$", r"\$[1567y]\$(?:rounds=[0-9]{1,9}\$|j[./A-Za-z0-9]{1,8}\$)?[./A-Za-z0-9]{1,32}\$[./A-Za-z0-9]{22,}"),
    ("PBKDF2", "pbkdf2", r"\$?pbkdf2[_:\-]sha[0-9]{1,3}[$:][0-9]{1,9}\$[./A-Za-z0-9+=]{4,64}\$[./A-Za-z0-9+]{20,}=*"),
    ("scrypt", "scrypt:", r"scrypt:[0-9]{1,9}:[0-9]{1,4}:[0-9]{1,4}\$[A-Za-z0-9]{4,64}\$[a-f0-9]{40,}"),
    ("LDAP", "{SSHA", r"\{SSHA(?:256|384|512)?\}[A-Za-z0-9+/]{26,}=*"),
)
# The secrets of these vendors have no beginning of their own: a value of this shape under a name that holds the vendor's.
NAMED_AFTER: Final[dict[str, str]] = {
    "adafruit": "[a-z0-9_-]{32}",
    "adobe": "[a-f0-9]{32}",
    "airtable": "[a-zA-Z0-9]{17}",
    "algolia": "[a-z0-9]{32}",
    "alibaba": "[a-zA-Z0-9]{30}",
    "asana": "[a-z0-9]{32}",
    "atlassian": "[a-z0-9]{20}[a-f0-9]{4}",
    "beamer": "b_[a-z0-9=_-]{44}",
    "bitbucket": "[a-z0-9]{32}|[a-zA-Z0-9=_-]{64}",
    "bittrex": "[a-z0-9]{32}",
    "cloudflare": "[a-zA-Z0-9_-]{40}|[a-f0-9]{37}",
    "codecov": "[a-z0-9]{32}",
    "cohere": "[a-zA-Z0-9]{40}",
    "coinbase": "[a-zA-Z0-9_-]{64}",
    "confluent": "[a-zA-Z0-9]{16}|[a-zA-Z0-9+/]{64}",
    "contentful": "[a-zA-Z0-9=_-]{43}",
    "datadog": "[a-z0-9]{32}|[a-z0-9]{40}",
    "discord": "[a-f0-9]{64}|[a-zA-Z0-9=_-]{32}",
    "droneci": "[a-z0-9]{32}",
    "dropbox": "[a-z0-9]{15}|[a-z0-9]{11}A{10}[a-zA-Z0-9_=-]{43}",
    "etsy": "[a-z0-9]{24}",
    "facebook": "[a-f0-9]{32}",
    "fastly": "[a-zA-Z0-9=_-]{32}",
    "finicity": "[a-f0-9]{32}|[a-z0-9]{20}",
    "finnhub": "[a-z0-9]{20}",
    "flickr": "[a-f0-9]{32}",
    "freshbooks": "[a-z0-9]{64}",
    "gitter": "[a-z0-9_-]{40}",
    "heroku": "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "hubspot": "(?i:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})",
    "intercom": "[a-zA-Z0-9=_-]{60}",
    "jfrog": "[a-zA-Z0-9]{64,73}",
    "artifactory": "[a-zA-Z0-9]{64,73}",
    "kraken": "[a-zA-Z0-9/=_+-]{80,90}",
    "kucoin": "[a-f0-9]{24}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "launchdarkly": "[a-zA-Z0-9=_-]{40}",
    "linkedin": "[a-zA-Z0-9]{16}",
    "looker": "[a-zA-Z0-9]{24}",
    "mailgun": "(?:pub)?(?:key-)?[a-f0-9]{32}|[a-h0-9]{32}-[a-h0-9]{8}-[a-h0-9]{8}",
    "mattermost": "[a-z0-9]{26}",
    "meraki": "[0-9a-f]{40}",
    "messagebird": "[a-zA-Z0-9]{25}",
    "netlify": "[a-zA-Z0-9=_-]{40,46}",
    "nytimes": "[a-zA-Z0-9=_-]{32}",
    "okta": "00[a-zA-Z0-9_=-]{40}",
    "plaid": "[a-z0-9]{30}",
    "rapidapi": "[a-zA-Z0-9_-]{50}",
    "sendbird": "[a-f0-9]{40}",
    "sentry": "[a-f0-9]{64}",
    "snyk": "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "sonar": "[a-zA-Z0-9=_-]{40}",
    "squarespace": "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "sumologic": "[a-zA-Z0-9]{64}",
    "travis": "[a-zA-Z0-9_-]{22}",
    "twitch": "[a-z0-9]{30}",
    "twitter": "[a-zA-Z0-9]{25}|[a-zA-Z0-9]{45}|[a-zA-Z0-9]{50}|[0-9]{15,25}-[a-zA-Z0-9]{20,40}",
    "zendesk": "[a-z0-9]{40}",
}

# Every format has sixteen of these in a row, and where its alphabet holds "/" and "+" more than thirty with them: nearly
# all texts are passed over by looking for that alone.
_WORD_CHARACTERS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~="
_WORD_TABLE: Final = bytes(ord("x") if code in _WORD_CHARACTERS else ord(" ") for code in range(256))
_RUN_TABLE: Final = bytes(ord("x") if code in _WORD_CHARACTERS + b"/+" else ord(" ") for code in range(256))
_WORD: Final = b"x" * 16
_RUN: Final = b"x" * 32
_KEY_SIZES: Final = (4, 3, 2)
# `sk-learn-contrib-image`: no token is made of words alone.
_WORDS: Final = re.compile(r"[a-z]{1,15}(?:[\-_.][a-z]{1,15})+")
_BEGINNINGS: Final = re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]..")
_START = re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]")


def _by_beginning() -> dict[str, re.Pattern[str]]:
    """Return what to try where a word begins with these two to four characters."""
    rows: dict[str, list[str]] = {}
    for _, beginnings, alphabet, least in FORMATS:
        for beginning in beginnings.split():
            body = f"{re.escape(beginning)}[{ALPHABETS[alphabet]}]{{{least},}}+=*+"
            rows.setdefault(beginning[: _KEY_SIZES[0]], []).append(body)
    for _, beginnings, pattern in SHAPES:
        for beginning in beginnings.split():
            rows.setdefault(beginning[: _KEY_SIZES[0]], []).append(re.escape(beginning) + pattern)
    return {key: re.compile("|".join(patterns), re.ASCII) for key, patterns in rows.items()}


_BY_BEGINNING: Final = _by_beginning()
_FIRST_TWO: Final = frozenset(key for key in _BY_BEGINNING if len(key) == 2)
_FIRST_THREE: Final = frozenset(key[:3] for key in _BY_BEGINNING if len(key) > 2)
_MIDDLES: Final = [
    (middle, re.compile(pattern, re.ASCII), kind)
    for kind, rows in (("api-key", MIDDLES), ("password", HASHES))
    for _, middle, pattern in rows
]
_VENDORS: Final = {word: re.compile(pattern, re.ASCII) for word, pattern in NAMED_AFTER.items()}
# The longest value of `NAMED_AFTER` has 90 characters.
_VENDOR_VALUE: Final = re.compile(r"(?:[bN]?[\"'])?(?P<value>[\w+/=-]{10,100})(?![\w+/=-])", re.ASCII)


def may_hold_token(raw: bytes) -> bool:
    """Return whether a text, as Latin-1, has a word that is long enough for a token; about 0.3 us."""
    return _WORD in raw.translate(_WORD_TABLE) or _RUN in raw.translate(_RUN_TABLE)


def tokens(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield where each token begins and ends, and its kind; they may overlap. About 0.3 us for a text without a long word."""
    # One byte a character: an offset in one is an offset in the other.
    raw = text.encode("latin-1", "replace")
    if not may_hold_token(raw):
        return
    shape = raw.translate(_RUN_TABLE)
    run = shape.find(_WORD)
    for middle, pattern, kind in _MIDDLES:
        if middle in text:
            for found in pattern.finditer(text):
                yield *found.span(), kind
    while run >= 0:
        start, end = shape.rfind(b" ", 0, run) + 1, shape.find(b" ", run)
        end = len(text) if end < 0 else end
        done = start
        begun = _BEGINNINGS.findall(text, start, end)
        if _FIRST_THREE.isdisjoint(begun) and _FIRST_TWO.isdisjoint([three[:2] for three in begun]):
            run = shape.find(_WORD, end)
            continue
        for word in _START.finditer(text, start, end):
            at = word.start()
            if at < done:
                continue
            for size in _KEY_SIZES:
                here = _BY_BEGINNING.get(text[at : at + size])
                if here and (token := here.match(text, at)) and not _WORDS.fullmatch(token[0]):
                    done = token.end()
                    yield *token.span(), "api-key"
                    break
        run = shape.find(_WORD, end)


def hide_tokens(text: str) -> str:
    """Return `text` with a mark in place of every token."""
    pieces: list[str] = []
    done = 0
    for start, end, kind in sorted(tokens(text)):
        if start >= done:
            pieces += (text[done:start], mark(kind))
        done = max(done, end)
    return text if not pieces else "".join((*pieces, text[done:]))


def is_vendors(vendor: str, value: str) -> bool:
    """Return whether `value` has the format of `vendor`, a key of `NAMED_AFTER`."""
    return _VENDORS[vendor].fullmatch(value) is not None


def vendors_value(vendor: str, text: str, at: int) -> tuple[int, int] | None:
    """Return where the value at `at`, in quotes or not, begins and ends if it has the format of `vendor`."""
    value = _VENDOR_VALUE.match(text, at)
    return value.span("value") if value and is_vendors(vendor, value["value"]) else None
