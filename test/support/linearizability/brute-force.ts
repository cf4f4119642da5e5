// Linearizability by trying every order: of small histories, what the checker is compared with.
import { randomNumbers } from '../history/simulator.js'
import type { Call, Operation, Value } from './history.js'

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

/** Whether any order explains it. */
export const hasOrder = (history: readonly Operation[]): boolean => {
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

/** How many of those of a key have to end before there is no order. */
export const endsUntilFailure = (history: readonly Operation[]): number => {
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

/** Results of a store that does one after the other, except for a few that are arbitrary. */
export const smallHistory = (seed: number): Operation[] => {
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

/** What the key may have held when all that had ended before `stuck` were done. */
export const statesBefore = (operations: readonly Operation[], stuck: Operation): Set<string> => {
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
