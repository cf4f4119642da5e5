// The checker of prefix consistency is itself checked: every anomaly by a smallest history that has
// it and a twin that has not, by every way to explain small histories, and by a group in memory
// that keeps its promises or breaks them.
import process from 'node:process'

import test from 'ava'

import { scale, seedFor } from '../support/campaign.js'
import { randomNumbers } from '../support/history/simulator.js'
import { check, report, type Anomaly } from '../support/prefixes/check.js'
import {
  parseHistory,
  type Commit,
  type History,
  type Position,
  type Read,
} from '../support/prefixes/history.js'
import { simulate, type Fault } from '../support/prefixes/simulator.js'

const positionOf = (text: string): Position => {
  const [term, lsn] = text.split(':').map(Number)
  return { term: term ?? 0, lsn: lsn ?? 0 }
}

const valuesOf = (words: readonly string[]): Record<string, unknown> =>
  Object.fromEntries(
    words.map((word): [string, unknown] => {
      const [key = '', value = ''] = word.split('=')
      return [key, JSON.parse(value)]
    }),
  )

// "reign 2 1:20", "commit t1 1:10 1 2 durable x=1", "commit t1 1:10 1 - - x=1",
// "read s 5 6 durable x=1 y=null atLeast=1:10 maxLag=3 at=1:10 at=10 whole".
const eventOf = (line: string): object => {
  const [event, ...words] = line.split(' ')
  if (event === 'reign') {
    const [term, from] = words
    return { event, term: Number(term), ...(from ? { from: positionOf(from) } : {}) }
  }
  if (event === 'commit') {
    const [id, at = '', start, end, acknowledged, ...writes] = words
    const told = end === '-' ? {} : { end: Number(end), acknowledged }
    const writesOf = valuesOf(writes)
    return { event, id, at: positionOf(at), start: Number(start), writes: writesOf, ...told }
  }
  const [session, start, end, level, ...rest] = words
  const options = rest.filter((word) => /^(atLeast|maxLag|at|whole)\b/.test(word))
  const read: Record<string, unknown> = { event, session, member: 2, level }
  for (const option of options) {
    const [name = '', value = ''] = option.split('=')
    if (name === 'atLeast') read.atLeast = positionOf(value)
    if (name === 'maxLag') read.maxLag = Number(value)
    if (name === 'at')
      read.snapshot = value.includes(':') ? positionOf(value) : { lsn: Number(value) }
    if (name === 'whole') read.whole = true
  }
  const values = valuesOf(rest.filter((word) => !options.includes(word)))
  return { ...read, start: Number(start), end: Number(end), values }
}

const parse = (lines: readonly string[]): History =>
  parseHistory(lines.map((line) => JSON.stringify(eventOf(line))))

const one = 'commit t1 1:10 1 2 durable x=1 y=1'
const two = 'commit t2 1:20 3 4 durable x=2 y=2'
const reign = 'reign 1'
const rolledBack = [reign, one, 'commit t2 1:20 3 4 local x=2', 'reign 2 1:15']

