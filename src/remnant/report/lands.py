"""Countries: their codes (ISO 3166-1 alpha-2), what people call them, and their place on a map.

The names are for reading and searching only; what is stored and counted is the code. The grid is
our own: neighbours stand beside each other where a grid allows it.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Final

__all__ = ["NAMES", "UNKNOWN", "find", "name_of", "tiles"]

UNKNOWN: Final = "unknown"
"""What stands in an address for a country that the reference data does not know."""

_NAMES: Final = """
AD Andorra|AE United Arab Emirates|AF Afghanistan|AG Antigua and Barbuda|AI Anguilla|AL Albania
AM Armenia|AO Angola|AQ Antarctica|AR Argentina|AS American Samoa|AT Austria|AU Australia|AW Aruba
AX Åland|AZ Azerbaijan|BA Bosnia and Herzegovina|BB Barbados|BD Bangladesh|BE Belgium
BF Burkina Faso|BG Bulgaria|BH Bahrain|BI Burundi|BJ Benin|BL Saint Barthélemy|BM Bermuda|BN Brunei
BO Bolivia|BQ Caribbean Netherlands|BR Brazil|BS Bahamas|BT Bhutan|BV Bouvet Island|BW Botswana
BY Belarus|BZ Belize|CA Canada|CC Cocos Islands|CD Congo, Democratic Republic
CF Central African Republic|CG Congo|CH Switzerland|CI Côte d'Ivoire|CK Cook Islands|CL Chile
CM Cameroon|CN China|CO Colombia|CR Costa Rica|CU Cuba|CV Cape Verde|CW Curaçao|CX Christmas Island
CY Cyprus|CZ Czechia|DE Germany|DJ Djibouti|DK Denmark|DM Dominica|DO Dominican Republic|DZ Algeria
EC Ecuador|EE Estonia|EG Egypt|EH Western Sahara|ER Eritrea|ES Spain|ET Ethiopia|FI Finland|FJ Fiji
FK Falkland Islands|FM Micronesia|FO Faroe Islands|FR France|GA Gabon|GB United Kingdom|GD Grenada
GE Georgia|GF French Guiana|GG Guernsey|GH Ghana|GI Gibraltar|GL Greenland|GM Gambia|GN Guinea
GP Guadeloupe|GQ Equatorial Guinea|GR Greece|GS South Georgia|GT Guatemala|GU Guam|GW Guinea-Bissau
GY Guyana|HK Hong Kong|HM Heard and McDonald Islands|HN Honduras|HR Croatia|HT Haiti|HU Hungary
ID Indonesia|IE Ireland|IL Israel|IM Isle of Man|IN India|IO British Indian Ocean Territory|IQ Iraq
IR Iran|IS Iceland|IT Italy|JE Jersey|JM Jamaica|JO Jordan|JP Japan|KE Kenya|KG Kyrgyzstan
KH Cambodia|KI Kiribati|KM Comoros|KN Saint Kitts and Nevis|KP North Korea|KR South Korea|KW Kuwait
KY Cayman Islands|KZ Kazakhstan|LA Laos|LB Lebanon|LC Saint Lucia|LI Liechtenstein|LK Sri Lanka
LR Liberia|LS Lesotho|LT Lithuania|LU Luxembourg|LV Latvia|LY Libya|MA Morocco|MC Monaco|MD Moldova
ME Montenegro|MF Saint Martin|MG Madagascar|MH Marshall Islands|MK North Macedonia|ML Mali
MM Myanmar|MN Mongolia|MO Macao|MP Northern Mariana Islands|MQ Martinique|MR Mauritania
MS Montserrat|MT Malta|MU Mauritius|MV Maldives|MW Malawi|MX Mexico|MY Malaysia|MZ Mozambique
NA Namibia|NC New Caledonia|NE Niger|NF Norfolk Island|NG Nigeria|NI Nicaragua|NL Netherlands
NO Norway|NP Nepal|NR Nauru|NU Niue|NZ New Zealand|OM Oman|PA Panama|PE Peru|PF French Polynesia
PG Papua New Guinea|PH Philippines|PK Pakistan|PL Poland|PM Saint Pierre and Miquelon|PN Pitcairn
PR Puerto Rico|PS Palestine|PT Portugal|PW Palau|PY Paraguay|QA Qatar|RE Réunion|RO Romania
RS Serbia|RU Russia|RW Rwanda|SA Saudi Arabia|SB Solomon Islands|SC Seychelles|SD Sudan|SE Sweden
SG Singapore|SH Saint Helena|SI Slovenia|SJ Svalbard and Jan Mayen|SK Slovakia|SL Sierra Leone
SM San Marino|SN Senegal|SO Somalia|SR Suriname|SS South Sudan|ST São Tomé and Príncipe
SV El Salvador|SX Sint Maarten|SY Syria|SZ Eswatini|TC Turks and Caicos Islands|TD Chad
TF French Southern Territories|TG Togo|TH Thailand|TJ Tajikistan|TK Tokelau|TL Timor-Leste
TM Turkmenistan|TN Tunisia|TO Tonga|TR Türkiye|TT Trinidad and Tobago|TV Tuvalu|TW Taiwan
TZ Tanzania|UA Ukraine|UG Uganda|UM United States Outlying Islands|US United States|UY Uruguay
UZ Uzbekistan|VA Vatican City|VC Saint Vincent and the Grenadines|VE Venezuela
VG British Virgin Islands|VI US Virgin Islands|VN Vietnam|VU Vanuatu|WF Wallis and Futuna|WS Samoa
XK Kosovo|YE Yemen|YT Mayotte|ZA South Africa|ZM Zambia|ZW Zimbabwe
"""
NAMES: Final[dict[str, str]] = {
    entry[:2]: entry[3:] for line in _NAMES.strip().splitlines() for entry in line.split("|")
}
"""Code -> English name."""

_ALSO: Final = {
    "america": "US",
    "britain": "GB",
    "burma": "MM",
    "czech republic": "CZ",
    "deutschland": "DE",
    "england": "GB",
    "great britain": "GB",
    "holland": "NL",
    "ivory coast": "CI",
    "korea": "KR",
    "republic of korea": "KR",
    "russian federation": "RU",
    "swaziland": "SZ",
    "the netherlands": "NL",
    "turkey": "TR",
    "uae": "AE",
    "uk": "GB",
    "united states of america": "US",
    "usa": "US",
    "viet nam": "VN",
}

_GRID: Final = """
.. .. .. .. .. .. .. .. GL .. .. IS .. .. .. NO SE FI .. .. .. .. .. .. .. .. .. ..
.. CA .. .. .. .. .. .. PM .. .. FO .. .. DK .. EE .. RU .. .. .. .. .. .. .. .. ..
.. US .. .. .. .. .. BM .. .. IE GB .. NL DE PL LV .. .. .. KZ .. MN .. .. .. .. ..
.. MX .. .. .. BS .. .. .. .. .. .. BE LU CZ SK LT BY .. UZ KG .. CN KP .. JP .. ..
.. GT BZ .. CU TC .. .. .. .. .. .. FR CH AT HU MD UA GE TM TJ .. .. KR .. .. .. ..
.. SV HN JM HT DO PR VG AG .. PT ES AD LI SI HR RO .. AM AZ AF PK NP BT TW .. .. ..
.. .. NI KY .. .. VI AI KN .. GI .. MC IT BA RS BG TR .. IR .. IN BD MM LA VN HK MO
.. .. CR .. AW CW MS GP DM .. .. .. SM VA ME XK MK .. SY IQ .. .. LK .. TH KH PH ..
.. .. PA .. CO VE MQ LC BB .. .. .. MT .. AL GR CY LB JO KW .. .. MV .. MY BN .. PW
.. .. .. .. EC GY VC GD TT .. .. MA DZ TN LY EG .. IL PS SA BH QA .. .. SG ID TL PG
.. .. .. .. PE BR SR GF .. .. EH MR ML NE TD SD ER .. YE OM AE .. .. .. .. .. .. ..
.. .. .. .. BO PY .. .. .. CV SN BF NG CM CF SS ET DJ .. .. .. .. .. AU .. GU MP MH
.. .. .. .. CL UY .. .. .. GM GW GN BJ GA CG CD UG SO .. .. .. .. .. .. NC VU SB FM
.. .. .. .. AR .. .. .. .. SL LR TG ST GQ AO RW KE .. SC .. .. .. NZ .. FJ NR KI TV
.. .. .. .. FK .. .. .. .. CI GH .. .. .. ZM BI TZ KM .. .. .. .. .. .. TO WS CK PF
.. .. .. .. .. .. .. .. SH .. .. .. .. NA ZW MW MZ YT MG MU .. .. .. .. .. .. .. ..
.. .. .. .. .. .. .. .. .. .. .. .. .. BW ZA SZ .. .. .. RE .. .. .. .. .. .. .. ..
.. .. .. .. .. .. .. .. .. .. .. .. .. .. LS .. .. .. .. .. .. .. .. .. .. .. .. ..
"""


@cache
def tiles() -> dict[str, tuple[int, int]]:
    """Return the column and row of each country of the grid, from the upper left."""
    return {
        code: (column, row)
        for row, line in enumerate(_GRID.strip().splitlines())
        for column, code in enumerate(line.split())
        if code != ".."
    }


def name_of(code: str | None) -> str:
    """Return what a country is called; a code without a name stands for itself.

    >>> name_of("DE"), name_of("ZZ"), name_of(None)
    ('Germany', 'ZZ', 'unknown')
    """
    return UNKNOWN if not code else NAMES.get(code, code)


def find(text: str, most: int = 8) -> list[str]:
    """Return the codes of the countries that a person may mean, the likeliest first.

    >>> find("de")[0], find("GERMANY"), find("cote d'ivoire"), find("")
    ('DE', ['DE'], ['CI'], [])
    """
    wanted = _plain(text)
    if not wanted:
        return []
    exact = [code for code in (wanted.upper(), _ALSO.get(wanted, "")) if code in NAMES]
    names = _plain_names()
    exact += [code for code, name in names.items() if name == wanted]
    if len(wanted) > 2:
        exact += [code for code, name in names.items() if name.startswith(wanted)]
        exact += [code for code, name in names.items() if f" {wanted}" in name]
    return list(dict.fromkeys(exact))[:most]


@cache
def _plain_names() -> dict[str, str]:
    return {code: _plain(name) for code, name in NAMES.items()}


def _plain(text: str) -> str:
    """Return text in lower case without accents and without more than one blank in a row."""
    apart = unicodedata.normalize("NFKD", text[:100])
    letters = "".join(char for char in apart if not unicodedata.combining(char))
    return " ".join(letters.casefold().split())
