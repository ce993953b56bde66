"""The people: who they are, what they are assigned, and on which days they work with what."""

from collections import namedtuple
from dataclasses import dataclass
from random import Random

from access import SETS

FIRST = """
Ada Bela Carl Dina Elif Femi Gina Hugo Ines Jana Karl Lena Mona Nils Olga Petr Quim Rosa Sven Tara Ugo Vera
Wim Xena Yann Zoe Amir Bo Cleo Dev Esra Finn Gwen Hana Ivo Juno Kofi Liv Malik Nora Omar Pia Rafa Sana Tom Uma Viggo
Wanda Yuki Zara""".split()
LAST = """
Abbas Berg Costa Dahl Evans Fuchs Garcia Haddad Ito Jansen Kaya Lopez Meyer Novak Okafor Patel Quist Rossi Silva
Tanaka Ude Vogel Weiss Xu Yilmaz Zeman Adler Bauer Chen Diaz Eriksen Fischer Gomez Horvath Ivanov Jung Keller Lund
Moreau Nagy Olsen Peters Rahman Schmid Toth Urban Varga Wolf Young Zhang""".split()

# Teams beside those of products, with their share of the people.
CENTRAL = {"platform": 5, "admins": 1, "security": 3, "finance": 3, "data": 8, "support": 10, "databases": 1}
# What groups hold: permission set by kind of account.
HOLDS = {
    "developers": {"dev": "DeveloperAccess", "staging": "DeveloperAccess", "prod": "ReadOnlyAccess"},
    "operators": {"prod": "ProductionOperator"},
    "leads": {"dev": "PowerUserAccess"},
    "platform": {"shared": "PowerUserAccess", "prod": "ReadOnlyAccess", "staging": "ReadOnlyAccess"},
    "admins": dict.fromkeys(["management", "security", "logs", "shared", "prod", "staging", "dev", "sandbox"],
                            "AdministratorAccess"),
    "security": dict.fromkeys(["management", "security", "logs", "shared", "prod", "staging", "dev"], "SecurityAudit"),
    "finance": {"management": "Billing"},
    "data": {"prod": "DataAnalyst"},
    "support": {"prod": "SupportEngineer"},
    "databases": {"prod": "DatabaseAdministrator", "staging": "DatabaseAdministrator"},
    "engineers": {"sandbox": "PowerUserAccess"},
}
RARE = {one.name: one.rare for one in SETS}
WRITES = {one.name: [at for at, call in enumerate(one.calls) if not call.read] for one in SETS}

# Changes that somebody makes again and again: every day, or on one day of the week.
Routine = namedtuple("Routine", "account set weekdays second calls")
# A session of a person in an account: index of the person, permission set, second of the day, number of calls (0: each
# of the set once), most seconds from one to the next, and the calls, where it is a routine.
Session = namedtuple("Session", "person set second calls pause routine")


@dataclass
class Person:
    """Somebody; `active`: the share of workdays on which they work in AWS at all."""
    number: int
    name: str
    login: str
    user_id: str
    team: str
    manager: str
    kind: str
    started: str
    active: float
    groups: list
    ended: str = ""

    @property
    def email(self):
        """Their address."""
        return f"{self.login}@tessel.example"