const cases: { type: Anomaly; name: string; bad: string[]; good: string[] }[] = [
  {
    type: 'no-prefix',
    name: 'half of a commit',
    bad: [reign, one, two, 'read s 5 6 local x=2 y=1'],
    good: [reign, one, two, 'read s 5 6 local x=1 y=1'],
  },
  {
    type: 'no-prefix',
    name: 'another state than that of the snapshot',
    bad: [reign, one, two, 'read s 5 6 local x=1 at=1:20'],
    good: [reign, one, two, 'read s 5 6 local x=1 at=1:19'],
  },
  {
    type: 'no-prefix',
    name: 'another branch than that of the snapshot',
    bad: [...rolledBack, 'commit t3 2:20 5 6 local x=3', 'read s 7 8 local x=3 at=1:20'],
    good: [...rolledBack, 'commit t3 2:20 5 6 local x=3', 'read s 7 8 local x=3 at=20'],
  },
  {
    type: 'no-prefix',
    name: 'a row too many',
    bad: [reign, one, two, 'read s 5 6 local x=2 whole'],
    good: [reign, one, two, 'read s 5 6 local x=2 y=2 z=null whole'],
  },
  {
    type: 'no-prefix',
    name: 'a commit that was skipped',
    bad: [
      reign,
      one,
      'commit t2 1:20 3 4 local z=1',
      'commit t3 1:30 5 6 local x=3',
      'read s 7 8 local x=3 z=null',
    ],
    good: [
      reign,
      one,
      'commit t2 1:20 3 4 local z=1',
      'commit t3 1:30 5 6 local x=3',
      'read s 7 8 local x=3 z=1',
    ],
  },
  {
    type: 'future-read',
    name: 'what is asked for later',
    bad: [reign, one, 'commit t2 1:20 9 10 local x=2', 'read s 5 6 local x=2'],
    good: [reign, one, 'commit t2 1:20 6 10 local x=2', 'read s 5 6 local x=2'],
  },
  {
    type: 'rolled-back-read',
    name: 'durable and rolled back',
    bad: [...rolledBack, 'read s 5 6 durable x=2'],
    good: [...rolledBack, 'read s 5 6 local x=2', 'read s 7 8 durable x=1'],
  },
  {
    type: 'stale-read',
    name: 'behind an acknowledgement',
    bad: [reign, one, two, 'read s 5 6 linearizable x=1'],
    good: [reign, one, two, 'read s 4 6 linearizable x=1', 'read r 5 6 durable x=1'],
  },
  {
    type: 'stale-read',
    name: 'behind what was shown',
    bad: [
      reign,
      one,
      'commit t2 1:20 3 9 durable x=2',
      'read s 4 5 durable x=2',
      'read r 6 7 linearizable x=1',
    ],
    good: [
      reign,
      one,
      'commit t2 1:20 3 9 durable x=2',
      'read s 4 6 durable x=2',
      'read r 6 7 linearizable x=1',
    ],
  },
  {
    type: 'lagging-read',
    name: 'older than allowed',
    bad: [reign, one, two, 'read s 9 10 durable x=1 maxLag=4'],
    good: [reign, one, two, 'read s 9 10 durable x=1 maxLag=5'],
  },
  {
    type: 'token-ignored',
    name: 'older than the token',
    bad: [reign, one, two, 'read s 5 6 durable x=1 atLeast=1:20'],
    good: [reign, one, two, 'read s 5 6 durable x=1 atLeast=1:19'],
  },
  {
    type: 'token-ignored',
    name: 'a token of what was rolled back',
    bad: [...rolledBack, 'read s 5 6 local x=1 atLeast=1:20'],
    good: [...rolledBack, 'read s 5 6 local x=2 atLeast=1:20'],
  },
  {
    type: 'went-back',
    name: 'a durable read, at one member',
    bad: [reign, one, two, 'read s 5 6 durable x=2', 'read s 7 8 durable x=1'],
    good: [reign, one, two, 'read s 5 6 local x=2', 'read s 7 8 durable x=1'],
  },
  {
    type: 'went-back',
    name: 'a session',
    bad: [
      reign,
      one,
      two,
      'read s 5 6 local x=2 atLeast=1:10',
      'read s 7 8 local x=1 atLeast=1:10',
    ],
    good: [
      reign,
      one,
      two,
      'read s 5 6 local x=2 atLeast=1:10',
      'read s 7 8 local x=1',
      'read r 7 8 local x=1 atLeast=1:10',
    ],
  },
  {
    type: 'lost-commit',
    name: 'acknowledged and gone',
    bad: [reign, one, two, 'reign 2 1:15'],
    good: [reign, one, two, 'reign 2 1:20'],
  },
  {
    type: 'commit-order',
    name: 'against real time',
    bad: [reign, 'commit t2 1:20 1 2 local x=1', 'commit t1 1:10 3 4 local x=1'],
    good: [reign, 'commit t2 1:20 1 3 local x=1', 'commit t1 1:10 3 4 local x=1'],
  },
  {
    type: 'duplicate-commit',
    name: 'applied twice',
    bad: [reign, 'commit t1 1:10 1 - - x=1', 'commit t1 1:20 1 9 local x=1'],
    good: ['reign 1', 'commit t1 1:10 1 - - x=1', 'reign 2 1:5', 'commit t1 2:20 1 9 local x=1'],
  },
]

