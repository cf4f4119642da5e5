// Histories of list appends: what clients of a database have asked and been told.
//
// Every key of the database holds a list. A transaction appends values to lists and reads whole
// lists. A value is appended to a key once in the whole history, by whomever, so a list that was
// read tells which transactions have written it and in which order; that is what makes such a
// history so easy to judge (check.ts).
//
// How to record one. Every client process writes one line of JSON per event, into a file of its own
// (opened to append; a line is written in one call, before the transaction begins and after it has
// ended, so that a process may be killed at any moment):
//
//   {"at":1700,"event":"invoke","id":"3-17","process":3,"ops":[{"f":"append","key":"x","value":5},
//     {"f":"read","key":"y"}]}
//   {"at":1742,"event":"ok","id":"3-17","process":3,"ops":[{"f":"append","key":"x","value":5},
//     {"f":"read","key":"y","list":[1,2]}]}
//
//   at       when: of one clock for all processes, Number(process.hrtime.bigint() / 1000n) on one
//            machine. "invoke" is taken before anything is sent, the others after the answer has
//            come. Events of the same `at` count as concurrent.
//   event    invoke; then ok (committed), aborted (certainly not), or unknown (an error that leaves
//            it open). A transaction without an end is unknown.
//   id       unique in the history
//   process  the client; its transactions follow each other. After `unknown` it needs a new one.
//   ops      in the order in which they were executed; lists as they were seen at that moment. In
//            "invoke" what is going to be done, so that the appends of a killed process are known.
//
// The lines of all files together, in any order, are what parseHistory takes. A torn last line of a
// killed process is for the caller to cut off (parseHistory throws on it). Good histories have few
// keys in use at a time (2 to 10), replaced by new ones after some 50 appends each, 1 to 6
// operations in a transaction, and end with one transaction that reads every key.

export type Key = string | number
export type Value = string | number
export type Id = string | number

export interface Append {
  f: 'append'
  key: Key
  value: Value
}

export interface Read {
  f: 'read'
  key: Key
  /** undefined: nobody has seen the result. */
  list?: readonly Value[] | undefined
}

export type Operation = Append | Read

export type Outcome = 'ok' | 'aborted' | 'unknown'

export interface Transaction {
  id: Id
  process: Id
  /** Moments of one clock; completed is undefined where the end was not seen. */
  invoked: number
  completed: number | undefined
  outcome: Outcome
  ops: readonly Operation[]
}

interface Event {
  at: number
  event: 'invoke' | Outcome
  id: Id
  process: Id
  ops: Operation[]
}

const isWord = (value: unknown) => typeof value === 'string' || typeof value === 'number'

const isOperation = (value: unknown): boolean => {
  const { f, key, value: appended, list } = value as Record<string, unknown>
  if (!isWord(key)) return false
  if (f === 'append') return isWord(appended)
  return f === 'read' && (list === undefined || (Array.isArray(list) && list.every(isWord)))
}

const asEvent = (line: string): Event => {
  const event = JSON.parse(line) as Event
  const { at, id, process, ops } = event
  const isKnown = ['invoke', 'ok', 'aborted', 'unknown'].includes(event.event)
  if (isKnown && Number.isFinite(at) && isWord(id) && isWord(process) && ops.every(isOperation)) {
    return event
  }
  throw new Error(`no event of a history: ${line}`)
}

/** The transactions of a history, from the lines that its clients have written. */
export const parseHistory = (lines: Iterable<string>): Transaction[] => {
  const invocations = new Map<Id, Event>()
  const ends = new Map<Id, Event>()
  for (const line of lines) {
    if (line === '') continue
    const event = asEvent(line)
    const events = event.event === 'invoke' ? invocations : ends
    if (events.has(event.id)) throw new Error(`a second ${event.event} of ${event.id}`)
    events.set(event.id, event)
  }
  for (const id of ends.keys()) {
    if (!invocations.has(id)) throw new Error(`${id} ends and was never invoked`)
  }
  return [...invocations.values()].map((invocation) =>
    transactionOf(invocation, ends.get(invocation.id)),
  )
}

const transactionOf = (invocation: Event, end: Event | undefined): Transaction => {
  const { id, process, at, ops } = invocation
  const outcome = end === undefined || end.event === 'invoke' ? 'unknown' : end.event
  // What ended in the unknown may still take effect at any time.
  const completed = outcome === 'unknown' ? undefined : end?.at
  return { id, process, invoked: at, completed, outcome, ops: end?.ops ?? ops }
}

/** Written as people write transactions: "T5 ok: append x 3, read y [1, 2]". */
export const describe = ({ id, outcome, ops }: Transaction): string => {
  const words = ops.map((op) => {
    if (op.f === 'append') return `append ${op.key} ${op.value}`
    return `read ${op.key} ${op.list ? `[${op.list.join(', ')}]` : '?'}`
  })
  return `T${id} ${outcome}: ${words.join(', ')}`
}
