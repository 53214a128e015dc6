"""The table of re-hosts: where each is, how its address holds the real host, an example, and who says so.

Each is run by one party, who alone decides what its addresses mean. What anybody can have a name under is not
here, nor is a library's proxy under a domain of the library's own: there a copy could be called anything.
The examples are of pages of www.good.com.
"""

from typing import NamedTuple

from workers.origins.rehost_decoding import (
    Way,
    amp_cached,
    behind,
    bing_cached,
    dashed,
    ezproxy,
    google_cached,
    parameter,
    prefixed,
    translate_goog,
    url_defense,
)


class Family(NamedTuple):
    name: str
    hosts: tuple[str, ...]  # `*.` means below it, and not itself
    decode: Way
    example: str
    source: str


# Who says so. Names of repositories are of public ones, whose own tests or rules hold such addresses.
AMP = "amp.dev/documentation/guides-and-tutorials/learn/amp-caches-and-cors/amp-cache-urls"
GOOGLE = "developers.google.com/search/docs/appearance/ad-network-and-translation"
IABOT = "internetarchive/internetarchivebot, app/src/Core/UrlResolver.php and Core/APII.php"
TRANSLATORS = "hosts in the tests of a detector of translating proxies; addresses as they are linked to"
LINKED = "addresses of public pages that link to it"
OWN = "its own links"
MIP = "mipengine.org, MIP-Cache"
DEFENDER = "learn.microsoft.com/defender-cloud-apps/proxy-deployment-aad"
CLOUDFLARE = "developers.cloudflare.com, Clientless Web Isolation"
PROOFPOINT = "help.proofpoint.com, How do I decode a rewritten URL?"
OCLC = "help.oclc.org, EZproxy, Migrate to Proxy by Hostname"

TIME = r"\d{4,14}(?:[a-z]{2}_)?/"  # when it was archived: YYYYMMDDhhmmss, and how it is shown
GOOGLES = tuple(
    f"www.google.{top}"
    for top in (
        *("com", "at", "be", "ca", "ch", "cz", "de", "dk", "es", "fi", "fr", "gr", "ie"),
        *("it", "nl", "no", "pl", "pt", "ru", "se", "co.in", "co.jp", "co.uk"),
        *("com.au", "com.br", "com.mx", "com.tr"),
    )
)


def _framed(name: str, hosts: str, page: str, parameter_name: str, source: str) -> Family:
    """One that takes the real page as a parameter: `/frame?u=https://www.good.com/p`."""
    first, *others = hosts.split()
    example = (
        f"https://{first}{page}{'&' if '?' in page else '?'}{parameter_name}=https%3A%2F%2Fwww.good.com%2Fp"
    )
    return Family(name, (first, *others), parameter(parameter_name), example, source)


def _cached(name: str, host: str, source: str) -> Family:
    """An AMP cache, or one made like them: a label a site, and the page in the path."""
    example = f"https://www-good-com.{host}/c/s/www.good.com/p"
    return Family(name, (host, f"*.{host}"), amp_cached, example, source)


def _archive(name: str, hosts: str, folder: str, pattern: str = "") -> Family:
    """A Memento archive: `/folder/20260101000000/https://www.good.com/p`; `pattern` if the folder varies."""
    first, *others = hosts.split()
    example = f"https://{first}{folder}20260101000000/https://www.good.com/p"
    return Family(name, (first, *others), behind((pattern or folder) + TIME), example, IABOT)


def _behind(name: str, hosts: tuple[str, ...], pattern: str, example: str, source: str) -> Family:
    """One that has the real page behind its own path."""
    return Family(name, hosts, behind(pattern), example, source)


