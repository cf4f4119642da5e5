// The checker of linearizability is itself checked: every anomaly by a smallest history that has it
// and a twin that has not, by every possible order of small histories, and by a store in memory
// that does one operation after the other or breaks that.
import process from 'node:process'

import test from 'ava'

import { seedFor, scale } from '../support/campaign.js'
import { randomNumbers } from '../support/history/simulator.js'
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

const permutationsOf = <T>(items: readonly T[]): T[][] =>
  items.length === 0
    ? [[]]
    : items.flatMap((item, at) =>
        permutationsOf(items.filter((_, i) => i !== at)).map((rest) => [item, ...rest]),
      )

const subsetsOf = <T>(items: readonly T[]): T[][] =>
  items.reduce<T[][]>((sets, item) => [...sets, ...sets.map((set) => [...set, item])], [[]])

const keepsRealTime = (order: readonly Operation[]): boolean =>
  order.every((later, i) =>
    order.slice(0, i).every((earlier) => (later.completed ?? Infinity) >= earlier.invoked),
  )

type Store = Map<unknown, unknown>

// The result of a call, the store changed by it.
const perform = (store: Store, key: unknown, call: Call): unknown => {
  const there = store.get(key) ?? null
  const set = (value: unknown) => void store.set(key, value)
  const list = (there ?? []) as Value[]
  if (call.f === 'get') return there
  if (call.f === 'read') return list
  if (call.f === 'put') set(call.value)
  if (call.f === 'remove' || call.f === 'take') store.delete(key)
  if (call.f === 'take') return there
  if (call.f === 'putIfAbsent') {
    if (there === null) set(call.value)
    return there === null
  }
  if (call.f === 'compareAndSet') {
    if (there === call.expected) set(call.value)
    return there === call.expected
  }
  if (call.f === 'add') {
    if (there !== null && typeof there !== 'number') return 'refused'
    set((there ?? 0) + call.delta)
    return store.get(key)
  }
  if (call.f === 'append') {
    set([...list, call.value])
    return list.length + 1
  }
  return undefined
}

const explains = (order: readonly Operation[]): boolean => {
  const store: Store = new Map()
  return order.every(({ key, call }) => {
    const result = perform(store, key, call)
    const told = 'result' in call ? call.result : undefined
    return told === undefined || JSON.stringify(told) === JSON.stringify(result)
  })
}

const hasOrder = (history: readonly Operation[]): boolean => {
  const ended = history.filter(({ outcome }) => outcome === 'ok')
  const unknown = history.filter(({ outcome }) => outcome === 'unknown')
  return subsetsOf(unknown).some((used) =>
    permutationsOf([...ended, ...used]).some((order) => keepsRealTime(order) && explains(order)),
  )
}

// What is known when an operation has ended: the others may still have any result.
const historyUntil = (history: readonly Operation[], ended: readonly Operation[]): Operation[] => {
  const now = ended.at(-1)?.completed ?? 0
  return history
    .filter(({ invoked }) => invoked <= now)
    .map((operation): Operation => {
      if (operation.outcome !== 'ok' || ended.includes(operation)) return operation
      const call = { ...operation.call, result: undefined } as Call
      return { ...operation, call, completed: undefined, outcome: 'unknown' }
    })
}

// How many of those of a key have to end before there is no order.
const endsUntilFailure = (history: readonly Operation[]): number => {
  const ended = history
    .filter(({ outcome }) => outcome === 'ok')
    .sort((a, b) => (a.completed ?? 0) - (b.completed ?? 0))
  return ended.findIndex((_, i) => !hasOrder(historyUntil(history, ended.slice(0, i + 1)))) + 1
}

type Below = (limit: number) => number

const randomCall = (isList: boolean, below: Below): Call => {
  const value = 1 + below(2)
  if (isList) return below(2) === 0 ? { f: 'append', value } : { f: 'read' }
  const calls: Call[] = [
    { f: 'get' },
    { f: 'get' },
    { f: 'put', value },
    { f: 'put', value: below(6) === 0 ? 'word' : value },
    { f: 'compareAndSet', expected: [null, 1, 2, 3][below(4)] ?? null, value },
    { f: 'add', delta: 1 },
    { f: 'take' },
    { f: 'putIfAbsent', value },
    { f: 'remove' },
  ]
  return calls[below(calls.length)] ?? { f: 'get' }
}

const randomResult = ({ f }: Call, below: Below): unknown => {
  if (f === 'read') return [[], [1], [2], [1, 2], [2, 1], [1, 1]][below(6)]
  if (f === 'compareAndSet' || f === 'putIfAbsent') return below(2) === 0
  return f === 'get' || f === 'take' ? [null, 1, 2, 'word'][below(4)] : 1 + below(3)
}

// Results of a store that does one after the other, except for a few that are arbitrary.
const smallHistory = (seed: number): Operation[] => {
  const random = randomNumbers(seed)
  const below = (limit: number) => Math.floor(random() * limit)
  const isList = below(4) === 0
  const hasTies = below(2) === 0
  const store: Store = new Map()
  const length = 1 + below(8)
  return Array.from({ length: 2 + below(5) }, (_, id): Operation => {
    const key = below(5) === 0 ? 'y' : 'x'
    const call = randomCall(isList, below)
    const dice = below(10)
    const result = dice < 9 ? perform(store, key, call) : undefined
    const invoked = 2 * id + below(length) - below(length)
    const completed = invoked + below(length) + (hasTies ? 0 : (id + 1) / 10)
    const operation = { id, process: id, key, call, invoked }
    if (dice > 7) return { ...operation, completed: undefined, outcome: 'unknown' }
    if (dice === 7 || result === 'refused') return { ...operation, completed, outcome: 'failed' }
    const told = below(8) === 0 ? randomResult(call, below) : result
    const isTold = call.f === 'append' ? below(2) === 0 : result !== undefined
    const answered = (isTold ? { ...call, result: told } : call) as Call
    return { ...operation, call: answered, completed, outcome: 'ok' }
  })
}

// What the key may have held when all that had ended before `stuck` were done.
const statesBefore = (operations: readonly Operation[], stuck: Operation): Set<string> => {
  const ended = operations.filter(({ outcome, id }) => outcome === 'ok' && id !== stuck.id)
  const unknown = operations.filter(({ outcome }) => outcome === 'unknown')
  const states = new Set<string>()
  for (const used of subsetsOf(unknown)) {
    for (const order of permutationsOf([...ended, ...used])) {
      // Nobody who had to come behind `stuck` may be there yet.
      if (!keepsRealTime([...order, stuck]) || !explains(order)) continue
      const store: Store = new Map()
      for (const { key, call } of order) perform(store, key, call)
      const held = store.get(stuck.key)
      const isList = stuck.call.f === 'read' || stuck.call.f === 'append'
      const nothing = isList ? '[]' : 'nothing'
      states.add(held === undefined ? nothing : JSON.stringify(held).replaceAll(',', ', '))
    }
  }
  return states
}

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
