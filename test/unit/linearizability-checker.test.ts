// The checker of linearizability is itself checked: every anomaly by a smallest history that has it
// and a twin that has not, by every possible order of small histories, and by a store in memory
// that does one operation after the other or breaks that.
import process from 'node:process'

import test from 'ava'

import { seedFor, scale } from '../support/campaign.js'
import {
  endsUntilFailure,
  hasOrder,
  smallHistory,
  statesBefore,
} from '../support/linearizability/brute-force.js'
import { check, report, type Verdict } from '../support/linearizability/check.js'
import { UsedSets, Visited } from '../support/linearizability/configurations.js'
import {
  parseHistory,
  type Call,
  type Operation,
  type Value,
} from '../support/linearizability/history.js'
import { simulate, type Fault } from '../support/linearizability/simulator.js'

// "1 2 ok put x 5", "3 4 ok get x = null", "3 - unknown add x 2", "5 6 ok cas x 1 2 = true":
// invoked, completed, outcome, call, result. Numbered from 1.
const callOf = (words: string[], result: unknown): Call => {
  const [f = '', first, second] = words.map((word) => JSON.parse(word) as Value | null)
  const known = result === undefined ? {} : { result }
  if (f === 'cas') return { f: 'compareAndSet', expected: first, value: second, ...known } as Call
  if (f === 'add') return { f, delta: first, ...known } as Call
  return { f, ...(first === undefined ? {} : { value: first }), ...known } as Call
}

const parse = (...lines: string[]): Operation[] =>
  lines.map((line, i): Operation => {
    const [body = '', result] = line.split(' = ')
    const [invoked, completed, outcome, f, key = '', ...rest] = body.split(' ')
    return {
      id: i + 1,
      process: `p${i + 1}`,
      key,
      call: callOf([`"${f ?? ''}"`, ...rest], result && JSON.parse(result)),
      invoked: Number(invoked),
      completed: completed === '-' ? undefined : Number(completed),
      outcome: outcome as Operation['outcome'],
    }
  })

