// What can be done with an environment, as values; keys, snapshots and receipts are numbers of
// which the remainder counts, so that every list of commands can be run, and made shorter.
import fc from 'fast-check'
import type { Durability, Isolation } from 'ringleader'

import { kinds, mostKeys } from './kinds.js'

export interface Write {
  kind: number
  key: number
  /** undefined: a removal. */
  number: number | undefined
}

export type BoundKind = 'gt' | 'gte' | 'lt' | 'lte'

export interface Walk {
  kind: number
  low: readonly ['gt' | 'gte', number] | undefined
  high: readonly ['lt' | 'lte', number] | undefined
  /** Instead of bounds. */
  prefix: number | undefined
  reverse: boolean
  limit: number | undefined
}

export type Atomic =
  | { rule: 'putIfAbsent'; number: number }
  | { rule: 'version' | 'value'; right: boolean; number: number }
  | { rule: 'removeIfVersion'; right: boolean }
  | { rule: 'take' }
  | { rule: 'add'; delta: number }

export type Step = { step: 'write'; write: Write } | { step: 'walk'; walk: Walk }

export type Command =
  | { do: 'make' | 'clear' | 'drop'; kind: number; peer: boolean }
  | { do: 'write'; write: Write; durability: Durability; peer: boolean }
  | { do: 'turn'; writes: Write[] }
  | { do: 'putMany'; kind: number; writes: Write[]; peer: boolean }
  | { do: 'batch'; writes: Write[] }
  | { do: 'atomic'; kind: number; key: number; atomic: Atomic }
  | { do: 'transaction'; steps: Step[]; gives: 'commit' | 'abort'; isolation: Isolation }
  | { do: 'disturbed'; read: Write; write: Write; isolation: Isolation }
  | { do: 'walk'; walk: Walk; pick: 'row' | 'key' | 'value' | 'count' }
  | { do: 'get'; kind: number }
  | { do: 'look'; peer: boolean }
  | { do: 'snapshot' }
  | { do: 'lookBack' | 'closeSnapshot'; which: number; walk: Walk }
  | { do: 'fold' | 'verify' | 'flush' }
  | { do: 'rollBack'; which: number }
  | { do: 'reopen'; peer: 'stays' | 'closes' | 'dies' }

const kind = fc.nat(kinds.length - 1)
const key = fc.nat(mostKeys - 1)
const number = fc.nat(99)
const peer = fc.boolean()

const write = fc.record<Write>({
  kind,
  key,
  number: fc.option(number, { freq: 3, nil: undefined }),
})
const writes = fc.array(write, { minLength: 1, maxLength: 6 })

const walk = fc.record<Walk>({
  kind,
  low: fc.option(fc.tuple(fc.constantFrom('gt' as const, 'gte' as const), key), { nil: undefined }),
  high: fc.option(fc.tuple(fc.constantFrom('lt' as const, 'lte' as const), key), {
    nil: undefined,
  }),
  prefix: fc.option(fc.nat(9), { freq: 1, nil: undefined }),
  reverse: fc.boolean(),
  limit: fc.option(fc.nat(8), { nil: undefined }),
})

const atomic = fc.oneof(
  fc.record({ rule: fc.constant('putIfAbsent' as const), number }),
  fc.record({
    rule: fc.constantFrom('version' as const, 'value' as const),
    right: fc.boolean(),
    number,
  }),
  fc.record({ rule: fc.constant('removeIfVersion' as const), right: fc.boolean() }),
  fc.record({ rule: fc.constant('take' as const) }),
  fc.record({ rule: fc.constant('add' as const), delta: fc.integer({ min: -9, max: 9 }) }),
)

const step = fc.oneof(
  fc.record({ step: fc.constant('write' as const), write }),
  fc.record({ step: fc.constant('walk' as const), walk }),
)
const isolation = fc.constantFrom<Isolation>('serializable', 'snapshot')
const durability = fc.constantFrom<Durability>('memory', 'written', 'flushed')
const doing = <D extends Command['do']>(...names: D[]) => fc.constantFrom(...names)

const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: doing('make'), kind, peer }) },
  { weight: 1, arbitrary: fc.record({ do: doing('clear', 'drop'), kind, peer }) },
  { weight: 6, arbitrary: fc.record({ do: doing('write'), write, durability, peer }) },
  { weight: 3, arbitrary: fc.record({ do: doing('turn', 'batch'), writes }) },
  { weight: 3, arbitrary: fc.record({ do: doing('putMany'), kind, writes, peer }) },
  { weight: 4, arbitrary: fc.record({ do: doing('atomic'), kind, key, atomic }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: doing('transaction'),
      steps: fc.array(step, { maxLength: 6 }),
      gives: fc.constantFrom('commit' as const, 'commit' as const, 'abort' as const),
      isolation,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: doing('disturbed'), read: write, write, isolation }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: doing('walk'),
      walk,
      pick: fc.constantFrom('row' as const, 'key' as const, 'value' as const, 'count' as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: doing('get'), kind }) },
  { weight: 2, arbitrary: fc.record({ do: doing('look'), peer }) },
  { weight: 2, arbitrary: fc.record({ do: doing('snapshot') }) },
  { weight: 3, arbitrary: fc.record({ do: doing('lookBack'), which: fc.nat(9), walk }) },
  { weight: 1, arbitrary: fc.record({ do: doing('closeSnapshot'), which: fc.nat(9), walk }) },
  { weight: 2, arbitrary: fc.record({ do: doing('fold', 'flush') }) },
  { weight: 1, arbitrary: fc.record({ do: doing('verify') }) },
  { weight: 2, arbitrary: fc.record({ do: doing('rollBack'), which: fc.nat(99) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: doing('reopen'),
      peer: fc.constantFrom('stays' as const, 'closes' as const, 'dies' as const),
    }),
  },
)

const first: Command[] = kinds.map((_, i) => ({ do: 'make', kind: i, peer: i === 1 }))

/** Lists of them, most of which find databases. */
export const commandLists = fc
  .tuple(
    fc.constantFrom(first, first, first, []),
    fc.array(command, { maxLength: 80, size: 'max' }),
  )
  .map(([before, commands]) => [...before, ...commands])