def uuid(rng):
    """A random UUID."""
    text = f"{rng.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def build(seed, count, products, days):
    """People of the teams of products and of central teams; a few have left by now and still hold what they had."""
    rng = Random(f"{seed}/people")
    pairs = rng.sample([(first, last) for last in LAST for first in FIRST], min(count, len(FIRST) * len(LAST)))
    # One of each central team first, so that small organisations have all.
    shares = {**dict.fromkeys(products, 69 / len(products)), **CENTRAL}
    teams = list(CENTRAL) + rng.choices(list(shares), shares.values(), k=max(0, len(pairs) - len(CENTRAL)))
    managers, found = {}, []
    for number, ((first, last), team) in enumerate(zip(pairs, teams), 1):
        login = f"{first}.{last}".lower()
        # Many hardly ever work there, few every day.
        active = rng.choice([0.0, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9])
        groups = [team]
        if team in products:
            groups = [f"{team}-developers", "engineers"]
            groups += [f"{team}-operators"] if rng.random() < 0.2 else []
            groups += [f"{team}-leads"] if rng.random() < 0.1 else []
        elif team in ("platform", "databases", "data"):
            groups.append("engineers")
        elif team == "admins":
            # Their daily work needs no more than that of others; so administrator rights are used seldom.
            groups.append("platform")
        manager = managers.get(team, "") if rng.random() < 0.9 else found[0].email if found else ""
        kind = "vendor" if rng.random() < 0.06 else "human"
        started = f"{rng.randint(2018, 2024)}-{rng.randint(1, 12):02}-01"
        person = Person(number, f"{first} {last}", login, uuid(rng), team, manager, kind, started, active, groups)
        if number % 12 == 1 or team not in managers:
            managers[team] = person.email
        if rng.random() < 0.02:
            person.ended = rng.choice(days[len(days) // 2:]).isoformat()
        found.append(person)
    return found


def assignments(seed, accounts, people):
    """Tuples of account, permission set, and the group or person that has it."""
    groups = sorted({group for person in people for group in person.groups})
    found = []
    for group in groups:
        product, _, level = group.rpartition("-")
        for account in accounts:
            name = HOLDS[level].get(account.kind)
            if name and product in ("", account.product):
                found.append((account, name, group))
    # Some have it in their own name.
    rng = Random(f"{seed}/direct")
    stages = [account for account in accounts if account.kind in ("staging", "dev")]
    for person in rng.sample(people, len(people) // 30):
        found.append((rng.choice(stages), "DeveloperAccess", person))
    return found


def held(people, assigned_to):
    """For each person's login the accounts and permission sets that they have."""
    found = {}
    for account, name, holder in assigned_to:
        for person in people if isinstance(holder, str) else [holder]:
            if person is holder or holder in person.groups:
                found.setdefault(person.login, []).append((account, name))
    return found


def quarter_end(day):
    """Whether a day is among the last of a quarter."""
    return day.month % 3 == 0 and day.day >= 26


def sessions(seed, people, holdings, days):
    """Sessions of everybody: for every account by day. `holdings`: see `held`."""
    found = {}
    for at, person in enumerate(people):
        rng = Random(f"{seed}/{person.login}/work")
        mine = holdings.get(person.login, [])
        if not mine:
            continue
        weights = [1 / RARE[name] for _, name in mine]
        routine = None
        if rng.random() < 0.06:
            account, name = rng.choice(mine)
            if WRITES[name]:
                some = rng.sample(WRITES[name], min(len(WRITES[name]), rng.randint(1, 2)))
                weekdays = rng.choice([range(5), [rng.randrange(5)], [rng.randrange(5)]])
                routine = Routine(account, name, weekdays, rng.randrange(30_000, 60_000), some)
        inventory = rng.random() < 0.02
        first = rng.choice([28_000, 30_000, 33_000])

        def add(day, account, *session):
            found.setdefault(account.id, {}).setdefault(day, []).append(Session(at, *session))

        for number, day in enumerate(days):
            if person.ended and day.isoformat() > person.ended:
                break
            weekend = day.weekday() > 4
            busy = person.team in ("finance", "data") and quarter_end(day)
            if rng.random() < (0.02 if weekend else 1) * (1 if busy else person.active):
                for _ in range(2 if rng.random() < 0.25 else 1):
                    account, name = rng.choices(mine, weights)[0]
                    count = min(12, 2 + int(rng.paretovariate(0.9)))
                    add(number, account, name, first + rng.randrange(30_000), count, rng.choice([40, 150, 400]), None)
            # At night something breaks.
            if rng.random() < 0.002 * person.active:
                account, name = rng.choices(mine, weights)[0]
                add(number, account, name, rng.randrange(3_000, 20_000), 3, 200, None)
            if routine and day.weekday() in routine.weekdays:
                second = routine.second + rng.randrange(-900, 900)
                add(number, routine.account, routine.set, second, len(routine.calls), 120, routine.calls)
            # Going through everything at once: an inventory, no work.
            if inventory and day.day == 15:
                add(number, *rng.choice(mine), 40_000, 0, 5, None)
    return found