const cases: { name: string; bad: string[]; good: string[] }[] = [
  {
    name: 'stale read',
    bad: ['1 2 ok put x 1', '3 4 ok put x 2', '5 6 ok get x = 1'],
    good: ['1 2 ok put x 1', '3 5 ok put x 2', '5 6 ok get x = 1'],
  },
  {
    name: 'reads that go back',
    bad: ['1 2 ok put x 1', '3 9 ok put x 2', '4 5 ok get x = 2', '6 7 ok get x = 1'],
    good: ['1 2 ok put x 1', '3 9 ok put x 2', '4 5 ok get x = 1', '6 7 ok get x = 2'],
  },
  {
    name: 'lost update',
    bad: ['1 2 ok put x 1', '3 6 ok add x 1 = 2', '4 7 ok add x 1 = 2'],
    good: ['1 2 ok put x 1', '3 6 ok add x 1 = 3', '4 7 ok add x 1 = 2'],
  },
  {
    name: 'two have won',
    bad: ['1 4 ok putIfAbsent x 1 = true', '2 5 ok putIfAbsent x 2 = true'],
    good: ['1 4 ok putIfAbsent x 1 = false', '2 5 ok putIfAbsent x 2 = true'],
  },
  {
    name: 'read of a value that was rolled back',
    bad: ['1 2 failed put x 1', '3 4 ok get x = 1'],
    good: ['1 - unknown put x 1', '3 4 ok get x = 1'],
  },
  {
    name: 'value that was seen and then rolled back',
    bad: ['1 2 ok put x 1', '3 - unknown put x 2', '4 5 ok get x = 2', '6 7 ok get x = 1'],
    good: ['1 2 ok put x 1', '3 - unknown put x 2', '4 5 ok get x = 1', '6 7 ok get x = 2'],
  },
  {
    name: 'read of the future',
    bad: ['1 2 ok get x = 5', '3 4 ok put x 5'],
    good: ['1 3 ok get x = 5', '3 4 ok put x 5'],
  },
  {
    name: 'read of the future of one who never ends',
    bad: ['1 2 ok get x = 5', '3 - unknown put x 5'],
    good: ['1 3 ok get x = 5', '3 - unknown put x 5'],
  },
  {
    name: 'unknown operation applied twice',
    bad: ['1 - unknown add x 2', '2 3 ok get x = 4'],
    good: ['1 - unknown add x 2', '2 - unknown add x 2', '2 3 ok get x = 4'],
  },
  {
    name: 'unknown operation used for two',
    bad: [
      ...['1 2 ok put x 1', '1 - unknown cas x 1 2', '3 4 ok get x = 2', '5 6 ok put x 1'],
      ...['7 8 ok get x = 2'],
    ],
    good: [
      ...['1 2 ok put x 1', '1 - unknown cas x 1 2', '3 4 ok get x = 2', '5 6 ok put x 1'],
      ...['7 8 ok get x = 1'],
    ],
  },
  {
    name: 'condition that did not hold',
    bad: ['1 2 ok put x 1', '3 4 ok cas x 2 3 = true'],
    good: ['1 2 ok put x 1', '3 4 ok cas x 2 3 = false'],
  },
  {
    name: 'condition that held',
    bad: ['1 2 ok put x 1', '3 4 ok cas x 1 3 = false'],
    good: ['1 2 ok put x 1', '3 4 ok cas x 1 3 = true'],
  },
  {
    name: 'row that was taken twice',
    bad: ['1 2 ok put x 1', '3 5 ok take x = 1', '4 6 ok take x = 1'],
    good: ['1 2 ok put x 1', '3 5 ok take x = 1', '4 6 ok take x = null'],
  },
  {
    name: 'row that was removed',
    bad: ['1 2 ok put x 1', '3 4 ok remove x', '5 6 ok cas x null 2 = false'],
    good: ['1 2 ok put x 1', '3 4 ok remove x', '5 6 ok cas x null 2 = true'],
  },
  {
    name: 'values of different types',
    bad: ['1 2 ok put x 1', '3 4 ok get x = "1"'],
    good: ['1 2 ok put x "1"', '3 4 ok get x = "1"'],
  },
  {
    name: 'sum of what is no number',
    bad: ['1 2 ok put x "a"', '3 4 ok add x 1 = 1'],
    good: ['1 2 ok put x "a"', '3 - unknown add x 1', '5 6 ok get x = "a"'],
  },
  {
    name: 'second of two keys',
    bad: ['1 2 ok put x 1', '1 2 ok put y 1', '3 4 ok get x = 1', '3 4 ok get y = null'],
    good: ['1 2 ok put x 1', '1 2 ok put y 1', '3 4 ok get x = 1', '3 4 ok get y = 1'],
  },
  {
    name: 'lists that disagree',
    bad: ['1 9 ok append x 1', '1 9 ok append x 2', '2 8 ok read x = [1]', '2 8 ok read x = [2]'],
    good: ['1 9 ok append x 1', '1 9 ok append x 2', '2 8 ok read x = []', '2 8 ok read x = [2]'],
  },
  {
    name: 'list without what was appended',
    bad: ['1 2 ok append x 1', '3 4 ok append x 2', '5 6 ok read x = [2]'],
    good: ['1 2 ok append x 1', '3 4 ok append x 2', '5 6 ok read x = [1,2]'],
  },
  {
    name: 'unknown append applied twice',
    bad: ['1 - unknown append x 1', '3 4 ok read x = [1,1]'],
    good: ['1 - unknown append x 1', '3 4 ok read x = [1]'],
  },
  {
    name: 'place in a list given twice',
    bad: ['1 4 ok append x 1 = 1', '2 5 ok append x 2 = 1'],
    good: ['1 4 ok append x 1 = 2', '2 5 ok append x 2 = 1'],
  },
]

for (const { name, bad, good } of cases) {
  test(`found: ${name}`, (t) => {
    const verdict = check(parse(...bad))
    t.is(verdict.result, 'not linearizable', report(verdict))
    const twin = check(parse(...good))
    t.is(twin.result, 'linearizable', report(twin))
  })
}

test('a failure is told so that it can be followed', (t) => {
  const stale = parse(
    ...['1 2 ok put y 7', '1 2 ok put x 1', '3 9 ok put x 2', '4 - unknown put x 3'],
    ...['5 6 failed put x 4', '7 8 ok get x = 3', '10 11 ok get x = 1', '12 13 ok get x = 2'],
  )
  const verdict = check(stale)
  t.is(
    report(verdict),
    [
      'not linearizable: 1 of 2 keys fail, 0 undecided',
      'key x: no order explains its 5 operations until 11',
      '  [1, 2] p2: put x 1',
      '  [3, 9] p3: put x 2',
      '  [4, ] p4: put x 3 ?',
      '  [7, 8] p6: get x 3',
      '  [10, 11] p7: get x 1',
    ]
      .join('\n')
      .replace('get x 3', 'get x -> 3')
      .replace('get x 1', 'get x -> 1   <- when it was 3 or 2'),
  )
})

