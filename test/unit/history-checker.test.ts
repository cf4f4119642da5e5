// The checker of histories is itself checked: every anomaly by a smallest history that has it and a
// twin that has not, by every possible serial order of small histories, and by a database in memory
// that keeps to its level or breaks it.
import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'

import { check, report, type Anomaly, type Model } from '../support/history/check.js'
import { realTimeDependencies } from '../support/history/dependencies.js'
import { componentsOf, graphOf, knotsOf, shortestPath } from '../support/history/graph.js'
import { parseHistory, type Operation, type Transaction } from '../support/history/history.js'
import { randomNumbers, simulate, type Level } from '../support/history/simulator.js'

// "1 2 ok: a x 1, r x [1 2]": invoked at 1, completed at 2, appends 1 to x, reads x. Numbered from
// 1; the process is the number unless it stands in front: "p 1 2 ok: ...".
const parse = (...lines: string[]): Transaction[] =>
  lines.map((line, i): Transaction => {
    const [head = '', body = ''] = line.split(': ')
    const words = head.split(' ')
    const process = words.length === 4 ? (words.shift() ?? '') : `${i + 1}`
    const [invoked, completed, outcome] = words
    const ops = body.split(', ').map((text): Operation => {
      const [, f, key = '', rest = ''] = /^([ar]) (\w+) ?(.*)$/.exec(text) ?? []
      if (f === 'a') return { f: 'append', key, value: Number(rest) }
      if (rest === '') return { f: 'read', key }
      return { f: 'read', key, list: (rest.match(/\d+/g) ?? []).map(Number) }
    })
    return {
      id: i + 1,
      process,
      invoked: Number(invoked),
      completed: completed === '-' ? undefined : Number(completed),
      outcome: outcome as Transaction['outcome'],
      ops,
    }
  })

const typesOf = (history: Transaction[], model: Model): Anomaly[] =>
  [...check(history, model).counts.keys()].sort()

interface Case {
  name: string
  model?: Model
  bad: string[]
  found: Anomaly[]
  good: string[]
}