FAMILIES: tuple[Family, ...] = (
    # translations
    Family(
        "google_translate",
        ("*.translate.goog",),
        translate_goog,
        "https://www-good-com.translate.goog/p?_x_tr_sl=en&_x_tr_tl=de",
        GOOGLE,
    ),
    _framed(
        "google_translate_frame",
        "translate.googleusercontent.com translate.google.com",
        "/translate_c?hl=de",
        "u",
        TRANSLATORS,
    ),
    _behind(
        "yandex_translate",
        ("translated.turbopages.org", "z5h64q92x9.net"),
        r"/proxy_u/[^/]+/(?:https?/)?",
        "https://translated.turbopages.org/proxy_u/en-ru.ru.1b2c/https/www.good.com/p",
        LINKED,
    ),
    _framed(
        "yandex_translate_frame",
        "translate.yandex.ru translate.yandex.com",
        "/translate?lang=en-ru",
        "url",
        TRANSLATORS,
    ),
    _framed(
        "bing_translate",
        "www.microsofttranslator.com ssl.microsofttranslator.com www.translatetheweb.com",
        "/bv.aspx?from=en&to=de",
        "a",
        TRANSLATORS,
    ),
    _framed("papago", "papago.naver.net", "/website?source=en&target=ko", "url", LINKED),
    _framed(
        "baidu_translate", "fanyi.baidu.com translate.baiducontent.com", "/transpage", "query", TRANSLATORS
    ),
    _framed(
        "sogou_translate", "translate.sogoucdn.com", "/pcvtsnapshot?from=en&to=zh-CHS", "url", TRANSLATORS
    ),
    _framed("youdao_translate", "webtrans.yodao.com", "/server/webtrans/tranUrl", "url", TRANSLATORS),
    # AMP, and what was made like it
    _cached("google_amp_cache", "cdn.ampproject.org", AMP),
    _cached("bing_amp_cache", "bing-amp.com", AMP),
    _cached("cloudflare_amp_cache", "amp.cloudflare.com", AMP),
    _behind(
        "google_amp_viewer", GOOGLES, r"/amp/(?:s/)?", "https://www.google.com/amp/s/www.good.com/p", AMP
    ),
    _behind(
        "bing_amp_viewer",
        ("www.bing.com",),
        r"/amp/(?:s/)?",
        "https://www.bing.com/amp/s/www.good.com/p",
        LINKED,
    ),
    _cached("baidu_mip_cache", "mipcdn.com", MIP),
    _behind(
        "baidu_mip_old_cache",
        ("mipcache.bdstatic.com",),
        r"/c/(?:s/)?",
        "https://mipcache.bdstatic.com/c/s/www.good.com/p",
        MIP,
    ),
    Family(
        "yandex_turbo",
        ("*.turbopages.org",),
        dashed,
        "https://www-good-com.turbopages.org/www.good.com/s/p",
        LINKED,
    ),
    _behind(
        "yandex_turbo_viewer",
        ("yandex.ru",),
        r"/turbo/(?:s/)?",
        "https://yandex.ru/turbo/www.good.com/s/p",
        LINKED,
    ),
    # caches of search engines
    Family(
        "google_cache",
        ("webcache.googleusercontent.com",),
        google_cached,
        "https://webcache.googleusercontent.com/search?q=cache:abcDEF123_-x:https://www.good.com/p+word",
        IABOT,
    ),
    Family(
        "bing_cache",
        ("cc.bingj.com", "cncc.bingj.com"),
        bing_cached,
        "https://cc.bingj.com/cache.aspx?q=https%3A%2F%2Fwww.good.com%2Fp&d=5034798112345678",
        LINKED,
    ),
    _framed("yandex_cache", "yandexwebcache.net hghltd.yandex.net", "/yandbtm?fmode=inject", "url", LINKED),
    _framed("sogou_cache", "snapshot.sogoucdn.com", "/websnapshot?ie=utf8", "url", LINKED),
    _framed("wikiwix", "archive.wikiwix.com", "/cache/", "url", IABOT),
    # archives
    _archive("wayback", "web.archive.org", "/web/"),
    _behind(
        "archive_today",
        tuple(f"archive.{top}" for top in ("is", "ph", "today", "md", "fo", "vn", "li")),
        r"/(?:[\d.-]{4,19}|newest|oldest|o/\w+)/",
        "https://archive.ph/20260101000000/https://www.good.com/p",
        IABOT,
    ),
    _archive("archive_it", "wayback.archive-it.org", "/10702/", r"/(?:\d+|all)/"),
    _archive(
        "uk_web_archive",
        "www.webarchive.org.uk webarchive.org.uk",
        "/wayback/archive/",
        "/wayback/(?:en/)?archive/",
    ),
    _archive("uk_national_archives", "webarchive.nationalarchives.gov.uk", "/ukgwa/", "/(?:ukgwa/)?"),
    _archive("uk_parliament", "webarchive.parliament.uk", "/"),
    _archive("northern_ireland", "webarchive.proni.gov.uk", "/"),
    _archive("library_of_congress", "webarchive.loc.gov", "/all/", r"/(?:all|lcwa\d{4})/"),
    _archive("us_federal_harvest", "www.webharvest.gov webharvest.gov", "/congress118/", "/[^/]+/"),
    _archive("arquivo_pt", "arquivo.pt", "/wayback/", "/(?:wayback/(?:wayback/)?|noFrame/replay/)"),
    _archive("vefsafn", "wayback.vefsafn.is", "/wayback/"),
    _archive("veebiarhiiv", "veebiarhiiv.digar.ee", "/a/"),
    _archive("bibalex", "web.archive.bibalex.org archive.bibalex.org", "/web/", "/(?:web/)?"),
    _archive("library_of_canada", "webarchive.bac-lac.gc.ca", "/wayback/", "/(?:wayback/)?"),
    _archive(
        "library_of_australia",
        "webarchive.nla.gov.au content.webarchive.nla.gov.au",
        "/awa/",
        "/(?:awa|gov)/(?:wayback/)?",
    ),
    _behind(
        "pandora",
        ("pandora.nla.gov.au",),
        rf"/(?:pan/\d+/[\d-]+/|nph-wb/{TIME})",
        "https://pandora.nla.gov.au/pan/14231/20120727-0512/www.good.com/p",
        IABOT,
    ),
    _archive("stanford", "swap.stanford.edu", "/was/", "/(?:was/)?"),
    _archive("york_university", "digital.library.yorku.ca", "/wayback/"),
    _archive("catalonia", "padi.cat www.padi.cat", "/wayback/"),
    _archive("slovenia", "nukrobi2.nuk.uni-lj.si", "/wayback/"),
    _archive("memento_time_travel", "timetravel.mementoweb.org", "/memento/"),
    # proxies of companies and libraries
    Family("defender_for_cloud_apps", ("*.mcas.ms",), prefixed, "https://www.good.com.mcas.ms/p", DEFENDER),
    Family(
        "netskope", ("*.rproxy.goskope.com",), prefixed, "https://www.good.com.rproxy.goskope.com/p", LINKED
    ),
    Family("skyhigh", ("*.myshn.net",), prefixed, "https://www.good.com.myshn.net/p", LINKED),
    _behind(
        "cloudflare_isolation",
        ("*.cloudflareaccess.com",),
        "/browser/",
        "https://team.cloudflareaccess.com/browser/https://www.good.com/p",
        CLOUDFLARE,
    ),
    _behind(
        "menlo_isolation",
        ("safe.menlosecurity.com",),
        "/",
        "https://safe.menlosecurity.com/https://www.good.com/p",
        LINKED,
    ),
    Family(
        "url_defense",
        ("urldefense.com", "urldefense.proofpoint.com"),
        url_defense,
        "https://urldefense.com/v3/__https://www.good.com/p__;!!Abc-1!x$",
        PROOFPOINT,
    ),
    Family("ezproxy", ("*.idm.oclc.org",), ezproxy, "https://www-good-com.library.idm.oclc.org/p", OCLC),
    Family(
        "safe_links",
        ("*.safelinks.protection.outlook.com",),
        parameter("url"),
        "https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fwww.good.com%2Fp&data=05",
        OWN,
    ),
    _framed("barracuda", "linkprotect.cudasvc.com", "/url", "a", OWN),
    _behind(
        "cisco_secure_web",
        ("secure-web.cisco.com",),
        "/[^/]+/",
        "https://secure-web.cisco.com/1a2B-c_/https%3A%2F%2Fwww.good.com%2Fp",
        OWN,
    ),
    # redirects of social networks and search engines
    _framed("facebook", "l.facebook.com lm.facebook.com l.instagram.com", "/l.php", "u", OWN),
    _framed("google_redirect", " ".join(GOOGLES), "/url?sa=t", "url", OWN),
    _framed("youtube", "www.youtube.com", "/redirect?event=video_description", "q", OWN),
    _framed("linkedin", "www.linkedin.com", "/redir/redirect", "url", OWN),
    _framed("vk", "vk.com", "/away.php", "to", OWN),
    _framed("duckduckgo", "duckduckgo.com", "/l/", "uddg", OWN),
    _framed("slack", "slack-redir.net", "/link", "url", OWN),
    _framed("reddit", "out.reddit.com", "/t3_abc", "url", OWN),
)