// --- every order ---------------------------------------------------------------------------------

test('the verdict on small histories is that of trying every order', (t) => {
  t.timeout(120_000 * scale)
  const seed = seedFor(t)
  const seen = { linearizable: 0, 'not linearizable': 0, 'gave up': 0 }
  for (let i = 0; i < 3000 * scale; i += 1) {
    const history = smallHistory(seed + i)
    const verdict = check(history)
    const expected = hasOrder(history) ? 'linearizable' : 'not linearizable'
    if (verdict.result !== expected) t.log(JSON.stringify(history))
    t.is(verdict.result, expected, `seed ${seed + i}: ${report(verdict)}`)
    seen[verdict.result] += 1
  }
  t.log(JSON.stringify(seen))
  t.true(seen.linearizable > 1000 && seen['not linearizable'] > 300, JSON.stringify(seen))
})

// What a checker would see of a history that has one of these bugs.
const bugs: Record<string, (operation: Operation) => Operation | []> = {
  'sees no order in time': (one) => ({
    ...one,
    invoked: 0,
    completed: one.completed === undefined ? undefined : Number.MAX_SAFE_INTEGER,
  }),
  'takes the unknown for failed': (one) => (one.outcome === 'unknown' ? [] : one),
  'takes the unknown for over': (one) =>
    one.outcome === 'unknown' ? { ...one, outcome: 'ok', completed: one.invoked } : one,
  'takes the failed for unknown': (one) =>
    one.outcome === 'failed' ? { ...one, outcome: 'unknown', completed: undefined } : one,
  'believes that reads are right': (one) =>
    one.call.f === 'get' || one.call.f === 'read' ? { ...one, call: { f: one.call.f } } : one,
}

for (const [bug, change] of Object.entries(bugs)) {
  test(`small histories find out a checker that ${bug}`, (t) => {
    const seed = seedFor(t)
    let wrong = 0
    for (let i = 0; i < 2500; i += 1) {
      const history = smallHistory(seed + i)
      const { result } = check(history.flatMap(change))
      if ((result === 'linearizable') !== hasOrder(history)) wrong += 1
    }
    t.log(`${wrong} wrong verdicts`)
    t.true(wrong > 10, `${wrong}`)
  })
}

test('of small histories no more is told than fails, and every state that may have been', (t) => {
  t.timeout(120_000 * scale)
  const seed = seedFor(t)
  let compared = 0
  for (let i = 0; i < 2000 * scale; i += 1) {
    const history = smallHistory(seed + i)
    const ends = new Set(history.map(({ completed }) => completed))
    if (ends.size < history.length) continue
    for (const { key, stuck, operations, states, maybeEarlier } of check(history).failures) {
      const ofKey = history.filter((operation) => operation.key === key)
      const count = operations.filter(({ outcome }) => outcome === 'ok').length
      t.is(count, endsUntilFailure(ofKey), `seed ${seed + i}`)
      const found = [...new Set(states)].toSorted()
      const expected = [...statesBefore(operations, stuck)].toSorted()
      t.deepEqual(found, expected, `seed ${seed + i}`)
      t.true(!maybeEarlier && operations.some(({ id }) => id === stuck.id))
      compared += 1
    }
  }
  t.true(compared > 80 * scale, `${compared}`)
})

// --- a store in memory ---------------------------------------------------------------------------

const kinds = ['registers', 'lists'] as const

test('a store that does one operation after the other is never accused', (t) => {
  const seed = seedFor(t)
  for (let i = 0; i < 60 * scale; i += 1) {
    for (const kind of kinds) {
      const keys = 1 + (i % 4)
      const history = simulate({ seed: seed + i, kind, operations: 300, keys })
      const verdict = check(history)
      t.is(verdict.result, 'linearizable', `seed ${seed + i}, ${kind}: ${report(verdict)}`)
    }
  }
})

const faults: Fault[] = ['stale-read', 'lost-update', 'dirty-read', 'twice']