for (const { type, name, bad, good } of cases) {
  test(`found: ${type}, ${name}`, (t) => {
    const verdict = check(parse(bad))
    t.deepEqual([...verdict.counts.keys()], [type], report(verdict))
    const twin = check(parse(good))
    t.true(twin.valid, report(twin))
  })
}

test('what is open is settled in favour of the database', (t) => {
  // x was 1, 2, and 1 again: the first read may have been early.
  const again = [reign, one, two, 'commit t3 1:30 5 6 local x=1']
  const first = 'read s 7 8 local x=1 atLeast=1:10'
  const history = [...again, first, 'read s 9 10 local x=2 atLeast=1:10']
  t.true(check(parse(history)).valid)
  const last = 'read s 11 12 local x=1 y=1 atLeast=1:10'
  t.deepEqual([...check(parse([...history, last])).counts.keys()], ['went-back'])
  // The same value on two branches: which one, the next read tells.
  const branches = [...rolledBack, 'commit t3 2:20 3 6 local x=2', 'commit t4 2:30 7 8 local x=4']
  const either = 'read s 9 10 local x=2 atLeast=1:10'
  t.true(check(parse([...branches, either, 'read s 11 12 local x=4 atLeast=1:10'])).valid)
  t.true(check(parse([...branches, either, 'read s 11 12 local x=2 at=1:20 atLeast=1:10'])).valid)
})

test('an anomaly is told so that it can be followed', (t) => {
  const history = parse([
    ...[reign, one, two, 'read s 5 6 linearizable x=1 at=1:10', 'read s 7 8 local x=5 at=1:20'],
    'read r 9 10 durable x=1 y=1 atLeast=1:20 whole',
  ])
  t.is(
    report(check(history)),
    [
      'stale-read: 1, no-prefix: 1, token-ignored: 1',
      'stale-read',
      's at member 2 [5, 6] linearizable at LSN 10: x 1',
      '  is the state after t1 (term 1, LSN 10); more was acknowledged or shown before 5',
      'no-prefix',
      's at member 2 [7, 8] local at LSN 20: x 5',
      '  after t2 (term 1, LSN 20) x is 2',
      'token-ignored',
      'r at member 2 [9, 10] durable: x 1, y 1 and nothing else',
      '  is the state after t1 (term 1, LSN 10); its token is the state after t2 (term 1, LSN 20)',
    ].join('\n'),
  )
})

// --- every way to explain it ---------------------------------------------------------------------

type Log = Commit[]

const isPrefix = (log: Log, of: Log): boolean => log.every((commit, i) => commit === of[i])

const logOf = ({ reigns, commits }: History, term: number): Log => {
  const from = reigns.find((one) => one.term === term)?.from
  const inherited = from
    ? logOf({ reigns, commits, reads: [] }, from.term).filter(({ at }) => at.lsn <= from.lsn)
    : []
  const own = commits.filter(({ at }) => at.term === term).sort((a, b) => a.at.lsn - b.at.lsn)
  return [...inherited, ...own]
}

const upTo = (log: Log, lsn: number): Log => log.filter(({ at }) => at.lsn <= lsn)