const cases: Case[] = [
  {
    name: 'dirty write',
    bad: ['1 9 ok: a x 1, a y 1', '1 9 ok: a x 2, a y 2', '10 11 ok: r x [1 2], r y [2 1]'],
    found: ['G0'],
    good: ['1 9 ok: a x 1, a y 1', '1 9 ok: a x 2, a y 2', '10 11 ok: r x [1 2], r y [1 2]'],
  },
  {
    name: 'aborted read',
    bad: ['1 2 aborted: a x 1', '3 4 ok: r x [1]'],
    found: ['G1a'],
    good: ['1 2 aborted: a x 1', '3 4 ok: r x []'],
  },
  {
    name: 'intermediate read',
    bad: ['1 9 ok: a x 1, a x 2', '2 8 ok: r x [1]', '10 11 ok: r x [1 2]'],
    found: ['G-single', 'G1b'],
    good: ['1 9 ok: a x 1, a x 2', '2 8 ok: r x [1 2]', '10 11 ok: r x [1 2]'],
  },
  {
    name: 'circular information flow',
    bad: ['1 9 ok: a x 1, r y [1]', '1 9 ok: a y 1, r x [1]'],
    found: ['G1c'],
    good: ['1 9 ok: a x 1, r y [1]', '1 9 ok: a y 1, r x []'],
  },
  {
    name: 'read skew',
    bad: ['1 9 ok: a x 1, a y 1', '1 9 ok: r x [], r y [1]'],
    found: ['G-single'],
    good: ['1 9 ok: a x 1, a y 1', '1 9 ok: r x [], r y []'],
  },
  {
    name: 'lost update',
    bad: ['1 9 ok: r x [], a x 1', '1 9 ok: r x [], a x 2', '10 11 ok: r x [1 2]'],
    found: ['G-single', 'lost-update'],
    good: ['1 9 ok: r x [], a x 1', '1 9 ok: r x [1], a x 2', '10 11 ok: r x [1 2]'],
  },
  {
    name: 'lost update that nobody has read',
    bad: ['1 9 ok: r x [], a x 1', '1 9 ok: r x [], a x 2'],
    found: ['G2', 'lost-update'],
    good: ['1 9 ok: r x [], a x 1', '1 9 aborted: r x [], a x 2'],
  },
  {
    name: 'write skew',
    bad: ['1 9 ok: r x [], a y 1', '1 9 ok: r y [], a x 1'],
    found: ['G2'],
    good: ['1 9 ok: r x [], a y 1', '1 9 ok: r y [1], a x 1'],
  },
  {
    name: 'long fork',
    bad: ['1 9 ok: a x 1', '1 9 ok: a y 1', '1 9 ok: r x [1], r y []', '1 9 ok: r x [], r y [1]'],
    found: ['G-nonadjacent'],
    good: ['1 9 ok: a x 1', '1 9 ok: a y 1', '1 9 ok: r x [1], r y []', '1 9 ok: r x [1], r y [1]'],
  },
  {
    name: 'read that does not repeat',
    bad: ['1 9 ok: a x 1', '1 9 ok: r x [], r x [1]'],
    found: ['internal'],
    good: ['1 9 ok: a x 1', '1 9 ok: r x [], r x []'],
  },
  {
    name: 'own append that is not seen',
    bad: ['1 2 ok: a x 1, r x []'],
    found: ['internal'],
    good: ['1 2 ok: a x 1, r x [1]'],
  },
  {
    name: 'own append behind a read that is not seen',
    bad: ['1 2 ok: a x 1', '3 4 ok: r x [1], a x 2, r x [1]'],
    found: ['internal'],
    good: ['1 2 ok: a x 1', '3 4 ok: r x [1], a x 2, r x [1 2]'],
  },
  {
    name: 'element that is there twice',
    bad: ['1 2 ok: a x 1', '3 4 ok: r x [1 1]'],
    found: ['duplicate-element'],
    good: ['1 2 ok: a x 1', '3 4 ok: r x [1]'],
  },
  {
    name: 'element that nobody has appended',
    bad: ['1 2 ok: a x 1', '3 4 ok: r x [1 7]'],
    found: ['unknown-element'],
    good: ['1 2 ok: a x 1', '- - unknown: a x 7', '3 4 ok: r x [1 7]'],
  },
  {
    name: 'lists of which none begins the other',
    bad: ['1 9 ok: a x 1', '1 9 ok: a x 2', '1 9 ok: r x [1 2]', '1 9 ok: r x [2]'],
    found: ['incompatible-order'],
    good: ['1 9 ok: a x 1', '1 9 ok: a x 2', '1 9 ok: r x [1 2]', '1 9 ok: r x [1]'],
  },
  {
    name: 'stale read',
    model: 'strict-serializable',
    bad: ['1 2 ok: a x 1', '3 4 ok: r x []'],
    found: ['G-single-order'],
    good: ['1 3 ok: a x 1', '3 4 ok: r x []'],
  },
  {
    name: 'acknowledged append that is gone',
    model: 'strong-snapshot',
    bad: ['1 2 ok: a x 1', '3 4 ok: a x 2', '5 6 ok: r x [2]'],
    found: ['G0-order'],
    good: ['1 2 ok: a x 1', '3 4 ok: a x 2', '5 6 ok: r x [1 2]'],
  },
  {
    name: 'appends against real time',
    model: 'strict-serializable',
    bad: ['1 2 ok: a x 1', '3 4 ok: a x 2', '3 6 ok: r x [2 1]'],
    found: ['G0-order'],
    good: ['1 3 ok: a x 1', '3 4 ok: a x 2', '3 6 ok: r x [2 1]'],
  },
  {
    name: 'read from the future',
    model: 'strict-serializable',
    bad: ['1 2 ok: r x [1]', '3 4 ok: a x 1'],
    found: ['G1c-order'],
    good: ['1 3 ok: r x [1]', '3 4 ok: a x 1'],
  },
  {
    name: 'orders that clash over three transactions',
    model: 'strict-serializable',
    bad: ['1 2 ok: a x 1', '3 4 ok: a z 1', '5 6 ok: r z [1], a y 1', '1 9 ok: r y [1], r x []'],
    found: ['G-single-order'],
    good: ['1 2 ok: a x 1', '3 4 ok: a z 1', '5 6 ok: r z [1], a y 1', '1 9 ok: r y [1], r x [1]'],
  },
  {
    name: 'own transaction that is not seen',
    model: 'session-serializable',
    bad: ['p 1 2 ok: a x 1', 'p 3 4 ok: r x []'],
    found: ['G-single-order'],
    good: ['p 1 2 ok: a x 1', 'q 3 4 ok: r x []'],
  },
]