for (const fault of faults) {
  test(`a store is found out that has: ${fault}`, (t) => {
    const seed = seedFor(t)
    const found = { registers: 0, lists: 0 }
    const seeds = 40 * scale
    for (let i = 0; i < seeds; i += 1) {
      for (const kind of kinds) {
        const history = simulate({ seed: seed + i, kind, operations: 400, fault, faults: 0.3 })
        if (check(history).result === 'not linearizable') found[kind] += 1
      }
    }
    t.log(`${found.registers} and ${found.lists} of ${seeds}`)
    // A register forgets, a list does not.
    t.true(found.lists > 0.8 * seeds && found.registers > 0.2 * seeds, JSON.stringify(found))
  })
}

test('one read of what nobody has written, or that comes too early, is found among many', (t) => {
  const seed = seedFor(t)
  for (let i = 0; i < 30 * scale; i += 1) {
    const history = simulate({ seed: seed + i, kind: 'registers', operations: 2000, keys: 10 })
    const gets = history.filter(({ call, outcome }) => call.f === 'get' && outcome === 'ok')
    const victim = gets[(7 * (i + 1)) % gets.length]
    const alter = (result: Value): Operation[] =>
      history.map((one) => (one === victim ? { ...one, call: { f: 'get', result } } : one))
    const later = history.find(
      ({ call, key, invoked }) =>
        call.f === 'put' && key === victim?.key && invoked > (victim.completed ?? 0),
    )
    const tooEarly = later?.call.f === 'put' ? later.call.value : 'future'
    for (const result of ['nobody', tooEarly]) {
      const { failures } = check(alter(result))
      t.deepEqual(
        failures.map(({ stuck }) => stuck.id),
        [victim?.id],
        `seed ${seed + i}`,
      )
    }
  }
})

// --- size ----------------------------------------------------------------------------------------

// By the processor's time: others may be at work too.
const judged = (history: Operation[]): { verdict: Verdict; text: string; seconds: number } => {
  const start = process.cpuUsage()
  const verdict = check(history)
  const { user, system } = process.cpuUsage(start)
  const seconds = (user + system) / 1e6
  const { result, configurations } = verdict
  const text = `${result}, ${seconds.toFixed(1)} s, ${configurations} configurations`
  return { verdict, text, seconds }
}

test('a long history is judged in seconds', (t) => {
  t.timeout(120_000)
  const operations = 100_000
  for (const kind of kinds) {
    for (const fault of [undefined, 'stale-read'] as const) {
      const options = { seed: 1, clients: 16, keys: 300, unknown: 0.01, faults: 0.001 }
      const { verdict, text, seconds } = judged(simulate({ ...options, kind, operations, fault }))
      t.log(`${kind}, ${fault ?? 'no fault'}: ${text}`)
      t.is(verdict.result, fault ? 'not linearizable' : 'linearizable')
      t.deepEqual(verdict.gaveUp, [])
      t.true(seconds < 20, text)
    }
  }
})

test('one key that everybody works on is judged too', (t) => {
  t.timeout(120_000)
  for (const kind of kinds) {
    const operations = kind === 'lists' ? 3000 : 20_000
    const options = { seed: 1, clients: 16, keys: 1, unknown: 0.002 }
    const { verdict, text, seconds } = judged(simulate({ ...options, kind, operations }))
    t.log(`${kind}: ${text}`)
    t.is(verdict.result, 'linearizable', report(verdict))
    t.true(seconds < 20, text)
  }
})

test('more clients than a word has bits', (t) => {
  // Each can be done only behind the one before it, which is the one that ends later.
  const steps = Array.from({ length: 70 }, (_, i) => `1 ${200 - i} ok cas x ${i} ${i + 1} = true`)
  const chain = ['1 2 ok put x 0', ...steps, '300 301 ok get x = 70']
  t.is(check(parse(...chain)).result, 'linearizable')
  t.is(check(parse(...chain.filter((_, i) => i !== 40))).result, 'not linearizable')
  const appends = Array.from({ length: 70 }, (_, i) => `1 ${100 + i} ok append x ${i}`)
  const all = Array.from({ length: 70 }, (_, i) => (i * 33) % 70)
  t.is(check(parse(...appends, `200 201 ok read x = [${all.join()}]`)).result, 'linearizable')
  const twice = [...all.slice(0, 69), all[0]]
  const verdict = check(parse(...appends, `200 201 ok read x = [${twice.join()}]`))
  t.is(verdict.result, 'not linearizable')
})

