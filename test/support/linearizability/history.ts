// Histories of operations on single keys: what clients of a database have asked and been told, for
// a check of linearizability (check.ts).
//
// A key holds a value or nothing (`get`, `put`, `putIfAbsent`, `compareAndSet`, `add`, `remove`,
// `take`), or it holds a list (`append`, `read`); not both in one history.
//
// How to record one. Every client process writes one line of JSON per event, into a file of its own
// (opened to append; a line is written in one call, before the operation begins and after it has
// ended, so that a process may be killed at any moment):
//
//   {"at":1700,"event":"invoke","id":"3-17","process":3,"key":"x","f":"compareAndSet",
//     "expected":null,"value":5}
//   {"at":1742,"event":"ok","id":"3-17","result":true}
//
//   at       when: of one clock for all processes, Number(process.hrtime.bigint() / 1000n) on one
//            machine. "invoke" is taken before anything is sent, the others after the answer has
//            come. Events of the same `at` count as concurrent.
//   event    invoke; then ok, failed (certainly without any effect, now and later), or unknown (an
//            error that leaves it open). An operation without an end is unknown.
//   id       unique in the history
//   process  the client, for people who read the report. Two operations of a process follow each
//            other where their times say so and for no other reason.
//   f        with its arguments, in the line of "invoke":
//              put, putIfAbsent, append   value
//              compareAndSet              value; expected: the value there must be, null: no row
//              add                        delta
//              get, remove, take, read    none
//   result   in the line of "ok". Nothing there is null.
//              get, take                  the value, null: no row
//              putIfAbsent, compareAndSet whether it has done it; false is "ok" too
//              add                        the sum
//              read                       the whole list
//              append                     optional: the length of the list behind it
//              put, remove                none
//
// The lines of all files together, in any order, are what parseHistory takes. A torn last line of a
// killed process is for the caller to cut off (parseHistory throws on it).

export type Key = string | number
export type Value = string | number | boolean
export type Id = string | number

// A result that is undefined is not known: the operation was not answered.
export type Call =
  | { f: 'get' | 'take'; result?: Value | null | undefined }
  | { f: 'put'; value: Value }
  | { f: 'putIfAbsent'; value: Value; result?: boolean | undefined }
  | { f: 'compareAndSet'; expected: Value | null; value: Value; result?: boolean | undefined }
  | { f: 'add'; delta: number; result?: number | undefined }
  | { f: 'remove' }
  | { f: 'append'; value: Value; result?: number | undefined }
  | { f: 'read'; result?: readonly Value[] | undefined }

export type Outcome = 'ok' | 'failed' | 'unknown'

export interface Operation {
  id: Id
  process: Id
  key: Key
  call: Call
  /** Moments of one clock; completed is undefined where the outcome is unknown. */
  invoked: number
  completed: number | undefined
  outcome: Outcome
}

type Fields = Record<string, unknown>

const isWord = (value: unknown) => typeof value === 'string' || typeof value === 'number'
const isValue = (value: unknown) => isWord(value) || typeof value === 'boolean'
const isValueOrNull = (value: unknown) => value === null || isValue(value)
const isTruth = (value: unknown) => typeof value === 'boolean'
const isNumber = (value: unknown) => Number.isFinite(value)
const isNothing = (value: unknown) => value === undefined

interface Shape {
  arguments: Record<string, (value: unknown) => boolean>
  result: (value: unknown) => boolean
}

const shapes = new Map<unknown, Shape>([
  ['get', { arguments: {}, result: isValueOrNull }],
  ['take', { arguments: {}, result: isValueOrNull }],
  ['put', { arguments: { value: isValue }, result: isNothing }],
  ['putIfAbsent', { arguments: { value: isValue }, result: isTruth }],
  ['compareAndSet', { arguments: { expected: isValueOrNull, value: isValue }, result: isTruth }],
  ['add', { arguments: { delta: isNumber }, result: isNumber }],
  ['remove', { arguments: {}, result: isNothing }],
  [
    'append',
    { arguments: { value: isValue }, result: (value) => isNothing(value) || isNumber(value) },
  ],
  ['read', { arguments: {}, result: (value) => Array.isArray(value) && value.every(isValue) }],
])

const outcomes: readonly unknown[] = ['ok', 'failed', 'unknown']

const asEvent = (line: string): Fields => {
  const event = JSON.parse(line) as Fields
  if (isNumber(event.at) && isWord(event.id)) {
    if (outcomes.includes(event.event)) return event
    const shape = shapes.get(event.f)
    const isWhole = isWord(event.process) && isWord(event.key) && shape
    if (event.event === 'invoke' && isWhole) {
      const known = Object.entries(shape.arguments)
      if (known.every(([name, fits]) => fits(event[name]))) return event
    }
  }
  throw new Error(`no event of a history: ${line}`)
}

const operationOf = (invocation: Fields, end: Fields | undefined): Operation => {
  const { id, process, key, f } = invocation as { id: Id; process: Id; key: Key; f: string }
  const outcome = (end?.event ?? 'unknown') as Outcome
  const shape = shapes.get(f)
  const names = Object.keys(shape?.arguments ?? {})
  const call: Fields = { f, ...Object.fromEntries(names.map((name) => [name, invocation[name]])) }
  if (outcome === 'ok') {
    // A result that got lost on the way would agree with everything.
    const result = end?.result
    if (!shape?.result(result)) throw new Error(`no result of ${f}: ${JSON.stringify(end)}`)
    if (result !== undefined) call.result = result
  }
  return {
    ...{ id, process, key, call: call as Call, outcome },
    invoked: invocation.at as number,
    // What ended in the unknown may still take effect at any time.
    completed: outcome === 'unknown' ? undefined : (end?.at as number),
  }
}

/** The operations of a history, from the lines that its clients have written. */
export const parseHistory = (lines: Iterable<string>): Operation[] => {
  const invocations = new Map<unknown, Fields>()
  const ends = new Map<unknown, Fields>()
  for (const line of lines) {
    if (line === '') continue
    const event = asEvent(line)
    const id = event.id as Id
    const events = event.event === 'invoke' ? invocations : ends
    if (events.has(id)) throw new Error(`a second ${event.event as string} of ${id}`)
    events.set(id, event)
  }
  for (const [id, end] of ends) {
    const invocation = invocations.get(id)
    if (!invocation) throw new Error(`${id as Id} ends and was never invoked`)
    if ((end.at as number) < (invocation.at as number)) {
      throw new Error(`${id as Id} ends before it was invoked`)
    }
  }
  return [...invocations.values()].map((invocation) =>
    operationOf(invocation, ends.get(invocation.id)),
  )
}

/** Written as people write calls: "compareAndSet x null 5 -> true". */
export const describeCall = (key: Key, call: Call): string => {
  const words: string[] = [call.f, `${key}`]
  if ('expected' in call) words.push(JSON.stringify(call.expected))
  if ('value' in call) words.push(JSON.stringify(call.value))
  if ('delta' in call) words.push(`${call.delta}`)
  const result = 'result' in call ? call.result : undefined
  return words.join(' ') + (result === undefined ? '' : ` -> ${JSON.stringify(result)}`)
}