for (const { name, model = 'serializable', bad, found, good } of cases) {
  test(`found: ${name}`, (t) => {
    const verdict = check(parse(...bad), model)
    t.deepEqual([...verdict.counts.keys()].sort(), found, report(verdict))
    t.false(verdict.valid)
    // An order that is no part of the cycle does not make it another one.
    if (model === 'serializable') t.deepEqual(typesOf(parse(...bad), 'strict-serializable'), found)
    const twin = check(parse(...good), model)
    t.true(twin.valid, report(twin))
  })
}

test('a level permits what it permits, and real time counts only where it is asked for', (t) => {
  const skew = parse('1 9 ok: r x [], a y 1', '1 9 ok: r y [], a x 1')
  t.deepEqual(typesOf(skew, 'snapshot'), [])
  t.deepEqual(typesOf(skew, 'strong-snapshot'), [])
  t.deepEqual(typesOf(skew, 'strict-serializable'), ['G2'])
  const fork = cases.find(({ name }) => name === 'long fork')?.bad ?? []
  t.deepEqual(typesOf(parse(...fork), 'snapshot'), ['G-nonadjacent'])
  const stale = parse('p 1 2 ok: a x 1', 'q 3 4 ok: r x []')
  for (const model of ['serializable', 'snapshot', 'session-serializable'] as const) {
    t.deepEqual(typesOf(stale, model), [], model)
  }
  t.deepEqual(typesOf(stale, 'strong-snapshot'), ['G-single-order'])
})

test('a transaction of unknown outcome has committed if somebody has seen it', (t) => {
  const unseen = parse('1 - unknown: a x 1, a y 1', '3 4 ok: r x []', '5 6 ok: r y []')
  t.true(check(unseen, 'strict-serializable').valid)
  const late = parse(
    '1 - unknown: a x 1, a y 1',
    '3 4 ok: r x [], r y []',
    '5 6 ok: r x [1], r y [1]',
  )
  t.true(check(late, 'strict-serializable').valid)
  const half = parse('1 - unknown: a x 1, a y 1', '3 4 ok: r x [1], r y []')
  t.deepEqual(typesOf(half, 'serializable'), ['G-single'])
  // Seen by one that is seen itself: then what the first has appended is there, too.
  const chain = parse(
    '1 - unknown: a x 1',
    '1 - unknown: r x [1], a y 1',
    '3 4 ok: r y [1], r x []',
  )
  t.deepEqual(typesOf(chain, 'serializable'), ['G-single'])
})

test('what has no end may happen behind what its process does next', (t) => {
  const late = parse('p 1 - unknown: a x 1', 'p 3 4 ok: r x []', 'q 5 6 ok: r x [1]')
  t.true(check(late, 'session-serializable').valid)
  t.true(check(late, 'strict-serializable').valid)
})

test('a cycle is told so that it can be followed', (t) => {
  const stale = parse('1 2 ok: a x 1', '3 4 ok: a x 2', '5 6 ok: r x [1]', '7 8 ok: r x [1 2]')
  t.is(
    report(check(stale, 'strict-serializable')),
    [
      'G-single-order: 1',
      'G-single-order',
      '  T3 ok: read x [1]',
      '  T2 ok: append x 2',
      '  T3 -rw-> T2: T3 read x up to 1, and T2 appended 2 behind that',
      '  T2 -order-> T3: T2 had completed before T3 was invoked',
    ].join('\n'),
  )
})