const fits = (history: History, log: Log, read: Read, final: Log): boolean => {
  const rows = new Map<string, unknown>()
  for (const { writes } of log) {
    for (const [key, value] of Object.entries(writes)) {
      if (value === null) rows.delete(key)
      else rows.set(key, value)
    }
  }
  const { values, start, end, level, atLeast, maxLag, whole, snapshot } = read
  const agree = Object.entries(values).every(([key, value]) => (rows.get(key) ?? null) === value)
  const known = Object.values(values).filter((value) => value !== null).length
  const has = (time: number) =>
    final.every(
      (commit) =>
        commit.acknowledged !== 'durable' || (commit.end ?? 0) >= time || log.includes(commit),
    )
  const logs = history.reigns.map(({ term }) => logOf(history, term))
  const places = () => {
    const { lsn = 0, term } = snapshot ?? {}
    if (term !== undefined) return [upTo(logOf(history, term), lsn)]
    const at = logs.map((one) => upTo(one, lsn))
    const exact = at.filter((one) => one.at(-1)?.at.lsn === lsn)
    return exact.length > 0 ? exact : at
  }
  return (
    agree &&
    (!whole || known === rows.size) &&
    log.every((commit) => commit.start <= end) &&
    (level === 'local' || isPrefix(log, final)) &&
    (level !== 'linearizable' || has(start)) &&
    (maxLag === undefined || has(start - maxLag)) &&
    (!atLeast || isPrefix(upTo(logOf(history, atLeast.term), atLeast.lsn), log)) &&
    (!snapshot || places().some((one) => one.length === log.length && isPrefix(one, log)))
  )
}

const agrees = (read: Read, log: Log, earlier: Read, other: Log): boolean => {
  if (earlier.end > read.start) return true
  const isLasting = read.level !== 'local' && earlier.level !== 'local'
  const isHere = isLasting && read.member === earlier.member
  const hasTokens = read.atLeast && earlier.atLeast
  const isSession = read.session === earlier.session && (Boolean(hasTokens) || isHere)
  const isShown =
    read.level === 'linearizable' && earlier.level !== 'local' && earlier.end < read.start
  return (!isSession && !isShown) || isPrefix(other, log)
}

const isExplained = (history: History): boolean => {
  const logs = history.reigns.map(({ term }) => logOf(history, term))
  const final = logs.at(-1) ?? []
  const prefixes = logs.flatMap((log) => [[], ...log.map((_, i) => log.slice(0, i + 1))])
  const good = history.commits.every(
    (commit) => commit.acknowledged !== 'durable' || final.includes(commit),
  )
  const isOrdered = logs.every((log) =>
    log.every(({ end = Infinity }, i) => log.slice(0, i).every(({ start }) => start <= end)),
  )
  const isOnce = new Set(final.map(({ id }) => id)).size === final.length
  const reads = [...history.reads].sort((a, b) => a.start - b.start)
  const assign = (assigned: Log[]): boolean => {
    const read = reads[assigned.length]
    if (!read) return true
    return prefixes.some(
      (log) =>
        fits(history, log, read, final) &&
        assigned.every((other, i) => agrees(read, log, reads[i] ?? read, other)) &&
        assign([...assigned, log]),
    )
  }
  return good && isOrdered && isOnce && assign([])
}

const smallHistory = (seed: number): History => {
  const random = randomNumbers(seed)
  const below = (limit: number) => Math.floor(random() * limit)
  const history: History = { reigns: [{ event: 'reign', term: 1 }], commits: [], reads: [] }
  let term = 1
  let lsn = 0
  for (let i = 0, count = 1 + below(5); i < count; i += 1) {
    if (below(4) === 0 && term < 3) {
      const from = { term: 1 + below(term), lsn: 10 * Math.max(0, i - below(3)) + below(2) }
      term += 1
      lsn = from.lsn
      history.reigns.push({ event: 'reign', term, from })
    }
    lsn = Math.max(lsn + 1, 10 * (i + 1))
    const at = { term, lsn }
    const start = 3 * i + below(3) + (below(12) === 0 ? 10 : 0)
    const writes = { [below(2) === 0 ? 'x' : 'y']: below(5) === 0 ? null : 1 + below(3) }
    const id = below(30) === 0 ? 't0' : `t${i}`
    const commit: Commit = { event: 'commit', id, at, start, writes }
    const acknowledged = ([undefined, 'local', 'durable', undefined] as const)[below(4)]
    if (acknowledged) Object.assign(commit, { end: start + below(6), acknowledged })
    history.commits.push(commit)
  }
  const busy = new Map<string, number>()
  for (let i = 0, count = 1 + below(4); i < count; i += 1) {
    const log = logOf(history, 1 + below(term))
    const prefix = log.slice(0, Math.max(0, log.length - below(3)))
    const rows = Object.assign({}, ...prefix.map(({ writes }) => writes)) as Record<string, unknown>
    const session = below(2) === 0 ? 'r' : 's'
    const start = Math.max(busy.get(session) ?? 0, 3 * log.length - 4 + 3 * i + below(5))
    const end = start + below(3)
    busy.set(session, end)
    const names = [['x'], ['y'], ['x', 'y']][below(3)] ?? []
    const wrong = below(12) === 0
    const values = Object.fromEntries(
      names.map((name) => [name, wrong ? below(4) : (rows[name] ?? null)]),
    )
    const level = (['local', 'durable', 'linearizable'] as const)[below(3)] ?? 'local'
    const token = history.commits[below(2 * history.commits.length)]?.at
    const place = prefix.at(-1)?.at
    history.reads.push({
      ...{ event: 'read', session, member: 1, start, end, level, values },
      ...(token ? { atLeast: token } : {}),
      ...(below(4) === 0 ? { maxLag: below(8) } : {}),
      ...(place && below(3) === 0 ? { snapshot: below(2) === 0 ? place : { lsn: place.lsn } } : {}),
      ...(names.length === 2 && below(2) === 0 ? { whole: true } : {}),
    })
  }
  return history
}

