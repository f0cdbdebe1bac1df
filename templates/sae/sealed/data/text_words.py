"""Word lists of the project's own text. Earlier words are drawn more often."""

from __future__ import annotations


def words(text: str) -> list[str]:
    return text.split()


SYLLABLES = words(
    "ma ren tol ka vi dor sel an bri hal o ne lu gar tis mo ven ri dal es pa kor li sha bel ton u far mi rad jen "
    "so wick bur lan tha gre no per ya del zan fi ro mer qui hol stan ec cor va bra nim ol tre sa pel kin ash der "
    "wol ru ban"
)

# Four topics, 0 world, 1 sports, 2 business, 3 science: persons, their acts, objects, places and adjectives.
TOPICS: dict[str, dict[str, list[str]]] = {
    "0": {
        "who": words(
            "minister president ambassador government parliament council mayor diplomat senator refugee general "
            "delegation protester journalist judge envoy soldier citizen commission embassy"
        ),
        "did": words(
            "signed rejected announced condemned negotiated defended approved debated postponed visited crossed "
            "occupied evacuated ratified denounced"
        ),
        "what": words(
            "treaty border ceasefire election sanctions law constitution summit embargo protest reform vote "
            "petition alliance territory referendum visa amnesty peace conflict"
        ),
        "where": words("capital palace province embassy frontier assembly court harbour valley consulate checkpoint"),
        "colour": words("foreign national political military diplomatic regional disputed humanitarian royal federal"),
    },
    "1": {
        "who": words(
            "coach striker goalkeeper team captain runner champion referee swimmer player club squad rookie "
            "athlete cyclist pitcher trainer defender supporter opponent"
        ),
        "did": words(
            "won lost scored trained defeated injured tackled celebrated missed passed sprinted equalised tied "
            "qualified dribbled"
        ),
        "what": words(
            "match goal season tournament medal penalty race cup league title record innings final trophy serve "
            "sprint marathon transfer jersey whistle"
        ),
        "where": words("stadium pitch track arena gym court pool velodrome clubhouse bench rink"),
        "colour": words("fast exhausted unbeaten offensive athletic seasonal amateur olympic fierce injured"),
    },
    "2": {
        "who": words(
            "company bank investor manager shareholder trader chairman factory retailer supplier accountant "
            "startup lender broker economist customer board auditor insurer union"
        ),
        "did": words(
            "sold bought invested borrowed merged raised cut priced exported hired financed dismissed taxed "
            "forecast acquired"
        ),
        "what": words(
            "profit shares market price loan merger budget contract revenue debt dividend tax wage stock bond "
            "inflation quarter invoice tariff bankruptcy"
        ),
        "where": words("exchange headquarters warehouse office branch showroom shop port boardroom mall outlet"),
        "colour": words("profitable quarterly financial expensive corporate bankrupt annual commercial cheap retail"),
    },
    "3": {
        "who": words(
            "scientist engineer researcher laboratory satellite computer telescope chemist programmer biologist "
            "robot physicist probe doctor network astronomer student server inventor geologist"
        ),
        "did": words(
            "measured discovered launched computed observed simulated tested encoded detected published predicted "
            "downloaded analysed calibrated installed"
        ),
        "what": words(
            "planet software cell experiment algorithm molecule virus theory protein galaxy processor sensor "
            "battery gene orbit hypothesis laser dataset fossil isotope"
        ),
        "where": words("observatory clinic orbit reactor archive greenhouse institute datacentre crater workshop lab"),
        "colour": words("digital chemical genetic solar quantum electronic molecular wireless magnetic microscopic"),
    },
}

NEUTRAL: dict[str, list[str]] = {
    "who": words(
        "man woman child group neighbour visitor family friend reporter crowd guest teacher worker farmer driver"
    ),
    "did": words("saw found described expected discussed followed remembered left reached kept opened changed"),
    "what": words(
        "plan question letter answer house road report story picture table river window idea message morning"
    ),
    "where": words("town village street room garden station bridge corner market square hall field"),
    "colour": words("old new small large quiet long early late green difficult simple common strange open"),
}

# Kinds of goods, by the numbers that a public set of reviews gives them, and words that judge them.
PRODUCTS: dict[str, list[str]] = {
    "1": words("puzzle doll kite blocks toy train teddy board marbles yo-yo"),
    "2": words("phone charger case headset screen cable holder battery stylus tablet"),
    "3": words("drill valve glue bolt pump gauge solder clamp filter hinge"),
    "5": words("guitar drum violin piano tuner flute amplifier trumpet strings microphone"),
    "6": words("camera laptop radio speaker keyboard monitor router printer lens television"),
}
GOOD = words(
    "great excellent lovely perfect reliable superb sturdy wonderful comfortable brilliant bright handy smooth"
)
BAD = words("terrible awful broken useless flimsy disappointing noisy faulty ugly slow wrong sticky dreadful")
SENTIMENT: dict[str, list[str]] = {
    "5.0": [
        "I would buy it again.",
        "It works every single day.",
        "Everyone at home loves it.",
        "It was worth every penny.",
        "The seller was kind and quick.",
        "I am very happy with it.",
    ],
    "1.0": [
        "I want my money back.",
        "It stopped working after a week.",
        "Nobody at home uses it.",
        "It was a waste of money.",
        "The seller never replied.",
        "I sent it back at once.",
    ],
}

# Three languages, each: nouns with their articles, verbs, adjectives, a few fixed phrases.
FOREIGN: dict[str, dict[str, list[str]]] = {
    "fr": {
        "noun": [
            "le chat",
            "la maison",
            "le pain",
            "la rivière",
            "le livre",
            "la lune",
            "le jardin",
            "la lettre",
            "le train",
            "la ville",
        ],
        "verb": words("regarde cherche trouve aime porte garde ferme oublie"),
        "adjective": words("petit grand rouge vieux calme rapide"),
        "phrase": [
            "Il fait beau aujourd'hui.",
            "Je ne sais pas pourquoi.",
            "Nous partons demain matin.",
            "C'est la vie.",
        ],
    },
    "de": {
        "noun": [
            "der Hund",
            "das Haus",
            "der Berg",
            "die Straße",
            "das Buch",
            "der Mond",
            "der Garten",
            "der Brief",
            "der Zug",
            "die Stadt",
        ],
        "verb": words("sieht sucht findet liebt trägt hält öffnet vergisst"),
        "adjective": words("klein groß rot alt ruhig schnell"),
        "phrase": [
            "Heute ist das Wetter schön.",
            "Ich weiß nicht warum.",
            "Wir fahren morgen früh.",
            "So ist das Leben.",
        ],
    },
    "es": {
        "noun": [
            "el perro",
            "la casa",
            "el queso",
            "la calle",
            "el libro",
            "la luna",
            "el jardín",
            "la carta",
            "el tren",
            "la ciudad",
        ],
        "verb": words("mira busca encuentra quiere lleva guarda abre olvida"),
        "adjective": words("pequeño grande rojo viejo tranquilo rápido"),
        "phrase": ["Hoy hace buen tiempo.", "No sé por qué.", "Salimos mañana temprano.", "Así es la vida."],
    },
}