test('an append that nobody has read is told as such', (t) => {
  const gone = parse('1 2 ok: a x 1', '3 4 ok: a x 2', '5 6 ok: r x [2]')
  t.regex(report(check(gone, 'strict-serializable')), /T1 appended 1 to x, which no list has/)
  const started = parse('1 2 ok: a x 1', '3 4 ok: r x []')
  t.regex(
    report(check(started, 'strict-serializable')),
    /T2 read x empty, and no list has 1, which T1/,
  )
})

// All orders of the numbers below `count`.
const ordersOf = (count: number): number[][] => {
  if (count === 0) return [[]]
  return ordersOf(count - 1).flatMap((order) =>
    Array.from({ length: count }, (_, at) => [
      ...order.slice(0, at),
      count - 1,
      ...order.slice(at),
    ]),
  )
}

// Whether the answers are those of the transactions one after the other.
const isExplainedBy = (history: Transaction[], order: number[], realTime: boolean): boolean => {
  const lists = new Map<unknown, unknown[]>()
  let latest = -Infinity
  for (const i of order) {
    const { ops = [], invoked = 0, completed = Infinity } = history[i] ?? {}
    if (realTime && completed < latest) return false
    latest = Math.max(latest, invoked)
    for (const op of ops) {
      const list = lists.get(op.key) ?? []
      if (op.f === 'append') lists.set(op.key, [...list, op.value])
      else if (op.list?.join() !== list.join()) return false
    }
  }
  return true
}

// Transactions whose answers are those of some serial order, except for a few that are arbitrary.
const smallHistory = (seed: number): Transaction[] => {
  const random = randomNumbers(seed)
  const below = (limit: number) => Math.floor(random() * limit)
  const count = 2 + below(4)
  const lists = new Map<string, number[]>()
  let value = 0
  const history = Array.from({ length: count }, (_, id): Transaction => {
    const ops = Array.from({ length: 1 + below(3) }, (): Operation => {
      const key = random() < 0.5 ? 'x' : 'y'
      const list = lists.get(key) ?? []
      if (random() < 0.5) {
        value += 1
        lists.set(key, [...list, value])
        return { f: 'append', key, value }
      }
      return { f: 'read', key, list: random() < 0.2 ? list.slice(0, below(list.length + 1)) : list }
    })
    const invoked = below(12)
    return { id, process: id, invoked, completed: invoked + 1 + below(6), outcome: 'ok', ops }
  })
  const ops = [...lists].map(([key, list]): Operation => ({ f: 'read', key, list }))
  return [
    ...history,
    { id: 'last', process: 'last', invoked: 30, completed: 31, outcome: 'ok', ops },
  ]
}

test('the verdict on small histories is that of trying every order', (t) => {
  const seen = { valid: 0, invalid: 0 }
  for (let seed = 0; seed < 1500; seed += 1) {
    const history = smallHistory(seed)
    const orders = ordersOf(history.length)
    for (const [model, realTime] of [
      ['serializable', false],
      ['strict-serializable', true],
    ] as const) {
      const verdict = check(history, model)
      const explained = orders.some((order) => isExplainedBy(history, order, realTime))
      t.is(verdict.valid, explained, `seed ${seed}, ${model}: ${report(verdict)}`)
      seen[explained ? 'valid' : 'invalid'] += 1
    }
  }
  t.true(seen.valid > 300 && seen.invalid > 300, JSON.stringify(seen))
})

test('edges of real time say what all pairs say', (t) => {
  const interval = fc.tuple(fc.nat(30), fc.option(fc.nat(8), { nil: undefined }))
  fc.assert(
    fc.property(fc.array(interval, { maxLength: 12 }), (intervals) => {
      const history = intervals.map(([invoked, length], id): Transaction => {
        const completed = length === undefined ? undefined : invoked + length
        return { id, process: id, invoked, completed, outcome: 'ok', ops: [] }
      })
      const graph = graphOf(
        history.length,
        realTimeDependencies(
          history,
          history.map(() => true),
        ),
      )
      for (const [a, first] of history.entries()) {
        for (const [b, second] of history.entries()) {
          if (a === b) continue
          const follows = (first.completed ?? Infinity) < second.invoked
          t.is(shortestPath(graph, a, b) !== undefined, follows)
        }
      }
    }),
  )
})