test('the verdict on small histories is that of trying every explanation', (t) => {
  t.timeout(120_000 * scale)
  const seed = seedFor(t)
  const seen = { valid: 0, invalid: 0 }
  const types = new Set<Anomaly>()
  for (let i = 0; i < 3000 * scale; i += 1) {
    const history = smallHistory(seed + i)
    const verdict = check(history)
    const expected = isExplained(history)
    const text = `seed ${seed + i}: ${report(verdict)}`
    if (verdict.valid !== expected) t.log(JSON.stringify(history, undefined, 1))
    t.is(verdict.valid, expected, text)
    seen[expected ? 'valid' : 'invalid'] += 1
    for (const type of verdict.counts.keys()) types.add(type)
  }
  t.log(JSON.stringify(seen))
  t.true(seen.valid > 500 && seen.invalid > 500, JSON.stringify(seen))
  t.is(types.size, 10, [...types].join())
})

// What a checker would see of a history that has one of these bugs.
const readBugs: Record<string, (read: Read, i: number) => Read> = {
  'forgets tokens': ({ atLeast: _, ...read }) => read,
  'takes all reads for local': (read) => ({ ...read, level: 'local' }),
  'takes linearizable for durable': (read) =>
    read.level === 'linearizable' ? { ...read, level: 'durable' } : read,
  'takes durable for local': (read) =>
    read.level === 'durable' ? { ...read, level: 'local' } : read,
  'forgets sessions': (read, i) => ({ ...read, session: i }),
  'lets members go back': (read, i) => ({ ...read, member: `${i}` }),
  'forgets where snapshots are': ({ snapshot: _, ...read }) => read,
  'looks at one value': (read) => ({
    ...read,
    values: Object.fromEntries(Object.entries(read.values).slice(0, 1)),
    whole: undefined,
  }),
}
const commitBugs: Record<string, (commit: Commit) => Commit> = {
  'forgets acknowledgements': ({ end: _, acknowledged: __, ...commit }) => commit,
  'takes local for durable': (commit) =>
    commit.acknowledged ? { ...commit, acknowledged: 'durable' } : commit,
  'sees no time': (commit) => ({ ...commit, start: 0 }),
}
const bugs: Record<string, (history: History) => History> = {
  ...Object.fromEntries(
    Object.entries(readBugs).map(([name, change]) => [
      name,
      (history: History) => ({ ...history, reads: history.reads.map(change) }),
    ]),
  ),
  ...Object.fromEntries(
    Object.entries(commitBugs).map(([name, change]) => [
      name,
      (history: History) => ({ ...history, commits: history.commits.map(change) }),
    ]),
  ),
}

