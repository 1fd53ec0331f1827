"""What the bots ask for on a day, and when they connect to what the answers say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from remnant.simulate.draws import STEP, below, bits, normal, stream, unit
from remnant.simulate.population import DAY_US, local_times
from remnant.simulate.rows import MARK_LOST, Rows
from remnant.windows import to_us
from remnant.wire import Int, Word, kernel

if TYPE_CHECKING:
    import numpy.typing as npt

    from remnant.simulate.networks import Networks
    from remnant.simulate.population import Bots
    from remnant.simulate.questions import Questions
    from remnant.simulate.scenario import Scenario

__all__ = ["BotDays"]

_CONNECTS: Final = 64
_BARRELS: Final = ("uniform", "randomcut", "sampling", "permutation")
_RANDOM_CUT: Final = 1
_SAMPLING: Final = 2
_BOTS: Final = 2
_HOUR_US: Final = 3_600_000_000
_SECOND_US: Final = 1_000_000
_RESEND_US: Final = 2_000_000
_LOSS: Final = 0.01
_ROWS_PER_BOT: Final = 48


class _BotColumns(NamedTuple):
    birth: npt.NDArray[np.int64]
    clean: npt.NDArray[np.int64]
    household: npt.NDArray[np.int32]
    online: npt.NDArray[np.float64]
    always_on: npt.NDArray[np.bool_]
    away_from: npt.NDArray[np.int64]
    away_until: npt.NDArray[np.int64]
    version: npt.NDArray[np.int16]
    aaaa: npt.NDArray[np.bool_]
    later: npt.NDArray[np.int16]
    switch: npt.NDArray[np.int64]
    dga: npt.NDArray[np.bool_]
    skew: npt.NDArray[np.int64]
    offset_us: npt.NDArray[np.int64]
    rest_days: npt.NDArray[np.int64]


class _Habits(NamedTuple):
    takedown: int
    weekend_factor: float
    session_hours: float
    period_us: float
    more_names: float
    retry: float
    most_retries: int


class _Names(NamedTuple):
    """What a bot knows of names.

    Attributes:
        of_version: see ``Questions.version_names``.
        ttl, answer: see ``NameTable``.
        reached: see ``Questions``.
        generated: see ``Questions``.
        first_day: see ``Questions``.
        barrel: see ``_BARRELS``.
        lookups: most names of one activation.
        again: search again after a search that found nothing.
        pause_us: mean time between two lookups of a search.
    """

    of_version: npt.NDArray[np.int32]
    ttl: npt.NDArray[np.int64]
    answer: npt.NDArray[np.uint8]
    reached: npt.NDArray[np.uint8]
    generated: npt.NDArray[np.int32]
    first_day: int
    barrel: int
    lookups: int
    again: bool
    pause_us: float


class _Seen(NamedTuple):
    """What one day adds to the truth about each bot: hours as bits, searches, and lookups."""

    hours: npt.NDArray[np.uint64]
    beacons: npt.NDArray[np.uint64]
    searches: npt.NDArray[np.int32]
    lookups: npt.NDArray[np.int32]


class BotDays:
    """The bots' behaviour from day to day.

    Attributes:
        hours: bit ``h`` is set when the bot was running in hour ``h`` of the day (uint64 per bot).
        beacons: the same for hours in which it asked for a name or connected to the sinkhole.
        searches: activations of each bot in sessions of this day that looked for generated names.
        lookups: how many they looked up.
        connections: attempts to reach an address of the sinkhole, as rows without a qtype.
    """

    def __init__(
        self,
        scenario: Scenario,
        networks: Networks,
        bots: Bots,
        questions: Questions,
        seed: np.uint64,
    ) -> None:
        offset, rest = local_times(scenario)
        country = networks.country[bots.network]
        self._columns = _BotColumns(
            bots.birth,
            bots.clean,
            bots.household,
            bots.online,
            bots.always_on,
            bots.away_from,
            bots.away_until,
            bots.version,
            bots.aaaa,
            bots.later,
            bots.switch,
            bots.dga,
            bots.skew,
            offset[country],
            rest[country],
        )
        self._habits = _Habits(
            to_us(scenario.takedown),
            scenario.weekend_factor,
            scenario.session_hours,
            scenario.period_minutes * 60 * _SECOND_US,
            scenario.more_names,
            scenario.retry,
            scenario.most_retries,
        )
        given = scenario.dga
        self._names = _Names(
            questions.version_names,
            questions.table.ttl,
            questions.table.answer,
            questions.reached,
            questions.generated,
            questions.first_day,
            0 if given is None else _BARRELS.index(given.barrel),
            0 if given is None else given.lookups,
            given is not None and given.again,
            0.0 if given is None else given.pause_seconds * _SECOND_US,
        )
        self._seed = seed
        self._later = Rows.empty(0)
        self._cached = np.zeros((scenario.names_per_bot, 2), np.int64)
        # The order in which names are drawn, and what was swapped to draw them.
        self._order = np.arange(max(1, questions.generated.shape[1]))
        self._swapped = np.zeros(self._order.size, np.int64)
        self._room = 1024 + _ROWS_PER_BOT * len(bots)
        count = len(bots)
        self._hours = np.zeros(count, np.uint64)
        self._beacons = np.zeros(count, np.uint64)
        self.hours = self._hours
        self.beacons = self._beacons
        self.searches = self.lookups = np.zeros(count, np.int32)
        self.connections = Rows.empty(0)

    def advance(self, day: int, start: int) -> Rows:
        """Return the queries of a day (its number, and its midnight in UTC microseconds).

        A session may run past midnight; its later queries come with the next day.
        """
        self._hours >>= np.uint64(24)
        self._beacons >>= np.uint64(24)
        bots = self._hours.size
        while True:
            rows = Rows.empty(self._room)
            seen = _Seen(
                self._hours.copy(),
                self._beacons.copy(),
                np.zeros(bots, np.int32),
                np.zeros(bots, np.int32),
            )
            count = _bot_day(
                self._seed,
                day,
                start,
                self._columns,
                self._habits,
                self._names,
                rows,
                seen,
                self._cached,
                self._order,
                self._swapped,
            )
            if count >= 0:
                break
            # Few bots live on every day: the room doubles in the rare case that it is too small.
            self._room *= 2
        self._hours, self._beacons = seen.hours, seen.beacons
        today = np.uint64((1 << 24) - 1)
        self.hours, self.beacons = seen.hours & today, seen.beacons & today
        self.searches, self.lookups = seen.searches, seen.lookups
        rows = Rows.joined([self._later, rows.take(slice(count))])
        now = rows.time < start + DAY_US
        self._later = rows.take(~now)
        rows = rows.take(now)
        connects = rows.mark == _CONNECTS
        self.connections = rows.take(connects)
        return rows.take(~connects)


@kernel
def _put(
    rows: Rows, at: Int, when: Int, household: Int, bot: Int, name: Int, qtype: Int, mark: Int
) -> Int:
    rows.time[at] = when
    rows.household[at] = household
    rows.host[at] = bot
    rows.name[at] = name
    rows.qtype[at] = qtype
    rows.mark[at] = mark
    return at + 1


@kernel
def _search(
    key: Word,
    day: Int,
    bot: Int,
    household: Int,
    at: Int,
    end: Int,
    phase: Int,
    names: _Names,
    rows: Rows,
    count: Int,
    order: npt.NDArray[np.int64],
    swapped: npt.NDArray[np.int64],
) -> tuple[Int, Int, Int]:
    """Look up the generated names of a day until one exists.

    Returns:
        The number of rows (-1: no room), the name that exists (-1: none met), and when it was met.
    """
    every = names.generated.shape[1]
    most = min(names.lookups, every)
    if count + most + 2 >= rows.time.size:
        return -1, -1, at
    first = below(key, every)
    found = np.int64(-1)
    done = 0
    state = key
    when = at
    while done < most and when < end:
        index = done
        if names.barrel == _RANDOM_CUT:
            index = (first + done) % every
        elif names.barrel >= _SAMPLING:
            # One step of a shuffle (Fisher and Yates); undone below, so that draws stay apart.
            state += STEP
            other = done + below(state, every - done)
            index = order[other]
            order[other] = order[done]
            order[done] = index
            swapped[done] = other
        name = np.int64(names.generated[day, index])
        count = _put(rows, count, when, household, bot, name, 1, 0)
        done += 1
        if names.answer[name, phase] & 2:
            found = name
            break
        state += STEP
        when += np.int64(names.pause_us * (0.5 + unit(state)))
    if names.barrel >= _SAMPLING:
        for back in range(done - 1, -1, -1):
            other = swapped[back]
            index = order[other]
            order[other] = order[back]
            order[back] = index
    return count, found, when


@kernel
def _bot_day(
    seed: Word,
    day: Int,
    start: Int,
    bots: _BotColumns,
    habits: _Habits,
    names: _Names,
    rows: Rows,
    seen: _Seen,
    cached: npt.NDArray[np.int64],
    order: npt.NDArray[np.int64],
    swapped: npt.NDArray[np.int64],
) -> Int:
    """Fill in the queries of the sessions that begin on a day.

    Returns:
        The number of rows, or -1 when there is no room for them.
    """
    width = names.of_version.shape[1]
    room = rows.time.size - 8
    count = 0
    for bot in range(bots.birth.size):
        if bots.birth[bot] >= start + DAY_US or bots.clean[bot] <= start:
            continue
        if bots.away_from[bot] <= day < bots.away_until[bot]:
            continue
        state = stream(seed, _BOTS, day, bot)
        boot = False
        if bots.always_on[bot]:
            begin = np.int64(start)
            end = np.int64(start + DAY_US)
            at = begin + np.int64(unit(state) * habits.period_us)
        else:
            local = 9.0 if unit(state) < 0.45 else 18.5
            spread = 1.6 if local < 12 else 2.4
            local += spread * normal(state + STEP)
            state += STEP * np.uint64(3)
            begin = np.int64(local * _HOUR_US) - bots.offset_us[bot]
            begin = start + begin % DAY_US
            # 1970-01-01 was a Thursday: day 0 is weekday 3.
            weekday = ((begin + bots.offset_us[bot]) // DAY_US + 3) % 7
            chance = bots.online[bot]
            if (bots.rest_days[bot] >> weekday) & 1:
                chance *= habits.weekend_factor
            if unit(state) >= chance:
                continue
            state += STEP
            # A gamma distribution of shape 2: two exponential parts; at most 16 hours.
            length = -np.log((1.0 - unit(state)) * (1.0 - unit(state + STEP)))
            length = min(length * habits.session_hours / 2.0, 16.0)
            state += STEP * np.uint64(2)
            end = begin + np.int64(length * _HOUR_US)
            at = begin + np.int64((10.0 + 110.0 * unit(state)) * _SECOND_US)
            boot = True
        begin = max(begin, bots.birth[bot])
        end = min(end, bots.clean[bot])
        if begin >= end:
            continue
        first = (begin - start) // _HOUR_US
        last = (end - 1 - start) // _HOUR_US
        for hour in range(first, last + 1):
            seen.hours[bot] |= np.uint64(1) << np.uint64(hour)
        before = count
        household = np.int64(bots.household[bot])
        cached[:] = 0
        turn = np.int64(0)
        epoch = np.int64(-1)
        found = np.int64(-1)
        while at < end:
            phase = 1 if at >= habits.takedown else 0
            if bots.dga[bot]:
                today = (at + bots.skew[bot]) // DAY_US - names.first_day
                fresh = today != epoch
                if fresh:
                    found = np.int64(-1)
                    epoch = today
                when = at
                state += STEP
                known = 0 <= today < names.generated.shape[0] and at >= bots.birth[bot]
                if found < 0 and known and (fresh or names.again):
                    was = count
                    count, found, when = _search(
                        bits(state), today, bot, household, at, end, phase, names, rows, count,
                        order, swapped,
                    )  # fmt: skip
                    if count < 0:
                        return -1
                    seen.searches[bot] += 1
                    seen.lookups[bot] += count - was
                    cached[0, 0] = when + names.ttl[found, phase] * _SECOND_US
                elif found >= 0 and when >= cached[0, 0]:
                    if count >= room:
                        return -1
                    count = _put(rows, count, when, household, bot, found, 1, 0)
                    cached[0, 0] = when + names.ttl[found, phase] * _SECOND_US
                if found >= 0 and phase == 1 and names.reached[found] & 1 and count < room:
                    state += STEP
                    when += np.int64((0.05 + 0.4 * unit(state)) * _SECOND_US)
                    if when < end:
                        count = _put(rows, count, when, household, bot, found, 0, _CONNECTS)
                state += STEP
                at += np.int64(habits.period_us * (0.9 + 0.2 * unit(state)))
                continue
            state += STEP
            wanted = width if boot else 1
            while wanted < width and unit(state) < habits.more_names:
                wanted += 1
                state += STEP
            boot = False
            when = at
            state += STEP
            version = bots.version[bot] if at < bots.switch[bot] else bots.later[bot]
            again = phase == 1 and unit(state) < habits.retry
            attempts = 1
            if again:
                attempts = 2
                if habits.most_retries > 1:
                    state += STEP
                    attempts += below(state, habits.most_retries)
            for attempt in range(attempts):
                if attempt > 0:
                    state += STEP
                    later = np.int64((60.0 + 180.0 * unit(state)) * _SECOND_US)
                    when = later + (at if attempt == 1 else when)
                for i in range(wanted):
                    place = (turn + i) % width
                    name = np.int64(names.of_version[version, place])
                    for family in range(2 if bots.aaaa[bot] else 1):
                        if when < bots.birth[bot] or when >= end or when < cached[place, family]:
                            continue
                        if count >= room:
                            return -1
                        state += STEP
                        lost = unit(state) < _LOSS
                        asked = when + 3000 * family
                        for _ in range(2 if lost else 1):
                            if asked >= end:
                                break
                            mark = MARK_LOST if lost else 0
                            qtype = 28 if family else 1
                            count = _put(rows, count, asked, household, bot, name, qtype, mark)
                            lost = False
                            asked += _RESEND_US
                        cached[place, family] = asked + names.ttl[name, phase] * _SECOND_US
                    state += STEP
                    if phase == 1 and names.reached[name] & 1 and count < room:
                        # The answer, the handshake, the request.
                        there = when + np.int64((0.05 + 0.4 * unit(state)) * _SECOND_US)
                        if there >= bots.birth[bot] and there < end:
                            count = _put(rows, count, there, household, bot, name, 0, _CONNECTS)
                    # Before the takedown the first address answers at once; later each times out.
                    pause = 1.0 if phase == 0 else 12.0
                    when += np.int64((0.1 + pause * unit(state)) * _SECOND_US)
            turn = (turn + wanted) % width
            state += STEP
            at += np.int64(habits.period_us * (0.9 + 0.2 * unit(state)))
        for row in range(before, count):
            hour = (rows.time[row] - start) // _HOUR_US
            seen.beacons[bot] |= np.uint64(1) << np.uint64(hour)
    return count