test('what the limits leave undecided is neither good nor bad', (t) => {
  // Nobody can have read 99, but there are 2^20 sets of puts to be tried.
  const writes = Array.from({ length: 20 }, (_, i) => `1 ${100 + i} ok put x ${i}`)
  const history = parse(...writes, '200 201 ok get x = 99', '1 2 ok put y 1')
  for (const limits of [
    { configurations: 1000, attempts: 1e9 },
    { configurations: 1e6, attempts: 1000 },
  ]) {
    const verdict = check(history, limits)
    t.is(verdict.result, 'gave up')
    t.deepEqual(verdict.gaveUp, ['x'])
    t.true(verdict.configurations <= 1100)
    t.regex(report(verdict), /gave up: 0 of 2 keys fail, 1 undecided\nkey x: gave up/)
    const worse = check([...history, ...parse('3 4 ok get z = 1')], limits)
    t.is(worse.result, 'not linearizable')
    t.deepEqual(worse.gaveUp, ['x'])
  }
})

test('what is remembered covers what has used more, and nothing else', (t) => {
  const sets = new UsedSets(2)
  const a = sets.with(0, 0)
  const ab = sets.with(a, 1)
  t.is(sets.with(sets.with(0, 1), 0), ab)
  t.deepEqual([sets.countOf(ab, 0), sets.countOf(ab, 1), sets.countOf(a, 1)], [1, 1, 0])
  const visited = new Visited(4, sets)
  const add = (front: number, state: number, used: number, placed: number) =>
    visited.add(Int32Array.of(front, state, used, placed))
  t.true(add(5, 1, a, 3))
  t.false(add(5, 1, a, 3))
  t.false(add(5, 1, ab, 3))
  t.true(add(5, 1, sets.with(0, 1), 3))
  t.true(add(5, 1, 0, 3))
  t.true(add(6, 1, a, 3) && add(5, 2, a, 3) && add(5, 1, a, 2))
  // Grows several times.
  for (let i = 0; i < 5000; i += 1) t.true(add(i, 9, 0, i % 7))
  for (let i = 0; i < 5000; i += 1) t.false(add(i, 9, a, i % 7))
  t.is(visited.size, 5006)
})

test('lines of JSON become operations', (t) => {
  const lines = [
    '{"at":7,"event":"ok","id":1,"result":null}',
    '{"at":5,"event":"invoke","id":1,"process":"a","key":"x","f":"get"}',
    '{"at":1,"event":"invoke","id":2,"process":"b","key":"x","f":"add","delta":5}',
    '',
    '{"at":2,"event":"invoke","id":3,"process":"c","key":"x","f":"compareAndSet","expected":null,' +
      '"value":1}',
    '{"at":3,"event":"unknown","id":3}',
    '{"at":2,"event":"invoke","id":4,"process":"c","key":"x","f":"remove"}',
    '{"at":4,"event":"failed","id":4}',
  ]
  t.deepEqual(parseHistory(lines), [
    {
      ...{ id: 1, process: 'a', key: 'x', invoked: 5, completed: 7, outcome: 'ok' },
      call: { f: 'get', result: null },
    },
    {
      ...{ id: 2, process: 'b', key: 'x', invoked: 1, completed: undefined, outcome: 'unknown' },
      call: { f: 'add', delta: 5 },
    },
    {
      ...{ id: 3, process: 'c', key: 'x', invoked: 2, completed: undefined, outcome: 'unknown' },
      call: { f: 'compareAndSet', expected: null, value: 1 },
    },
    {
      ...{ id: 4, process: 'c', key: 'x', invoked: 2, completed: 4, outcome: 'failed' },
      call: { f: 'remove' },
    },
  ])
  const [ok = '', get = '', add = ''] = lines
  const refused: [RegExp, ...string[]][] = [
    [/never invoked/, ok],
    [/second invoke/, get, get],
    [/ends before/, get, ok.replace('7', '4')],
    [/no result of get/, get, ok.replace(',"result":null', '')],
    [/no result of add/, add, '{"at":9,"event":"ok","id":2,"result":"5"}'],
    [/no event/, get.replace('"get"', '"put"')],
    [/no event/, get.replace('"get"', '"steal"')],
    [/no event/, add.replace('5', 'null')],
    [/no event/, get.replace('5', '"5"')],
    [/JSON/, get.slice(0, 40)],
  ]
  for (const [message, ...given] of refused) t.throws(() => parseHistory(given), { message })
  const mixed = parse('1 2 ok put x 1', '3 4 ok append x 1')
  t.throws(() => check(mixed), { message: /put: the key is a list/ })
})