for (const [bug, change] of Object.entries(bugs)) {
  test(`small histories find out a checker that ${bug}`, (t) => {
    const seed = seedFor(t)
    let wrong = 0
    for (let i = 0; i < 2500; i += 1) {
      const history = smallHistory(seed + i)
      if (check(change(history)).valid !== isExplained(history)) wrong += 1
    }
    t.log(`${wrong} wrong verdicts`)
    t.true(wrong > 0, `${wrong}`)
  })
}

// --- a group in memory ---------------------------------------------------------------------------

test('a group that keeps its promises is never accused', (t) => {
  const seed = seedFor(t)
  for (let i = 0; i < 30 * scale; i += 1) {
    const history = simulate({ seed: seed + i, steps: 700 })
    const verdict = check(history)
    t.true(verdict.valid, `seed ${seed + i}: ${report(verdict)}`)
  }
})

const faults: [Fault, ...Anomaly[]][] = [
  ['stale', 'stale-read'],
  ['lags', 'lagging-read'],
  ['forgets-tokens', 'token-ignored'],
  ['undurable', 'rolled-back-read'],
  ['half', 'no-prefix'],
  ['skips', 'no-prefix'],
  ['early', 'no-prefix', 'future-read'],
  ['loses', 'lost-commit'],
]

for (const [fault, ...types] of faults) {
  test(`a group is found out that has: ${fault}`, (t) => {
    const seed = seedFor(t)
    const seeds = 12 * scale
    let found = 0
    for (let i = 0; i < seeds; i += 1) {
      const { counts } = check(simulate({ seed: seed + i, steps: 800, fault }))
      if (types.some((type) => counts.has(type))) found += 1
    }
    t.log(`${found} of ${seeds}`)
    // Each seed has only a few roll-backs.
    t.true(found > 0, `${found}`)
  })
}

test('a long history is judged in seconds', (t) => {
  t.timeout(120_000)
  for (const fault of [undefined, 'stale'] as const) {
    const history = simulate({ seed: 1, steps: 8000, fault })
    const start = process.cpuUsage()
    const verdict = check(history)
    const { user, system } = process.cpuUsage(start)
    const seconds = (user + system) / 1e6
    const { reigns, commits, reads } = history
    const counts = [reigns, commits, reads].map(({ length }) => length).join(', ')
    t.log(`${fault ?? 'no fault'}: ${counts}; ${seconds.toFixed(1)} s`)
    t.is(verdict.valid, fault === undefined, report(verdict))
    t.true(seconds < 20)
  }
})

test('lines of JSON become a history', (t) => {
  const lines = ['reign 1', one, 'read s 5 6 durable x=1 y=1 at=1:10 maxLag=5 whole'].map((line) =>
    JSON.stringify(eventOf(line)),
  )
  const { reigns, commits, reads } = parseHistory([...lines, ''])
  t.deepEqual([reigns.length, commits.length, reads.length], [1, 1, 1])
  const [, commit = '', read = ''] = lines
  for (const line of [
    read.replace('durable', 'quorum'),
    read.replace('"maxLag"', '"maxlag"'),
    read.replace('"end":6', '"end":4'),
    read.replace('"lsn":10', '"lsn":"10"'),
    commit.replace('"end":2,', ''),
    commit.replace('"start":1', '"start":null'),
    '{"event":"end"}',
  ]) {
    t.throws(() => parseHistory([line]), { message: /no event/ }, line)
  }
  const refused: [RegExp, ...string[]][] = [
    [/is no reign/, 'reign 2', one],
    [/begins with nothing/, 'reign 1', 'reign 2'],
    [/is no reign/, 'reign 1', one, 'read s 5 6 local x=1 atLeast=7:1'],
    [/where others are/, 'reign 1', one, 'commit t2 1:10 3 4 local x=1'],
    [/where others are/, 'reign 1', 'reign 2 1:30', 'commit t2 2:30 3 4 local x=1'],
    [/reads twice/, 'reign 1', 'read s 5 8 local x=null', 'read s 7 9 local x=null'],
  ]
  for (const [message, ...given] of refused) t.throws(() => check(parse(given)), { message })
})