test('components are those of reachability', (t) => {
  const arc = fc.record({ from: fc.nat(7), to: fc.nat(7) })
  fc.assert(
    fc.property(fc.array(arc, { maxLength: 16 }), (arcs) => {
      const graph = graphOf(8, arcs)
      const components = componentsOf(graph)
      for (let a = 0; a < 8; a += 1) {
        for (let b = 0; b < 8; b += 1) {
          const both = shortestPath(graph, a, b) && shortestPath(graph, b, a)
          t.is(components[a] === components[b], both !== undefined)
        }
      }
    }),
  )
  const ring = Array.from({ length: 200_000 }, (_, i) => ({ from: i, to: (i + 1) % 200_000 }))
  t.deepEqual(
    knotsOf(graphOf(200_000, ring)).map((nodes) => nodes.length),
    [200_000],
  )
})

const seeds = Array.from({ length: 40 }, (_, seed) => seed)

const validFor = (t: ExecutionContext, level: Level, model: Model) => {
  const invalid = seeds.filter((seed) => {
    const verdict = check(simulate({ seed, level, transactions: 300 }), model)
    return !verdict.valid
  })
  t.log(`${level} judged as ${model}: ${invalid.length} of ${seeds.length} seeds refused`)
  return seeds.length - invalid.length
}

test('a database that keeps to its level is never accused', (t) => {
  t.is(validFor(t, 'serializable', 'strict-serializable'), seeds.length)
  t.is(validFor(t, 'snapshot', 'strong-snapshot'), seeds.length)
  t.is(validFor(t, 'stale', 'serializable'), seeds.length)
})

test('a database that breaks its level is found out', (t) => {
  t.true(validFor(t, 'snapshot', 'serializable') < seeds.length / 2)
  t.is(validFor(t, 'lost-updates', 'snapshot'), 0)
  t.is(validFor(t, 'read-uncommitted', 'snapshot'), 0)
  t.true(validFor(t, 'stale', 'strict-serializable') < seeds.length / 2)
})

test('snapshot isolation shows write skew and nothing else', (t) => {
  const types = new Set(
    seeds.flatMap((seed) =>
      typesOf(simulate({ seed, level: 'snapshot', transactions: 300 }), 'strict-serializable'),
    ),
  )
  t.deepEqual([...types].sort(), ['G2', 'G2-order'])
})

const isFullRead = (op: Operation): op is Operation & { f: 'read'; list: (string | number)[] } =>
  op.f === 'read' && (op.list?.length ?? 0) >= 2

type Lists = (list: (string | number)[], random: () => number) => (string | number)[]

const mutations: Record<string, Lists> = {
  'two elements change places': (list, random) => {
    const at = Math.floor(random() * (list.length - 1))
    return list.map(
      (value, i) => (i === at ? list[at + 1] : i === at + 1 ? list[at] : value) ?? value,
    )
  },
  'an element is missing in the middle': (list, random) => {
    const at = Math.floor(random() * (list.length - 1))
    return list.filter((_, i) => i !== at)
  },
  'an element is there twice': (list, random) => [
    ...list,
    list[Math.floor(random() * list.length)] ?? 0,
  ],
  'an element comes from nowhere': (list) => [...list, 'nowhere'],
}

