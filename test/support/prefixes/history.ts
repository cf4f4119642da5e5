// Histories of commits at primaries and of reads at replicas, for a check of prefix consistency
// (check.ts).
//
// How to record one: lines of JSON, of three kinds, in any order. Times are of one clock for all
// processes, Number(process.hrtime.bigint() / 1000n) on one machine: `start` is taken before
// anything is asked for, `end` after the answer has come. Equal times count as concurrent.
//
//   {"event":"reign","term":3}
//   {"event":"reign","term":4,"from":{"term":3,"lsn":4000}}
//
//   The reign of a primary began with everything up to this position of an earlier reign; what that
//   one has committed behind it is rolled back. Exactly one reign is without `from`: it began with
//   nothing. What the one with the highest term ends with is what survives, so a history ends when
//   the group has settled. The log's table of terms says all this.
//
//   {"event":"commit","id":"c1-17","at":{"term":3,"lsn":4096},"start":100,
//     "writes":{"x":5,"y":null},"end":140,"acknowledged":"durable"}
//
//   id            of the transaction, unique if nothing is applied twice
//   at            where it is: the reign in which it was committed and the `end` of its receipt,
//                 the version of the rows that it has written. Of a commit whose client was not
//                 told, it stands in the logs of the members; one that is in no log is left out.
//   writes        the values of its keys, any JSON; null: removed
//   end, acknowledged   where its client was told: `durable`, no election can undo it, or `local`
//
//   {"event":"read","session":"r1","member":2,"start":150,"end":160,"level":"durable",
//     "values":{"x":5,"z":null},"atLeast":{"term":3,"lsn":4096},"maxLag":50000,
//     "snapshot":{"lsn":4096,"term":3},"whole":false}
//
//   session       who reads: its reads follow each other. Those with a token never go back, nor do
//                 those that are not local at one member. A reader who mixes levels with tokens is
//                 two sessions: what was local may not be durable yet
//   member        where; of a member that has been started again another one
//   level         local, durable, or linearizable
//   values        of one snapshot, with null for a key that was not there; for `whole` all rows
//                 there were, others were not there
//   atLeast       optional, a token: what it stands for has to be seen
//   maxLag        optional, in the unit of the times: what was acknowledged as durable so long
//                 before has to be seen
//   snapshot      optional, where the reader says it is: its LSN, and the term if it knows that. A
//                 position between commits is that of the last one before it.
//
// A read that was refused is not recorded.

export interface Position {
  term: number
  lsn: number
}

export interface Reign {
  event: 'reign'
  term: number
  from?: Position | undefined
}

export interface Commit {
  event: 'commit'
  id: string | number
  at: Position
  start: number
  writes: Readonly<Record<string, unknown>>
  end?: number | undefined
  acknowledged?: 'durable' | 'local' | undefined
}

export interface Read {
  event: 'read'
  session: string | number
  member: string | number
  start: number
  end: number
  level: 'local' | 'durable' | 'linearizable'
  values: Readonly<Record<string, unknown>>
  whole?: boolean | undefined
  atLeast?: Position | undefined
  maxLag?: number | undefined
  snapshot?: { lsn: number; term?: number | undefined } | undefined
}

export interface History {
  reigns: Reign[]
  commits: Commit[]
  reads: Read[]
}

type Test = (value: unknown) => boolean

const isWord: Test = (value) => typeof value === 'string' || typeof value === 'number'
const isNumber: Test = (value) => Number.isFinite(value)
const isFields = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isPosition: Test = (value) => isFields(value) && isNumber(value.term) && isNumber(value.lsn)
const isOptional =
  (test: Test): Test =>
  (value) =>
    value === undefined || test(value)
const isOneOf =
  (...words: unknown[]): Test =>
  (value) =>
    words.includes(value)

const shapes: Record<string, Record<string, Test>> = {
  reign: { term: isNumber, from: isOptional(isPosition) },
  commit: {
    id: isWord,
    at: isPosition,
    start: isNumber,
    writes: isFields,
    end: isOptional(isNumber),
    acknowledged: isOneOf('durable', 'local', undefined),
  },
  read: {
    session: isWord,
    member: isWord,
    start: isNumber,
    end: isNumber,
    level: isOneOf('local', 'durable', 'linearizable'),
    values: isFields,
    whole: isOneOf(true, false, undefined),
    atLeast: isOptional(isPosition),
    maxLag: isOptional(isNumber),
    snapshot: isOptional(
      (value) => isFields(value) && isNumber(value.lsn) && isOptional(isNumber)(value.term),
    ),
  },
}

const asEvent = (line: string): Reign | Commit | Read => {
  const event = JSON.parse(line) as Record<string, unknown>
  const shape = shapes[String(event.event)]
  // A name that is not known might be a promise that is misspelt, and is not checked then.
  const isKnown = Object.keys(event).every((name) => name === 'event' || shape?.[name])
  if (shape && isKnown && Object.entries(shape).every(([name, fits]) => fits(event[name]))) {
    const { end, acknowledged, start } = event
    const isTold = event.event !== 'commit' || (end === undefined) === (acknowledged === undefined)
    const isInOrder = end === undefined || Number(end) >= Number(start)
    if (isTold && isInOrder) return event as unknown as Reign | Commit | Read
  }
  throw new Error(`no event of a history: ${line}`)
}

/** The history that these lines tell. */
export const parseHistory = (lines: Iterable<string>): History => {
  const history: History = { reigns: [], commits: [], reads: [] }
  for (const line of lines) {
    if (line === '') continue
    const event = asEvent(line)
    if (event.event === 'reign') history.reigns.push(event)
    else if (event.event === 'commit') history.commits.push(event)
    else history.reads.push(event)
  }
  return history
}
