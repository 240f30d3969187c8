import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logship.event.names import Names
from logship.event.redact import KINDS, Redactor, suspicious, suspicious_text
from logship.testing import PLANTED, plant

REDACTOR = Redactor()

SECRETS_IN_TEXT = [
    ("login password=hunter2 failed", "hunter2"),
    ('{"user": "ann", "password": "a \\"quoted\\" one", "n": 1}', "quoted"),
    ("{'passwd': 'it is \"so\"', 'x': 1}", "so"),
    ('{\\"password\\": \\"hunter2\\", \\"b\\": 1}', "hunter2"),
    ('{"tokens_used": 3, "token": ["first1", "second2"]}', "second2"),
    ('{"credentials": {"a": {"b": "deep1"}, "c": "deep2"}}', "deep2"),
    ("Authorization: Bearer abc123.def", "abc123"),
    ("authorization=Basic dXNlcjpwdw== next", "dXNlcjpwdw"),
    ('Authorization: Digest username="ann", realm="r", response="0a1b2c"', "0a1b2c"),
    ("sent Bearer abcdefghijk to them", "abcdefghijk"),
    ("curl -H 'Cookie: sid=s1d; b=2' http://x", "s1d"),
    ("Set-Cookie: theme=dark; sid=s1d; Path=/", "s1d"),
    ("[(b'host', b'x'), (b'cookie', b'sid=s1d')]", "s1d"),
    ("postgres://user:p@ss@db/shop", "p@ss"),
    ("amqp://user:pa/ss@host/x", "pa/ss"),
    ("https://0123456789abcdef@sentry.io/1", "0123456789abcdef"),
    ("GET /x?token%3Dabc123%26x%3D1", "abc123"),
    ("GET /x?next=%252Fy%253Ftoken%253Dabc123", "abc123"),
    ("/x?p%61ssword=hunter2", "hunter2"),
    ("https://x/cb?code=c0de&state=1", "c0de"),
    ("https://b/x?X-Amz-Date=2&X-Amz-Signature=f00f", "f00f"),
    ("/shop;jsessionid=A1B2", "A1B2"),
    ("paid with 4111 1111 1111 1111 today", "1111"),
    ("paid with 4111-1111-1111-1111", "1111"),
    ("order 1234 5500000000000004", "5500000000000004"),
    ("amex 3782 822463 10005.", "822463"),
    ("server --password hunter2 --port 80", "hunter2"),
    ("API key: k123", "k123"),
    ("user[password]=hunter2&page=1", "hunter2"),
    ("DB_PASSWORD=hunter2", "hunter2"),
    ("secret := 'abc'", "abc"),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIabc", "MIIabc"),
]


@pytest.mark.parametrize(("text", "secret"), SECRETS_IN_TEXT)
def test_a_secret_does_not_stay_in_a_text(text: str, secret: str) -> None:
    assert secret not in REDACTOR.text(text)
    assert "[redacted:" in REDACTOR.text(text)


@pytest.mark.parametrize(
    "text",
    [
        "order placed",
        "GET /orders/123 200 12ms",
        "Basic plan for you, authentication required",
        "bearer token missing",
        "tokens_used=5 token_count: 7 author=Bob keyboard: qwerty",
        "password=None token: null secret=",
        "def login(password: str, token: str) -> None:",
        "http://127.0.0.1:8080/logo@2x.png at 12:30:45",
        "auth: failed after 3 tries",
        "task-list-of-something-very-long-indeed",
        "at 1712345678901234567 ns, id 8a3f2c1e41111111111111110abc",
        "2026-05-21 10-30-45 2026-05-21-103045",
        "4111 1111 1111 1112",
    ],
)
def test_a_text_without_secrets_stays_as_it_is(text: str) -> None:
    assert REDACTOR.text(text) == text


@pytest.mark.parametrize(
    "name",
    """password passwd userPassword db.password DB_PASSWORD PGPASSWORD PassWord password2 secret client_secret token oauth_token
    csrftoken X-CSRF-Token api_key apikey apiKey X-Api-Key APIKey accessKeyId aws_secret_access_key authorization
    Proxy-Authorization cookie Set-Cookie session session_id sessionId PHPSESSID connect.sid credential credentials.user
    private_key otp pin pin_code cvv cvv2 ssn card card_number creditCard X-Amz-Signature http_auth db_pass""".split(),
)
def test_names_that_promise_a_secret(name: str) -> None:
    assert Names()[name].kind


@pytest.mark.parametrize(
    "name",
    """tokens_used token_count token_type max_tokens author authority authenticated keyboard monkey key primary_key cache_key
    session_count session_duration card_brand card_last4 discard cardinality pinned spin compass bypass passed passport
    password_length refresh_token_expires_at secretary signed design side path order_id credentials.type""".split(),
)
def test_names_that_only_look_like_it(name: str) -> None:
    assert not Names()[name].kind