for (const [name, mutate] of Object.entries(mutations)) {
  test(`in a legal history, ${name}`, (t) => {
    for (const seed of seeds) {
      const random = randomNumbers(seed)
      const history = simulate({ seed, level: 'serializable', transactions: 300 })
      const readers = history.filter(
        ({ id, outcome, ops }) => id !== 'last' && outcome === 'ok' && ops.some(isFullRead),
      )
      const victim = readers[Math.floor(random() * readers.length)]
      const target = victim?.ops.find(isFullRead)
      const mutated = history.map((transaction) => {
        if (transaction !== victim) return transaction
        const ops = transaction.ops.map((op) =>
          op === target ? { ...target, list: mutate(target.list, random) } : op,
        )
        return { ...transaction, ops }
      })
      t.true(check(history, 'strict-serializable').valid)
      t.false(check(mutated, 'serializable').valid, `seed ${seed}`)
    }
  })
}

test('in a legal history, a transaction that was acknowledged is undone', (t) => {
  for (const seed of seeds) {
    const history = simulate({ seed, level: 'serializable', transactions: 300 })
    const victim = history.find(
      ({ id, outcome, ops }) =>
        id !== 'last' && outcome === 'ok' && ops.some(({ f }) => f === 'append'),
    )
    const gone = new Set(victim?.ops.flatMap((op) => (op.f === 'append' ? [op.value] : [])))
    const mutated = history.map((transaction) => {
      if (transaction === victim) return transaction
      const ops = transaction.ops.map((op) =>
        op.f === 'read' && op.list
          ? { ...op, list: op.list.filter((value) => !gone.has(value)) }
          : op,
      )
      return { ...transaction, ops }
    })
    t.false(check(mutated, 'strict-serializable').valid, `seed ${seed}`)
  }
})

test('a long history is judged in seconds', (t) => {
  for (const level of ['serializable', 'snapshot', 'stale'] as const) {
    const history = simulate({ seed: 1, level, transactions: 100_000, processes: 12, keys: 8 })
    const start = process.cpuUsage()
    const verdict = check(history, 'strict-serializable')
    const { user, system } = process.cpuUsage(start)
    const seconds = (user + system) / 1e6
    t.log(`${level}: ${seconds.toFixed(1)} s of a processor`)
    t.is(verdict.valid, level === 'serializable')
    t.true(seconds < 30)
  }
})

test('lines of JSON become transactions', (t) => {
  const lines = [
    '{"at":7,"event":"ok","id":1,"process":"a","ops":[{"f":"read","key":"x","list":[5]}]}',
    '{"at":5,"event":"invoke","id":1,"process":"a","ops":[{"f":"read","key":"x"}]}',
    '{"at":1,"event":"invoke","id":2,"process":"b","ops":[{"f":"append","key":"x","value":5}]}',
    '',
    '{"at":2,"event":"invoke","id":3,"process":"c","ops":[{"f":"append","key":"x","value":6}]}',
    '{"at":3,"event":"unknown","id":3,"process":"c","ops":[{"f":"append","key":"x","value":6}]}',
  ]
  t.deepEqual(parseHistory(lines), [
    {
      ...{ id: 1, process: 'a', invoked: 5, completed: 7, outcome: 'ok' },
      ops: [{ f: 'read', key: 'x', list: [5] }],
    },
    {
      ...{ id: 2, process: 'b', invoked: 1, completed: undefined, outcome: 'unknown' },
      ops: [{ f: 'append', key: 'x', value: 5 }],
    },
    {
      ...{ id: 3, process: 'c', invoked: 2, completed: undefined, outcome: 'unknown' },
      ops: [{ f: 'append', key: 'x', value: 6 }],
    },
  ])
  const [ok = '', invoke = ''] = lines
  t.throws(() => parseHistory([ok]), { message: /never invoked/ })
  t.throws(() => parseHistory([invoke, invoke]), { message: /second invoke/ })
  t.throws(() => parseHistory([invoke.slice(0, 40)]))
  t.throws(() => parseHistory([invoke.replace('"read"', '"cas"')]), { message: /no event/ })
  t.throws(() => parseHistory([invoke.replace('5', 'null')]), { message: /no event/ })
  const twice = parse('1 2 ok: a x 1', '3 4 ok: a x 1')
  t.throws(() => check(twice, 'serializable'), { message: /second append of 1 to x/ })
})