def test_extra_names_are_secrets_in_any_spelling() -> None:
    redactor = Redactor(("customer_name", "iban"))
    assert redactor.fields({"customerName": "Ann", "user.iban": "DE1", "name": "x"}) == {
        "customerName": "[redacted:named]",
        "user.iban": "[redacted:named]",
        "name": "x",
    }
    assert redactor.text("customer-name: Ann") == "customer-name: [redacted:named]"


def test_fields_are_redacted_by_name_and_by_look_however_deep() -> None:
    fields = {
        "user": {"password": "hunter2", "name": "ann"},
        "seen": ["plain", "Bearer abc123def", {"otp": 123456}],
        "card": 4111111111111111,
        "number": 4111111111111111,
        "retries": 3,
        "otp": None,
        "secret": True,
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789": 1,
    }
    assert REDACTOR.fields(fields) == {
        "user": {"password": "[redacted:password]", "name": "ann"},
        "seen": ["plain", "Bearer [redacted:authorization]", {"otp": "[redacted:secret]"}],
        "card": "[redacted:card]",
        "number": "[redacted:card]",
        "retries": 3,
        "otp": None,
        "secret": True,
        "[redacted:api-key]": 1,
    }


def test_a_url_stays_a_url() -> None:
    assert REDACTOR.url("/a%20b?x=1") == "/a%20b?x=1"
    assert REDACTOR.url("/a%20b?next=token%3Dabc123") == "/a%20b?next=token=[redacted:token]"
    assert (
        REDACTOR.url("https://u:p@h:80/a?x=1&sig=f00f")
        == "https://[redacted:url-credentials]@h:80/a?x=1&sig=[redacted:signature]"
    )


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_is_found_in_its_sample_and_named_in_the_mark(kind: str) -> None:
    redactor = Redactor(("customer_name",))
    clean = redactor.text(plant(kind))
    assert PLANTED[kind] not in clean
    assert f"[redacted:{kind}]" in clean


PIECES = st.one_of(
    st.sampled_from(
        """password token= key Cookie: Authorization: Bearer bearer basic Basic digest api secret: auth session: none null
        :// @ / : = & ; ? % %3D %25 %20 %34 " ' \\ [ ] ( ) { } , - -- _ . + b' (b' ',
        eyJhbGciOi eyJ ghp_ AKIA sk- sk_live_ xoxb- SG. ya29. glpat- hf_ npm_ -----BEGIN PRIVATE KEY----- -----END
        -> => := | \\n \\u0070 \\x3d &quot; &#34; <password> </ form-data; name= value= 'loc': 'input': [parameters: [raw sql]
        VALUES (password) identified by is was curl mysql -u -p sshpass Host: host= @h /reset/ xoxb- dapi hvs. Q~ :A
        $2b$12$
        [redacted [redacted:card] :card] redacted 4111 1111 411111111111 4111111111111111 12 345""".split()
    ),
    # The third is a letter that a pattern without regard to case takes for an s.
    st.sampled_from([" ", "\n", "ba\u017fic ", "\t", "\ud800", "é", "\u00a0"]),
    st.text(max_size=4),
    st.text("abcXYZ0129_-.", min_size=8, max_size=40),
)
TEXTS = st.lists(PIECES, max_size=14).map("".join)


@settings(max_examples=600)
@given(TEXTS)
def test_redacting_twice_changes_nothing(text: str) -> None:
    once = REDACTOR.text(text)
    assert REDACTOR.text(once) == once
    url = REDACTOR.url(text)
    assert REDACTOR.url(url) == url


@settings(max_examples=600)
@given(TEXTS)
def test_the_cheap_test_never_passes_what_the_redactor_would_change(text: str) -> None:
    if REDACTOR._thorough(text) != text:
        assert suspicious_text(text)
    path = text.encode("utf-8", "replace")
    for read in (path.decode("utf-8"), path.decode("latin-1")):
        if REDACTOR._thorough(read) != read:
            assert suspicious(path)


@given(TEXTS, st.sampled_from([kind for kind in sorted(KINDS) if kind != "named"]), TEXTS)
def test_a_planted_secret_is_found_wherever_it_stands(before: str, kind: str, after: str) -> None:
    clean = REDACTOR.text(f"{before}\n{plant(kind)}\n{after}")
    assert PLANTED[kind] not in clean or PLANTED[kind] in before + after


@pytest.mark.parametrize("path", [b"/", b"", b"/orders", b"/orders/123/items", b"/api/v1/customers/8123412/x.json"])
def test_a_usual_path_is_not_suspicious(path: bytes) -> None:
    assert not suspicious(path)


def test_a_text_of_megabytes_is_cut_and_no_harm_done() -> None:
    clean = REDACTOR.text("password=x " + "\"' = :" * 500_000)
    assert clean.startswith("password=[redacted:password] ")
    assert clean.endswith("[cut]")
